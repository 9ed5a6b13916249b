"""What a head's numbers mean: displacements alone, or a mixture of hypotheses."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model.prediction.mixture import Mixture

PIXELS = 8.0
"""Pixels of the network's image for an answer of 1: about what things move by."""

STAY_SCALES = tuple(0.03 * 1000 ** (step / 10) for step in range(11))
LENGTHS = (4.0, 8.0, 16.0, 32.0)
DIRECTIONS = 12
"""Of `BinsOutput`: scales and lengths in pixels of the network's image."""
RING_SCALE = 0.3
"""Of a length: the Laplace scale of what moves by it, half of the way to the next length or direction."""

_ROUNDS, _LEAST = 100, 1e-3
_SMALLEST_LOG_SCALE, _LARGEST_LOG_SCALE = -3.5, 5.0  # of Laplace scales in pixels: 0.03 to 150


class Output(Protocol):
    """How a head's numbers are read.

    Made of the number of positions T.
    numbers: that the head gives for each point. hypotheses: K of the mixture that is read from them.
    parameter: the name of a learned tensor that reading needs.
    """

    numbers: int
    hypotheses: int
    parameter: str

    def __init__(self, steps: int) -> None: ...

    def initial(self) -> Tensor:
        """Return the parameter that training begins with."""

    def read(self, raw: Tensor, parameter: Tensor) -> Mixture:
        """Read a head's numbers, float32 `[B, P, numbers]`; the mixture is in pixels."""


class PlainOutput:
    """One displacement for each of T positions, with a log scale `[T]` that all points and images share."""

    parameter = "log_spread"
    hypotheses = 1

    def __init__(self, steps: int) -> None:
        self.steps, self.numbers = steps, 2 * steps

    def initial(self) -> Tensor:
        """See `Output`."""
        return torch.zeros(self.steps)

    def read(self, raw: Tensor, parameter: Tensor) -> Mixture:
        """See `Output`."""
        displacement = PIXELS * raw.view(*raw.shape[:2], 1, self.steps, 2)
        log_scale = parameter.clamp(_SMALLEST_LOG_SCALE, _LARGEST_LOG_SCALE)
        return Mixture(
            displacement,
            log_scale.expand(*displacement.shape[:-1]),
            displacement.new_zeros(displacement.shape[:3]),
        )


class BinsOutput:
    """Weights of fixed displacements: it stays, or it moves in one of 12 directions by one of 4 lengths.

    What stays is told by several zero-centred scales, since no track is exact. Only the weights are learned,
    so the worst that a picture can do is to choose wrongly among what points in general do. Paths are
    straight and steady; the first direction is to the right.
    The learned tensor `[K]` is added to the logarithms of the weights.
    """

    parameter = "log_prior"

    def __init__(self, steps: int) -> None:
        self.steps = steps
        angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
        ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ends = np.concatenate([np.zeros((len(STAY_SCALES), 2)), *(length * ring for length in LENGTHS)])
        scales = [*STAY_SCALES, *np.repeat([RING_SCALE * length for length in LENGTHS], DIRECTIONS)]
        pace = np.arange(1, steps + 1)[:, None] / steps
        self._displacement = torch.from_numpy(ends[:, None] * pace).float()
        self._log_scale = torch.from_numpy(np.log(np.outer(scales, pace[:, 0]))).float()
        self.hypotheses = self.numbers = len(ends)

    def initial(self) -> Tensor:
        """See `Output`."""
        return torch.zeros(self.hypotheses)

    def fitted(self, truth: Tensor, counts: Tensor) -> Tensor:
        """Return the parameter that fits displacements best without a picture, by expectation maximisation.

        truth: `[P, T, 2]`, pixels. counts: `[P, T]`, the weight of each position.
        """
        even = Mixture(self._displacement, self._log_scale, torch.zeros(self.hypotheses))
        likelihood = even.each_log_likelihood(truth[None], counts[None])[0]
        importance = counts.mean(dim=1, keepdim=True)
        log_weight = torch.zeros(self.hypotheses)
        for _ in range(_ROUNDS):
            share = (likelihood + log_weight).softmax(dim=1)
            log_weight = (share * importance).sum(dim=0).clamp(min=_LEAST).log().log_softmax(dim=0)
        return log_weight

    def read(self, raw: Tensor, parameter: Tensor) -> Mixture:
        """See `Output`."""
        shape = (*raw.shape[:2], self.hypotheses, self.steps)
        return Mixture(
            self._displacement.to(raw).expand(*shape, 2),
            self._log_scale.to(raw).expand(shape),
            (raw + parameter).log_softmax(dim=2),
        )
