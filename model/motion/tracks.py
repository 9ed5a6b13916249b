"""`Tracks`: where each point is in each frame. The one result type of every tracker and predictor."""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.core.arrays import read_arrays
from model.core.errors import BadInput
from model.core.files import atomic_path
from model.motion.camera import Camera, find_camera

FORMAT_VERSION = 1

NO_CAMERA = (
    "No camera motion is known of these tracks, so it cannot be taken out: they are no grid of at least 64 "
    "points, too few of them follow one motion, or they come from an earlier version; look at them as filmed."
)


@dataclass(frozen=True)
class Method:
    """What made the tracks.

    name: the method ("pips", "lk", "zero", ...).
    weights_sha256: hexadecimal sha256 of the weights, or None for a method without weights.
    settings: everything else that the numbers depend on; JSON values only.
    """

    name: str
    weights_sha256: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Tracks:
    """Trajectories of N points over T frames.

    points: float32 `[T, N, 2]`, (x, y) in pixels of the original frame; pixel centres at integers, so the
        top-left pixel is (0, 0) and the last is (width - 1, height - 1). A point may lie outside the frame.
    visibility: float32 `[T, N]` in [0, 1]; above 0.5 reads as visible.
    frames: int32 `[T]`, strictly increasing indices in the source clip.
    size: (height, width) of the original frame in pixels.
    fps: frames per second of the source clip (before any frame step); 0 where it is unknown.
    grid: (rows, columns) when the query points are a grid, row by row, else None.
    method: what made the tracks.
    camera: what the camera does, from the first frame to each; None where it was not looked for or not found.
    handovers: bool `[T, N]`, True where a method that works in chunks of frames handed the point on from one
        chunk to the next; None for a method without chunks, and for older files.
    query_frame: index in the source of the frame in which the query points were given; points that were
        followed backwards come before it. None: the first frame.

    Raises ValueError when the shapes, types or ranges do not fit together.
    """

    points: NDArray[np.float32]
    visibility: NDArray[np.float32]
    frames: NDArray[np.int32]
    size: tuple[int, int]
    fps: float
    grid: tuple[int, int] | None
    method: Method
    handovers: NDArray[np.bool_] | None = None
    camera: Camera | None = None
    query_frame: int | None = None

    def __post_init__(self) -> None:
        shape = self.points.shape[:2]
        check_array("points", self.points, np.float32, (*shape, 2))
        check_array("visibility", self.visibility, np.float32, shape)
        check_array("frames", self.frames, np.int32, shape[:1])
        if self.handovers is not None:
            check_array("handovers", self.handovers, np.bool_, shape)
        if self.camera is not None:
            check_array("camera", self.camera.homographies, np.float32, (shape[0], 3, 3))
            check_array("camera_share", self.camera.share, np.float32, shape[:1])
        if not np.isfinite(self.points).all():
            raise ValueError("points must be finite.")
        if not ((self.visibility >= 0) & (self.visibility <= 1)).all():
            raise ValueError("visibility must be in [0, 1].")
        if (self.frames < 0).any() or (np.diff(self.frames) <= 0).any():
            raise ValueError("frames must be strictly increasing and not negative.")
        if self.grid is not None and self.grid[0] * self.grid[1] != shape[1]:
            raise ValueError(f"a grid of {self.grid[0]}×{self.grid[1]} does not have {shape[1]} points.")
        if self.query_frame is not None and self.query_frame < 0:
            raise ValueError("query_frame must not be negative.")
        if min(self.size) < 1 or self.fps < 0:
            raise ValueError("size must be positive and fps not negative.")

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Bool `[T, N]`: the points that read as visible (visibility above 0.5)."""
        return self.visibility > 0.5

    def until(self, frame: int) -> "Tracks":
        """Return the tracks up to a frame of the source. Raises BadInput when that is before the first."""
        count = int(np.searchsorted(self.frames, frame, side="right"))
        if count == 0:
            raise BadInput(f"The last frame must be at least {self.frames[0]}, the first one, not {frame}.")
        return replace(
            self,
            points=self.points[:count],
            visibility=self.visibility[:count],
            frames=self.frames[:count],
            handovers=None if self.handovers is None else self.handovers[:count],
            camera=None if self.camera is None else Camera(*(part[:count] for part in self.camera)),
        )

    def with_camera(self) -> "Tracks":
        """Return the tracks with the camera's motion as `find_camera` finds it from them, if it does.

        It is looked for from the query frame on, where the points are known to lie all over the frame.
        """
        query = 0 if self.query_frame is None else int(np.searchsorted(self.frames, self.query_frame))
        order = np.concatenate([np.arange(query, len(self.frames)), np.arange(query)[::-1]])
        found = find_camera(self.points[order], self.visible[order], self.size)
        return replace(self, camera=None if found is None else found.reordered(np.argsort(order)))

    def scene_motion(self) -> "Tracks":
        """Return the tracks with the camera's motion taken out: positions in pixels of the first frame.

        Frames whose camera is not known are left out. Raises BadInput when the tracks have no camera.
        """
        if self.camera is None:
            raise BadInput(NO_CAMERA)
        known = self.camera.is_found
        return replace(
            self,
            points=self.camera.remove(self.points)[known],
            visibility=self.visibility[known],
            frames=self.frames[known],
            handovers=None if self.handovers is None else self.handovers[known],
            method=replace(self.method, settings={**self.method.settings, "camera": "removed"}),
            camera=None,
        )

    @property
    def is_scene_motion(self) -> bool:
        """Whether the camera's motion was taken out, see `scene_motion`."""
        return self.method.settings.get("camera") == "removed"

    def save(
        self,
        path: str | os.PathLike[str],
        others: Mapping[str, NDArray[Any]] = MappingProxyType({}),
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one `.npz` without pickle; the file appears whole or not at all.

        others: arrays to keep in the same file, by names that are no field's; `load` passes them over.
        about: where the tracks come from, JSON values; in the header, which is JSON too, under "about".
        """
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ("points", "visibility", "frames")}
        arrays |= others
        if self.handovers is not None:
            # Not a new format version: a reader that does not know them passes them over.
            arrays["handovers"] = self.handovers
        if self.camera is not None:
            arrays["camera"], arrays["camera_share"] = self.camera
        header: dict[str, Any] = {
            "format": "stillmotion-tracks",
            "version": FORMAT_VERSION,
            "size": self.size,
            "fps": self.fps,
            "grid": self.grid,
            "method": {**vars(self.method), "settings": dict(self.method.settings)},
        }
        if self.query_frame is not None:
            header["query_frame"] = self.query_frame  # an older reader passes it over
        if about is not None:
            header["about"] = dict(about)
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header, sort_keys=True)), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Tracks":
        """Read a file that `save` wrote.

        Raises BadInput when the file is missing, damaged, of another kind, or of a newer format version.
        """
        return cls.load_with_others(path)[0]

    @classmethod
    def load_with_others(cls, path: str | os.PathLike[str]) -> "tuple[Tracks, dict[str, NDArray[Any]]]":
        """Read a file that `save` wrote; return the tracks, and all arrays of the file by name.

        Raises BadInput as `load`.
        """
        name = Path(path).name
        try:
            # numpy leaves a damaged file open unless the caller opened it.
            with open(path, "rb") as file:
                content = read_arrays(file)
            header = json.loads(str(content["header"]))
            is_ours = header["format"] == "stillmotion-tracks"
        except FileNotFoundError as error:
            raise BadInput(f"There is no file {name}.") from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise BadInput(f"{name} is damaged or is not a tracks file; track the clip again.") from error
        if not is_ours:
            raise BadInput(f"{name} is not a tracks file; it should come from `track` or from a run.")
        if header["version"] > FORMAT_VERSION:
            raise BadInput(
                f"{name} has format version {header['version']}, but this Stillmotion reads up to "
                f"{FORMAT_VERSION}; update Stillmotion."
            )
        try:
            tracks = cls(
                points=content["points"],
                visibility=content["visibility"],
                frames=content["frames"],
                size=(int(header["size"][0]), int(header["size"][1])),
                fps=float(header["fps"]),
                grid=None if header["grid"] is None else (int(header["grid"][0]), int(header["grid"][1])),
                method=Method(**header["method"]),
                handovers=content.get("handovers"),
                camera=Camera(content["camera"], content["camera_share"]) if "camera" in content else None,
                query_frame=header.get("query_frame"),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BadInput(f"{name} is damaged ({error}); track the clip again.") from error
        return tracks, content


def check_array(name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """Raise ValueError where an array has another type or shape."""
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} must be {dtype.__name__} {shape}, not {array.dtype} {array.shape}.")
