"""`Tracker`: one face for every method that follows points through a clip."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.progress import ReportProgress, ShouldStop, ignore_progress, never_stop
from model.motion.tracks import Tracks
from model.tracking.baselines import LucasKanade, ZeroMotion
from model.tracking.engine import Engine, Partial, State, Trajectories
from model.tracking.methods import RAFT_PREFIX


class PartialTracks(NamedTuple):
    """What is done of a clip whose tracking is under way.

    tracks: the first frames, with the very values that they have in the whole clip's tracks.
    state: lets `Tracker.track_clip` go on from there; empty where the method can only start again.
    """

    tracks: Tracks
    state: State


KeepTracks = Callable[[Callable[[], PartialTracks]], None]
"""Told whenever more is done; see `model.tracking.engine.KeepPartial`."""


def keep_no_tracks(_partial: Callable[[], PartialTracks]) -> None:
    """Let what is done so far be lost when the work is stopped."""


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
            registered weights, or by the path of a checkpoint; "raft:FILE" is RAFT-small, chained, with
            that checkpoint.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:K"; PIPs and RAFT use it.
        precision: "auto", "float32" or "bfloat16"; only PIPs uses it. "auto" is float32 on the CPU and
            bfloat16 on CUDA.
        Raises BadInput for an unknown name, a missing or unfitting checkpoint, or a device that is not there.
        """
        name = os.fspath(name_or_path)
        if name == "lk":
            return cls(LucasKanade())
        if name == "zero":
            return cls(ZeroMotion())
        # Here, not above: they import torch, which takes seconds that the other methods need not wait.
        if name.startswith(RAFT_PREFIX):
            from model.tracking.raft import RaftEngine  # noqa: PLC0415 - imports torch

            return cls(RaftEngine.load(name.removeprefix(RAFT_PREFIX), device))
        from model.tracking.pips.tracker import PipsEngine  # noqa: PLC0415 - imports torch

        return cls(PipsEngine.load(name, device, precision))

    def track(
        self,
        frames: NDArray[np.uint8],
        queries: NDArray[np.float32],
        *,
        progress: ReportProgress = ignore_progress,
        should_stop: ShouldStop = never_stop,
    ) -> Tracks:
        """Follow points through a few frames that are in memory; see `track_clip`.

        frames: uint8 `[T, H, W, 3]`, RGB.
        """
        return self.track_clip(frames, queries, total=len(frames), progress=progress, should_stop=should_stop)

    def track_clip(
        self,
        frames: Iterable[NDArray[np.uint8]],
        queries: NDArray[np.float32],
        *,
        total: int | None = None,
        progress: ReportProgress = ignore_progress,
        should_stop: ShouldStop = never_stop,
        keep: KeepTracks = keep_no_tracks,
        state: State | None = None,
    ) -> Tracks:
        """Follow points, given in the first frame, through a clip of any length.

        frames: uint8 `[H, W, 3]` RGB each; read once, in order, a few at a time.
        queries: float32 `[N, 2]`, (x, y) in pixels of the first frame; N at least 1. They may lie outside.
        total: the number of frames if it is known, for the progress reports.
        progress: called with the stage ("encoding", "tracking") and the frames done.
        should_stop: polled often, also within a chunk; when it returns True, Stopped is raised.
        keep: called between chunks with a function that returns what is done so far; after Stopped, too.
        state: of a `PartialTracks` from an earlier call with the same frames and queries, to go on from.
        Returns Tracks with frames 0 to T-1, fps 0 and no grid; `model.tracking.run` fills those in.
        Raises BadInput when there are no frames, or frames of different sizes, or queries of a wrong shape.
        """
        if queries.ndim != 2 or queries.shape[1] != 2 or len(queries) == 0:
            raise BadInput(f"The query points must have the shape [N, 2], not {list(queries.shape)}.")
        if not np.isfinite(queries).all():
            raise BadInput("The query points must be finite numbers.")
        checked = _checked(frames)
        first = next(checked, None)
        if first is None:
            raise BadInput("The clip has no frames to track.")

        def as_tracks(followed: Trajectories) -> Tracks:
            return Tracks(
                points=followed.points,
                visibility=followed.visibility,
                frames=np.arange(len(followed.points), dtype=np.int32),
                size=(first.shape[0], first.shape[1]),
                fps=0.0,
                grid=None,
                method=self.engine.method,
                handovers=followed.handovers,
            )

        def as_partial_tracks(partial: Callable[[], Partial]) -> PartialTracks:
            done = partial()
            return PartialTracks(as_tracks(done.trajectories), done.state)

        return as_tracks(
            self.engine.follow(
                itertools.chain([first], checked),
                np.ascontiguousarray(queries, np.float32),
                total,
                progress,
                should_stop,
                lambda partial: keep(lambda: as_partial_tracks(partial)),
                state,
            )
        )


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
