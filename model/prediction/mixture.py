"""Mixtures of Laplace distributions over displacements: what a predictor answers."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_HALVINGS = 40
_MEDIAN_ROUNDS = 32
_PLACES = 16
_STILL = 1e-3  # pixels

_MEAN_LENGTH = 1 + math.asinh(1) / math.sqrt(2)
"""1.623 scales: how far from a hypothesis the truth is on average, the mean length of two Laplaces."""


class Mixture(NamedTuple):
    """K hypotheses for each of P points of B images, over T positions after the query.

    displacement: float32 `[B, P, K, T, 2]`, from the query, in pixels.
    log_scale: float32 `[B, P, K, T]`, the logarithm of the Laplace scale of both axes, in pixels.
    log_weight: float32 `[B, P, K]`, logarithms of weights that sum to 1.
    """

    displacement: Tensor
    log_scale: Tensor
    log_weight: Tensor

    @property
    def weight(self) -> Tensor:
        """Float32 `[B, P, K]`, each point's weights sum to 1."""
        return self.log_weight.exp()

    def best(self) -> Tensor:
        """Return the displacement of the hypothesis with the largest weight: `[B, P, T, 2]`."""
        index = self.log_weight.argmax(dim=2)[:, :, None, None, None]
        return self.displacement.gather(2, index.expand(-1, -1, 1, *self.displacement.shape[3:]))[:, :, 0]

    def answer(self) -> Tensor:
        """Return the single answer, `[B, P, T, 2]`: the one hypothesis, or the median of several."""
        return self.displacement[:, :, 0] if self.displacement.shape[2] == 1 else self.median()

    def expected_distances(self, answer: Tensor) -> Tensor:
        """Return how far from an answer `[B, P, T, 2]` the truth is by each hypothesis, px: `[B, P, K, T]`.

        Of a hypothesis with the scale b at a distance d it is sqrt(d² + (1.623 b)²): right at d = 0 and far
        away, at most 1.6 % too large between.
        """
        away = torch.linalg.vector_norm(self.displacement - answer[:, :, None], dim=-1)
        return torch.hypot(away, _MEAN_LENGTH * self.log_scale.exp())

    def median(self) -> Tensor:
        """Return in each frame the answer from which the truth is least far on average: `[B, P, T, 2]`.

        A geometric median of the hypotheses, in which an unsure one has less of a say (Weiszfeld 1937).
        """
        weight = self.weight[..., None]
        guess = (weight[..., None] * self.displacement).sum(dim=2)
        for _ in range(_MEDIAN_ROUNDS):
            pull = (weight / self.expected_distances(guess).clamp(min=1e-3))[..., None]
            guess = (pull * self.displacement).sum(dim=2) / pull.sum(dim=2)
        return guess

    def widened(self, factor: Tensor | float) -> "Mixture":
        """Return the mixture with all scales multiplied; factor: a number, or `[T]`."""
        return self._replace(log_scale=self.log_scale + torch.as_tensor(factor).log().to(self.log_scale))

    def tempered(self, temperature: Tensor | float, moving_bias: Tensor | float = 0.0) -> "Mixture":
        """Return the mixture with weights softmax(log w / temperature + moving_bias · [it moves]).

        temperature: above 1 it is less sure of everything. moving_bias: above 0 it is surer that points move;
        added where the last displacement is not 0.
        """
        moves = torch.linalg.vector_norm(self.displacement[..., -1, :], dim=-1) > _STILL
        return self._replace(
            log_weight=(self.log_weight / temperature + moving_bias * moves).log_softmax(dim=2)
        )

    def mixed(self, other: "Mixture", share: float) -> "Mixture":
        """Return all hypotheses of two mixtures, of which the other one's get `share` of the weight.

        share: above 0 and below 1.
        """
        return Mixture(
            torch.cat([self.displacement, other.displacement], dim=2),
            torch.cat([self.log_scale, other.log_scale], dim=2),
            torch.cat([self.log_weight + math.log1p(-share), other.log_weight + math.log(share)], dim=2),
        )

    def mirrored(self) -> "Mixture":
        """Return the mixture with x reversed."""
        return self._replace(displacement=self.displacement * self.displacement.new_tensor([-1.0, 1.0]))

    def moving(self, length: float) -> Tensor:
        """Return the probability that the last displacement is longer than `length` pixels: `[B, P]`.

        By 256 equally likely places of each hypothesis: exact to about 0.005.
        """
        rank = (torch.arange(_PLACES, device=self.log_scale.device) + 0.5) / _PLACES
        offset = torch.sign(rank - 0.5) * -torch.log(1 - (2 * rank - 1).abs())
        offsets = torch.cartesian_prod(offset, offset).to(self.log_scale)
        places = self.displacement[..., -1, None, :] + self.log_scale[..., -1, None, None].exp() * offsets
        is_beyond = torch.linalg.vector_norm(places, dim=-1) > length
        share = is_beyond.to(self.weight).mean(dim=-1)
        moving: Tensor = (self.weight * share).sum(dim=2)
        return moving

    def direction(self) -> Tensor:
        """Return the expected unit vector of the hypotheses' last displacements: `[B, P, 2]`.

        Its length, 0 to 1, says how much they agree; one that stays has no direction.
        """
        last = self.displacement[..., -1, :]
        unit = last / torch.linalg.vector_norm(last, dim=-1, keepdim=True).clamp(min=1e-6)
        expected: Tensor = (self.weight[..., None] * unit).sum(dim=2)
        return expected

    def by_direction(self, directions: int) -> "Mixture":
        """Return one hypothesis for what stays and one for each direction, with the weight of all alike.

        directions: how many, the first to the right; a hypothesis belongs to the nearest. Displacements and
        log scales are means by weight.
        """
        last = self.displacement[..., -1, :]
        turn = torch.atan2(last[..., 1], last[..., 0]) * (directions / (2 * math.pi))
        is_still = torch.linalg.vector_norm(last, dim=-1) < _STILL
        kind = torch.where(is_still, 0, 1 + turn.round().long() % directions)
        belongs = F.one_hot(kind, directions + 1).to(self.log_weight) * self.weight[..., None]
        weight = belongs.sum(dim=2)
        share = belongs / weight.clamp(min=1e-12)[:, :, None]
        return Mixture(
            torch.einsum("bpkg,bpktc->bpgtc", share, self.displacement),
            torch.einsum("bpkg,bpkt->bpgt", share, self.log_scale),
            weight.clamp(min=1e-12).log(),
        )

    def quantile(self, share: float) -> Tensor:
        """Return the value below which each coordinate lies with a probability: `[B, P, T, 2]`.

        share: above 0 and below 1. By bisection, to about 1e-6 of the mixture's extent.
        """
        scale = self.log_scale.exp()[..., None]
        # In a Laplace distribution the tail beyond d scales holds exp(-d) / 2.
        reach = scale * (1 + abs(math.log(2 * min(share, 1 - share))))
        low = (self.displacement - reach).amin(dim=2)
        high = (self.displacement + reach).amax(dim=2)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_below = self.cumulative(middle) < share
            low = torch.where(is_below, middle, low)
            high = torch.where(is_below, high, middle)
        return (low + high) / 2

    def cumulative(self, values: Tensor) -> Tensor:
        """Return the probability that each coordinate is below `values` `[B, P, T, 2]`, same shape."""
        offset = (values[:, :, None] - self.displacement) / self.log_scale.exp()[..., None]
        tail = 0.5 * torch.exp(-offset.abs())
        each = torch.where(offset < 0, tail, 1 - tail)
        return (self.weight[..., None, None] * each).sum(dim=2)

    def log_likelihood(self, truth: Tensor, counts: Tensor) -> Tensor:
        """Return the log likelihood of true displacements for each point: `[B, P]`.

        Positions of one trajectory are far from independent, so a hypothesis is scored by the mean over the
        frames that count, not the sum.
        truth: `[B, P, T, 2]`. counts: `[B, P, T]`, the weight of each frame; a point without any gives 0.
        """
        mean = self.each_log_likelihood(truth, counts)
        return torch.logsumexp(self.log_weight + mean, dim=2) * (counts.sum(dim=-1) > 0)

    def each_log_likelihood(self, truth: Tensor, counts: Tensor) -> Tensor:
        """Return the same of each hypothesis alone, whatever its weight: `[B, P, K]`."""
        offset = (truth[:, :, None] - self.displacement).abs().sum(dim=-1)
        each = -offset * (-self.log_scale).exp() - 2 * (self.log_scale + math.log(2.0))
        total = counts.sum(dim=-1).clamp(min=1e-6)
        mean: Tensor = (each * counts[:, :, None]).sum(dim=-1) / total[..., None]
        return mean
