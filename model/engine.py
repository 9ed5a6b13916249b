"""What a tracking method has to offer; `model.tracker.Tracker` puts the same face on each."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model.progress import ReportProgress, ShouldStop
from model.tracks import Method


class Trajectories(NamedTuple):
    """Positions and visibility of N points in T frames.

    points: float32 `[T, N, 2]`, (x, y) in pixels of the original frame.
    visibility: float32 `[T, N]` in [0, 1].
    """

    points: NDArray[np.float32]
    visibility: NDArray[np.float32]


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
    ) -> Trajectories:
        """Follow the query points, given in the first frame, through all frames.

        frames: uint8 `[H, W, 3]` RGB each, all of one size; read once, in order.
        queries: float32 `[N, 2]`, (x, y) in pixels of the first frame.
        total: the number of frames if it is known, for the progress reports.
        Raises Stopped when `should_stop` says so, polled at least once for every 8 frames.
        """
