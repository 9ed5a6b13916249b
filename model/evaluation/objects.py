"""A tracker on real footage whose objects are masked: do points stay on the object, and find their way back?

No annotated track is needed: a point well inside an object must still lie on it some frames later, and a
point that is tracked to the end of a chunk and back must return. Everything is measured in pixels of frames
of 512×288, to which frames and masks are resized. Points that something hides count like all others.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from model.clips.images import SUFFIXES, read_image
from model.clips.limits import Limits
from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch
from model.motion.tracks import Method
from model.tracking.tracker import Tracker

SIZE = (288, 512)
"""(height, width) of the frames."""

CHUNK = 8
CHUNK_DISTANCE = 12
"""A chunk of 8 frames begins at every 12th frame."""

EROSION, DILATION = 3, 2
"""Points begin at least 3 px inside the object, and may end up to 2 px beside it."""

RETURN_DISTANCE = 2.0
MOST_POINTS = 96


@dataclass(frozen=True)
class MaskedSequence:
    """Images of one size, and a mask for each: not black where the object is."""

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path, ...]

    def chunk_starts(self, chunk_step: int) -> range:
        """Return the first frame of every `chunk_step`-th chunk."""
        return range(0, len(self.frames) - CHUNK + 1, CHUNK_DISTANCE * chunk_step)


class ObjectShares(NamedTuple):
    """Shares, 0 to 1, of the points on an object: that end on it, and that return when tracked back."""

    inside: float
    there_and_back: float


@dataclass(frozen=True)
class SequenceResult:
    """One tracker on one sequence. seconds: of tracking, there and back."""

    name: str
    points: int
    shares: ObjectShares
    seconds: float


@dataclass(frozen=True)
class ObjectResult:
    """One tracker on all sequences."""

    name: str
    method: Method
    sequences: tuple[SequenceResult, ...]

    @property
    def mean(self) -> ObjectShares:
        """The average over sequences, each of equal weight."""
        return ObjectShares(*np.mean([sequence.shares for sequence in self.sequences], axis=0).tolist())

    @property
    def seconds(self) -> float:
        """Of tracking, on all sequences."""
        return sum(sequence.seconds for sequence in self.sequences)


def read_masked(masks: Path, frames_folder: Path) -> list[MaskedSequence]:
    """Open the sequences of two folders, each of which holds a folder of images for each sequence.

    A sequence's frames and masks have the same names but for the ending. Images are not read yet.
    Raises BadInput when a folder is missing, or frames and masks do not fit together, or are too few.
    """
    for folder in (masks, frames_folder):
        if not folder.is_dir():
            raise BadInput(f"There is no folder {folder.name}.")
    names = natsorted(entry.name for entry in masks.iterdir() if entry.is_dir())
    if not names:
        raise BadInput(f"The folder {masks.name} should hold a folder of masks for each sequence.")
    return [_open(name, masks / name, frames_folder / name) for name in names]


def _open(name: str, masks: Path, frames: Path) -> MaskedSequence:
    if not frames.is_dir():
        raise BadInput(f"There is no folder {name} with the frames for the masks of that name.")
    found = [
        natsorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
        for folder in (frames, masks)
    ]
    if [file.stem for file in found[0]] != [file.stem for file in found[1]]:
        raise BadInput(f"The masks of {name} should have the same names as its frames, one for each.")
    if len(found[0]) < CHUNK:
        raise BadInput(f"The sequence {name} has {len(found[0])} frames; at least {CHUNK} are needed.")
    return MaskedSequence(name, tuple(found[0]), tuple(found[1]))


def points_inside(mask: NDArray[np.bool_], seed: int) -> NDArray[np.float32]:
    """Choose up to 96 pixels well inside a mask, bool `[H, W]`: float32 `[N, 2]`, (x, y); N may be 0."""
    ys, xs = np.nonzero(cv2.erode(mask.astype(np.uint8), _disc(EROSION)))
    chosen = np.random.default_rng(seed).permutation(len(xs))[:MOST_POINTS]
    return np.stack([xs[chosen], ys[chosen]], axis=1).astype(np.float32)


def is_inside(points: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which points, `[N, 2]`, lie on a mask, bool `[H, W]`, or at most 2 px beside it: bool `[N]`."""
    wide = cv2.dilate(mask.astype(np.uint8), _disc(DILATION)) > 0
    x, y = np.rint(points).astype(np.int64).T
    is_in_frame = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return np.asarray(is_in_frame & wide[y.clip(0, mask.shape[0] - 1), x.clip(0, mask.shape[1] - 1)])


