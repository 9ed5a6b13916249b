"""What the layers of synthetic clips are painted with: procedural surfaces, photos and cut-outs."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Generator, Tensor

from model.core.errors import BadInput

SURFACE_SIDE = 384
"""Pixels a side of a surface."""
CANVAS_SIDE = 160
"""Pixels a side of the square that holds an object."""
HELD_OUT_EVERY = 8
"""Of the sorted files of a folder, every 8th is kept for validation and never trained with."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class TextureBank:
    """Pictures to make layers of, on one device.

    surfaces: uint8 `[K, 3, 384, 384]`, opaque textures.
    shapes: uint8 `[M, 160, 160]`, masks (0 transparent, 255 opaque) to cut objects out of surfaces.
    cutouts: uint8 `[J, 4, 160, 160]`, RGBA objects; J may be 0.
    """

    surfaces: Tensor
    shapes: Tensor
    cutouts: Tensor

    def to(self, device: torch.device) -> "TextureBank":
        """Return the bank on another device."""
        return TextureBank(self.surfaces.to(device), self.shapes.to(device), self.cutouts.to(device))


def procedural_bank(seed: int, surfaces: int = 96, shapes: int = 192) -> TextureBank:
    """Paint a bank that needs no files: dead leaves and fractal noise; blobs, polygons and bars.

    The same seed gives the same bank. Dead leaves are discs, boxes and bars that cover each other; their
    edges and junctions have the statistics of photos (Lee, Mumford and Huang, IJCV 2001).
    """
    generator = torch.Generator().manual_seed(seed)
    leaves = _dead_leaves(generator, surfaces // 2)
    noise = _fractal_noise(generator, surfaces - surfaces // 2)
    return TextureBank(
        torch.cat([leaves, noise]),
        _shapes(generator, shapes),
        torch.zeros(0, 4, CANVAS_SIDE, CANVAS_SIDE, dtype=torch.uint8),
    )


def load_bank(
    seed: int,
    textures: Path | None = None,
    cutouts: Path | None = None,
    *,
    held_out: bool = False,
    procedural: int = 96,
) -> TextureBank:
    """Add photos and cut-outs to a procedural bank.

    textures: a folder of opaque photos, or None. cutouts: a folder of images with alpha, or None.
    held_out: take the part of the folders that is kept for validation instead of the rest, and paint the
        procedural part from another seed.
    procedural: how many procedural surfaces.
    Raises BadInput when a folder has too few images or one cannot be read.
    """
    photos = [] if textures is None else [_photo(path) for path in _chosen(textures, held_out)]
    objects = [] if cutouts is None else [_cutout(path) for path in _chosen(cutouts, held_out)]
    bank = procedural_bank(seed + (500_000 if held_out else 0), procedural)
    return TextureBank(torch.cat([bank.surfaces, *photos]), bank.shapes, torch.cat([bank.cutouts, *objects]))


def _chosen(folder: Path, held_out: bool) -> list[Path]:
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}; give a folder of images.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if len(files) <= HELD_OUT_EVERY:
        raise BadInput(f"{folder} holds {len(files)} images; at least {HELD_OUT_EVERY + 1} are needed.")
    return [path for index, path in enumerate(files) if (index % HELD_OUT_EVERY == 0) == held_out]


def _open(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert(mode)
    except (OSError, UnidentifiedImageError) as error:
        raise BadInput(f"{path} is not an image that can be read; remove or replace it.") from error


def _photo(path: Path) -> Tensor:
    """The middle of a photo: uint8 `[1, 3, 384, 384]`."""
    image = ImageOps.fit(_open(path, "RGB"), (SURFACE_SIDE, SURFACE_SIDE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].contiguous()


def _cutout(path: Path) -> Tensor:
    """An object in the middle of a transparent canvas: uint8 `[1, 4, 160, 160]`."""
    image = _open(path, "RGBA")
    image.thumbnail((CANVAS_SIDE - 4, CANVAS_SIDE - 4), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (CANVAS_SIDE, CANVAS_SIDE))
    canvas.paste(image, ((CANVAS_SIDE - image.width) // 2, (CANVAS_SIDE - image.height) // 2))
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1)[None].contiguous()


def _dead_leaves(generator: Generator, count: int) -> Tensor:
    """Cover canvases with leaves whose radii have a density of about r^-2: uint8 `[count, 3, 384, 384]`."""
    side = SURFACE_SIDE // 2  # painted smaller and enlarged, so that edges are soft and time is short
    image = torch.rand(count, 3, 1, 1, generator=generator).expand(-1, -1, side, side).clone()
    grey = torch.rand(count, 12, 1, generator=generator)
    saturation = 0.05 + 0.25 * torch.rand(count, 1, 1, generator=generator)
    palette = grey + saturation * torch.randn(count, 12, 3, generator=generator)
    # Painted from large to small, so that no large leaf hides all others in the end.
    radii = (3 * (1 - torch.linspace(0, 0.98, 220)) ** -1).flip(0).clamp(max=side / 3)
    for radius in radii.tolist():
        centres = torch.rand(count, 4, generator=generator)
        is_disc = torch.rand(count, generator=generator) < 0.5
        chosen = palette[torch.arange(count), torch.randint(12, (count,), generator=generator)]
        shade = 0.3 * (torch.rand(count, 1, generator=generator) - 0.5)
        tint = 0.15 * torch.randn(count, 3, generator=generator)
        for canvas, centre, disc, colour in zip(image, centres, is_disc, chosen + shade + tint, strict=True):
            _paint_leaf(canvas, centre, radius, is_disc=bool(disc), colour=colour)
    large = F.interpolate(image, (SURFACE_SIDE, SURFACE_SIDE), mode="bicubic", align_corners=False)
    grain = 0.08 * (_fractal_noise(generator, count).float() / 255 - 0.5)
    return ((large + grain).clamp(0, 1) * 255).round().byte()


def _paint_leaf(canvas: Tensor, leaf: Tensor, radius: float, *, is_disc: bool, colour: Tensor) -> None:
    """Paint a disc or a box on `[3, S, S]`; leaf: centre x and y, angle and stretch, each in [0, 1]."""
    side = canvas.shape[1]
    cx, cy, angle, stretch = leaf.tolist()
    reach = math.ceil(radius * math.sqrt(2)) + 1
    left, right = max(0, int(cx * side) - reach), min(side, int(cx * side) + reach + 1)
    top, bottom = max(0, int(cy * side) - reach), min(side, int(cy * side) + reach + 1)
    dx = torch.arange(left, right) - cx * side
    dy = (torch.arange(top, bottom) - cy * side)[:, None]
    cos, sin = math.cos(2 * math.pi * angle), math.sin(2 * math.pi * angle)
    u, v = (cos * dx + sin * dy).abs(), (cos * dy - sin * dx).abs() * (1 + 3 * stretch)
    inside = u**2 + v**2 < radius**2 if is_disc else torch.maximum(u, v) < radius
    region = canvas[:, top:bottom, left:right]
    region.copy_(torch.where(inside, colour[:, None, None], region))


def _fractal_noise(generator: Generator, count: int) -> Tensor:
    """Sum noise of all scales, stronger or weaker in the fine ones: uint8 `[count, 3, 384, 384]`."""
    total = torch.zeros(count, 3, SURFACE_SIDE, SURFACE_SIDE)
    roughness = 0.45 + 0.5 * torch.rand(count, 1, 1, 1, generator=generator)
    mixing = torch.eye(3) + 0.8 * torch.randn(count, 3, 3, generator=generator)
    for octave in range(7):
        cells = 3 * 2**octave
        grid = torch.randn(count, 3, cells, cells, generator=generator)
        total += roughness**octave * F.interpolate(
            grid, (SURFACE_SIDE, SURFACE_SIDE), mode="bicubic", align_corners=False
        )
    coloured = torch.einsum("nij,njhw->nihw", mixing, total)
    spread = coloured.flatten(1).std(dim=1)[:, None, None, None]
    contrast = 0.1 + 0.2 * torch.rand(count, 1, 1, 1, generator=generator)
    middle = 0.25 + 0.5 * torch.rand(count, 3, 1, 1, generator=generator)
    return ((middle + contrast * coloured / spread).clamp(0, 1) * 255).round().byte()


def _shapes(generator: Generator, count: int) -> Tensor:
    """Draw masks: star-shaped blobs, polygons, and bars: uint8 `[count, 160, 160]`."""
    side = CANVAS_SIDE
    axis = torch.arange(side) - (side - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle, radius = torch.atan2(y, x), torch.hypot(x, y)
    thirds = (count // 3, count // 3, count - 2 * (count // 3))

    order = torch.arange(1, 7)
    waves = torch.randn(2, thirds[0], 6, generator=generator) / order
    phase = angle[..., None] * order
    outline = torch.einsum("hwk,nk->nhw", phase.cos(), waves[0])
    outline = outline + torch.einsum("hwk,nk->nhw", phase.sin(), waves[1])
    size = side * (0.18 + 0.2 * torch.rand(thirds[0], 1, 1, generator=generator))
    blobs = size * (0.35 * outline).exp().clamp(0.3, 1.3) - radius

    corners = torch.randint(3, 8, (thirds[1],), generator=generator)
    polygons = torch.full((thirds[1], side, side), math.inf)
    turn = torch.rand(thirds[1], generator=generator) * 2 * math.pi
    for corner in range(7):
        normal = turn + 2 * math.pi * corner / corners
        distance = side * (0.15 + 0.25 * torch.rand(thirds[1], generator=generator))
        edge = distance[:, None, None] - (normal.cos()[:, None, None] * x + normal.sin()[:, None, None] * y)
        polygons = torch.minimum(polygons, edge)

    turn = torch.rand(thirds[2], 1, 1, generator=generator) * math.pi
    along, across = (turn.cos() * x + turn.sin() * y).abs(), (turn.cos() * y - turn.sin() * x).abs()
    length = side * (0.3 + 0.17 * torch.rand(thirds[2], 1, 1, generator=generator))
    width = side * (0.03 + 0.12 * torch.rand(thirds[2], 1, 1, generator=generator))
    bars = torch.minimum(length - along, width - across)

    inside = torch.cat([blobs, polygons, bars]) + 0.5  # an edge one pixel wide
    return (inside.clamp(0, 1) * 255).round().byte()
