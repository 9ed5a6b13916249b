"""`Tracker`: one face for every method that follows points through a clip."""

import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch
from model.motion.tracks import Method, Tracks
from model.tracking.engine import Engine, Partial, State
from model.tracking.methods import load_engine


@dataclass(frozen=True)
class PartialTracks:
    """What is done of a clip whose tracking is under way, see `model.tracking.engine.Partial`.

    size: (height, width) of the frames. frames: int32, the source's index of each frame, in the order in
    which they are followed; None for 0, 1, 2 .... fps, grid, query_frame: as in `Tracks`.
    """

    partial: Partial
    method: Method
    size: tuple[int, int]
    frames: NDArray[np.int32] | None = None
    fps: float = 0.0
    grid: tuple[int, int] | None = None
    query_frame: int | None = None

    def tracks(self) -> Tracks:
        """Return the frames that are done, in order of time, with the values that they have in the end.

        The camera of a grid's tracks is found from these frames alone, see `Tracks.with_camera`.
        """
        followed = self.partial.trajectories()
        count = len(followed.points)
        frames = np.arange(count, dtype=np.int32) if self.frames is None else self.frames[:count]
        order = np.argsort(frames)
        tracks = Tracks(
            points=followed.points[order],
            visibility=followed.visibility[order],
            frames=frames[order],
            size=self.size,
            fps=self.fps,
            grid=self.grid,
            method=self.method,
            handovers=None if followed.handovers is None else followed.handovers[order],
            query_frame=self.query_frame,
        )
        return tracks if self.grid is None else tracks.with_camera()

    def state(self) -> State:
        """Return what `Tracker.follow` goes on from; empty where the method can only start again."""
        return self.partial.state()


@dataclass(frozen=True)
class Tracker:
    """Follows query points through frames; the engine decides how.

    The result for a point does not depend on which other points are tracked with it: any subset, in any
    order, gives the same bits.
    """

    engine: Engine

    @classmethod
    def load(
        cls, name_or_path: str | os.PathLike[str], device: str = "auto", precision: str = "auto"
    ) -> "Tracker":
        """Make a method ready to run.

        name_or_path: "lk" (Lucas-Kanade), "zero", or PIPs by "pips" (the installed weights), by the name of
            registered weights, or by the path of a checkpoint; "METHOD:WEIGHTS" names both ("raft:FILE":
            RAFT-small, chained, with that checkpoint).
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:K"; PIPs and RAFT use it.
        precision: "auto", "float32" or "bfloat16"; only PIPs uses it. "auto" is float32 on the CPU and
            bfloat16 on CUDA.
        Raises BadInput for an unknown name, a missing or unfitting checkpoint, or a device that is not there.
        """
        return cls(load_engine(os.fspath(name_or_path), device, precision))

    def track(
        self,
        frames: Iterable[NDArray[np.uint8]],
        queries: NDArray[np.float32],
        watch: Watch = UNWATCHED,
    ) -> Tracks:
        """Follow points through a clip to its end; see `follow`.

        frames: as there, or all in one array, uint8 `[T, H, W, 3]`.
        """
        if watch.total is None and isinstance(frames, Sized):
            watch = replace(watch, total=len(frames))
        return deque(self.follow(frames, queries, watch), maxlen=1).pop().tracks()

    def follow(
        self,
        frames: Iterable[NDArray[np.uint8]],
        queries: NDArray[np.float32],
        watch: Watch = UNWATCHED,
        state: State | None = None,
    ) -> Iterator[PartialTracks]:
        """Follow points, given in the first frame, through a clip of any length.

        frames: uint8 `[H, W, 3]` RGB each; read once, in order, a few at a time.
        queries: float32 `[N, 2]`, (x, y) in pixels of the first frame; N at least 1. They may lie outside.
        watch: is told the stage ("encoding", "tracking") and the frames done, and asked often, also within a
            chunk.
        state: of a `PartialTracks` from an earlier call with the same frames and queries, to go on from.
        Yields what is done after each chunk; the last one holds all frames.
        Raises BadInput when there are no frames, or frames of different sizes, or queries of a wrong shape;
        Stopped on request.
        """
        if queries.ndim != 2 or queries.shape[1] != 2 or len(queries) == 0:
            raise BadInput(f"The query points must have the shape [N, 2], not {list(queries.shape)}.")
        if not np.isfinite(queries).all():
            raise BadInput("The query points must be finite numbers.")
        checked = _checked(frames)
        first = next(checked, None)
        if first is None:
            raise BadInput("The clip has no frames to track.")
        size = (first.shape[0], first.shape[1])
        queries = np.ascontiguousarray(queries, np.float32)
        for partial in self.engine.follow(itertools.chain([first], checked), queries, watch, state):
            yield PartialTracks(partial, self.engine.method, size)


def _checked(frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Pass frames on and refuse what is not an RGB frame of the first one's size."""
    size: tuple[int, int] | None = None
    for frame in frames:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise BadInput(
                f"A frame must be uint8 [height, width, 3], not {frame.dtype} {list(frame.shape)}."
            )
        if size is not None and frame.shape[:2] != size:
            raise BadInput(
                f"All frames must have one size, but {size[1]}×{size[0]} is followed by "
                f"{frame.shape[1]}×{frame.shape[0]}."
            )
        size = (frame.shape[0], frame.shape[1])
        yield frame
