"""Clips with true tracks: what a tracker is measured on. The formats are described in docs/evaluation.md."""

import dataclasses
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from model.clips.images import SUFFIXES
from model.clips.video import probe, read_frames
from model.core.arrays import read_arrays
from model.core.errors import BadInput
from model.motion.grid import rescale_points
from model.motion.tracks import Tracks

TRUTH = "tracks.npz"
"""The true tracks of a folder of frames, in the folder; a video NAME.mp4 has NAME.tracks.npz beside it."""

_NOT_CLIPS = frozenset({".npz", ".json", ".jsonl", ".txt", ".md", ".csv"})


@dataclass(frozen=True, eq=False)
class AnnotatedClip:
    """T frames with the true tracks of N points.

    name: for the reports. read: returns the frames in order, uint8 `[H, W, 3]` RGB each.
    size: (height, width) of the frames.
    points: float32 `[T, N, 2]`, (x, y) in pixels of the frames; NaN where the position is not known.
    visible: bool `[T, N]`; false where not annotated.
    annotated: bool `[T, N]`, where the truth says whether the point is visible.
    object_areas: float64 `[T]`, the object's area in square pixels, NaN where unknown; or None.

    A point that is annotated and not visible is hidden within the frame, outside the frame, or, without a
    position, hidden nobody knows where.
    Raises ValueError when the shapes do not fit, or a visible point is not annotated with a position.
    """

    name: str
    read: Callable[[], Iterator[NDArray[np.uint8]]]
    size: tuple[int, int]
    points: NDArray[np.float32]
    visible: NDArray[np.bool_]
    annotated: NDArray[np.bool_]
    object_areas: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        shape = self.visible.shape
        if self.points.shape != (*shape, 2) or self.annotated.shape != shape or len(shape) != 2:
            raise ValueError(
                f"points {self.points.shape}, visible {shape} and annotated {self.annotated.shape} differ."
            )
        if self.object_areas is not None and self.object_areas.shape != shape[:1]:
            raise ValueError(f"object_areas must be [{shape[0]}], not {self.object_areas.shape}.")
        if (self.visible & ~(self.annotated & np.isfinite(self.points).all(axis=2))).any():
            raise ValueError("a visible point must be annotated and have a position.")

    @property
    def frame_count(self) -> int:
        """T."""
        return len(self.points)


def reduce_clip(clip: AnnotatedClip, max_side: int) -> AnnotatedClip:
    """Reduce a clip whose longer side is over `max_side` pixels to it; a smaller one is returned as it is."""
    scale = max_side / max(clip.size)
    if scale >= 1:
        return clip
    return resize_clip(clip, (max(1, round(clip.size[0] * scale)), max(1, round(clip.size[1] * scale))))


def resize_clip(clip: AnnotatedClip, size: tuple[int, int]) -> AnnotatedClip:
    """Resize a clip's frames, points and areas to (height, width); what gets smaller is averaged."""
    is_smaller = size[0] * size[1] < clip.size[0] * clip.size[1]
    interpolation = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR

    def read() -> Iterator[NDArray[np.uint8]]:
        for frame in clip.read():
            yield np.asarray(cv2.resize(frame, size[::-1], interpolation=interpolation), np.uint8)

    areas = clip.object_areas
    return dataclasses.replace(
        clip,
        read=read,
        size=size,
        points=rescale_points(clip.points, clip.size, size),
        object_areas=None if areas is None else areas * (size[0] * size[1]) / (clip.size[0] * clip.size[1]),
    )


def read_annotated(path: Path) -> list[AnnotatedClip]:
    """Open a clip with true tracks, or a folder of such clips, in natural order. No frame is read yet.

    path: a folder with frames (or one video) and `tracks.npz`; a video or zip with `NAME.tracks.npz` or
        `tracks.npz` beside it; or a folder that holds several of these.
    Raises BadInput when there are no true tracks, or they or the clip are damaged or do not fit together.
    """
    if not path.exists():
        raise BadInput(f"There is no file or folder {path.name}.")
    if path.is_file():
        own = path.with_name(f"{path.stem}.{TRUTH}")
        return [_open(path.stem, path, own if own.is_file() else path.with_name(TRUTH))]
    if (path / TRUTH).is_file():
        return [_open(path.name, _frames_of(path), path / TRUTH)]
    clips = []
    for entry in natsorted(path.iterdir(), key=lambda entry: entry.name):
        own = path / f"{entry.stem}.{TRUTH}"
        if entry.is_dir() and (entry / TRUTH).is_file():
            clips.append(_open(f"{path.name}/{entry.name}", _frames_of(entry), entry / TRUTH))
        elif entry.is_file() and entry.suffix.lower() not in _NOT_CLIPS and own.is_file():
            clips.append(_open(f"{path.name}/{entry.stem}", entry, own))
    if not clips:
        raise BadInput(
            f"The folder {path.name} has no true tracks: it should hold frames and {TRUTH}, or clips that do."
        )
    return clips