def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def evaluate_objects(
    sequences: Sequence[MaskedSequence],
    trackers: Mapping[str, Tracker],
    chunk_step: int = 1,
    watch: Watch = UNWATCHED,
) -> list[ObjectResult]:
    """Measure every tracker on every sequence, in the order of `trackers`.

    chunk_step: take every k-th chunk only.
    watch: told the stage "evaluating", counted in sequences.
    Raises BadInput when an image cannot be read or a sequence shows no object, Stopped on request.
    """
    results: dict[str, list[SequenceResult]] = {name: [] for name in trackers}
    quiet = Watch(should_stop=watch.should_stop)
    for sequence in watch.each("evaluating", sequences):
        chunks = list(_chunks(sequence, chunk_step))
        if not chunks:
            raise BadInput(f"The masks of {sequence.name} show no object in any chunk's first frame.")
        for name, tracker in trackers.items():
            results[name].append(_measure(sequence.name, tracker, chunks, quiet))
    return [ObjectResult(name, trackers[name].engine.method, tuple(rows)) for name, rows in results.items()]


class _Chunk(NamedTuple):
    """Frames, uint8 `[8, H, W, 3]`; points in the first one; the object's mask in the last one."""

    frames: NDArray[np.uint8]
    points: NDArray[np.float32]
    last_mask: NDArray[np.bool_]


def _chunks(sequence: MaskedSequence, chunk_step: int) -> Iterator[_Chunk]:
    """Read the chunks that show the object in their first frame."""
    for start in sequence.chunk_starts(chunk_step):
        points = points_inside(_read_mask(sequence.masks[start]), seed=start)
        if len(points):
            frames = [_resized(_read(path)) for path in sequence.frames[start : start + CHUNK]]
            yield _Chunk(np.stack(frames), points, _read_mask(sequence.masks[start + CHUNK - 1]))


def _measure(name: str, tracker: Tracker, chunks: Sequence[_Chunk], watch: Watch) -> SequenceResult:
    inside, returned = [], []
    begin = time.perf_counter()
    for chunk in chunks:
        watch.check()
        there = tracker.track(chunk.frames, chunk.points, watch).points[-1]
        back = tracker.track(chunk.frames[::-1], there, watch).points[-1]
        inside.append(is_inside(there, chunk.last_mask))
        returned.append(np.linalg.norm(back - chunk.points, axis=1) <= RETURN_DISTANCE)
    seconds = time.perf_counter() - begin
    ends, returns = np.concatenate(inside), np.concatenate(returned)
    return SequenceResult(name, len(ends), ObjectShares(float(ends.mean()), float(returns.mean())), seconds)


def _read(path: Path) -> NDArray[np.uint8]:
    with path.open("rb") as file:
        return read_image(file, Limits(), f"The image {path.name}")


def _read_mask(path: Path) -> NDArray[np.bool_]:
    return np.asarray(_resized(_read(path), cv2.INTER_NEAREST).any(axis=2))


def _resized(image: NDArray[np.uint8], interpolation: int | None = None) -> NDArray[np.uint8]:
    """Resize to the frames' size, by averaging where that is smaller, unless told how."""
    if interpolation is None:
        interpolation = cv2.INTER_AREA if image.shape[0] > SIZE[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, SIZE[::-1], interpolation=interpolation), np.uint8)
