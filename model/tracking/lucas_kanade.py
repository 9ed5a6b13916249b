"""Pyramidal Lucas-Kanade between two grey images (Bouguet 2001, in OpenCV), with a forward-backward check."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray


class Step(NamedTuple):
    """Where points went from one image to the next.

    points: float32 `[N, 2]`; a point that was lost stays where it was. consistent: bool `[N]`, whether
    tracking it back returned to within the tolerance of where it came from.
    """

    points: NDArray[np.float32]
    consistent: NDArray[np.bool_]


@dataclass(frozen=True)
class LucasKanadeStep:
    """One step of Lucas-Kanade.

    window: side of the square window, in pixels. levels: pyramid levels beside the image itself.
    consistency: largest forward-backward distance, in pixels (Kalal, Mikolajczyk and Matas, ICPR 2010).
    """

    window: int = 21
    levels: int = 3
    consistency: float = 1.0

    def __call__(
        self, previous: NDArray[np.uint8], current: NDArray[np.uint8], points: NDArray[np.float32]
    ) -> Step:
        """Follow points, float32 `[N, 2]`, from one image, uint8 `[H, W]`, to another of its size."""
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
