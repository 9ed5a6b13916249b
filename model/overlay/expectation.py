"""What a prediction expects, in words and as one way for each point: whether it moves, and which way."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.motion.prediction import Prediction
from model.overlay.motion import DIRECTIONS

LIKELY = 0.5
"""Of a point's probability to move: from here on it is told."""

PERHAPS = 0.25
"""From here on a point is drawn, and a picture's best part is told where none is likely."""

TELLS_DIRECTION = 0.3
"""Of the mean of unit vectors, given that a point moves: with less it may as well go the other way."""

_LEAST_PART = 0.01  # of the points


@dataclass(frozen=True, eq=False)
class ExpectedWay:
    """One way for each point, if it moves.

    moving: float32 `[N]`, the probability that it does. end: float32 `[N, 2]`, the displacement of the
    likeliest hypothesis that goes anywhere, pixels. certainty: float32 `[N]`, 0 to 1, how much the
    directions of all that go anywhere agree.
    """

    moving: NDArray[np.float32]
    end: NDArray[np.float32]
    certainty: NDArray[np.float32]

    @property
    def has_direction(self) -> NDArray[np.bool_]:
        """Whether it can be told which way a point goes: `[N]`."""
        return self.certainty >= TELLS_DIRECTION


def expected_way(prediction: Prediction) -> ExpectedWay:
    """Reduce the hypotheses of a prediction to one way for each point."""
    ends = prediction.hypotheses[:, -1] - prediction.hypotheses[:, 0]  # [K, N, 2]
    length = np.linalg.norm(ends, axis=2)
    goes = length > 0.5 * prediction.tracks.size[0] / 256
    weight = np.where(goes, prediction.weights, 0.0)
    unit = ends / np.maximum(length, 1e-6)[..., None]
    # What moves without a direction counts against the directions that are told.
    total = np.maximum(np.maximum(weight.sum(axis=0), prediction.moving), 1e-6)
    mean = (weight[..., None] * unit).sum(axis=0) / total[:, None]
    best = weight.argmax(axis=0)
    return ExpectedWay(
        prediction.moving,
        np.asarray(ends[best, np.arange(ends.shape[1])], np.float32),
        np.asarray(np.linalg.norm(mean, axis=1), np.float32),
    )


def describe(prediction: Prediction) -> str:
    """Say what is expected of a picture: which part moves, how likely, and which way if that is told."""
    if prediction.withheld:
        return "This picture has nothing in it that could tell of motion; nothing is expected to move."
    tracks, way = prediction.tracks, expected_way(prediction)
    assert tracks.grid is not None  # predictions are of grids
    ahead = f"Within {_ahead(prediction)}"
    bar = LIKELY if (way.moving >= LIKELY).mean() >= _LEAST_PART else PERHAPS
    parts = _parts(way.moving.reshape(tracks.grid) >= bar)
    if not parts:
        return f"{ahead} nothing is likely to move: a point moves with {way.moving.max():.0%} at most."
    told = "; ".join(_part(part, way, tracks.grid) for part in parts[:2])
    rest = "" if sum(map(len, parts)) > 0.8 * way.moving.size else "; the rest most likely stays"
    return f"{ahead} {told}{rest}."


def _ahead(prediction: Prediction) -> str:
    tracks = prediction.tracks
    frames = int(tracks.frames[-1] - tracks.frames[0])
    if tracks.fps > 0:
        return f"{frames / tracks.fps:.1f} s"
    return "1 frame" if frames == 1 else f"{frames} frames"


def _parts(is_moving: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Return the points of each connected part of the grid, the largest first; specks are left out."""
    count, labels = cv2.connectedComponents(is_moving.astype(np.uint8), connectivity=8)
    parts = [np.flatnonzero(labels.ravel() == part) for part in range(1, count)]
    return sorted((part for part in parts if len(part) >= _LEAST_PART * labels.size), key=len, reverse=True)


def _part(part: NDArray[np.intp], way: ExpectedWay, grid: tuple[int, int]) -> str:
    moving = way.moving[part]
    share = len(part) / way.moving.size
    what = (
        f"what is {_place(part, grid)} ({share:.0%} of the picture)" if share < 0.8 else "nearly everything"
    )
    how = "very likely" if moving.mean() >= 0.8 else "likely" if moving.mean() >= LIKELY else "perhaps"
    mean = (way.end[part] / np.maximum(np.linalg.norm(way.end[part], axis=1), 1e-6)[:, None]) * (
        way.certainty[part] * moving
    )[:, None]
    x, y = mean.sum(axis=0) / moving.sum()
    if np.hypot(x, y) < TELLS_DIRECTION:
        return f"{what} {how} moves, which way cannot be told"
    return f"{what} {how} moves {DIRECTIONS[round(np.arctan2(y, x) / (np.pi / 4)) % 8]}"


def _place(part: NDArray[np.intp], grid: tuple[int, int]) -> str:
    """Say in which of nine parts of the picture the middle of some points lies."""
    rows, columns = part // grid[1], part % grid[1]
    down, across = (rows.mean() + 0.5) / grid[0], (columns.mean() + 0.5) / grid[1]
    vertical = "at the top" if down < 1 / 3 else "at the bottom" if down > 2 / 3 else ""
    horizontal = "left" if across < 1 / 3 else "right" if across > 2 / 3 else ""
    if vertical and horizontal:
        return f"{vertical} {horizontal}"
    if horizontal:
        return f"on the {horizontal}"
    return vertical or "in the middle"
