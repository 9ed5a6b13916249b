"""PIPs in its plain dense form, as the authors' release computes it: the baseline to compare with.

All frames are encoded in one call; in every iteration the full correlation volume of every point with every
frame is made on all levels, windows are read from it by `grid_sample`, and the maps of all levels are resized
and summed as the training loss wants them. Written for comparison from the same facts as the product, with
other operations: so it is also an independent check of the product's numbers.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from model.tracking.pips.network import LEVELS, Pips, PipsOutput


@torch.inference_mode()
def track(network: Pips, frames: Tensor, queries: Tensor, iterations: int = 6) -> PipsOutput:
    """Track points through one chunk; the same shapes as `Pips.track`."""
    weights = network.state_dict()
    length, stride = network.config.frames, network.config.stride
    maps = encode(weights, frames.float(), stride)
    channels, height, width = maps.shape[1:]
    levels = [maps]
    for _ in range(LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2, stride=2))

    start = queries / stride
    first = _read_feature(maps[0], start)
    features = first.repeat(length, 1, 1)  # [S, N, C]
    coordinates = start.repeat(length, 1, 1)  # [S, N, 2]
    trajectories = []
    for _ in range(iterations):
        score = maps.new_zeros(length, len(queries), LEVELS, height, width)
        windows = []
        for index, level in enumerate(levels):
            volume = torch.einsum("snc,schw->snhw", features, level) / math.sqrt(channels)
            score[:, :, index] = F.interpolate(volume, (height, width), mode="bilinear", align_corners=True)
            windows.append(_read_windows(volume, coordinates / 2**index))
        score = score.sum(dim=2)
        motion = _embedding(coordinates - coordinates[:1], length)
        tokens = torch.cat([features, torch.cat(windows, dim=2), motion], dim=2)
        step = _mixer(weights, tokens.transpose(0, 1), network.config.depth)  # [N, S, 2 + C]
        step = step.view(len(queries), length, -1).transpose(0, 1)
        normed = F.group_norm(
            step[..., 2:].reshape(-1, channels), 1, weights["norm.weight"], weights["norm.bias"]
        )
        change = F.linear(normed, weights["ffeat_updater.0.weight"], weights["ffeat_updater.0.bias"])
        features = features + F.gelu(change).view_as(features)
        coordinates = coordinates + step[..., :2]
        coordinates[0] = start
        trajectories.append(coordinates * stride)
    logits = F.linear(features, weights["vis_predictor.0.weight"], weights["vis_predictor.0.bias"])
    return PipsOutput(torch.stack(trajectories), logits[..., 0], first)


def encode(weights: dict[str, Tensor], frames: Tensor, stride: int) -> Tensor:
    """Encode all frames in one call, with torch's own instance norm: `[S, C, H // stride, W // stride]`."""

    def convolved(x: Tensor, name: str, step: int, padding: int) -> Tensor:
        weight, bias = weights[f"fnet.{name}.weight"], weights[f"fnet.{name}.bias"]
        return F.conv2d(x, weight, bias, stride=step, padding=padding)

    def block(x: Tensor, name: str, step: int) -> Tensor:
        y = F.relu(F.instance_norm(convolved(x, f"{name}.conv1", step, padding=1)))
        y = F.relu(F.instance_norm(convolved(y, f"{name}.conv2", 1, padding=1)))
        if step != 1:
            x = F.instance_norm(convolved(x, f"{name}.downsample.0", step, padding=0))
        return F.relu(x + y)

    size = (frames.shape[2] // stride, frames.shape[3] // stride)
    x = F.relu(F.instance_norm(convolved(2 * frames / 255 - 1, "conv1", 2, padding=3)))
    scales = []
    for layer, step in enumerate((1, 2, 2, 2), start=1):
        x = block(block(x, f"layer{layer}.0", step), f"layer{layer}.1", 1)
        scales.append(F.interpolate(x, size, mode="bilinear", align_corners=True))
    x = F.relu(F.instance_norm(convolved(torch.cat(scales, dim=1), "conv2", 1, padding=1)))
    return convolved(x, "conv3", 1, padding=0)


def _read_feature(features: Tensor, at: Tensor) -> Tensor:
    """Read bilinearly with clamped indices and unclamped weights: `[N, C]`."""
    height, width = features.shape[1:]
    whole = at.floor()
    result = torch.zeros(len(at), features.shape[0])
    for dy in (0, 1):
        for dx in (0, 1):
            corner = whole + torch.tensor([dx, dy])
            weight = (1 - (at - corner).abs()).prod(dim=1)
            x, y = corner[:, 0].clamp(0, width - 1).long(), corner[:, 1].clamp(0, height - 1).long()
            result += weight[:, None] * features[:, y, x].T
    return result


def _read_windows(volume: Tensor, centre: Tensor) -> Tensor:
    """Read 7×7 windows, x offset slowest, from `[S, N, h, w]`: `[S, N, 49]`."""
    height, width = volume.shape[2:]
    offset = torch.linspace(-3, 3, 7)
    dx, dy = torch.meshgrid(offset, offset, indexing="ij")
    x = centre[..., 0, None, None] + dx
    y = centre[..., 1, None, None] + dy
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
    read = F.grid_sample(
        volume.flatten(0, 1)[:, None], grid.flatten(0, 1), align_corners=True, padding_mode="zeros"
    )
    return read.view(*centre.shape[:2], 49)


def _embedding(displacement: Tensor, length: int) -> Tensor:
    times = torch.linspace(0, length, length)[:, None, None].expand(-1, displacement.shape[1], 1)
    values = torch.cat([displacement, times], dim=2)
    parts = []
    for axis in range(3):
        angle = values[..., axis, None] * (torch.arange(32) * 31.25)
        waves = torch.zeros(*angle.shape[:2], 64)
        waves[..., 0::2], waves[..., 1::2] = angle.sin(), angle.cos()
        parts.append(waves)
    return torch.cat([*parts, values], dim=2)


def _mixer(weights: dict[str, Tensor], tokens: Tensor, depth: int) -> Tensor:
    """Apply the MLP-Mixer to `[N, S, inputs]`, points as the batch, with 1×1 convolutions over the frames."""

    def of(name: str) -> tuple[Tensor, Tensor]:
        return weights[f"delta_block.to_delta.{name}.weight"], weights[f"delta_block.to_delta.{name}.bias"]

    x = F.linear(tokens, *of("0"))
    for index in range(1, depth + 1):
        y = F.layer_norm(x, x.shape[-1:], *of(f"{index}.0.norm"))
        y = F.conv1d(F.gelu(F.conv1d(y, *of(f"{index}.0.fn.0"))), *of(f"{index}.0.fn.3"))
        x = x + y
        y = F.layer_norm(x, x.shape[-1:], *of(f"{index}.1.norm"))
        y = F.linear(F.gelu(F.linear(y, *of(f"{index}.1.fn.0"))), *of(f"{index}.1.fn.3"))
        x = x + y
    x = F.layer_norm(x, x.shape[-1:], *of(f"{depth + 1}")).mean(dim=1)
    return F.linear(x, *of(f"{depth + 3}"))
