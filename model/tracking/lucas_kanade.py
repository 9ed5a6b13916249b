"""Pyramidal Lucas-Kanade with a forward-backward check."""

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.motion.tracks import Method
from model.tracking.frame_to_frame import FrameToFrame, Size, Step


@dataclass(frozen=True)
class LucasKanade(FrameToFrame[NDArray[np.uint8]]):
    """Pyramidal Lucas-Kanade from frame to frame (Bouguet 2001, in OpenCV) on grey images.

    A step is consistent if tracking the point forward and back returned to within `consistency` of where it
    came from (Kalal, Mikolajczyk and Matas, ICPR 2010).

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
        return Method("lk", settings=asdict(self))

    def working_image(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Size]:
        """Return the frame as a grey image, uint8 `[h, w]`, reduced to `longest_side`."""
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        height, width = grey.shape
        scale = self.longest_side / max(height, width)
        if scale < 1:
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
            grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(grey, np.uint8), (height, width)

    def step(
        self, previous: NDArray[np.uint8], current: NDArray[np.uint8], points: NDArray[np.float32]
    ) -> Step:
        """Follow points, float32 `[N, 2]`, from one grey image, uint8 `[h, w]`, to another of its size.

        A point that was lost stays where it was.
        """
        forward, found = self._flow(previous, current, points)
        back, found_back = self._flow(current, previous, forward)
        distance = np.linalg.norm(back - points, axis=1)
        consistent = found & found_back & (distance <= self.consistency)
        # OpenCV leaves a lost point anywhere; it is better off where it was.
        return Step(np.where(found[:, None], forward, points), consistent)

    def _flow(
        self, source: NDArray[np.uint8], target: NDArray[np.uint8], points: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            source,
            target,
            np.ascontiguousarray(points[:, None]),
            np.empty((len(points), 1, 2), np.float32),
            winSize=(self.window, self.window),
            maxLevel=self.levels,
        )
        found = np.asarray(status, np.uint8).reshape(-1) == 1
        result = np.asarray(moved, np.float32).reshape(-1, 2)
        found &= np.isfinite(result).all(axis=1)
        return np.where(found[:, None], result, points), found
