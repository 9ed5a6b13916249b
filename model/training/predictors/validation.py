"""How good a predictor in training is on examples that it never learns from."""

import math
from collections.abc import Iterator, Sequence
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
_CALIBRATION_STEPS = 40


@dataclass(frozen=True)
class PredictorScore:
    """Means over the points that lie within the frame at the end of the horizon.

    Lengths are in pixels of a 256-high image.

    epe: distance of the answer from the truth. epe_moving, still: that, and of zero motion, for points that
    move by more than 1 px. best_epe_moving: of the likeliest hypothesis. nearest_epe: of the hypothesis that
    is nearest to the truth, for moving points. cosine: of the directions, for moving points.
    coverage: share of the coordinates in the 90 % interval, with the scales times `scale_factor`, which makes
    it 0.9, or of bins with `temperature` and `moving_bias`, see `calibrated`. held_out_likelihood: mean log
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
    moving_bias: float = 0.0

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
    answers, truths, counts, likelihoods = [], [], [], []
    for rows in _alike(examples):
        batch = Example(*(part.to(device) for part in stack([examples[row] for row in rows])))
        with autocast(device):
            if features is None:
                maps = network.features(normalise(batch.picture))
            else:
                maps = features.read(rows, device)
            mixture = network.answer(maps, batch.points, batch.shape)
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
        counts.append(batch.counts[..., -1][seen].cpu())
    together = Mixture(*(torch.cat(parts)[None] for parts in zip(*answers, strict=True)))
    is_fixed = isinstance(network.output, BinsOutput)
    return _score(together, torch.cat(truths), torch.cat(counts), torch.cat(likelihoods), is_fixed)


def _alike(examples: Sequence[Example]) -> Iterator[list[int]]:
    """Yield batches of the numbers of examples whose pictures have one shape."""
    for _, group in groupby(range(len(examples)), key=lambda row: examples[row].shape):
        rows = list(group)
        yield from (rows[first : first + _BATCH] for first in range(0, len(rows), _BATCH))


def _score(
    mixture: Mixture, truth: Tensor, counts: Tensor, likelihood: Tensor, is_fixed: bool
) -> PredictorScore:
    """mixture: of P points and one frame, `[1, P, K, 1, 2]`. truth: `[P, 2]`. counts: `[P]`."""
    if len(truth) == 0:
        return PredictorScore.unknown()
    scale_factor, temperature, moving_bias = 1.0, 1.0, 0.0
    if is_fixed:
        temperature, moving_bias = calibrated(mixture, truth, counts)
        mixture = mixture.tempered(temperature, moving_bias)
    else:
        scale_factor = fit_scale_factor(mixture, truth)
        mixture = mixture.widened(scale_factor)
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
        coverage=coverage(mixture, truth),
        scale_factor=scale_factor,
        held_out_likelihood=float(likelihood.mean()) if len(likelihood) else float("nan"),
        temperature=temperature,
        moving_bias=moving_bias,
    )


def coverage(mixture: Mixture, truth: Tensor, share: float = INTERVAL) -> float:
    """Return the share of coordinates of `[P, 2]` in the middle interval of that probability."""
    low = mixture.cumulative(truth[None, :, None])[0, :, 0]
    return float(((low >= (1 - share) / 2) & (low <= (1 + share) / 2)).float().mean())


def calibrated(mixture: Mixture, truth: Tensor, counts: Tensor) -> tuple[float, float]:
    """Return the temperature and the moving bias with which the truth is likeliest, see `Mixture.tempered`.

    mixture: of P points and one frame, `[1, P, K, 1, 2]`. truth: `[P, 2]`. counts: `[P]`, what each is worth.
    As Platt (1999) does for two classes and Guo et al. (2017) for many.
    """
    log_temperature, bias = (torch.zeros((), requires_grad=True) for _ in range(2))
    fit = torch.optim.LBFGS(
        [log_temperature, bias], max_iter=_CALIBRATION_STEPS, line_search_fn="strong_wolfe"
    )
    each = mixture.each_log_likelihood(truth[None, :, None], torch.ones_like(counts)[None, :, None])

    def cost() -> float:
        fit.zero_grad()
        with torch.enable_grad():
            weights = mixture.tempered(log_temperature.exp(), bias).log_weight
            likelihood = torch.logsumexp(weights + each, dim=2)[0]
            loss = -(likelihood * counts).sum() / counts.sum()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has not typed it
        return float(loss.detach())

    fit.step(cost)  # type: ignore[no-untyped-call]  # torch has not typed it
    return float(log_temperature.detach().exp()), float(bias.detach())


def fit_scale_factor(mixture: Mixture, truth: Tensor) -> float:
    """Return what the scales must be multiplied by for 90 % intervals to cover what they say."""
    low, high = _NARROWEST, _WIDEST
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        if coverage(mixture.widened(middle), truth) < INTERVAL:
            low = middle
        else:
            high = middle
    return float((low * high) ** 0.5)
