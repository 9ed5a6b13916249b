"""How good predictions of motion are, in float64 and in pixels of a 256-high image.

Measured are the points whose truth is visible at the horizon, in all frames of their way there. A metric
without any point is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.evaluation.metrics import metrics_to_json

MOVING = 1.0
"""Pixels; a point whose true displacement is longer counts as moving."""

THRESHOLDS = (1, 2, 4, 8, 16)
"""Pixels; a point is within one when its final error is strictly less."""

INTERVAL = 0.9

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Truth and prediction of P points over T frames after the query; displacements from the query.

    truth: `[P, T, 2]`, pixels of a 256-high image. answer: `[P, T, 2]`, the single prediction.
    hypotheses: `[P, K, T, 2]`, and weights: `[P, K]`; by default the answer alone.
    interval: `[2, P, T, 2]`, lowest and highest value of each coordinate with a probability of 90 %, or None.
    Raises ValueError when shapes do not fit or numbers are not finite.
    """

    truth: Array
    answer: Array
    hypotheses: Array
    weights: Array
    interval: Array | None = None

    def __post_init__(self) -> None:
        points, steps = self.truth.shape[:2]
        expected = {
            "truth": (points, steps, 2),
            "answer": (points, steps, 2),
            "hypotheses": (points, self.weights.shape[1], steps, 2),
            "weights": (points, self.weights.shape[1]),
            "interval": (2, points, steps, 2),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is None:
                continue
            if array.shape != shape:
                raise ValueError(f"{name} must have the shape {shape}, not {array.shape}.")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite.")

    @classmethod
    def of_answer(cls, truth: Array, answer: Array) -> "Outcome":
        """Take a prediction without alternatives."""
        return cls(truth, answer, answer[:, None], np.ones((len(answer), 1)))

    @classmethod
    def together(cls, parts: Sequence["Outcome"]) -> "Outcome":
        """Pool the points of several outcomes; they have the same frames and as many hypotheses."""
        intervals = [part.interval for part in parts if part.interval is not None]
        return cls(
            np.concatenate([part.truth for part in parts]),
            np.concatenate([part.answer for part in parts]),
            np.concatenate([part.hypotheses for part in parts]),
            np.concatenate([part.weights for part in parts]),
            np.concatenate(intervals, axis=1) if len(intervals) == len(parts) else None,
        )


@dataclass(frozen=True)
class PredictionMetrics:
    """All metrics of some points. Lengths are in pixels of a 256-high image, shares 0 to 1.

    epe: mean distance of the final displacement from the true one (also called FDE).
    ade: mean distance over all frames. epe_moving, ade_moving: of moving points.
    cosine: mean cosine between true and predicted direction, of moving points; a prediction of no motion
        counts 0. orientation: mean of its absolute value.
    within: the share of points whose final error is less than each of `THRESHOLDS`.
    best_ade, best_epe_moving: of the hypothesis with the largest weight.
    min_ade: mean over points of the least ADE of their hypotheses; min_epe_moving likewise.
    hypotheses: K, how many there are; all of them take part.
    coverage: the share of final coordinates in the 90 % interval.
    points, moving: how many there are.
    """

    epe: float
    ade: float
    epe_moving: float
    ade_moving: float
    cosine: float
    orientation: float
    within: tuple[float, ...]
    best_ade: float
    best_epe_moving: float
    min_ade: float
    min_epe_moving: float
    hypotheses: int
    coverage: float
    points: int
    moving: int

    def to_json(self) -> dict[str, Any]:
        """Return names and values as JSON has them: None for NaN, shares within by threshold."""
        return metrics_to_json(self, THRESHOLDS)


def prediction_metrics(outcome: Outcome) -> PredictionMetrics:
    """Measure an outcome; see `PredictionMetrics`."""
    truth = outcome.truth.astype(np.float64)
    answer = outcome.answer.astype(np.float64)
    final, guess = truth[:, -1], answer[:, -1]
    length = np.linalg.norm(final, axis=1)
    moving = length > MOVING
    error = np.linalg.norm(answer - truth, axis=2)
    each = np.linalg.norm(outcome.hypotheses - truth[:, None], axis=3)  # [P, K, T]
    rows = np.arange(len(truth))
    best = each[rows, outcome.weights.argmax(axis=1)]
    cosine = _cosines(final[moving], guess[moving])
    coverage = np.nan
    if outcome.interval is not None and len(truth):
        low, high = outcome.interval[:, :, -1]
        coverage = float(((final >= low) & (final <= high)).mean())
    return PredictionMetrics(
        epe=_mean(error[:, -1]),
        ade=_mean(error.mean(axis=1)),
        epe_moving=_mean(error[moving, -1]),
        ade_moving=_mean(error[moving].mean(axis=1)),
        cosine=_mean(cosine),
        orientation=_mean(np.abs(cosine)),
        within=tuple(_mean((error[:, -1] < threshold).astype(np.float64)) for threshold in THRESHOLDS),
        best_ade=_mean(best.mean(axis=1)),
        best_epe_moving=_mean(best[moving, -1]),
        min_ade=_mean(each.mean(axis=2).min(axis=1)),
        min_epe_moving=_mean(each[moving, :, -1].min(axis=1)),
        hypotheses=outcome.weights.shape[1],
        coverage=coverage,
        points=len(truth),
        moving=int(moving.sum()),
    )


def _cosines(true: NDArray[np.float64], guess: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(true, axis=1) * np.linalg.norm(guess, axis=1)
    product = (true * guess).sum(axis=1)
    return np.asarray(np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else np.nan
