"""What tells whether a point is visible beside its looks: where companions are, and who is in its place."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.tracking.pips.support import REFERENCE_HEIGHT, SEEN, Companions, Expected, distance_apart

OWN = 5
"""How many numbers `visibility_evidence` of `model.tracking.pips.refinement` gives."""

COUNT = OWN + 13
"""How many numbers `companions_evidence` gives."""

_AROUND = 25.0  # pixels of frames 192 high: the part of a thing that is covered together
_BESIDE = 14.0  # to the nearest support points
_UPON = 10.0
_BORDER = 10.0


def companions_evidence(
    evidence: NDArray[np.float64],
    points: NDArray[np.float32],
    correlation: NDArray[np.float32],
    companions: Companions,
    expected: Expected,
    size: tuple[int, int],
) -> NDArray[np.float64]:
    """Append what companions tell to a point's own evidence: float64 `[S, N, OWN]` to `[S, N, COUNT]`.

    points: float32 `[S, N, 2]`, tracked, in pixels of frames of a size, (height, width).
    correlation: float32 `[S, N]`, with the first frame's patch, -1 to 1. expected: of the same points.
    Each of a point's numbers is a sum along its own companions, so it does not depend on other queries.
    """
    unit = size[0] / REFERENCE_HEIGHT
    share = expected.share[..., None]
    likely = share * expected.points + (1 - share) * points
    apart = distance_apart(points, expected, size)
    unlike = 1 - companions.likeness
    around = companions.likeness * _closeness(companions.points[0], points[0], _AROUND * unit)
    beside = unlike * _closeness(companions.points[0], points[0], _BESIDE * unit)
    rows = []
    for frame in range(len(points)):
        seen = companions.visibility[frame] > SEEN
        at_found = seen * _closeness(companions.points[frame], points[frame], _UPON * unit)
        at_likely = seen * _closeness(companions.points[frame], likely[frame], _UPON * unit)
        rows.append(
            [
                expected.share[frame] * np.minimum(apart[frame], 30) / 10,
                expected.share[frame] * np.log1p(apart[frame]),
                # Those that move otherwise and are now at its place may be what covers it.
                (at_found * unlike).sum(axis=1),
                (at_found * companions.likeness).sum(axis=1),
                (at_likely * unlike).sum(axis=1),
                (at_likely * companions.likeness).sum(axis=1),
                # Its surroundings are covered together.
                (around * companions.visibility[frame]).sum(axis=1) / (around.sum(axis=1) + 0.1),
                (beside * seen).sum(axis=1),
                _from_border(points[frame], size, unit),
                _from_border(likely[frame], size, unit),
                expected.share[frame],
                correlation[frame],
                np.full(len(points[0]), frame / len(points)),
            ]
        )
    return np.concatenate([evidence, np.moveaxis(np.asarray(rows, np.float64), 1, 2)], axis=2)


def _closeness(
    companions: NDArray[np.float32], points: NDArray[np.floating[Any]], radius: float
) -> NDArray[np.float64]:
    """Say how close `[M, 2]` are to `[N, 2]`: `[N, M]`, 1 in the same place, 1/e at `radius`."""
    offset = companions[None].astype(np.float64) - points[:, None]
    closeness: NDArray[np.float64] = np.exp(-(offset**2).sum(axis=2) / radius**2)
    return closeness


def _from_border(
    points: NDArray[np.floating[Any]], size: tuple[int, int], unit: float
) -> NDArray[np.float64]:
    """Say how far points `[N, 2]` are inside the frame, -1 to 1, 0 on its border."""
    far = np.array([size[1] - 1, size[0] - 1]) - points
    nearest = np.minimum(points, far).min(axis=1)
    return np.asarray(np.tanh(nearest / unit / _BORDER), np.float64)
