"""PIPs with gradients: the numbers of the network of tracking, for batches of clips, with full score maps.

Tracking reads correlations only around each point; training needs the whole map for its score loss, so here
the maps are computed once for each iteration and the windows are sampled from them.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model.tracking.pips.correlation import RADIUS, SIDE, sample
from model.tracking.pips.network import LEVELS, Pips


class TrainingOutput(NamedTuple):
    """What the losses are taken of.

    trajectories: float32 `[I, B, S, N, 2]` in pixels, after each iteration.
    visibility_logits: float32 `[B, S, N]`.
    scores: each `[B, S, N, h, w]`, correlations at 1/stride of the frame's size, after the first and last
        iteration's features.
    """

    trajectories: Tensor
    visibility_logits: Tensor
    scores: tuple[Tensor, Tensor]


def forward(network: Pips, frames: Tensor, queries: Tensor, iterations: int) -> TrainingOutput:
    """Track the queries of a batch of clips.

    frames: uint8 or float32 `[B, S, 3, H, W]`, 0 to 255. queries: float32 `[B, N, 2]`, pixels of frame 0.
    Frame 0's coordinates are set back to the query after each iteration, as in tracking (the authors do not
    do this in training), so that what is learned is what is used.
    """
    config = network.config
    count, length = frames.shape[:2]
    points = queries.shape[1]
    maps = network.fnet(frames.flatten(0, 1).float())
    height, width = maps.shape[-2:]
    start = queries / config.stride
    first = maps.view(count, length, *maps.shape[1:])[:, 0].float()
    feature = torch.stack([sample(clip, places) for clip, places in zip(first, start, strict=True)])
    flat = maps.flatten(2)  # [B S, C, h w]

    features = feature[:, None].expand(-1, length, -1, -1)  # [B, S, N, C]
    coordinates = start[:, None].expand(-1, length, -1, -1)
    trajectories, scores = [], []
    for _ in range(iterations):
        coordinates = coordinates.detach()  # each iteration's loss teaches that iteration's step alone
        scaled = (features / math.sqrt(config.channels)).flatten(0, 1)
        score = torch.bmm(scaled.to(flat.dtype), flat).float()
        scores.append(score.view(count, length, points, height, width))
        windows = _windows(score.view(-1, 1, height, width), coordinates.reshape(-1, 2))
        correlation = windows.view(count, length, points, -1)
        motion = coordinates - coordinates[:, :1]
        tokens = torch.cat(
            [
                _frames_first(features),
                _frames_first(correlation),
                network.embed(_frames_first(motion)),
            ],
            dim=2,
        )  # [S, B N, inputs]
        step = network.delta_block(tokens).float()
        normed = network.norm(step[..., 2:].reshape(-1, config.channels)).view(length, count * points, -1)
        change = network.ffeat_updater(normed).float()
        features = features + _clips_first(change, count)
        moved = coordinates + _clips_first(step[..., :2], count)
        coordinates = torch.cat([start[:, None], moved[:, 1:]], dim=1)
        trajectories.append(coordinates * config.stride)
    logits = network.vis_predictor(features)[..., 0].float()
    return TrainingOutput(torch.stack(trajectories), logits, (scores[0], scores[-1]))


def _frames_first(values: Tensor) -> Tensor:
    """`[B, S, N, C]` to `[S, B N, C]`."""
    return values.transpose(0, 1).flatten(1, 2)


def _clips_first(values: Tensor, count: int) -> Tensor:
    """`[S, B N, C]` to `[B, S, N, C]`."""
    return values.view(len(values), count, -1, values.shape[2]).transpose(0, 1)


def _windows(score: Tensor, coordinates: Tensor) -> Tensor:
    """Sample the 7×7 windows of all levels from maps `[M, 1, h, w]` around `[M, 2]`: `[M, 4 * 49]`.

    Pooling a correlation map is correlating with the pooled features, since both are linear.
    """
    steps = torch.arange(-RADIUS, RADIUS + 1, device=score.device, dtype=torch.float32)
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)  # x is the slow axis
    windows = []
    for level in range(LEVELS):
        if level:
            score = F.avg_pool2d(score, 2, stride=2)
        size = torch.tensor([score.shape[3], score.shape[2]], device=score.device)
        places = coordinates[:, None, None] / 2**level + offsets
        normalised = (2 * places + 1) / size - 1
        windows.append(F.grid_sample(score, normalised, align_corners=False).view(-1, SIDE * SIDE))
    return torch.cat(windows, dim=1)
