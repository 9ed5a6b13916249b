"""Points through a file: what a request asks for, and how it is done; the same for command line and app."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.clips.backwards import read_backwards
from model.clips.video import ClipInfo, probe, read_frames
from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Progress, Say, Watch
from model.motion.grid import check_grid, check_points, query_grid
from model.tracking.both_ways import AfterForward, Direction, forward_part
from model.tracking.engine import State
from model.tracking.tracker import PartialTracks, Tracker


@dataclass(frozen=True)
class TrackRequest:
    """What to track in a clip.

    grid: query points a side, 1 to 64. start: index of the query frame, from which the points are followed.
    frames: how many frames, at least 2, with the query frame, and in each direction; None for all that there
    are. frame_step: take every k-th frame. points: (x, y) in pixels of the query frame, in place of a grid.
    direction: whether the frames after the query frame are looked at, those before it, or both.
    """

    grid: int = 16
    start: int = 0
    frames: int | None = 8
    frame_step: int = 1
    points: tuple[tuple[float, float], ...] | None = None
    direction: Direction = "forward"


def frame_indices(request: TrackRequest, info: ClipInfo) -> NDArray[np.int32]:
    """Return the indices of the source frames that the request covers, int32 `[T]`, in order of time.

    More frames than the clip has are cut to what there is. Raises BadInput when the request does not fit the
    clip: see `query_points`, or a start beyond the end, a step below 1, or fewer than 2 frames.
    """
    query_points(request, info)
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
    later = np.arange(request.start, info.frames, request.frame_step, dtype=np.int32)[: request.frames]
    earlier = np.arange(request.start, -1, -request.frame_step, dtype=np.int32)[: request.frames][::-1]
    if request.direction == "forward":
        indices, way_out = later, "start earlier"
    elif request.direction == "backward":
        indices, way_out = earlier, "start later"
    else:
        indices, way_out = np.concatenate([earlier, later[1:]]), "start elsewhere"
    if len(indices) < 2:
        way = "" if request.direction == "forward" else f" ({request.direction})"
        raise BadInput(
            f"From frame {request.start} in steps of {request.frame_step}{way} the clip's {info.frames} "
            f"frames hold only one; {way_out} or take a smaller step."
        )
    return indices


def query_points(request: TrackRequest, info: ClipInfo) -> NDArray[np.float32]:
    """Return where the points are in the query frame, float32 `[N, 2]`, (x, y) in its pixels.

    Raises BadInput for a grid out of range, and as `check_points`.
    """
    size = (info.height, info.width)
    if request.points is not None:
        return check_points(request.points, size)
    return query_grid(check_grid(request.grid), size)


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
    """Track points through a clip; those that go both ways first forwards, then backwards.

    path: a video, a GIF, or a folder or zip of images.
    on_frame: called with (position 0 to T-1 in order of time, uint8 `[H, W, 3]` RGB) for each frame as it is
        read.
    watch, state: see `Tracker.follow`; the total of `watch` is set here.
    info: what `probe` says of the file, where that is known; a video is then read only once.
    Yields what is done after each chunk, with the frames' indices in the source, its fps, and the grid; the
    last one holds all frames, or (`watch` is told) those that a damaged file has. Their `tracks()` have the
    camera's motion, if it is found.
    Raises BadInput when the file or the request cannot be used, Stopped on request.
    """
    info = info or probe(path)
    indices = frame_indices(request, info)
    queries = query_points(request, info)
    query = int(np.searchsorted(indices, request.start))
    watch = replace(watch, total=len(indices))
    clip = _Clip(Path(path), info, indices, on_frame, watch.say)
    later, earlier = np.arange(query, len(indices)), np.arange(query, -1, -1)

    def partial_tracks(partial: PartialTracks, followed: NDArray[np.intp]) -> PartialTracks:
        return replace(
            partial,
            frames=indices[followed],
            fps=info.fps,
            grid=None if request.points else (request.grid, request.grid),
            query_frame=request.start if query > 0 else None,
        )

    if len(later) == 1 or len(earlier) == 1:
        followed = max(later, earlier, key=len)
        for partial in tracker.follow(clip.frames(followed), queries, watch, state):
            yield partial_tracks(partial, followed)
        return

    forward, state = forward_part(state)
    if forward is None:
        for partial in tracker.follow(clip.frames(later), queries, watch, state):
            yield partial_tracks(partial, later)
        forward, state = partial.partial.trajectories(), None
    later = later[: len(forward.points)]  # a damaged file may end early
    both = np.concatenate([later, earlier[1:]])
    watch = replace(watch, progress=_after(watch, len(later) - 1))
    for partial in tracker.follow(clip.frames(earlier), queries, watch, state):
        yield partial_tracks(replace(partial, partial=AfterForward(forward, partial.partial)), both)


def _after(watch: Watch, done: int) -> Callable[[Progress], None]:
    """Return what reports the progress of work that comes after so many frames."""
    return lambda progress: watch.progress(replace(progress, done=done + progress.done))


@dataclass(frozen=True)
class _Clip:
    """The frames that a request covers. indices: int32 `[T]`. on_frame, say: see `track_file` and `Watch`."""

    path: Path
    info: ClipInfo
    indices: NDArray[np.int32]
    on_frame: Callable[[int, NDArray[np.uint8]], None]
    say: Say

    def frames(self, positions: NDArray[np.intp]) -> Iterator[NDArray[np.uint8]]:
        """Read the frames at positions that count up or down by one.

        A damaged clip may end early, after two frames or more. Raises BadInput when it has fewer.
        """
        step, start = int(self.indices[1] - self.indices[0]), int(self.indices[positions[0]])
        if positions[1] > positions[0]:
            frames = read_frames(self.path, start=start, step=step, count=len(positions), say=self.say)
        else:
            frames = read_backwards(self.path, self.info, start=start, step=step, count=len(positions))
        read = 0
        for position, frame in zip(positions, frames, strict=False):
            self.on_frame(int(position), frame)
            read += 1
            yield frame
        if read < 2:
            raise BadInput("The clip ends after its first frame: its file is damaged or was changed.")
        if read < len(positions):
            self.say(
                f"The clip ends early: only {read} of the {len(positions)} frames asked for can be read, and "
                "those were tracked."
            )
