"""What a head's numbers mean: displacements alone, or a mixture of hypotheses."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model.prediction.mixture import Mixture

PIXELS = 8.0
"""Pixels of the network's image for an answer of 1: about what things move by."""

_SMALLEST_LOG_SCALE, _LARGEST_LOG_SCALE = -3.5, 5.0  # of Laplace scales in pixels: 0.03 to 150


class Output(Protocol):
    """How a head's numbers are read.

    Made of the number of positions T and of the config's modes.
    numbers: that the head gives for each point. hypotheses: K of the mixture that is read from them.
    parameter: the name of a learned tensor that reading needs.
    """

    numbers: int
    hypotheses: int
    parameter: str

    def __init__(self, steps: int, modes: int) -> None: ...

    def initial(self) -> Tensor:
        """Return the parameter that training begins with."""

    def read(self, raw: Tensor, parameter: Tensor) -> tuple[Mixture, Tensor | None]:
        """Read a head's numbers, float32 `[B, P, numbers]`.

        Returns the mixture, in pixels, and the expected unit vector of the motion, `[B, P, 2]` or None.
        """


class PlainOutput:
    """One displacement for each of T positions, with a log scale `[T]` that all points and images share."""

    parameter = "log_spread"
    hypotheses = 1

    def __init__(self, steps: int, modes: int) -> None:
        del modes
        self.steps, self.numbers = steps, 2 * steps

    def initial(self) -> Tensor:
        """See `Output`."""
        return torch.zeros(self.steps)

    def read(self, raw: Tensor, parameter: Tensor) -> tuple[Mixture, None]:
        """See `Output`."""
        displacement = PIXELS * raw.view(*raw.shape[:2], 1, self.steps, 2)
        log_scale = parameter.clamp(_SMALLEST_LOG_SCALE, _LARGEST_LOG_SCALE)
        return Mixture(
            displacement,
            log_scale.expand(*displacement.shape[:-1]),
            displacement.new_zeros(displacement.shape[:3]),
        ), None


class MixtureOutput:
    """K hypotheses, each with displacements, scales and a weight, and the direction of the motion.

    The learned tensor `[K, T, 2]` is added to the displacements; it begins as a fan of directions.
    """

    parameter = "spread_out"

    def __init__(self, steps: int, modes: int) -> None:
        self.steps, self.hypotheses = steps, modes
        self.numbers = modes * (3 * steps + 1) + 2

    def initial(self) -> Tensor:
        """Paths in all directions at a steady pace, 1 long."""
        angles = 2 * np.pi * np.arange(self.hypotheses) / self.hypotheses
        ends = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], axis=1)).float()
        if self.hypotheses == 1:
            ends = torch.zeros(1, 2)
        return ends[:, None] * (torch.arange(1, self.steps + 1) / self.steps)[:, None]

    def read(self, raw: Tensor, parameter: Tensor) -> tuple[Mixture, Tensor]:
        """See `Output`."""
        each = self.hypotheses * self.steps
        places, scales, weights, direction = raw.split_with_sizes([2 * each, each, self.hypotheses, 2], dim=2)
        shape = (*raw.shape[:2], self.hypotheses, self.steps)
        log_scale = scales.reshape(shape) + 1.0
        return Mixture(
            PIXELS * (places.reshape(*shape, 2) + parameter),
            log_scale.clamp(_SMALLEST_LOG_SCALE, _LARGEST_LOG_SCALE),
            weights.log_softmax(dim=2),
        ), direction
