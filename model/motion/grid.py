"""Where the query points lie, and how points move between image sizes. Nothing else lays out a grid."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput

WORKING_SIZE = (360, 640)
"""(height, width) at which PIPs works, as in the authors' demo."""

MARGIN = 8.0
"""Pixels of the working size left free at each border, as in the authors' demo."""

LARGEST_GRID = 64


def check_grid(points_per_side: int) -> int:
    """Return `points_per_side` if a grid of that many points a side can be tracked.

    Raises BadInput outside 1 to 64.
    """
    if not 1 <= points_per_side <= LARGEST_GRID:
        raise BadInput(f"The grid must have 1 to {LARGEST_GRID} points a side, not {points_per_side}.")
    return points_per_side


def query_grid(points_per_side: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Lay N×N query points over the first frame, row by row (index = row * N + column).

    At the working size a coordinate is 8 + k / (N - 1) · (side - 16) (one point: the centre), as in the
    authors' demo; it is then mapped to the original frame.

    points_per_side: N, 1 to 64.
    size: (height, width) of the original frame in pixels.
    Returns float32 `[N*N, 2]`, (x, y) in pixels of the original frame.
    Raises BadInput when N is out of range.
    """
    check_grid(points_per_side)
    height, width = WORKING_SIZE
    steps = np.linspace(0.0, 1.0, points_per_side) if points_per_side > 1 else np.array([0.5])
    ys, xs = np.meshgrid(
        MARGIN + steps * (height - 2 * MARGIN), MARGIN + steps * (width - 2 * MARGIN), indexing="ij"
    )
    points = np.stack([xs.ravel(), ys.ravel()], axis=1)
    return rescale_points(points, WORKING_SIZE, size)


def check_points(points: Sequence[Sequence[float]], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return query points of one's own choice, (x, y) in pixels of the frame that they are given in.

    size: (height, width) of the frame in pixels.
    Returns float32 `[N, 2]`. Raises BadInput, with the point's index, unless there are 1 to 4096 pairs of
    finite numbers that lie on the frame's pixels.
    """
    if not 1 <= len(points) <= LARGEST_GRID**2:
        raise BadInput(f"There must be 1 to {LARGEST_GRID**2} query points, not {len(points)}.")
    for index, point in enumerate(points):
        if len(point) != 2 or not all(math.isfinite(value) for value in point):
            raise BadInput(f"Query point {index} must be two finite numbers, x and y, not {list(point)}.")
        if not inside_frame(np.array(point), size):
            raise BadInput(
                f"Query point {index} at ({point[0]:g}, {point[1]:g}) lies outside the frame, in which x is "
                f"0 to {size[1] - 1} and y is 0 to {size[0] - 1}."
            )
    return np.array(points, np.float32)


def rescale_points(
    points: NDArray[np.floating], source: tuple[int, int], target: tuple[int, int]
) -> NDArray[np.float32]:
    """Map points between two sizes of the same image: x' = (x + 0.5) · W'/W - 0.5, likewise y.

    This keeps pixel areas aligned, as image resizing without align_corners does.

    points: `[..., 2]`, (x, y) in pixels of an image of size `source`.
    source, target: (height, width) in pixels.
    Returns float32 `[..., 2]` in pixels of an image of size `target`.
    """
    scale = np.array([target[1] / source[1], target[0] / source[0]])
    mapped: NDArray[np.float64] = (points.astype(np.float64) + 0.5) * scale - 0.5
    return mapped.astype(np.float32)


def inside_frame(points: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Bool `[...]`: the points `[..., 2]` that lie on the pixels of a frame; size is (height, width).

    The outermost pixels reach half a pixel beyond their centres. NaN is not inside.
    """
    x, y = points[..., 0], points[..., 1]
    result: NDArray[np.bool_] = (x >= -0.5) & (y >= -0.5) & (x <= size[1] - 0.5) & (y <= size[0] - 0.5)
    return result
