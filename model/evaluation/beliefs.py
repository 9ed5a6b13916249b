"""How good a prediction is at saying whether a point moves, which way, and how likely: metrics over images.

Lengths are in pixels of a 256-high image; measured is the last position of the points visible there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.metrics import mean_of
from model.motion.prediction import MOVES

HAS_DIRECTION = 4.0
"""Pixels; the direction of a shorter one is mostly the tracks' noise."""

_BINS = 10

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of P points of one image.

    truth: `[P, 2]`, the true displacement. moving: `[P]`, the probability that a point moves by more than
    `MOVES`, or any number that grows with it. direction: `[P, 2]`, the expected unit vector of the motion;
    the longer, the surer. log_density: `[P]`, the logarithm of the density at the truth, per square pixel;
    None for an answer without probabilities, of which the calibration is not measured either.
    """

    truth: Array
    moving: Array
    direction: Array
    log_density: Array | None = None


@dataclass(frozen=True)
class BeliefMetrics:
    """Means over images, or over all points where it says so.

    average_precision: of finding the moving points, over the images with any. moving_share: of their points,
    that move: what chance has. calibration_error: the mean difference of the probability of moving from the
    observed share, over ten bins of all points. direction: the mean cosine of the direction over all points
    that move by more than `HAS_DIRECTION`; surest_direction: over the tenth of them that it is surest of.
    log_likelihood: of a point, per square pixel, averaged by image.
    """

    average_precision: float
    moving_share: float
    calibration_error: float
    direction: float
    surest_direction: float
    log_likelihood: float


def belief_metrics(beliefs: Sequence[Belief]) -> BeliefMetrics:
    """Measure what was believed of images; NaN where nothing can be measured."""
    precisions, shares, cosines, lengths = [], [], [], []
    for belief in beliefs:
        distance = np.linalg.norm(belief.truth, axis=1)
        moves = distance > MOVES
        if moves.any():
            precisions.append(average_precision(belief.moving, moves))
            shares.append(float(moves.mean()))
        far = distance > HAS_DIRECTION
        length = np.linalg.norm(belief.direction[far], axis=1)
        product = (belief.direction[far] * belief.truth[far]).sum(axis=1) / distance[far]
        cosines.append(np.divide(product, length, out=np.zeros_like(product), where=length > 0))
        lengths.append(length)
    cosine, sureness = np.concatenate([[], *cosines]), np.concatenate([[], *lengths])
    surest = cosine[sureness >= np.quantile(sureness, 0.9)] if len(sureness) else cosine
    return BeliefMetrics(
        mean_of(precisions),
        mean_of(shares),
        _calibration_error([belief for belief in beliefs if belief.log_density is not None]),
        mean_of(cosine),
        mean_of(surest),
        mean_of(
            [mean_of(b.log_density) for b in beliefs if b.log_density is not None and len(b.log_density)]
        ),
    )


def average_precision(scores: Array, is_wanted: NDArray[np.bool_]) -> float:
    """Return the mean precision at each wanted point when all are listed by score, equal ones together.

    At least one point must be wanted.
    """
    order = np.argsort(-scores, kind="stable")
    wanted, ranked = is_wanted[order], scores[order]
    last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
    ends = np.flatnonzero(last_of_equals)
    found = np.cumsum(wanted)[ends]
    gained = np.diff(found, prepend=0)
    return float((gained * found / (ends + 1)).sum() / wanted.sum())


def _calibration_error(beliefs: Sequence[Belief]) -> float:
    if not beliefs:
        return float("nan")
    said = np.concatenate([belief.moving for belief in beliefs])
    moves = np.concatenate([np.linalg.norm(belief.truth, axis=1) > MOVES for belief in beliefs])
    bins = np.minimum((said * _BINS).astype(int), _BINS - 1)
    off = [abs((said[bins == k] - moves[bins == k]).sum()) for k in range(_BINS)]
    return float(sum(off) / max(1, len(said)))
