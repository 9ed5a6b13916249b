"""Fitting how visibility is told from the network's word, from what refinement saw and from companions.

The network says how likely a point is to be visible; whether its patch was found again is further evidence,
and whether it is where its companions say. All is weighed by logistic regression on synthetic clips of the
training's textures, with visible and hidden points counting half each, so that 0.5 is the fair threshold
between them.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.dataset.scene import SyntheticSettings
from model.dataset.synthetic import synthesize
from model.dataset.textures import TextureBank
from model.pips.finish import Finishing, probabilities
from model.pips.network import Pips
from model.pips.refinement import RefinementSettings, grey_image, refine, visibility_evidence
from model.pips.support import SupportSettings, companions_evidence, expect, support_points
from model.progress import Progress, ReportProgress

SEED = 1_900_000_000
RIDGE = 1e-4


@dataclass(frozen=True, eq=False)
class _Refined:
    """A clip's points, the queries first, after refinement; see `model.pips.finish`."""

    points: NDArray[np.float32]
    evidence: NDArray[np.float64]
    visible: NDArray[np.bool_]
    size: tuple[int, int]

    @property
    def count(self) -> int:
        """How many queries there are."""
        return len(self.visible[0])


def fit_visibility(
    network: Pips,
    iterations: int,
    finishing: Finishing,
    bank: TextureBank,
    *,
    clips: int = 150,
    progress: ReportProgress,
) -> Finishing:
    """Return `finishing`, which has both its parts, with the weights of visibility in them.

    network, iterations: as they will be used. bank: of the training, on the CPU.
    """
    assert finishing.refinement is not None
    assert finishing.support is not None
    made = []
    for index in range(clips):
        made.append(
            _refined(SEED + index, network, iterations, finishing.refinement, finishing.support, bank)
        )
        progress(Progress("calibrating", index + 1, clips))
    truth = np.concatenate([clip.visible[1:].ravel() for clip in made])
    alone = logistic_regression(
        np.concatenate([_rows(clip.evidence[:, : clip.count]) for clip in made]), truth
    )
    both = logistic_regression(
        np.concatenate([_rows(_with_companions(clip, alone, finishing.support)) for clip in made]), truth
    )
    return Finishing(
        replace(finishing.refinement, visibility=alone), replace(finishing.support, visibility=both)
    )


def _refined(
    seed: int,
    network: Pips,
    iterations: int,
    refinement: RefinementSettings,
    support: SupportSettings,
    bank: TextureBank,
) -> _Refined:
    """Track a clip's points and its support points, and refine them."""
    made = synthesize(seed, 1, SyntheticSettings(speed=1.3), bank)
    frames, queries = made.frames[0], made.trajectories[0, 0].numpy()
    size = (frames.shape[2], frames.shape[3])
    asked = np.concatenate([queries, support_points(size, support)])
    output = network.track(frames, torch.from_numpy(asked), iterations)
    logits = output.visibility_logits.double().cpu().numpy()
    images = [grey_image(frame) for frame in frames]
    refined = refine(images, asked, output.trajectories[-1].cpu().numpy(), logits < 0, refinement)
    return _Refined(
        refined.points, visibility_evidence(logits, refined, size), made.visibility[0].numpy(), size
    )


def _with_companions(
    clip: _Refined, weights: tuple[float, ...], support: SupportSettings
) -> NDArray[np.float64]:
    """Append what companions say, of which those count that `weights` hold for visible."""
    seen = probabilities(clip.evidence @ np.asarray(weights))
    mine, rest = slice(clip.count), slice(clip.count, None)
    points = clip.points[:, mine]
    expected = expect(points, seen[:, mine], clip.points[:, rest], seen[:, rest], clip.size, support)
    return companions_evidence(clip.evidence[:, mine], points, expected, clip.size)


def _rows(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """One row for each point and frame after the first."""
    return evidence[1:].reshape(-1, evidence.shape[-1])


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
        total.backward()  # type: ignore[no-untyped-call]  # torch has not typed it
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]  # torch has not typed it
    return tuple(round(value, 4) for value in weights.tolist())
