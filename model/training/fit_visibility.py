"""Fitting how visibility is told from the network's word and from what refinement saw.

The network says how likely a point is to be visible; whether its patch was found again is further evidence.
Both are weighed by logistic regression on synthetic clips of the training's textures, with visible and hidden
points counting half each, so that 0.5 is the fair threshold between them.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.dataset.scene import SyntheticSettings
from model.dataset.synthetic import synthesize
from model.dataset.textures import TextureBank
from model.pips.network import Pips
from model.pips.refinement import RefinementSettings, grey_image, refine, visibility_evidence
from model.progress import Progress, ReportProgress

SEED = 1_900_000_000
RIDGE = 1e-4


def fit_visibility(
    network: Pips,
    iterations: int,
    refinement: RefinementSettings,
    bank: TextureBank,
    *,
    clips: int = 150,
    progress: ReportProgress,
) -> tuple[float, ...]:
    """Return the weights for `RefinementSettings.visibility`.

    network, iterations, refinement: as they will be used. bank: of the training, on the CPU.
    """
    evidence: list[NDArray[np.float64]] = []
    visible: list[NDArray[np.bool_]] = []
    for index in range(clips):
        made = synthesize(SEED + index, 1, SyntheticSettings(speed=1.3), bank)
        frames, truth = made.frames[0], made.trajectories[0]
        output = network.track(frames, truth[0], iterations)
        logits = output.visibility_logits.double().cpu().numpy()
        refined = refine(
            [grey_image(frame) for frame in frames],
            truth[0].numpy(),
            output.trajectories[-1].cpu().numpy(),
            logits < 0,
            refinement,
        )
        size = (frames.shape[2], frames.shape[3])
        evidence.append(visibility_evidence(logits, refined, size)[1:].reshape(-1, 5))
        visible.append(made.visibility[0, 1:].flatten().numpy())
        progress(Progress("calibrating", index + 1, clips))
    return logistic_regression(np.concatenate(evidence), np.concatenate(visible))


def logistic_regression(evidence: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """Fit weights w so that sigmoid(evidence @ w) tells the truth, both classes counting half.

    evidence: float64 `[M, K]`, the first column 1. truth: bool `[M]`, with both values in it.
    """
    rows = torch.from_numpy(evidence)
    target = torch.from_numpy(truth.astype(np.float64))
    share = target.mean()
    balance = torch.where(target > 0, 0.5 / share, 0.5 / (1 - share))
    weights = torch.zeros(rows.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        entropy = F.binary_cross_entropy_with_logits(rows @ weights, target, weight=balance)
        total = entropy + RIDGE * weights.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return tuple(round(value, 4) for value in weights.tolist())
