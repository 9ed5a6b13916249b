"""How good predictions of motion are, in float64 and in pixels of a 256-high image.

Measured are the points whose truth is visible at the horizon, in all frames of their way there. A metric
without any point is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.evaluation.metrics import mean_of, metrics_to_json

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


@dataclass(frozen=True, eq=False)
class PointScores:
    """What is measured of each point, float64 `[P]`: it stays small, however many hypotheses there were.

    length: of the true displacement. final, path: the error of the final position, and its mean over all
    frames. cosine: between true and predicted direction; 0 where one of them has none. best_final, best_path:
    the errors of the hypothesis with the largest weight. least_final, least_path: the least of all
    hypotheses. covered: the share of the final coordinates in the interval; NaN without one. hypotheses: K.
    """

    length: NDArray[np.float64]
    final: NDArray[np.float64]
    path: NDArray[np.float64]
    cosine: NDArray[np.float64]
    best_final: NDArray[np.float64]
    best_path: NDArray[np.float64]
    least_final: NDArray[np.float64]
    least_path: NDArray[np.float64]
    covered: NDArray[np.float64]
    hypotheses: int

    @classmethod
    def of(cls, outcome: Outcome) -> "PointScores":
        """Measure each point of an outcome."""
        truth, answer = outcome.truth.astype(np.float64), outcome.answer.astype(np.float64)
        error = np.linalg.norm(answer - truth, axis=2)
        each = np.linalg.norm(outcome.hypotheses - truth[:, None], axis=3)  # [P, K, T]
        best = each[np.arange(len(truth)), outcome.weights.argmax(axis=1)]
        covered = np.full(len(truth), np.nan)
        if outcome.interval is not None:
            low, high = outcome.interval[:, :, -1]
            covered = ((truth[:, -1] >= low) & (truth[:, -1] <= high)).mean(axis=1)
        return cls(
            length=np.linalg.norm(truth[:, -1], axis=1),
            final=error[:, -1],
            path=error.mean(axis=1),
            cosine=_cosines(truth[:, -1], answer[:, -1]),
            best_final=best[:, -1],
            best_path=best.mean(axis=1),
            least_final=each[:, :, -1].min(axis=1),
            least_path=each.mean(axis=2).min(axis=1),
            covered=covered,
            hypotheses=outcome.weights.shape[1],
        )

    @classmethod
    def together(cls, parts: Sequence["PointScores"]) -> "PointScores":
        """Pool the points of several outcomes that have as many hypotheses."""
        names = [field.name for field in fields(cls) if field.name != "hypotheses"]
        pooled = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(**pooled, hypotheses=parts[0].hypotheses)


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
    return average_scores(PointScores.of(outcome))


def average_scores(scores: PointScores) -> PredictionMetrics:
    """Average over points; see `PredictionMetrics`."""
    moving = scores.length > MOVING
    return PredictionMetrics(
        epe=mean_of(scores.final),
        ade=mean_of(scores.path),
        epe_moving=mean_of(scores.final[moving]),
        ade_moving=mean_of(scores.path[moving]),
        cosine=mean_of(scores.cosine[moving]),
        orientation=mean_of(np.abs(scores.cosine[moving])),
        within=tuple(mean_of((scores.final < threshold).astype(np.float64)) for threshold in THRESHOLDS),
        best_ade=mean_of(scores.best_path),
        best_epe_moving=mean_of(scores.best_final[moving]),
        min_ade=mean_of(scores.least_path),
        min_epe_moving=mean_of(scores.least_final[moving]),
        hypotheses=scores.hypotheses,
        coverage=mean_of(scores.covered),
        points=len(scores.length),
        moving=int(moving.sum()),
    )


def _cosines(true: NDArray[np.float64], guess: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(true, axis=1) * np.linalg.norm(guess, axis=1)
    product = (true * guess).sum(axis=1)
    return np.asarray(np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0))