def _frames_of(folder: Path) -> Path:
    """The folder itself where it holds images, else the one video in it."""
    files = [entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    if any(file.suffix.lower() in SUFFIXES for file in files):
        return folder
    videos = [file for file in files if file.suffix.lower() not in _NOT_CLIPS]
    if len(videos) != 1:
        raise BadInput(f"The folder {folder.name} should hold frames or one video beside its {TRUTH}.")
    return videos[0]


@dataclass(frozen=True, eq=False)
class _Truth:
    """As in AnnotatedClip; `frames` are the indices in the clip, int32 `[T]`."""

    frames: NDArray[np.int32]
    points: NDArray[np.float32]
    visible: NDArray[np.bool_]


def _open(name: str, clip: Path, truth_file: Path) -> AnnotatedClip:
    info = probe(clip)
    size = (info.height, info.width)
    truth = _read_truth(truth_file, size)
    if truth.frames[-1] >= info.frames:
        raise BadInput(
            f"{truth_file.name} has tracks up to frame {truth.frames[-1]}, but the clip {name} has only "
            f"{info.frames} frames."
        )
    wanted = frozenset(truth.frames.tolist())

    def read() -> Iterator[NDArray[np.uint8]]:
        first, last = int(truth.frames[0]), int(truth.frames[-1])
        for index, frame in enumerate(read_frames(clip, start=first, count=last - first + 1), first):
            if index in wanted:
                yield frame

    return AnnotatedClip(name, read, size, truth.points, truth.visible, np.ones_like(truth.visible))


def _read_truth(path: Path, size: tuple[int, int]) -> _Truth:
    """Read either format, for frames of that size."""
    arrays = _tap_vid_arrays(path)
    if arrays is not None:
        return _from_tap_vid(path.name, *arrays, size)
    tracks = Tracks.load(path)
    if not tracks.points.shape[0] or not tracks.points.shape[1]:
        raise BadInput(f"{path.name} has no points.")
    return _Truth(
        tracks.frames,
        rescale_points(tracks.points, tracks.size, size) if tracks.size != size else tracks.points,
        tracks.visible,
    )


def _tap_vid_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """TAP-Vid's `points` and `occluded`, or None for a file of another kind, missing or damaged."""
    try:
        with path.open("rb") as file:
            arrays = read_arrays(file)
        return arrays["points"], arrays["occluded"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # Tracks.load says what is wrong


def _from_tap_vid(name: str, points: NDArray[Any], occluded: NDArray[Any], size: tuple[int, int]) -> _Truth:
    """`points` `[N, T, 2]`, `occluded` `[N, T]`: pixels, or shares of the frame (0 to 1) as in TAP-Vid."""
    if points.ndim != 3 or points.shape[2] != 2 or occluded.shape != points.shape[:2] or not occluded.size:
        raise BadInput(
            f"{name} should hold points [N, T, 2] and occluded [N, T], not {list(points.shape)} and "
            f"{list(occluded.shape)}."
        )
    if points.dtype.kind not in "fiu" or occluded.dtype.kind not in "biu":
        raise BadInput(f"{name} should hold numbers as points and true or false as occluded.")
    visible = ~occluded.astype(np.bool_).T
    positions = points.astype(np.float64).transpose(1, 0, 2)
    if not np.isfinite(positions[visible]).all():
        raise BadInput(f"{name} has visible points without a position.")
    if visible.any() and (np.abs(positions[visible]) <= 1).all():
        # Shares count from the outer edge of the first pixel, whose centre is our 0.
        positions = positions * [size[1], size[0]] - 0.5
    # Nobody saw where an occluded point was; TAP-Vid's files hold anything there.
    positions[~visible] = np.nan
    return _Truth(np.arange(len(positions), dtype=np.int32), positions.astype(np.float32), visible)
