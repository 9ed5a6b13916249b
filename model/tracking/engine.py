"""What a tracking method has to offer; `model.tracking.tracker.Tracker` puts the same face on each."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model.core.progress import ReportProgress, ShouldStop
from model.motion.tracks import Method


class Trajectories(NamedTuple):
    """Positions and visibility of N points in T frames.

    points: float32 `[T, N, 2]`, (x, y) in pixels of the original frame.
    visibility: float32 `[T, N]` in [0, 1].
    handovers: bool `[T, N]`, where a chunk of frames ended and the point was handed on to the next one; None
        for a method without chunks.
    """

    points: NDArray[np.float32]
    visibility: NDArray[np.float32]
    handovers: NDArray[np.bool_] | None = None


State = Mapping[str, NDArray[Any]]
"""What an engine needs to go on from where it was, as arrays by name; empty: it can only start again."""


class Partial(NamedTuple):
    """What is done of a clip whose tracking is under way.

    trajectories: the first frames, whose values no later frame can change.
    state: lets `Engine.follow` go on from there, to the same bits as without a break.
    """

    trajectories: Trajectories
    state: State


KeepPartial = Callable[[Callable[[], Partial]], None]
"""Told whenever more is done. It is given a function, so that only who wants the arrays pays for them; that
function may be called until `follow` returns or raises, and right after it."""


def keep_nothing(_partial: Callable[[], Partial]) -> None:
    """Let what is done so far be lost when the work is stopped."""


class Engine(Protocol):
    """A tracking method, ready to run."""

    @property
    def method(self) -> Method:
        """The method's name, its weights' sha256 and its settings."""

    def follow(
        self,
        frames: Iterable[NDArray[np.uint8]],
        queries: NDArray[np.float32],
        total: int | None,
        progress: ReportProgress,
        should_stop: ShouldStop,
        keep: KeepPartial = keep_nothing,
        state: State | None = None,
    ) -> Trajectories:
        """Follow the query points, given in the first frame, through all frames.

        frames: uint8 `[H, W, 3]` RGB each, all of one size; read once, in order.
        queries: float32 `[N, 2]`, (x, y) in pixels of the first frame.
        total: the number of frames if it is known, for the progress reports.
        keep: called between chunks, once there are frames that are done.
        state: of an earlier call with the same frames and queries, to go on from; never an empty one.
        Raises Stopped when `should_stop` says so, polled at least once for every 8 frames.
        """
