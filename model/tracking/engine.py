"""What a tracking method has to offer; `model.tracking.tracker.Tracker` puts the same face on each."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model.core.progress import UNWATCHED, Watch
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


class Partial(Protocol):
    """What is done of a clip whose tracking is under way; only who asks for the arrays pays for them.

    It tells what is done when it is asked, also after `follow` has raised.
    """

    def trajectories(self) -> Trajectories:
        """Return the first frames, those whose values no later frame can change."""

    def state(self) -> State:
        """Return what lets `Engine.follow` go on from there, to the same bits as without a break."""


class Engine(Protocol):
    """A tracking method, ready to run."""

    @property
    def method(self) -> Method:
        """The method's name, its weights' sha256 and its settings."""

    def follow(
        self,
        frames: Iterable[NDArray[np.uint8]],
        queries: NDArray[np.float32],
        watch: Watch = UNWATCHED,
        state: State | None = None,
    ) -> Iterator[Partial]:
        """Follow the query points, given in the first frame, through all frames.

        frames: uint8 `[H, W, 3]` RGB each, all of one size, at least one; read once, in order.
        queries: float32 `[N, 2]`, (x, y) in pixels of the first frame.
        watch: is told the frames that are done, and asked at least once for every 8 frames.
        state: of an earlier call with the same frames and queries, to go on from; never an empty one.
        Yields between chunks, and at the end, when all frames are done. Raises Stopped on request.
        """


def follow_to_the_end(partials: Iterator[Partial]) -> Trajectories:
    """Run what `Engine.follow` returned, and return the trajectories of all frames."""
    return deque(partials, maxlen=1).pop().trajectories()
