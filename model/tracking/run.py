"""Track a clip that lies in a file: the one function behind the command line, the API and the pages."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.clips.video import ClipInfo, probe, read_frames
from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch
from model.motion.grid import check_grid, query_grid
from model.tracking.engine import State
from model.tracking.tracker import PartialTracks, Tracker


@dataclass(frozen=True)
class TrackRequest:
    """What to track in a clip.

    grid: query points a side, 1 to 64. start: index of the first frame. frames: how many frames, at least 2,
    or None for all up to the end. frame_step: take every k-th frame.
    """

    grid: int = 16
    start: int = 0
    frames: int | None = 8
    frame_step: int = 1


def frame_indices(request: TrackRequest, info: ClipInfo) -> NDArray[np.int32]:
    """Return the indices of the source frames that the request covers, int32 `[T]`.

    More frames than the clip has are cut to what there is. Raises BadInput when the request does not fit the
    clip: a grid out of range, a start beyond the end, a step below 1, or fewer than 2 frames.
    """
    check_grid(request.grid)
    if info.frames < 2:
        raise BadInput("Tracking needs a clip of at least 2 frames, but this one is a single image.")
    if request.frame_step < 1:
        raise BadInput(f"The frame step must be at least 1, not {request.frame_step}.")
    if request.frames is not None and request.frames < 2:
        raise BadInput(f"Tracking needs at least 2 frames, not {request.frames}.")
    if not 0 <= request.start < info.frames:
        raise BadInput(
            f"The first frame must be 0 to {info.frames - 1}, since the clip has {info.frames} frames, "
            f"not {request.start}."
        )
    indices = np.arange(request.start, info.frames, request.frame_step, dtype=np.int32)[: request.frames]
    if len(indices) < 2:
        raise BadInput(
            f"From frame {request.start} in steps of {request.frame_step} the clip's {info.frames} frames "
            "hold only one; start earlier or take a smaller step."
        )
    return indices


def _ignore_frame(_position: int, _frame: NDArray[np.uint8]) -> None:
    """Do nothing with a frame."""


def track_file(
    path: str | os.PathLike[str],
    tracker: Tracker,
    request: TrackRequest,
    watch: Watch = UNWATCHED,
    *,
    on_frame: Callable[[int, NDArray[np.uint8]], None] = _ignore_frame,
    state: State | None = None,
    info: ClipInfo | None = None,
) -> Iterator[PartialTracks]:
    """Track a grid of points through a clip.

    path: a video, a GIF, or a folder or zip of images.
    on_frame: called with (position 0 to T-1, uint8 `[H, W, 3]` RGB) for each frame as it is read.
    watch, state: see `Tracker.follow`; the total of `watch` is set here.
    info: what `probe` says of the file, where that is known; a video is then read only once.
    Yields what is done after each chunk, with the frames' indices in the source, its fps, and the grid; the
    last one holds all frames. Their `tracks()` have the camera's motion, if it is found.
    Raises BadInput when the file or the request cannot be used, Stopped on request.
    """
    info = info or probe(path)
    indices = frame_indices(request, info)
    read = 0

    def frames() -> Iterator[NDArray[np.uint8]]:
        nonlocal read
        for frame in read_frames(path, start=request.start, step=request.frame_step, count=len(indices)):
            on_frame(read, frame)
            read += 1
            yield frame

    queries = query_grid(request.grid, (info.height, info.width))
    for partial in tracker.follow(frames(), queries, replace(watch, total=len(indices)), state):
        yield replace(partial, frames=indices, fps=info.fps, grid=(request.grid, request.grid))
    if read < len(indices):
        raise BadInput(
            f"The clip ends after {read} of the {len(indices)} frames asked for: its file is damaged or was "
            "changed while it was read."
        )
