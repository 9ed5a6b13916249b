"""The losses of training PIPs (Harley et al. 2022), with a softmax score loss and the weights that worked."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.synthetic.batches import SyntheticClips
from model.training.trackers.pips_forward import TrainingOutput

POSITION, VISIBILITY, SCORE = 0.1, 0.5, 0.3
"""How much each of the three losses counts."""

DECAY = 0.8
"""How much an iteration counts against the next one."""

OUTSIDE = 0.15
"""How much a point outside the frame counts against one in it, visible or covered."""


@dataclass(frozen=True)
class Losses:
    """Means over a batch, scalars: L1 of positions in pixels, cross entropies in nats."""

    position: Tensor
    visibility: Tensor
    score: Tensor
    total: Tensor


def tracker_losses(output: TrainingOutput, clips: SyntheticClips, stride: int, temperature: Tensor) -> Losses:
    """Compare a training output with the truth.

    temperature: scalar, multiplies the correlations before the softmax of the score loss.
    """
    position = _position_loss(output.trajectories, clips)
    visibility = _visibility_loss(output.visibility_logits, clips.visibility)
    score = torch.stack([_score_loss(score, clips, stride, temperature) for score in output.scores]).mean()
    total = POSITION * position + VISIBILITY * visibility + SCORE * score
    return Losses(position.detach(), visibility.detach(), score.detach(), total)


def _position_loss(trajectories: Tensor, clips: SyntheticClips) -> Tensor:
    """Mean absolute error, later iterations counting more, points outside the frame less."""
    share = torch.where(clips.in_frame, 1.0, OUTSIDE)
    error = (trajectories - clips.trajectories).abs().mean(dim=-1)  # [I, B, S, N]
    means = (error * share).sum(dim=(1, 2, 3)) / share.sum()
    powers = torch.arange(len(means) - 1, -1, -1, device=means.device)
    factor = DECAY**powers
    return (factor * means).sum() / factor.sum()


def _visibility_loss(logits: Tensor, visible: Tensor) -> Tensor:
    """Cross entropy with visible and hidden points counting half each."""
    entropy = F.binary_cross_entropy_with_logits(logits, visible.float(), reduction="none")
    sides = [entropy[chosen].mean() for chosen in (visible, ~visible) if chosen.any()]
    return torch.stack(sides).mean()


def _score_loss(score: Tensor, clips: SyntheticClips, stride: int, temperature: Tensor) -> Tensor:
    """Cross entropy of the softmax over each visible point's map, the target shared by the 4 cells around."""
    height, width = score.shape[-2:]
    chosen = clips.visibility
    place = (clips.trajectories[chosen] / stride).clamp(min=0)
    x = place[:, 0].clamp(max=width - 1)
    y = place[:, 1].clamp(max=height - 1)
    x0, y0 = x.floor().clamp(max=width - 2), y.floor().clamp(max=height - 2)
    fx, fy = x - x0, y - y0
    logs = (score[chosen].flatten(1) * temperature).log_softmax(dim=1)
    corner = (y0 * width + x0).long()
    likelihood = torch.zeros_like(fx)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (fx if dx else 1 - fx) * (fy if dy else 1 - fy)
        likelihood = likelihood + share * logs.gather(1, (corner + dy * width + dx)[:, None])[:, 0]
    return -likelihood.mean()
