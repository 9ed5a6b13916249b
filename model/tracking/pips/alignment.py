"""Aligning small patches of one image with another, up to an affine map and a change of light.

Inverse compositional Gauss-Newton (Baker and Matthews, IJCV 2004): gradients are taken of the first image
once, and each step costs one sampling of the other image. Patches are compared after subtracting their mean
and dividing by their contrast, so that a change of brightness or contrast does not move them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STIFFNESS, RELATIVE_STIFFNESS = 2.0, 0.02
"""What the affine part costs, in squared grey levels and as a share of the patch's own gradients, so that a
flat patch does not turn or stretch."""
DAMPING = 0.5
CONTRAST_FLOOR = 1.0  # grey levels, below which a patch counts as flat
CORRELATION_FLOOR = 4.0  # squared grey levels
LONGEST_STEP = 2.0  # pixels


@dataclass(frozen=True)
class Window:
    """A square window with a Gaussian weight.

    offsets: float32 `[K, 2]`, in pixels from its centre. weights: float32 `[K]`, sum 1. radius: in pixels.
    """

    offsets: Tensor
    weights: Tensor
    radius: int

    @classmethod
    def of(cls, radius: int, spread: float, device: torch.device) -> "Window":
        """Make a window of side 2 * radius + 1 whose weight has the standard deviation `spread`."""
        axis = torch.arange(-radius, radius + 1, device=device, dtype=torch.float32)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        offsets = torch.stack([x.flatten(), y.flatten()], dim=1)
        weights = torch.exp(-offsets.square().sum(dim=1) / (2 * spread**2))
        return cls(offsets, weights / weights.sum(), radius)


@dataclass(frozen=True)
class Aligned:
    """Where patches were found.

    points: float32 `[P, 2]`. linear: float32 `[P, 2, 2]`, how the patch is turned and stretched there.
    correlation: float32 `[P]`, of the normalised patches, -1 to 1.
    """

    points: Tensor
    linear: Tensor
    correlation: Tensor


@dataclass(frozen=True)
class Templates:
    """Patches of an image that are looked for in others; made by `of`."""

    window: Window
    values: Tensor  # [P, K], mean 0
    contrast: Tensor  # [P, 1]
    descent: Tensor  # [P, 6, K], steepest descent images times the weights
    inverse: Tensor  # [P, 6, 6], of the damped Gauss-Newton matrix

    @classmethod
    def of(cls, image: Tensor, points: Tensor, window: Window) -> "Templates":
        """Cut patches around points `[P, 2]` out of an image, float32 `[H, W]`."""
        places = points[:, None] + window.offsets
        values = _sampled(image, places)
        right, down = places.new_tensor([1.0, 0.0]), places.new_tensor([0.0, 1.0])
        slope_x = (_sampled(image, places + right) - _sampled(image, places - right)) / 2
        slope_y = (_sampled(image, places + down) - _sampled(image, places - down)) / 2
        x, y = (window.offsets / window.radius).unbind(1)
        slopes = torch.stack(
            [slope_x, slope_y, slope_x * x, slope_x * y, slope_y * x, slope_y * y], dim=1
        )  # [P, 6, K]
        descent = slopes * window.weights
        # Not as a matrix product, whose rounding depends on a point's place in the batch.
        matrix = (descent[:, :, None] * slopes[:, None]).sum(dim=3)
        stiffness = STIFFNESS + RELATIVE_STIFFNESS * (matrix[:, 0, 0] + matrix[:, 1, 1])
        affine = torch.diag(places.new_tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.0]))
        damped = matrix + stiffness[:, None, None] * affine + DAMPING * torch.eye(6, device=image.device)
        centred, contrast = _normalised(values, window)
        return cls(window, centred, contrast, descent, torch.linalg.inv(damped))

    def find(self, image: Tensor, points: Tensor, linear: Tensor, iterations: int) -> Aligned:
        """Look for the patches in another image, from first guesses on.

        image: float32 `[H, W]`. points: `[P, 2]`. linear: `[P, 2, 2]`.
        """
        target = self.values * (self.contrast / (self.contrast + CONTRAST_FLOOR))
        for _ in range(iterations):
            centred, contrast = self._seen(image, points, linear)
            error = centred * (self.contrast / (contrast + CONTRAST_FLOOR)) - target
            step = (self.inverse @ (self.descent @ error[..., None]))[..., 0]
            step = step.clamp(-LONGEST_STEP, LONGEST_STEP)
            linear = linear @ _undone(step[:, 2:].reshape(-1, 2, 2) / self.window.radius)
            points = points - (linear @ step[:, :2, None])[..., 0]
        centred, contrast = self._seen(image, points, linear)
        product = (centred * self.values * self.window.weights).sum(dim=1)
        correlation = product / (contrast * self.contrast + CORRELATION_FLOOR)[:, 0]
        return Aligned(points, linear, correlation)

    def _seen(self, image: Tensor, points: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
        places = points[:, None] + self.window.offsets @ linear.mT
        return _normalised(_sampled(image, places), self.window)


def _sampled(image: Tensor, places: Tensor) -> Tensor:
    """Sample `[H, W]` bilinearly at `[P, K, 2]`, beyond the border as on it: `[P, K]`."""
    size = places.new_tensor([image.shape[1], image.shape[0]])
    normalised = (2 * places + 1) / size - 1
    return F.grid_sample(image[None, None], normalised[None], padding_mode="border", align_corners=False)[
        0, 0
    ]


def _normalised(values: Tensor, window: Window) -> tuple[Tensor, Tensor]:
    """Values `[P, K]` without their mean, and their contrast `[P, 1]` (standard deviation)."""
    centred = values - (values * window.weights).sum(dim=1, keepdim=True)
    return centred, (centred.square() * window.weights).sum(dim=1, keepdim=True).sqrt()


def _undone(change: Tensor) -> Tensor:
    """Inverse of 1 + change, `[P, 2, 2]`."""
    a, b = 1 + change[:, 0, 0], change[:, 0, 1]
    c, d = change[:, 1, 0], 1 + change[:, 1, 1]
    adjugate = torch.stack([torch.stack([d, -b], dim=1), torch.stack([-c, a], dim=1)], dim=1)
    return adjugate / (a * d - b * c)[:, None, None]
