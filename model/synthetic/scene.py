"""The pictures of synthetic clips and how they move, drawn at random."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from model.synthetic.textures import CANVAS_SIDE, SURFACE_SIDE, TextureBank
from model.synthetic.warps import Motion, Spline, linear_maps, smooth_paths, translations

KNOT_ROWS, KNOT_COLUMNS = 4, 5
_REFERENCE_HEIGHT = 192  # of the frames that lengths are stated for


@dataclass(frozen=True)
class SyntheticSettings:
    """What clips to make.

    height, width: of the frames in pixels. frames: of a clip. points: tracked in each clip.
    time_step: between frames, in units of the motion's own time; below 1 for long and slow clips.
    layers: fewest and most, the background included. speed: multiplies all motion; at 1 points move by a few
    pixels a frame in frames of 192×256, and in proportion in larger ones.
    photometric: whether light, focus and noise change. motion_blur: share of the batches that have it.
    frame_drops: share of the clips with dropped and repeated frames.
    favour_hard: choose more query points on objects, near edges, and where they will be covered; otherwise
    they are uniform over the first frame.
    """

    height: int = 192
    width: int = 256
    frames: int = 8
    points: int = 64
    time_step: float = 1.0
    layers: tuple[int, int] = (2, 8)
    speed: float = 1.0
    photometric: bool = True
    motion_blur: float = 0.2
    frame_drops: float = 0.25
    favour_hard: bool = False


@dataclass(frozen=True)
class Scene:
    """Pictures and motion of a batch.

    background: `[B, 3, S, S]` in [0, 1]. objects: `[B, L - 1, 4, C, C]`, alpha premultiplied, back to front.
    """

    background: Tensor
    objects: Tensor
    motion: Motion


class _Random:
    """Random numbers for a batch of clips with frames at `times`, float64 `[B, T]`."""

    def __init__(self, generator: Generator, times: Tensor) -> None:
        self.generator, self.times = generator, times

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw float64 between `low` and `high`."""
        return low + (high - low) * torch.rand(*shape, generator=self.generator, dtype=torch.float64)

    def choice(self, values: list[float], shares: list[float], shape: tuple[int, ...]) -> Tensor:
        """Draw from `values` with probabilities `shares`, float64."""
        index = torch.multinomial(
            torch.tensor(shares), math.prod(shape), replacement=True, generator=self.generator
        )
        return torch.tensor(values, dtype=torch.float64)[index].view(shape)

    def path(self, scale: Tensor) -> Tensor:
        """Draw smooth paths of about `scale` `[B, ...]` a frame: `[B, ..., T]`."""
        return smooth_paths(self.generator, tuple(scale.shape), self.times) * scale[..., None]


@dataclass(frozen=True)
class _Layout:
    """How a batch's layers lie in the resting frame; float64 `[B, L]` and more.

    centre: `[B, L, 2]`, in pixels. zoom: surface pixels for a frame's pixel. turn: in radians.
    is_part: bool, moves with the layer behind it, turning about a joint.
    """

    centre: Tensor
    zoom: Tensor
    turn: Tensor
    is_part: Tensor

    @classmethod
    def draw(cls, rng: _Random, layers: int, settings: SyntheticSettings) -> "_Layout":
        """Scatter the layers; the parts are moved to their joints later."""
        shape = (len(rng.times), layers)
        scale = _REFERENCE_HEIGHT / settings.height
        centre = rng.uniform(*shape, 2, low=-0.05, high=1.05) * torch.tensor(
            [settings.width, settings.height], dtype=torch.float64
        )
        zoom = rng.uniform(*shape, low=math.log(0.65), high=math.log(1.9)).exp() * scale
        zoom[:, 0] = rng.uniform(len(rng.times), low=0.55, high=1.0) * scale
        turn = rng.uniform(*shape, low=-math.pi, high=math.pi)
        is_part = rng.uniform(*shape) < 0.3
        is_part[:, :2] = False
        return cls(centre, zoom, turn, is_part)


