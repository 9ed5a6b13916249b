"""The true motion of a clip beside tracks of it: what to draw, and how far off the tracks are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.motion.tracks import Tracks

SAME_POINT = 0.05
"""Pixels within which a query point is a true trajectory's start."""


@dataclass(frozen=True, eq=False)
class TrueMotion:
    """True trajectories at the frames of some tracks.

    points: float32 `[T, M, 2]`, pixels. visible: bool `[T, M]`. summary: one sentence for people.
    """

    points: NDArray[np.float32]
    visible: NDArray[np.bool_]
    summary: str


def true_motion(tracks: Tracks, truth: Tracks) -> TrueMotion | None:
    """Lay the truth beside tracks of the same clip.

    A tracked point is compared with the true trajectory that starts where it starts, in the frames after the
    first in which the true point is visible.

    Returns None when the truth does not hold all frames of the tracks.
    """
    rows = np.searchsorted(truth.frames, tracks.frames)
    if rows[-1] >= len(truth.frames) or (truth.frames[rows] != tracks.frames).any():
        return None
    points, visible = truth.points[rows], truth.visible[rows]
    distance = np.linalg.norm(tracks.points[0][:, None] - points[0][None], axis=2)
    nearest = distance.argmin(axis=1)
    matched = np.flatnonzero(distance[np.arange(len(nearest)), nearest] <= SAME_POINT)
    partners = nearest[matched]
    counted = visible[1:, partners] & visible[:1, partners]
    if not counted.any():
        return TrueMotion(points, visible, _not_comparable(truth))
    error = np.linalg.norm(tracks.points[1:, matched] - points[1:, partners], axis=2)[counted]
    summary = (
        f"Mean error {error.mean():.2f} px, median {np.median(error):.2f} px, against the true motion, "
        f"over {int(counted.any(axis=0).sum()):,} points where they are visible."
    )
    return TrueMotion(points, visible, summary)


def _not_comparable(truth: Tracks) -> str:
    count = truth.points.shape[1]
    known = f"{count:,} points" if truth.grid is None else f"a {truth.grid[0]} × {truth.grid[1]} grid"
    return f"The true motion is known for {known} from frame {truth.frames[0]}; track that for the error."
