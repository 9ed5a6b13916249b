"""The pictures of synthetic clips and how they move, drawn at random."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from model.dataset.textures import CANVAS_SIDE, SURFACE_SIDE, TextureBank
from model.dataset.warps import Motion, Spline, linear_maps, smooth_paths, translations

KNOT_ROWS, KNOT_COLUMNS = 4, 5


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


def _choice(generator: Generator, values: list[float], shares: list[float], shape: tuple[int, ...]) -> Tensor:
    """Draw from `values` with probabilities `shares`: float64 of the shape."""
    index = torch.multinomial(torch.tensor(shares), math.prod(shape), replacement=True, generator=generator)
    return torch.tensor(values, dtype=torch.float64)[index].view(shape)


def draw_scene(generator: Generator, times: Tensor, settings: SyntheticSettings, bank: TextureBank) -> Scene:
    """Draw the layers of a batch of clips and their motion.

    generator: on the CPU. times: float64 `[B, T]`, when each frame is taken, in frames.
    """
    count = len(times)
    fewest, most = settings.layers
    layers = int(torch.randint(fewest, most + 1, (1,), generator=generator))
    shape = (count, layers)
    size = torch.tensor([settings.width, settings.height], dtype=torch.float64)
    unit = settings.speed * settings.height / 192  # pixels a frame of a medium motion

    def uniform(*of: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*of, generator=generator, dtype=torch.float64)

    def path(scale: Tensor | float, of: tuple[int, ...] = shape) -> Tensor:
        moved = smooth_paths(generator, of, times)
        return moved * (scale[..., None] if isinstance(scale, Tensor) else scale)

    centre = uniform(*shape, 2, low=-0.05, high=1.05) * size
    zoom = uniform(*shape, low=math.log(0.65), high=math.log(1.9)).exp() * 192 / settings.height
    zoom[:, 0] = uniform(count, low=0.55, high=1.0) * 192 / settings.height
    turn = uniform(*shape, low=-math.pi, high=math.pi)
    is_part = uniform(*shape) < 0.3  # moves with the layer behind it, turning about a joint
    is_part[:, :2] = False

    pace = unit * _choice(generator, [0.0, 0.5, 1.5, 4.0, 9.0], [0.15, 0.25, 0.3, 0.2, 0.1], shape)
    pace[:, 0] *= 0.3
    agility = settings.speed * _choice(generator, [0.0, 0.4, 1.0, 2.5], [0.2, 0.4, 0.3, 0.1], shape)
    own = _moved_about(
        centre,
        path(pace),
        path(pace),
        linear_maps(
            path(0.02 * agility),
            path(0.01 * agility),
            path(0.006 * agility),
            path(0.006 * agility),
            path(1e-5 * agility),
            path(1e-5 * agility),
        ),
    )
    for layer in range(2, layers):
        joint = centre[:, layer - 1] + uniform(count, 2, low=-35, high=35) * settings.height / 192
        swing = path(settings.speed * uniform(count, low=0.02, high=0.12), (count,))
        still = torch.zeros_like(swing)
        turned = _moved_about(joint, still, still, linear_maps(swing, still, still, still, still, still))
        part = is_part[:, layer]
        own[:, layer] = torch.where(part[:, None, None, None], own[:, layer - 1] @ turned, own[:, layer])
        near = joint + uniform(count, 2, low=-18, high=18) * settings.height / 192
        centre[:, layer] = torch.where(part[:, None], near, centre[:, layer])
        zoom[:, layer] = torch.where(part, zoom[:, layer - 1], zoom[:, layer])

    camera_pace = unit * _choice(
        generator, [0.0, 0.4, 1.2, 3.0, 8.0], [0.2, 0.25, 0.25, 0.15, 0.15], (count,)
    )
    shake = settings.speed * _choice(generator, [0.0, 1.0, 2.0], [0.3, 0.5, 0.2], (count,))
    single = (count,)
    camera = _moved_about(
        (size / 2).expand(count, 2),
        path(camera_pace, single),
        path(camera_pace, single),
        linear_maps(
            path(0.006 * shake, single),
            path(0.008 * shake, single),
            *(path(0.001 * shake, single) for _ in range(2)),
            *(path(1e-5 * shake, single) for _ in range(2)),
        ),
    )
    to_frame0 = camera[:, None] @ own  # from frame pixels at rest to frame pixels now
    paint = _painting(centre, zoom, turn, uniform(count, 2, low=0.3, high=0.7))
    to_frame = to_frame0 @ torch.linalg.inv(paint)[:, :, None]

    knots = KNOT_ROWS * KNOT_COLUMNS
    softness = _choice(generator, [0.0, 0.1, 0.3, 0.6], [0.35, 0.25, 0.25, 0.15], shape)
    bend = path((unit * softness)[..., None, None].expand(*shape, knots, 2), (*shape, knots, 2))
    bend = bend.clamp(-6 * settings.height / 192, 6 * settings.height / 192) * zoom[..., None, None, None]

    device = bank.surfaces.device
    motion = Motion(
        torch.linalg.inv(to_frame).float().to(device),
        to_frame.float().to(device),
        bend.permute(0, 1, 4, 2, 3).float().to(device),
        Spline.over(settings.height, settings.width, KNOT_ROWS, KNOT_COLUMNS, device),
    )
    background, objects = _pictures(generator, count, layers, is_part, bank)
    return Scene(background, objects, motion)


def _moved_about(centre: Tensor, x: Tensor, y: Tensor, linear: Tensor) -> Tensor:
    """Apply `linear` `[..., T, 3, 3]` about `centre` `[..., 2]`, then move by (x, y) `[..., T]`."""
    cx, cy = centre[..., :1].expand_as(x), centre[..., 1:].expand_as(x)
    return translations(cx + x, cy + y) @ linear @ translations(-cx, -cy)


def _painting(centre: Tensor, zoom: Tensor, turn: Tensor, window: Tensor) -> Tensor:
    """Where the resting frame's pixels lie on each surface: float64 `[B, L, 3, 3]`.

    An object's centre lies in the middle of its canvas, the background's somewhere on its surface.
    """
    zero = torch.zeros_like(zoom)
    middle = torch.full_like(centre, (CANVAS_SIDE - 1) / 2)
    middle[:, 0] = window * SURFACE_SIDE
    linear = linear_maps(turn, zoom.log(), zero, zero, zero, zero)
    return (
        translations(middle[..., 0], middle[..., 1]) @ linear @ translations(-centre[..., 0], -centre[..., 1])
    )


def _pictures(
    generator: Generator, count: int, layers: int, is_part: Tensor, bank: TextureBank
) -> tuple[Tensor, Tensor]:
    """Choose and recolour the layers' pictures; see `Scene`. A part is painted like the layer behind it."""
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
