"""Where hidden points are: they go where those go that moved like them.

The network follows a point by its looks, so it knows little of one that is covered. Beside the queries, a
chunk therefore tracks a grid of its own, the support points. A query that is held for hidden in a frame is
put where an affine motion takes it that fits the support points seen in that frame; those count that are
near it and moved like it while it was seen. The grid depends on the frames alone, so a query's result still
does not depend on which others are tracked with it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REFERENCE_HEIGHT = 192
"""Pixels of the frames that lengths in `SupportSettings` are for; they grow with the frames."""

SEEN = 0.5


@dataclass(frozen=True)
class SupportSettings:
    """How hidden points are put where their companions go.

    rows, columns: of the grid of support points; the first and the last lie `margin` pixels inside the frame.
    likeness: the difference in motion, in pixels a frame, at which a companion counts 1/e.
    nearness: the same for the distance in the chunk's first frame, in pixels.
    doubt: how much the network's own answer counts beside the companions, each of which counts 1 at most.
    stiffness: how reluctantly motion changes from place to place.
    """

    rows: int = 12
    columns: int = 16
    margin: float = 4.0
    likeness: float = 2.0
    nearness: float = 70.0
    doubt: float = 0.1
    stiffness: float = 2.0


def support_points(size: tuple[int, int], settings: SupportSettings) -> NDArray[np.float32]:
    """Return the support points of frames of a size, (height, width): float32 `[M, 2]`."""
    unit = size[0] / REFERENCE_HEIGHT
    x = np.linspace(settings.margin * unit, size[1] - 1 - settings.margin * unit, settings.columns)
    y = np.linspace(settings.margin * unit, size[0] - 1 - settings.margin * unit, settings.rows)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)


def complete(
    points: NDArray[np.float32],
    visibility: NDArray[np.float32],
    companions: NDArray[np.float32],
    companions_visibility: NDArray[np.float32],
    size: tuple[int, int],
    settings: SupportSettings,
) -> NDArray[np.float32]:
    """Put hidden points where their companions go.

    points: float32 `[S, N, 2]`, tracked. visibility: float32 `[S, N]`, probabilities.
    companions: float32 `[S, M, 2]`, the support points' tracks, with `companions_visibility` `[S, M]`.
    size: (height, width) of the frames in whose pixels all are.
    Returns points of which those with a visibility of at most 0.5 are moved; each depends on no other query.
    """
    seen, support_seen = visibility > SEEN, companions_visibility > SEEN
    moved = (points - points[:1]).astype(np.float64)
    support_moved = (companions - companions[:1]).astype(np.float64)
    offset = (companions[:1] - points[0][:, None]).astype(np.float64)  # [N, M, 2], in the first frame
    unit = size[0] / REFERENCE_HEIGHT
    weight = _likeness(moved, seen, support_moved, support_seen, settings.likeness * unit)
    offset /= settings.nearness * unit
    weight *= np.exp(-(offset**2).sum(axis=2))
    result = points.copy()
    for frame in range(1, len(points)):
        counted = weight * support_seen[frame]
        total = counted.sum(axis=1)
        shift = _affine_at_origin(offset, support_moved[frame], counted, settings.stiffness)
        share = (total / (total + settings.doubt))[:, None]
        put = points[0] + share * shift + (1 - share) * moved[frame]
        result[frame] = np.where(seen[frame][:, None], points[frame], put)
    return result


def _likeness(
    moved: NDArray[np.float64],
    seen: NDArray[np.bool_],
    support_moved: NDArray[np.float64],
    support_seen: NDArray[np.bool_],
    scale: float,
) -> NDArray[np.float64]:
    """How alike queries and companions moved in the frames in which both are seen: `[N, M]`, 1 for equally.

    Differences count by the pixels a frame that lead to them. Where both were never seen together, it is 1
    for a query that was not seen at all and 0.1 otherwise.
    """
    difference = np.zeros((moved.shape[1], support_moved.shape[1]))
    together = np.zeros_like(difference)
    for frame in range(1, len(moved)):
        both = seen[frame][:, None] & support_seen[frame][None]
        apart = np.hypot(
            moved[frame, :, :1] - support_moved[frame, :, 0], moved[frame, :, 1:] - support_moved[frame, :, 1]
        )
        difference += both * apart / frame
        together += both
    alike = np.exp(-((difference / np.maximum(together, 1) / scale) ** 2))
    was_seen = np.any(seen[1:], axis=0, keepdims=True).T
    return np.where((together == 0) & was_seen, 0.1, alike)


def _affine_at_origin(
    offset: NDArray[np.float64],
    moved: NDArray[np.float64],
    weight: NDArray[np.float64],
    stiffness: float,
) -> NDArray[np.float64]:
    """Fit an affine motion for each query by weighted least squares, and read it at the query: `[N, 2]`.

    offset: `[N, M, 2]`, of the companions from the query. moved: `[M, 2]`. weight: `[N, M]`.
    stiffness: of the linear part (ridge regression). Sums go along the companions, one query at a time, so
    that their rounding does not depend on the number of queries.
    """
    terms = [np.ones_like(weight), offset[..., 0], offset[..., 1]]
    normal = np.stack(
        [np.stack([(weight * one * other).sum(axis=1) for other in terms], axis=1) for one in terms], axis=1
    )
    normal += np.diag([1e-6, stiffness + 1e-6, stiffness + 1e-6])
    wanted = np.stack(
        [
            np.stack([(weight * term * moved[:, axis]).sum(axis=1) for axis in (0, 1)], axis=1)
            for term in terms
        ],
        axis=1,
    )
    return np.asarray(np.linalg.solve(normal, wanted)[:, 0])
