"""One sample of a training set: a first frame and where its points go, as three files with one key.

WebDataset's convention: `KEY.jpg`, `KEY.tracks.npz` and `KEY.json` stand side by side in a tar archive.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.core.arrays import read_arrays
from model.core.errors import BadInput
from model.core.structure import from_json
from model.motion.camera import Camera
from model.motion.grid import inside_frame
from model.motion.tracks import Method, Tracks

FORMAT_VERSION = 1
IMAGE, TRACKS, FACTS = "jpg", "tracks.npz", "json"
"""The endings of a sample's files."""

MOVING = 1.0
"""Pixels of a 256-high image; a point that moves further counts as moving (science.md, section 2)."""


@dataclass(frozen=True)
class SampleFacts:
    """What is known of a sample beside its arrays; it is its JSON file, field by field.

    source: the video's name, as given to `convert`, relative to the folder it was found in.
    group: the name of the source that the video is a part of; "" in older sets: the video itself.
    source_sha256: of the video's bytes. split: "train", "validation" or "test", one for all of a video.
    start: the index in the video of the first frame. frame_step: the sample has every k-th frame from there.
    interval, later_frames: of a sample made by time, the seconds from one frame to the next, and the indices
        in the video of all frames but the first; else None, and frame_step holds.
    count: how many frames, 2 to `horizon`; fewer than the horizon where the video or the shot ends.
    fps: of the video, 0 where unknown. size: (height, width) of the video. image_size: of the JPEG.
    grid: query points a side. method, weights_sha256: what tracked.
    motion: mean distance in pixels of the video from a point's first to its last position, over the points
        that are visible in the last frame; 0 where none is.
    moving: the share of all points that are visible in the last frame and moved by more than 1 px of a
        256-high image. visible: the share of points that are visible in the last frame.
    quality: the share of checked points that come back to within 2 px (of an image with as many pixels as
        360×640 has) when they are tracked backwards; None where none was checked.
    camera_share: the share of the points in the last frame that follow the camera; None where none was found.
    """

    source: str
    source_sha256: str
    split: str
    start: int
    frame_step: int
    count: int
    horizon: int
    fps: float
    size: tuple[int, int]
    image_size: tuple[int, int]
    grid: int
    method: str
    weights_sha256: str | None
    motion: float
    moving: float
    visible: float
    quality: float | None
    camera_share: float | None = None
    interval: float | None = None
    later_frames: tuple[int, ...] | None = None
    group: str = ""
    version: int = FORMAT_VERSION

    @property
    def frames(self) -> NDArray[np.int32]:
        """The indices in the video of the sample's frames, int32 `[T]`."""
        if self.later_frames is None:
            return (self.start + self.frame_step * np.arange(self.count)).astype(np.int32)
        return np.array([self.start, *self.later_frames], np.int32)


@dataclass(frozen=True, eq=False)
class Sample:
    """A first frame and its points' motion.

    key: unique in the set, from the content and the settings.
    image: the JPEG's bytes; it shows the first frame, possibly smaller.
    queries: float32 `[N, 2]`, (x, y) in pixels of the video. N = grid², row by row.
    displacement: float16 `[T, N, 2]`, pixels of the video, from the query; zero in the first frame. Positions
        would be off by half a pixel in float16 at the right of a large frame, while a displacement of up to
        64 px is exact to 1/64 px.
    visibility: float16 `[T, N]`, 0 to 1.
    backward_error: float16 `[N]`, how far from the query a point ends that is tracked to the end and back, in
        pixels of the video; NaN where that was not done. None: for no point.
    camera: where still things go, in pixels of the video, as found from the tracks; None where it was not.
    """

    key: str
    image: bytes
    queries: NDArray[np.float32]
    displacement: NDArray[np.float16]
    visibility: NDArray[np.float16]
    backward_error: NDArray[np.float16] | None
    facts: SampleFacts
    camera: Camera | None = None

    def files(self) -> dict[str, bytes]:
        """Return the sample's files by their endings; the same sample gives the same bytes."""
        arrays: dict[str, Any] = {
            "queries": self.queries,
            "displacement": self.displacement,
            "visibility": self.visibility,
        }
        if self.backward_error is not None:
            arrays["backward_error"] = self.backward_error
        if self.camera is not None:
            arrays["camera"], arrays["camera_share"] = self.camera
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)
        facts = json.dumps(asdict(self.facts), sort_keys=True).encode()
        return {IMAGE: self.image, TRACKS: packed.getvalue(), FACTS: facts}

    @classmethod
    def from_files(cls, key: str, files: Mapping[str, bytes]) -> "Sample":
        """Take what `files` gave."""
        arrays = read_arrays(io.BytesIO(files[TRACKS]))
        return cls(
            key,
            files[IMAGE],
            arrays["queries"],
            arrays["displacement"],
            arrays["visibility"],
            arrays.get("backward_error"),
            from_json(SampleFacts, json.loads(files[FACTS]), f"{key}.{FACTS}"),
            Camera(arrays["camera"], arrays["camera_share"]) if "camera" in arrays else None,
        )

    def picture(self) -> NDArray[np.uint8]:
        """Decode the image: uint8 `[h, w, 3]`, RGB."""
        with Image.open(io.BytesIO(self.image)) as image:
            return np.asarray(image.convert("RGB"))

    def tracks(self) -> Tracks:
        """Return the trajectories as `Tracks`, in pixels of the video."""
        facts = self.facts
        return Tracks(
            points=self.queries + self.displacement.astype(np.float32),
            visibility=self.visibility.astype(np.float32),
            frames=facts.frames,
            size=facts.size,
            fps=facts.fps,
            grid=(facts.grid, facts.grid),
            method=Method(facts.method, facts.weights_sha256),
            camera=self.camera,
        )

    def scene_displacement(self) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return the displacements with the camera's motion taken out.

        Returns the frames `[T]` whose camera is known, and displacements `[T, N, 2]` from the query, in
        pixels of the first frame, 0 in others. Raises BadInput when no camera was found in the sample.
        """
        if self.camera is None:
            raise BadInput(f"No camera was found in the sample {self.key}; its motion cannot be taken out.")
        moved = self.camera.remove(self.queries + self.displacement.astype(np.float32)) - self.queries
        return self.camera.is_found, np.nan_to_num(moved, nan=0.0)


@dataclass(frozen=True)
class MotionSummary:
    """How much moves in a sample; see the fields of the same names of `SampleFacts`."""

    motion: float
    moving: float
    visible: float

    @classmethod
    def of(cls, tracks: Tracks) -> "MotionSummary":
        """Sum up trajectories from their first to their last frame."""
        distance = np.linalg.norm(tracks.points[-1].astype(np.float64) - tracks.points[0], axis=1)
        seen = tracks.visible[-1] & inside_frame(tracks.points[-1], tracks.size)
        threshold = MOVING * tracks.size[0] / 256
        return cls(
            motion=float(distance[seen].mean()) if seen.any() else 0.0,
            moving=float((seen & (distance > threshold)).mean()),
            visible=float(seen.mean()),
        )
