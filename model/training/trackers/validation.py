"""How good a tracker in training is on synthetic clips that it never sees."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.core.devices import autocast
from model.synthetic.batches import SyntheticClips
from model.tracking.pips.network import Pips
from model.training.trackers.pips_forward import forward


@dataclass(frozen=True)
class ValidationScore:
    """Means over all points of all clips after the query frame, in pixels of the clips and in percent.

    visible, occluded: mean error (ATE) of the points that are visible, and covered within the frame.
    within_1: share of visible points closer than 1 px. delta: mean of the shares within 1, 2, 4, 8 and 16 px.
    occlusion: mean of the shares of visible and of hidden points that are told right.
    still: visible ATE of zero motion. still_occluded: occluded ATE of zero motion.
    """

    visible: float
    occluded: float
    within_1: float
    delta: float
    occlusion: float
    still: float
    still_occluded: float


@torch.no_grad()
def validate(network: Pips, batches: Sequence[SyntheticClips], iterations: int) -> ValidationScore:
    """Track all clips of the batches and compare with their truth."""
    errors, stills, visible, inside, told = [], [], [], [], []
    for clips in batches:
        with autocast(clips.frames.device):
            output = forward(network, clips.frames, clips.trajectories[:, 0], iterations)
        truth = clips.trajectories
        errors.append(_later(torch.linalg.vector_norm(output.trajectories[-1] - truth, dim=-1)))
        stills.append(_later(torch.linalg.vector_norm(truth - truth[:, :1], dim=-1)))
        visible.append(_later(clips.visibility))
        inside.append(_later(clips.in_frame))
        told.append(_later(output.visibility_logits > 0))
    error, still, seen, within, said = (torch.cat(parts) for parts in (errors, stills, visible, inside, told))
    covered = ~seen & within
    near = [_percent(error[seen] < threshold) for threshold in (1, 2, 4, 8, 16)]
    return ValidationScore(
        visible=float(error[seen].mean()),
        occluded=float(error[covered].mean()),
        within_1=near[0],
        delta=sum(near) / len(near),
        occlusion=(_percent(said[seen]) + _percent(~said[~seen])) / 2,
        still=float(still[seen].mean()),
        still_occluded=float(still[covered].mean()),
    )


def _later(values: Tensor) -> Tensor:
    """The values `[B, T, N]` after the query frame, flat."""
    return values[:, 1:].flatten().cpu()


def _percent(right: Tensor) -> float:
    return 100 * float(right.float().mean())
