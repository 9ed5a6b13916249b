"""Where points are that are hidden or lost: they go where those go that moved like them.

The network follows a point by its looks, so it knows little of one that is covered. Beside the queries, a
chunk therefore tracks a grid of its own, the support points. Where a query should be is then also said by an
affine motion that fits the support points seen in a frame; those count that are near it and moved like it
while it was seen. A query that is hidden is put there, and one that is doubtful: that does not look like
itself where it was found, and is elsewhere than its companions say. What companions tell is also evidence of
whether it is visible (see `evidence.py`). The grid depends on the frames alone, so a query's result
still does not depend on which others are tracked with it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REFERENCE_HEIGHT = 192
"""Pixels of the frames that lengths in `SupportSettings` are for; they grow with the frames."""

SEEN = 0.5
_BELIEVED = 0.9  # share from which companions may overrule what was found


@dataclass(frozen=True)
class SupportSettings:
    """How hidden points are put where their companions go.

    rows, columns: of the grid of support points; the first and the last lie `margin` pixels inside the frame.
    likeness: the difference in motion, in pixels a frame, at which a companion counts 1/e.
    nearness: the same for the distance in the chunk's first frame, in pixels.
    doubt: how much the network's own answer counts beside the companions, each of which counts 1 at most.
    stiffness: how reluctantly motion changes from place to place.
    rounds, agreement: how often companions are counted anew, those less that are farther than `agreement`
    pixels from what the others say (Cauchy's weights).
    least_correlation, distance: a point is doubtful that is less alike (see `refinement.py`), and
    farther, in pixels, from where its companions say.
    """

    rows: int = 12
    columns: int = 16
    margin: float = 4.0
    likeness: float = 2.0
    nearness: float = 70.0
    doubt: float = 0.1
    stiffness: float = 0.5
    rounds: int = 2
    agreement: float = 4.0
    least_correlation: float = 0.6
    distance: float = 1.0


def support_points(size: tuple[int, int], settings: SupportSettings) -> NDArray[np.float32]:
    """Return the support points of frames of a size, (height, width): float32 `[M, 2]`."""
    unit = size[0] / REFERENCE_HEIGHT
    x = np.linspace(settings.margin * unit, size[1] - 1 - settings.margin * unit, settings.columns)
    y = np.linspace(settings.margin * unit, size[0] - 1 - settings.margin * unit, settings.rows)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)


class Companions(NamedTuple):
    """A chunk's support points, as seen by its queries.

    points: float32 `[S, M, 2]`, tracked. visibility: float32 `[S, M]`, probabilities.
    likeness: float64 `[N, M]`, 0 to 1: how alike each query and each of them moved where both were seen.
    """

    points: NDArray[np.float32]
    visibility: NDArray[np.float32]
    likeness: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        points: NDArray[np.float32],
        visibility: NDArray[np.float32],
        companions: NDArray[np.float32],
        companions_visibility: NDArray[np.float32],
        size: tuple[int, int],
        settings: SupportSettings,
    ) -> "Companions":
        """Compare queries, `[S, N, 2]` and `[S, N]`, with support points; size: (height, width) of frames."""
        likeness = _likeness(
            (points - points[:1]).astype(np.float64),
            visibility > SEEN,
            (companions - companions[:1]).astype(np.float64),
            companions_visibility > SEEN,
            settings.likeness * size[0] / REFERENCE_HEIGHT,
        )
        return cls(companions, companions_visibility, likeness)


class Expected(NamedTuple):
    """Where companions say that points are.

    points: float64 `[S, N, 2]`. share: float64 `[S, N]`, 0 to 1: how far they can be believed.
    """

    points: NDArray[np.float64]
    share: NDArray[np.float64]


def expect(
    points: NDArray[np.float32],
    companions: Companions,
    size: tuple[int, int],
    settings: SupportSettings,
) -> Expected:
    """Say where points should be, going by their companions.

    points: float32 `[S, N, 2]`, tracked. size: (height, width) of the frames in whose pixels all are.
    """
    support_seen = companions.visibility > SEEN
    support_moved = (companions.points - companions.points[:1]).astype(np.float64)
    offset = (companions.points[:1] - points[0][:, None]).astype(np.float64)  # [N, M, 2], in the first frame
    unit = size[0] / REFERENCE_HEIGHT
    offset /= settings.nearness * unit
    weight = companions.likeness * np.exp(-(offset**2).sum(axis=2))
    expected = points.astype(np.float64)
    share = np.zeros(points.shape[:2])
    for frame in range(1, len(points)):
        counted = weight * support_seen[frame]
        total = counted.sum(axis=1)
        shift = _affine_at_origin(offset, support_moved[frame], counted, settings.stiffness)
        for _ in range(settings.rounds):
            apart = np.hypot(*np.moveaxis(support_moved[frame] - shift[:, None], 2, 0)) / (
                settings.agreement * unit
            )
            shift = _affine_at_origin(
                offset, support_moved[frame], counted / (1 + apart**2), settings.stiffness
            )
        expected[frame] = points[0] + shift
        share[frame] = total / (total + settings.doubt)
    return Expected(expected, share)


def complete(
    points: NDArray[np.float32],
    is_unsure: NDArray[np.bool_],
    expected: Expected,
) -> NDArray[np.float32]:
    """Put unsure points where they are expected, as far as that can be believed.

    points: float32 `[S, N, 2]`. is_unsure: bool `[S, N]`. The other points stay as they are.
    """
    share = expected.share[..., None]
    put = share * expected.points + (1 - share) * points
    return np.where(is_unsure[..., None], put, points).astype(np.float32)


def is_doubtful(
    points: NDArray[np.float32],
    correlation: NDArray[np.float32],
    expected: Expected,
    size: tuple[int, int],
    settings: SupportSettings,
) -> NDArray[np.bool_]:
    """Tell which points do not look like themselves and are not where they are expected: bool `[S, N]`."""
    apart = distance_apart(points, expected, size)
    return (
        (correlation < settings.least_correlation)
        & (apart > settings.distance)
        & (expected.share > _BELIEVED)
    )


def distance_apart(
    points: NDArray[np.float32], expected: Expected, size: tuple[int, int]
) -> NDArray[np.float64]:
    """Return how far points are from where they are expected: `[S, N]`, pixels of frames 192 high."""
    offset = expected.points - points
    return np.asarray(np.hypot(offset[..., 0], offset[..., 1]) * (REFERENCE_HEIGHT / size[0]))


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