def draw_scene(generator: Generator, times: Tensor, settings: SyntheticSettings, bank: TextureBank) -> Scene:
    """Draw the layers of a batch of clips and their motion.

    generator: on the CPU. times: float64 `[B, T]`, when each frame is taken, in frames.
    """
    fewest, most = settings.layers
    layers = int(torch.randint(fewest, most + 1, (1,), generator=generator))
    rng = _Random(generator, times)
    layout = _Layout.draw(rng, layers, settings)
    own = _own_motion(rng, layout, settings)
    camera = _camera_motion(rng, settings)
    paint = _painting(layout, rng.uniform(len(times), 2, low=0.3, high=0.7))
    to_frame = camera[:, None] @ own @ torch.linalg.inv(paint)[:, :, None]
    bend = _bends(rng, layout.zoom, settings)

    device = bank.surfaces.device
    motion = Motion(
        torch.linalg.inv(to_frame).float().to(device),
        to_frame.float().to(device),
        bend.permute(0, 1, 4, 2, 3).float().to(device),
        Spline.over(settings.height, settings.width, KNOT_ROWS, KNOT_COLUMNS, device),
    )
    background, objects = _pictures(generator, layout.is_part, bank)
    return Scene(background, objects, motion)


def _unit(settings: SyntheticSettings) -> float:
    """Pixels a frame of a medium motion."""
    return settings.speed * settings.height / _REFERENCE_HEIGHT


def _own_motion(rng: _Random, layout: _Layout, settings: SyntheticSettings) -> Tensor:
    """From the resting frame to each frame, the camera left out: float64 `[B, L, T, 3, 3]`.

    Moves the parts of `layout` to their joints.
    """
    shape = (len(rng.times), layout.zoom.shape[1])
    pace = _unit(settings) * rng.choice([0.0, 0.5, 1.5, 4.0, 9.0], [0.15, 0.25, 0.3, 0.2, 0.1], shape)
    pace[:, 0] *= 0.3
    agility = settings.speed * rng.choice([0.0, 0.4, 1.0, 2.5], [0.2, 0.4, 0.3, 0.1], shape)
    rates = (0.02, 0.01, 0.006, 0.006, 1e-5, 1e-5)
    own = _moved_about(
        layout.centre,
        rng.path(pace),
        rng.path(pace),
        linear_maps(*(rng.path(rate * agility) for rate in rates)),
    )
    for layer in range(2, shape[1]):
        _join(rng, layout, own, layer, settings)
    return own


def _join(rng: _Random, layout: _Layout, own: Tensor, layer: int, settings: SyntheticSettings) -> None:
    """Where a layer is a part, let it swing about a joint on the layer behind it."""
    count = len(rng.times)
    scale = settings.height / _REFERENCE_HEIGHT
    part = layout.is_part[:, layer]
    joint = layout.centre[:, layer - 1] + rng.uniform(count, 2, low=-35, high=35) * scale
    swing = rng.path(settings.speed * rng.uniform(count, low=0.02, high=0.12))
    still = torch.zeros_like(swing)
    turned = _moved_about(joint, still, still, linear_maps(swing, still, still, still, still, still))
    own[:, layer] = torch.where(part[:, None, None, None], own[:, layer - 1] @ turned, own[:, layer])
    near = joint + rng.uniform(count, 2, low=-18, high=18) * scale
    layout.centre[:, layer] = torch.where(part[:, None], near, layout.centre[:, layer])
    layout.zoom[:, layer] = torch.where(part, layout.zoom[:, layer - 1], layout.zoom[:, layer])


def _camera_motion(rng: _Random, settings: SyntheticSettings) -> Tensor:
    """What the camera's motion does to all layers: float64 `[B, T, 3, 3]`."""
    shape = (len(rng.times),)
    pace = _unit(settings) * rng.choice([0.0, 0.4, 1.2, 3.0, 8.0], [0.2, 0.25, 0.25, 0.15, 0.15], shape)
    shake = settings.speed * rng.choice([0.0, 1.0, 2.0], [0.3, 0.5, 0.2], shape)
    rates = (0.006, 0.008, 0.001, 0.001, 1e-5, 1e-5)
    middle = torch.tensor([settings.width / 2, settings.height / 2], dtype=torch.float64)
    return _moved_about(
        middle.expand(*shape, 2),
        rng.path(pace),
        rng.path(pace),
        linear_maps(*(rng.path(rate * shake) for rate in rates)),
    )


