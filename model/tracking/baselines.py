"""Methods without learning, to compare with: zero motion and Lucas-Kanade."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from model.core.progress import Progress, ReportProgress, ShouldStop, raise_if_stopped
from model.motion.grid import inside_frame, rescale_points
from model.motion.tracks import Method
from model.tracking.engine import KeepPartial, Partial, State, Trajectories, keep_nothing
from model.tracking.lucas_kanade import LucasKanadeStep


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
        total: int | None,
        progress: ReportProgress,
        should_stop: ShouldStop,
        keep: KeepPartial = keep_nothing,
        state: State | None = None,
    ) -> Trajectories:
        """Repeat the query points in every frame (see `Engine.follow`)."""
        count = 0
        for _ in frames:
            raise_if_stopped(should_stop)
            count += 1
            keep(partial(_partial, queries, count))
            progress(Progress("tracking", count, total))
        return _still(queries, count)


def _partial(queries: NDArray[np.float32], count: int) -> Partial:
    return Partial(_still(queries, count), {})


def _still(queries: NDArray[np.float32], count: int) -> Trajectories:
    points = np.repeat(queries[None], count, axis=0)
    return Trajectories(points, np.ones(points.shape[:2], np.float32))


@dataclass(frozen=True)
class LucasKanade:
    """Pyramidal Lucas-Kanade from frame to frame (Bouguet 2001, in OpenCV), with a forward-backward check.

    A point is visible while it lies in the frame and, in every step so far, tracking it forward and back
    returned to within `consistency` of where it came from (Kalal, Mikolajczyk and Matas, ICPR 2010). A point
    that failed once is followed on as well as can be, and stays marked as hidden: what is followed now may be
    another part of the scene.

    window: side of the square window, in pixels of the working image.
    levels: pyramid levels beside the image itself.
    consistency: largest forward-backward distance, in pixels of the working image.
    longest_side: larger frames are reduced to this for tracking, since the windows do not grow with them.
    """

    window: int = 21
    levels: int = 3
    consistency: float = 1.0
    longest_side: int = 1024

    @property
    def method(self) -> Method:
        """The name `lk` and these settings."""
        return Method(
            "lk",
            settings={
                "window": self.window,
                "levels": self.levels,
                "consistency": self.consistency,
                "longest_side": self.longest_side,
            },
        )

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
        """Track the points from frame to frame (see `Engine.follow`); fast enough to start again."""
        points: list[NDArray[np.float32]] = []
        visible: list[NDArray[np.bool_]] = []

        def trajectories() -> Trajectories:
            return Trajectories(np.stack(points), np.stack(visible).astype(np.float32))

        follow_step = LucasKanadeStep(self.window, self.levels, self.consistency)
        previous: NDArray[np.uint8] | None = None
        for frame in frames:
            raise_if_stopped(should_stop)
            size = (frame.shape[0], frame.shape[1])
            current = self._working_image(frame)
            working_size = (current.shape[0], current.shape[1])
            if previous is None:
                points.append(queries)
                visible.append(inside_frame(queries, size))
            else:
                step = follow_step(previous, current, rescale_points(points[-1], size, working_size))
                points.append(rescale_points(step.points, working_size, size))
                visible.append(visible[-1] & step.consistent & inside_frame(points[-1], size))
            previous = current
            keep(lambda: Partial(trajectories(), {}))
            progress(Progress("tracking", len(points), total))
        return trajectories()

    def _working_image(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        height, width = grey.shape
        scale = self.longest_side / max(height, width)
        if scale < 1:
            reduced = (max(1, round(width * scale)), max(1, round(height * scale)))
            grey = cv2.resize(grey, reduced, interpolation=cv2.INTER_AREA)
        return np.asarray(grey, np.uint8)
