"""What a predictor's answers cost."""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.prediction.mixture import Mixture
from model.prediction.network import Answer
from model.prediction.outputs import PIXELS
from model.training.predictors.examples import Example

_MOVING = 0.5
"""Pixels of the network's image; what moves less has no direction."""


@dataclass(frozen=True)
class PredictorLosses:
    """Scalars. total: what is minimised. error: L1 of the best hypothesis' answer in pixels, to look at."""

    total: Tensor
    likelihood: Tensor
    nearest: Tensor
    error: Tensor


def predictor_losses(
    answer: Answer, batch: Example, is_mixture: bool, *, nearest: float = 0.1, direction: float = 1.0
) -> PredictorLosses:
    """Compare an answer with the truth of a batch.

    A mixture is trained by its negative log likelihood and a little winner-takes-all; a plain answer by L1,
    and its one scale by the likelihood of what remains.
    nearest: the weight of the winner-takes-all term, which keeps hypotheses apart. direction: that of the
    direction of moving points, each sample counting the same: where few points move, they would hardly be
    heard in the likelihood.
    """
    mixture, truth, counts = answer.mixture, batch.motion, batch.counts
    distance = _mean(mixture.nearest(truth, counts), counts)
    likelihood = _mean(_balanced(mixture).log_likelihood(truth, counts), counts)
    error = _mean_of_steps((mixture.best() - truth).abs().sum(dim=-1), counts)
    if is_mixture:
        total = -likelihood + nearest * distance
    else:
        spread = mixture._replace(displacement=mixture.displacement.detach())
        total = error - 0.1 * _mean(spread.log_likelihood(truth, counts), counts)
    if answer.direction is not None:
        total = total + direction * _direction_error(answer.direction, truth, counts)
    return PredictorLosses(total, likelihood.detach(), distance.detach(), error.detach())


def _direction_error(direction: Tensor, truth: Tensor, counts: Tensor) -> Tensor:
    """Squared distance of directions `[B, P, 2]` from the moving points', averaged sample by sample.

    Its expectation is least for the mean direction, which is 0 where a thing may as well go either way.
    """
    final = truth[..., -1, :]
    length = torch.linalg.vector_norm(final, dim=-1)
    weight = counts[..., -1] * (length > _MOVING)
    error = (direction - final / length.clamp(min=_MOVING)[..., None]).square().sum(dim=-1)
    moving = weight.sum(dim=1)
    each = (error * weight).sum(dim=1) / moving.clamp(min=1e-6)
    is_there = (moving > 0).to(each.dtype)
    mean: Tensor = (each * is_there).sum() / is_there.sum().clamp(min=1)
    return mean


def _balanced(mixture: Mixture) -> Mixture:
    """Return the same mixture, of which displacements learn at one pace, however sure a hypothesis is.

    The gradient of a Laplace likelihood grows with one over the scale: a hypothesis "it stays", sure to
    0.05 pixels, would drown what all others have to say to the layers that they share. So the gradient is
    multiplied by the scale (Seitzer et al. 2022, with beta = 1), and counted in the network's own unit.
    """
    given = mixture.displacement
    pace = mixture.log_scale.detach().exp()[..., None] / PIXELS
    return mixture._replace(displacement=given.detach() + (given - given.detach()) * pace)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Average `[B, N]` over points by how much each counts."""
    weight = counts.mean(dim=-1)
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def _mean_of_steps(values: Tensor, counts: Tensor) -> Tensor:
    """Average `[B, N, T]`."""
    total: Tensor = (values * counts).sum() / torch.clamp(counts.sum(), min=1e-6)
    return total
