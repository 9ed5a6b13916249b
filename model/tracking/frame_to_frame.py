"""Methods that go from each frame to the next one, and zero motion."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.core.progress import UNWATCHED, Watch
from model.motion.grid import inside_frame, rescale_points
from model.motion.tracks import Method
from model.tracking.engine import State, Trajectories

Image = TypeVar("Image")
Size = tuple[int, int]


class Step(NamedTuple):
    """Where points went from one image to the next.

    points: float32 `[N, 2]`. consistent: bool `[N]`, whether tracking them back led to where they came from.
    """

    points: NDArray[np.float32]
    consistent: NDArray[np.bool_]


@dataclass(frozen=True)
class FirstFrames:
    """The frames that are done (a `Partial`); these methods are fast enough to start again.

    points: float32 `[N, 2]` for each frame. visible: bool `[N]` for each frame.
    """

    points: list[NDArray[np.float32]] = field(default_factory=list)
    visible: list[NDArray[np.bool_]] = field(default_factory=list)

    def trajectories(self) -> Trajectories:
        """See `Partial.trajectories`."""
        return Trajectories(np.stack(self.points), np.stack(self.visible).astype(np.float32))

    def state(self) -> State:
        """Return nothing: the method starts again."""
        return {}


class FrameToFrame(ABC, Generic[Image]):
    """A method that moves points from each frame to the next.

    A point is visible while it lies in the frame and every step so far was consistent. One that failed once
    is followed on as well as can be, and stays marked as hidden: what is followed now may be another part of
    the scene.
    """

    @property
    @abstractmethod
    def method(self) -> Method:
        """The method's name, its weights' sha256 and its settings."""

    @abstractmethod
    def working_image(self, frame: NDArray[np.uint8]) -> tuple[Image, Size]:
        """Return a frame as `step` takes it, and the (height, width) that the points of `step` are for."""

    @abstractmethod
    def step(self, previous: Image, current: Image, points: NDArray[np.float32]) -> Step:
        """Move points, float32 `[N, 2]`, from one image to the next, in pixels of the working image."""

    def follow(
        self,
        frames: Iterable[NDArray[np.uint8]],
        queries: NDArray[np.float32],
        watch: Watch = UNWATCHED,
        state: State | None = None,
    ) -> Iterator[FirstFrames]:
        """See `Engine.follow`."""
        done = FirstFrames()
        previous: Image | None = None
        for frame in frames:
            watch.check()
            size = (frame.shape[0], frame.shape[1])
            current, working_size = self.working_image(frame)
            if previous is None:
                points, visible = queries, inside_frame(queries, size)
            else:
                step = self.step(previous, current, rescale_points(points, size, working_size))
                points = rescale_points(step.points, working_size, size)
                visible = visible & step.consistent & inside_frame(points, size)
            previous = current
            done.points.append(points)
            done.visible.append(visible)
            watch.report("tracking", len(done.points))
            yield done


@dataclass(frozen=True)
class ZeroMotion:
    """Every point stays where it is, visible: what a method must beat to be worth anything."""

    @property
    def method(self) -> Method:
        """The name `zero`."""
        return Method("zero")

    def follow(
        self,
        frames: Iterable[NDArray[np.uint8]],
        queries: NDArray[np.float32],
        watch: Watch = UNWATCHED,
        state: State | None = None,
    ) -> Iterator[FirstFrames]:
        """Repeat the query points in every frame (see `Engine.follow`)."""
        done = FirstFrames()
        for _ in frames:
            watch.check()
            done.points.append(queries)
            done.visible.append(np.ones(len(queries), bool))
            watch.report("tracking", len(done.points))
            yield done
