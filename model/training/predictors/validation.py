"""How good a predictor in training is on examples that it never learns from."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from model.core.devices import autocast
from model.datasets.index import REFERENCE_HEIGHT
from model.evaluation.prediction_metrics import Outcome, prediction_metrics
from model.motion.prediction import INTERVAL
from model.prediction.mixture import Mixture
from model.prediction.network import MotionPredictor, normalise
from model.prediction.outputs import BinsOutput
from model.training.predictors.examples import Example, stack
from model.training.predictors.feature_cache import FeatureCache

_BATCH = 8
_NARROWEST, _WIDEST, _HALVINGS = 0.02, 50.0, 20
_TEMPERATURES = (0.25, 4.0)


@dataclass(frozen=True)
class PredictorScore:
    """Means over the points that lie within the frame at the end of the horizon.

    Lengths are in pixels of a 256-high image.

    epe: distance of the answer from the truth. epe_moving, still: that, and of zero motion, for points that
    move by more than 1 px. best_epe_moving: of the likeliest hypothesis. nearest_epe: of the hypothesis that
    is nearest to the truth, for moving points. cosine: of the directions, for moving points.
    coverage: share of the coordinates in the 90 % interval, with the scales times `scale_factor` (bins: the
    logarithms of the weights divided by `temperature`), which makes it 0.9. held_out_likelihood: mean log
    likelihood before that.
    """

    epe: float
    epe_moving: float
    still: float
    best_epe_moving: float
    nearest_epe: float
    cosine: float
    coverage: float
    scale_factor: float
    held_out_likelihood: float
    temperature: float = 1.0

    @classmethod
    def unknown(cls) -> "PredictorScore":
        """Return a score that says nothing."""
        return cls(*[float("nan")] * 9)


@torch.no_grad()
def score_cached(
    network: MotionPredictor,
    examples: Sequence[Example],
    features: FeatureCache | None,
) -> PredictorScore:
    """Predict examples and compare.

    features: of the examples in their order, or None to compute them.
    """
    network.eval()
    device = next(network.parameters()).device
    answers, truths, likelihoods = [], [], []
    for rows in _alike(examples):
        batch = Example(*(part.to(device) for part in stack([examples[row] for row in rows])))
        with autocast(device):
            if features is None:
                maps = network.features(normalise(batch.picture))
            else:
                maps = features.read(rows, device)
            mixture = network.answer(maps, batch.points, batch.shape).mixture
        unit = batch.shape[0] / REFERENCE_HEIGHT
        mixture = mixture._replace(
            displacement=mixture.displacement / unit, log_scale=mixture.log_scale - math.log(unit)
        )
        batch = batch._replace(motion=batch.motion / unit)
        likelihoods.append(mixture.log_likelihood(batch.motion, batch.counts)[batch.counts.sum(-1) > 0].cpu())
        last = Mixture(mixture.displacement[..., -1:, :], mixture.log_scale[..., -1:], mixture.log_weight)
        seen = batch.counts[..., -1] > 0
        answers.append(Mixture(*(part[seen].cpu() for part in last)))
        truths.append(batch.motion[..., -1, :][seen].cpu())
    together = Mixture(*(torch.cat(parts)[None] for parts in zip(*answers, strict=True)))
    is_fixed = isinstance(network.output, BinsOutput)
    return _score(together, torch.cat(truths), torch.cat(likelihoods), is_fixed)


def _alike(examples: Sequence[Example]) -> Iterator[list[int]]:
    """Yield batches of the numbers of examples whose pictures have one shape."""
    for _, group in groupby(range(len(examples)), key=lambda row: examples[row].shape):
        rows = list(group)
        yield from (rows[first : first + _BATCH] for first in range(0, len(rows), _BATCH))


def _score(mixture: Mixture, truth: Tensor, likelihood: Tensor, is_fixed: bool) -> PredictorScore:
    """mixture: of P points and one frame, `[1, P, K, 1, 2]`. truth: `[P, 2]`."""
    if len(truth) == 0:
        return PredictorScore.unknown()
    scale_factor, temperature = 1.0, 1.0
    if is_fixed:
        temperature = _fit(lambda value: coverage(mixture.tempered(value), truth), *_TEMPERATURES)
        calibrated = mixture.tempered(temperature)
    else:
        scale_factor = fit_scale_factor(mixture, truth)
        calibrated = mixture.widened(scale_factor)
    answer = mixture.answer()[0]
    goal = truth[:, None].numpy()
    found = prediction_metrics(
        Outcome(goal, answer.numpy(), mixture.displacement[0].numpy(), mixture.weight[0].numpy())
    )
    return PredictorScore(
        epe=found.epe,
        epe_moving=found.epe_moving,
        still=prediction_metrics(Outcome.of_answer(goal, np.zeros_like(goal))).epe_moving,
        best_epe_moving=found.best_epe_moving,
        nearest_epe=found.min_epe_moving,
        cosine=found.cosine,
        coverage=coverage(calibrated, truth),
        scale_factor=scale_factor,
        held_out_likelihood=float(likelihood.mean()) if len(likelihood) else float("nan"),
        temperature=temperature,
    )


def coverage(mixture: Mixture, truth: Tensor, share: float = 0.9) -> float:
    """Return the share of coordinates of `[P, 2]` in the middle interval of that probability."""
    low = mixture.cumulative(truth[None, :, None])[0, :, 0]
    return float(((low >= (1 - share) / 2) & (low <= (1 + share) / 2)).float().mean())


def fit_scale_factor(mixture: Mixture, truth: Tensor, share: float = 0.9) -> float:
    """Return what the scales must be multiplied by for intervals to cover what they say."""
    return _fit(lambda value: coverage(mixture.widened(value), truth, share), _NARROWEST, _WIDEST, share)


def _fit(covered: Callable[[float], float], low: float, high: float, share: float = INTERVAL) -> float:
    """Return the value between two at which what is covered, which grows with it, is that share."""
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        if covered(middle) < share:
            low = middle
        else:
            high = middle
    return float((low * high) ** 0.5)
