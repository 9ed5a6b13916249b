"""What a predictor's answers cost."""

from typing import NamedTuple

from torch import Tensor

from model.prediction.mixture import Mixture
from model.training.predictors.examples import Example

_SPREAD = 0.1
"""Of the likelihood of a plain answer, from which its one scale learns."""


class PredictorLosses(NamedTuple):
    """Scalars. total: what is minimised. error: L1 of the best hypothesis' answer in pixels, to look at."""

    total: Tensor
    error: Tensor
    likelihood: Tensor


def predictor_losses(answer: Mixture, batch: Example) -> PredictorLosses:
    """Compare an answer with the truth of a batch.

    Several hypotheses are trained by their negative log likelihood; one by L1, and its one scale by the
    likelihood of what remains.
    """
    truth, counts = batch.motion, batch.counts
    error = _mean((answer.best() - truth).abs().sum(dim=-1), counts)
    if answer.displacement.shape[2] > 1:
        likelihood = _of_points(answer.log_likelihood(truth, counts), counts)
        return PredictorLosses(-likelihood, error.detach(), likelihood.detach())
    spread = answer._replace(displacement=answer.displacement.detach())
    likelihood = _of_points(spread.log_likelihood(truth, counts), counts)
    return PredictorLosses(error - _SPREAD * likelihood, error.detach(), likelihood.detach())


def _of_points(values: Tensor, counts: Tensor) -> Tensor:
    """Average `[B, N]` over points by how much each counts."""
    return _mean(values, counts.mean(dim=-1))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Average by weights of the same shape."""
    mean: Tensor = (values * weight).sum() / weight.sum().clamp(min=1e-6)
    return mean
