"""What a point's feature looks like in the 7×7 neighbourhood of where the point is thought to be.

Only there: the full correlation volumes of the paper are needed by its training loss alone, and are most of
its memory. A window of unit steps around a position shares one fraction (fx, fy), so the 8×8 whole pixels
around it are read once, their dot products with the feature taken, and those interpolated.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

RADIUS = 3
SIDE = 2 * RADIUS + 1  # of the window
PATCH = SIDE + 1  # whole pixels a side that the window's values are interpolated from
PAD = PATCH
CPU_PATCHES = 128  # read at a time, so that they are still in the cache when they are multiplied


@dataclass(frozen=True)
class PyramidLevel:
    """One level of a chunk's feature pyramid, bordered by zeros.

    flat: `[S * (height + 2 PAD) * (width + 2 PAD), C]`, pixel after pixel.
    height, width: without the border, in pixels of this level.
    """

    flat: Tensor
    height: int
    width: int


def pyramid(features: Tensor, levels: int) -> tuple[PyramidLevel, ...]:
    """Average-pool feature maps by 2, level by level; odd sizes are floored.

    features: `[S, C, H, W]`, level 0.
    """
    # One layout whatever is given, so that pooling rounds in one way.
    features = features.contiguous(memory_format=torch.channels_last)
    result = []
    for level in range(levels):
        if level:
            features = F.avg_pool2d(features, 2, stride=2)
        frames, channels, height, width = features.shape
        bordered = features.new_zeros(frames, height + 2 * PAD, width + 2 * PAD, channels)
        bordered[:, PAD:-PAD, PAD:-PAD] = features.permute(0, 2, 3, 1)
        result.append(PyramidLevel(bordered.view(-1, channels), height, width))
    return tuple(result)


def local_correlation(levels: tuple[PyramidLevel, ...], feature: Tensor, coordinates: Tensor) -> Tensor:
    """Correlate each point's feature with the window around it, on all levels.

    feature: `[S, P, C]`, in the levels' type.
    coordinates: float32 `[S, P, 2]`, (x, y) in pixels of level 0.
    Returns float32 `[S, P, levels * 49]`: dot products divided by sqrt(C), zero outside the map; in each
    window the x offset is the slow axis, as in the authors' code.
    """
    return torch.cat(
        [_correlate(level, feature, coordinates / 2**index) for index, level in enumerate(levels)], dim=2
    )


def _correlate(level: PyramidLevel, feature: Tensor, coordinates: Tensor) -> Tensor:
    frames, points, channels = feature.shape
    row = level.width + 2 * PAD
    whole = coordinates.floor()
    fraction = coordinates - whole
    # Diverged weights give coordinates that are no numbers: never an index, but kept in `fraction`.
    whole = whole.nan_to_num(nan=0.0)
    # Beyond these limits the whole patch lies in the border of zeros.
    x = whole[..., 0].clamp(-RADIUS - 2, level.width + RADIUS).long() - RADIUS + PAD
    y = whole[..., 1].clamp(-RADIUS - 2, level.height + RADIUS).long() - RADIUS + PAD
    frame = torch.arange(frames, device=x.device)[:, None]
    start = (frame * (level.height + 2 * PAD) + y) * row + x  # [S, P], in pixels

    step = torch.arange(PATCH, device=x.device)
    pixels = start[..., None] + (step[:, None] * row + step).view(-1)  # [S, P, 64]
    pixels = pixels.view(frames * points, -1)
    # A row times a matrix: faster than the matrix times a column, four times in bfloat16, twice in float32.
    rows = feature.reshape(-1, 1, channels)
    together = CPU_PATCHES if rows.device.type == "cpu" else len(rows)
    parts = []
    for first in range(0, len(rows), together):
        part = slice(first, first + together)
        patches = level.flat.index_select(0, pixels[part].view(-1)).view(-1, PATCH**2, channels)
        parts.append(torch.bmm(rows[part], patches.mT))
    dots = torch.cat(parts).view(frames, points, PATCH, PATCH).float()

    fx, fy = fraction[..., 0, None, None], fraction[..., 1, None, None]
    in_x = dots[..., :-1] * (1 - fx) + dots[..., 1:] * fx
    window = in_x[..., :-1, :] * (1 - fy) + in_x[..., 1:, :] * fy  # [S, P, y, x]
    return window.transpose(2, 3).reshape(frames, points, -1) / math.sqrt(channels)


def sample(features: Tensor, coordinates: Tensor) -> Tensor:
    """Read a feature map bilinearly; indices are clamped to the border, weights are not, as the authors do.

    features: `[C, H, W]`. coordinates: float32 `[P, 2]`, (x, y) in its pixels.
    Returns float32 `[P, C]`.
    """
    height, width = features.shape[1:]
    whole = coordinates.floor()
    fx, fy = (coordinates - whole).unbind(1)
    x0, y0 = whole.unbind(1)

    def pixel(y: Tensor, x: Tensor) -> Tensor:
        at = features[:, y.clamp(0, height - 1).long(), x.clamp(0, width - 1).long()]
        return at.float().T

    return (
        ((1 - fx) * (1 - fy))[:, None] * pixel(y0, x0)
        + (fx * (1 - fy))[:, None] * pixel(y0, x0 + 1)
        + ((1 - fx) * fy)[:, None] * pixel(y0 + 1, x0)
        + (fx * fy)[:, None] * pixel(y0 + 1, x0 + 1)
    )
