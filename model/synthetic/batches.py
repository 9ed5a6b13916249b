"""Synthetic clips with exact trajectories and visibility, made in batches on the CPU or a GPU.

A clip is a stack of layers, each a picture on a surface of its own that moves smoothly and bends. Where a
pixel of a frame lies on each surface is known in closed form (`model.synthetic.warps`), so the frames
are sampled, the trajectories are exact, and what covers what follows from the layers' order.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from model.motion.tracks import Method, Tracks
from model.synthetic.photometric import degrade
from model.synthetic.scene import Scene, SyntheticSettings, draw_scene
from model.synthetic.textures import TextureBank

BLUR_SAMPLES = 3


@dataclass(frozen=True)
class SyntheticClips:
    """A batch of clips with their truth, on one device.

    frames: uint8 `[B, T, 3, H, W]`, RGB.
    trajectories: float32 `[B, T, N, 2]`, (x, y) in pixels; frame 0 holds the query points.
    visibility: bool `[B, T, N]`: in the frame and more than half uncovered. All are visible in frame 0.
    """

    frames: Tensor
    trajectories: Tensor
    visibility: Tensor

    @property
    def in_frame(self) -> Tensor:
        """Bool `[B, T, N]`: the points within the frame, covered or not."""
        return _in_frame(self.trajectories, *self.frames.shape[-2:])

    def pictures(self, index: int) -> NDArray[np.uint8]:
        """Return the frames of one clip, uint8 `[T, H, W, 3]`."""
        return self.frames[index].permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def truth(self, index: int, seed: int, fps: float = 0.0, grid: tuple[int, int] | None = None) -> Tracks:
        """Return the true tracks of one clip; visibility is 1 or 0. seed: what the clip was made from."""
        length, _, height, width = self.frames[index].shape
        return Tracks(
            points=self.trajectories[index].cpu().numpy(),
            visibility=self.visibility[index].cpu().numpy().astype(np.float32),
            frames=np.arange(length, dtype=np.int32),
            size=(height, width),
            fps=fps,
            grid=grid,
            method=Method("truth", settings={"seed": seed}),
        )


def synthesize(
    seed: int,
    count: int,
    settings: SyntheticSettings,
    bank: TextureBank,
    queries: Tensor | None = None,
) -> SyntheticClips:
    """Make a batch of clips on the bank's device.

    seed: the same seed, settings and bank give the same clips (on the same kind of device).
    count: B, how many clips; they share their number of layers.
    queries: float32 `[N, 2]`, the points of frame 0 to follow in every clip, instead of random ones.
    """
    generator = torch.Generator().manual_seed(seed)
    times = _frame_times(generator, count, settings)
    has_blur = float(torch.rand(1, generator=generator)) < settings.motion_blur
    shutter = 0.15 + 0.35 * float(torch.rand(1, generator=generator)) if has_blur else 0.0
    offsets = torch.linspace(-shutter / 2, shutter / 2, BLUR_SAMPLES if has_blur else 1, dtype=torch.float64)
    scene = draw_scene(generator, (times[..., None] + offsets).flatten(1), settings, bank)
    moments = _render(scene, settings)
    frames = moments.view(count, settings.frames, len(offsets), *moments.shape[2:]).mean(dim=2)
    if settings.photometric:
        frames = degrade(generator, frames)

    exact = replace(scene, motion=scene.motion.at(slice(len(offsets) // 2, None, len(offsets))))
    trajectories, visibility = _points(generator, exact, settings, queries)
    return SyntheticClips((frames * 255).round().byte(), trajectories, visibility)


def _frame_times(generator: Generator, count: int, settings: SyntheticSettings) -> Tensor:
    """When each frame was taken: float64 `[B, T]`, in frames; some clips repeat or skip a few."""
    steps = torch.ones(count, settings.frames - 1, dtype=torch.float64)
    change = torch.rand(steps.shape, generator=generator)
    dropped = torch.where(change < 0.15, 0.0, torch.where(change > 0.85, 2.0, 1.0)).double()
    drops = torch.rand(count, 1, generator=generator) < settings.frame_drops
    return settings.time_step * F.pad(torch.where(drops, dropped, steps).cumsum(dim=1), (1, 0))


def _render(scene: Scene, settings: SyntheticSettings) -> Tensor:
    """Lay the layers over each other: float32 `[B, T, 3, H, W]` in [0, 1]."""
    motion = scene.motion
    device = motion.bend.device
    count, layers, length = motion.bend.shape[:3]
    height, width = settings.height, settings.width
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    pixels = torch.stack([x.flatten(), y.flatten()], dim=1).float()
    basis = motion.spline.basis(pixels)  # [H W, K]
    ones = torch.ones(len(pixels), 1, device=device)
    homogeneous = torch.cat([pixels, ones], dim=1)

    def positions(layer: int) -> Tensor:
        straight = homogeneous @ motion.to_surface[:, layer].mT  # [B, T, H W, 3]
        bent = straight[..., :2] / straight[..., 2:] + basis @ motion.bend[:, layer]
        return bent.view(count, length * height, width, 2)

    image = _sampled(scene.background, positions(0), "reflection")
    for layer in range(1, layers):
        above = _sampled(scene.objects[:, layer - 1], positions(layer), "zeros")
        image = above[:, :3] + (1 - above[:, 3:]) * image
    return image.view(count, 3, length, height, width).transpose(1, 2)


def _sampled(pictures: Tensor, positions: Tensor, padding: str) -> Tensor:
    """Sample `[B, C, S, S]` bilinearly at positions `[B, h, w, 2]` in its pixels: `[B, C, h, w]`."""
    normalised = (2 * positions + 1) / pictures.shape[-1] - 1
    return F.grid_sample(pictures, normalised, padding_mode=padding, align_corners=False)


@dataclass(frozen=True)
class _Followed:
    """Points through a batch: trajectories `[B, T, M, 2]`, bool visible `[B, T, M]`.

    layer: int64 `[B, M]`, what each is on. share: `[B, M]`, how much of the first frame's colour is its own.
    """

    trajectories: Tensor
    visible: Tensor
    layer: Tensor
    share: Tensor


def _points(
    generator: Generator, scene: Scene, settings: SyntheticSettings, queries: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Choose query points and follow them: trajectories `[B, T, N, 2]` and visibility `[B, T, N]`."""
    device = scene.background.device
    count = len(scene.background)
    if queries is not None:
        given = _follow(scene, queries.to(device).expand(count, -1, -1), settings)
        return given.trajectories, given.visible
    size = torch.tensor([settings.width - 1, settings.height - 1])
    candidates = torch.rand(count, 4 * settings.points, 2, generator=generator) * size
    followed = _follow(scene, candidates.to(device), settings)
    index = _chosen(generator, followed, settings)
    wide = index[:, None].expand(-1, settings.frames, -1)
    return (
        followed.trajectories.gather(2, wide[..., None].expand(-1, -1, -1, 2)),
        followed.visible.gather(2, wide),
    )