def _bends(rng: _Random, zoom: Tensor, settings: SyntheticSettings) -> Tensor:
    """The splines' values at their knots: float64 `[B, L, K, 2, T]`, in pixels of the surfaces."""
    knots = KNOT_ROWS * KNOT_COLUMNS
    softness = rng.choice([0.0, 0.1, 0.3, 0.6], [0.35, 0.25, 0.25, 0.15], tuple(zoom.shape))
    bend = rng.path((_unit(settings) * softness)[..., None, None].expand(*zoom.shape, knots, 2))
    # Stronger ones could fold a surface over, and the way back to the frame would not be unique.
    most = 6 * settings.height / _REFERENCE_HEIGHT
    return bend.clamp(-most, most) * zoom[..., None, None, None]


def _moved_about(centre: Tensor, x: Tensor, y: Tensor, linear: Tensor) -> Tensor:
    """Apply `linear` `[..., T, 3, 3]` about `centre` `[..., 2]`, then move by (x, y) `[..., T]`."""
    cx, cy = centre[..., :1].expand_as(x), centre[..., 1:].expand_as(x)
    return translations(cx + x, cy + y) @ linear @ translations(-cx, -cy)


def _painting(layout: _Layout, window: Tensor) -> Tensor:
    """Where the resting frame's pixels lie on each surface: float64 `[B, L, 3, 3]`.

    An object's centre lies in the middle of its canvas, the background's somewhere on its surface.
    """
    centre = layout.centre
    zero = torch.zeros_like(layout.zoom)
    middle = torch.full_like(centre, (CANVAS_SIDE - 1) / 2)
    middle[:, 0] = window * SURFACE_SIDE
    linear = linear_maps(layout.turn, layout.zoom.log(), zero, zero, zero, zero)
    return (
        translations(middle[..., 0], middle[..., 1]) @ linear @ translations(-centre[..., 0], -centre[..., 1])
    )


def _pictures(generator: Generator, is_part: Tensor, bank: TextureBank) -> tuple[Tensor, Tensor]:
    """Choose and recolour the layers' pictures; see `Scene`. A part is painted like the layer behind it."""
    count, layers = is_part.shape
    surfaces = torch.randint(len(bank.surfaces), (count, layers), generator=generator)
    for layer in range(2, layers):
        surfaces[:, layer] = torch.where(is_part[:, layer], surfaces[:, layer - 1], surfaces[:, layer])
    device = bank.surfaces.device
    background = _recoloured(generator, bank.surfaces[surfaces[:, 0].to(device)].float() / 255)

    shape = (layers - 1, count, 4, CANVAS_SIDE, CANVAS_SIDE)
    objects = torch.zeros(shape, device=device)
    for layer in range(1, layers):
        for clip in range(count):
            is_cutout = len(bank.cutouts) > 0 and float(torch.rand(1, generator=generator)) < 0.4
            if is_cutout and not is_part[clip, layer]:
                index = int(torch.randint(len(bank.cutouts), (1,), generator=generator))
                picture = bank.cutouts[index].float() / 255
            else:
                index = int(torch.randint(len(bank.shapes), (1,), generator=generator))
                top, left = torch.randint(SURFACE_SIDE - CANVAS_SIDE, (2,), generator=generator).tolist()
                crop = bank.surfaces[
                    surfaces[clip, layer], :, top : top + CANVAS_SIDE, left : left + CANVAS_SIDE
                ]
                picture = torch.cat([crop, bank.shapes[index][None]]).float() / 255
            colour, alpha = _recoloured(generator, picture[None, :3])[0], picture[3:]
            objects[layer - 1, clip] = torch.cat([colour * alpha, alpha])
    return background, objects.transpose(0, 1)


def _recoloured(generator: Generator, pictures: Tensor) -> Tensor:
    """Swap and scale the colour channels of `[B, 3, H, W]` at random."""
    order = torch.randperm(3, generator=generator)
    gain = 0.6 + 0.7 * torch.rand(len(pictures), 3, 1, 1, generator=generator)
    offset = 0.2 * torch.rand(len(pictures), 1, 1, 1, generator=generator) - 0.05
    return (pictures[:, order] * gain.to(pictures.device) + offset.to(pictures.device)).clamp(0, 1)
