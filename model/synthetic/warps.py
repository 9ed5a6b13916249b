"""How the layers of synthetic clips move: smooth paths of homographies, and thin-plate splines on top.

Everything is batched over clips `B` and layers `L`. A layer's motion is given as the map from a frame's
pixels to the layer's own surface, B(x) = A(x) + D(x), with a homography A and a spline D, since rendering
needs it in this direction; points go the other way by iteration.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Spline:
    """A thin-plate spline basis over a frame: displacement = basis(x) @ values at the knots.

    knots: float32 `[K, 2]`, (x, y) in pixels. solve: float32 `[K + 3, K]`.
    """

    knots: Tensor
    solve: Tensor

    @classmethod
    def over(cls, height: int, width: int, rows: int, columns: int, device: torch.device) -> "Spline":
        """Lay knots evenly over a frame, borders included (Bookstein, PAMI 1989)."""
        y, x = torch.meshgrid(
            torch.linspace(0, height - 1, rows, dtype=torch.float64),
            torch.linspace(0, width - 1, columns, dtype=torch.float64),
            indexing="ij",
        )
        knots = torch.stack([x.flatten(), y.flatten()], dim=1)
        count = len(knots)
        system = torch.zeros(count + 3, count + 3, dtype=torch.float64)
        system[:count, :count] = _kernel(knots, knots)
        system[:count, count:] = torch.cat([torch.ones(count, 1, dtype=torch.float64), knots], dim=1)
        system[count:, :count] = system[:count, count:].T
        solve = torch.linalg.inv(system)[:, :count]
        return cls(knots.float().to(device), solve.float().to(device))

    def basis(self, points: Tensor) -> Tensor:
        """Return float32 `[..., K]`: how much each knot's value counts at points `[..., 2]`."""
        kernel = _kernel(points, self.knots)
        ones = torch.ones_like(points[..., :1])
        return torch.cat([kernel, ones, points], dim=-1) @ self.solve


def _kernel(points: Tensor, knots: Tensor) -> Tensor:
    squared = (points[..., None, :] - knots).square().sum(dim=-1)
    return 0.5 * torch.xlogy(squared, squared)  # r² log r


@dataclass(frozen=True)
class Motion:
    """Where the pixels of each frame lie on each layer's surface.

    to_surface, to_frame: float32 `[B, L, T, 3, 3]`, a homography and its inverse, in pixels.
    bend: float32 `[B, L, T, K, 2]`, the spline's values at its knots, in pixels of the surface.
    spline: its basis.
    """

    to_surface: Tensor
    to_frame: Tensor
    bend: Tensor
    spline: Spline

    def at(self, chosen: slice) -> "Motion":
        """Return the motion at some of the frames."""
        return Motion(
            self.to_surface[:, :, chosen], self.to_frame[:, :, chosen], self.bend[:, :, chosen], self.spline
        )

    def surface_points(self, layer: int, points: Tensor) -> Tensor:
        """Map points `[B, T, N, 2]` of each frame to the layer's surface, `[B, T, N, 2]`."""
        straight = project(self.to_surface[:, layer], points)
        return straight + self.spline.basis(points) @ self.bend[:, layer]

    def frame_points(self, on_surface: Tensor, layer: Tensor, iterations: int = 16) -> Tensor:
        """Find where surface points are in each frame, by fixed-point iteration.

        on_surface: `[B, N, 2]`. layer: int64 `[B, N]`, which layer each is on.
        Returns `[B, T, N, 2]`. The spline bends gently, so that 16 iterations leave an error below 1e-3 px.
        """
        clip = torch.arange(len(layer), device=layer.device)[:, None]
        to_frame = self.to_frame[clip, layer].transpose(1, 2)  # [B, T, N, 3, 3]
        bend = self.bend[clip, layer].transpose(1, 2)  # [B, T, N, K, 2]
        target = on_surface[:, None]
        points = project_each(to_frame, target)
        for _ in range(iterations):
            shift = (self.spline.basis(points)[..., None, :] @ bend)[..., 0, :]
            points = project_each(to_frame, target - shift)
        return points


def project(homographies: Tensor, points: Tensor) -> Tensor:
    """Apply `[..., 3, 3]` to points `[..., N, 2]`."""
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ homographies.mT
    return homogeneous[..., :2] / homogeneous[..., 2:]


def project_each(homographies: Tensor, points: Tensor) -> Tensor:
    """Apply `[..., N, 3, 3]` to points `[..., N, 2]`, each its own."""
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
    moved = (homographies @ homogeneous[..., None])[..., 0]
    return moved[..., :2] / moved[..., 2:]


def smooth_paths(generator: Generator, shape: tuple[int, ...], times: Tensor) -> Tensor:
    """Draw random smooth paths that begin at 0 and move about one unit a frame.

    A steady speed, an acceleration and a sway. times: float64 `[B, T]` in frames, or `[T]`.
    shape: begins with B where times has a B. Returns float64 `[*shape, T]`.
    """
    speed, acceleration, sway = torch.randn(3, *shape, 1, generator=generator, dtype=torch.float64).unbind(0)
    rate, phase = torch.rand(2, *shape, 1, generator=generator, dtype=torch.float64).unbind(0)
    if times.ndim == 2:
        times = times.view(len(times), *[1] * (len(shape) - 1), -1)
    rate, phase = 0.2 + 0.7 * rate, 6.283 * phase
    waves = (rate * times + phase).sin() - phase.sin()
    return 0.8 * speed * times + 0.08 * acceleration * times**2 + sway * waves


def translations(x: Tensor, y: Tensor) -> Tensor:
    """Return homographies `[..., 3, 3]`, float64, that move by (x, y)."""
    result = torch.eye(3, dtype=torch.float64).expand(*x.shape, 3, 3).clone()
    result[..., 0, 2], result[..., 1, 2] = x, y
    return result


def linear_maps(
    rotation: Tensor, log_scale: Tensor, shear: Tensor, stretch: Tensor, tilt_x: Tensor, tilt_y: Tensor
) -> Tensor:
    """Return homographies about the origin.

    rotation in radians, log_scale and stretch as logarithms, shear a slope, tilts in 1 / pixels.
    """
    cos, sin, scale = rotation.cos(), rotation.sin(), log_scale.exp()
    result = torch.eye(3, dtype=torch.float64).expand(*rotation.shape, 3, 3).clone()
    result[..., 0, 0], result[..., 0, 1] = scale * stretch.exp() * cos, scale * (shear - sin)
    result[..., 1, 0], result[..., 1, 1] = scale * sin, scale * (-stretch).exp() * cos
    result[..., 2, 0], result[..., 2, 1] = tilt_x, tilt_y
    return result