def _chosen(generator: Generator, followed: _Followed, settings: SyntheticSettings) -> Tensor:
    """Choose among candidates: int64 `[B, N]`. Those on a soft edge of the first frame come last."""
    weight = followed.visible[:, 0].double()
    if settings.favour_hard:
        inside = _in_frame(followed.trajectories, settings.height, settings.width)
        is_covered = (inside & ~followed.visible).any(dim=1)
        weight = weight * (1 + 1.5 * (followed.layer > 0) + 2.0 * is_covered + (followed.share < 0.98))
    index = torch.multinomial((weight + 1e-9).cpu(), settings.points, generator=generator)
    return index.to(weight.device)


def _follow(scene: Scene, queries: Tensor, settings: SyntheticSettings) -> _Followed:
    """Follow the points `[B, M, 2]` of the first frame; each belongs to the layer that is seen there."""
    at_first = replace(scene, motion=scene.motion.at(slice(0, 1)))
    alphas = _alphas(at_first, queries[:, None])[:, :, 0]
    share, layer = (alphas * _light_through(alphas)).max(dim=1)
    on_surface = torch.stack(
        [at_first.motion.surface_points(index, queries[:, None])[:, 0] for index in range(alphas.shape[1])],
        dim=2,
    )  # [B, M, L, 2]
    own_surface = on_surface.gather(2, layer[..., None, None].expand(-1, -1, 1, 2))[:, :, 0]
    trajectories = scene.motion.frame_points(own_surface, layer)

    alphas = _alphas(scene, trajectories)  # [B, L, T, M]
    through = _light_through(alphas).gather(1, layer[:, None, None].expand(-1, 1, alphas.shape[2], -1))[:, 0]
    own = alphas[:, :, 0].gather(1, layer[:, None])[:, 0]  # does not change: the point stays on its surface
    visible = (through * own[:, None] > 0.5) & _in_frame(trajectories, settings.height, settings.width)
    return _Followed(trajectories, visible, layer, share)


def _alphas(scene: Scene, points: Tensor) -> Tensor:
    """How opaque each layer is at points `[B, T, M, 2]` of the frames: `[B, L, T, M]`."""
    layers = [torch.ones(points.shape[:3], device=points.device)]
    for index in range(scene.objects.shape[1]):
        positions = scene.motion.surface_points(index + 1, points)
        layers.append(_sampled(scene.objects[:, index, 3:], positions, "zeros")[:, 0])
    return torch.stack(layers, dim=1)


def _light_through(alphas: Tensor) -> Tensor:
    """The share of each layer `[B, L, ...]` that the layers before it leave uncovered."""
    clear = (1 - alphas).flip(1).cumprod(dim=1).flip(1)  # of this layer and all before it
    return torch.cat([clear[:, 1:], torch.ones_like(clear[:, :1])], dim=1)


def _in_frame(points: Tensor, height: int, width: int) -> Tensor:
    x, y = points.unbind(-1)
    return (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
