"""Fitting how visibility is told from the network's word, from what refinement saw and from companions.

The network says how likely a point is to be visible; whether its patch was found again is further evidence,
and so is what its companions tell. For points without companions a logistic regression weighs the evidence,
for the others a small network; both are fitted to synthetic clips of the training's textures, with visible
and hidden points counting half each, so that 0.5 is the fair threshold between them.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from model.core.progress import Progress, ReportProgress
from model.synthetic.clips.batches import synthesize
from model.synthetic.clips.scene import SyntheticSettings
from model.synthetic.clips.textures import TextureBank
from model.tracking.pips.evidence import companions_evidence
from model.tracking.pips.finish import Finishing, probabilities
from model.tracking.pips.network import Pips
from model.tracking.pips.refinement import RefinementSettings, grey_image, refine, visibility_evidence
from model.tracking.pips.support import Companions, SupportSettings, expect, support_points
from model.tracking.pips.visibility import VisibilityNetwork

SEED = 1_900_000_000
RIDGE = 1e-4
POINTS = 192
SPEEDS = (1.0, 1.3)
"""Of the clips in turns, see `SyntheticSettings.speed`."""

WIDTH = 64
EPOCHS = 40
BATCH = 2048
RATE = 4e-3
DECAY = 0.1


@dataclass(frozen=True, eq=False)
class _Refined:
    """A clip's points, the queries first, after refinement; see `model.tracking.pips.finish`."""

    points: NDArray[np.float32]
    correlation: NDArray[np.float32]
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
    """Return `finishing`, which has both its parts, with what tells visibility in it.

    network, iterations: as they will be used. bank: of the training, on the CPU.
    """
    assert finishing.refinement is not None
    assert finishing.support is not None
    made = []
    for index in range(clips):
        made.append(_refined(index, network, iterations, finishing.refinement, finishing.support, bank))
        progress(Progress("calibrating", index + 1, clips))
    truth = np.concatenate([clip.visible[1:].ravel() for clip in made])
    alone = logistic_regression(
        np.concatenate([_rows(clip.evidence[:, : clip.count]) for clip in made]), truth
    )
    both = fit_network(
        np.concatenate([_rows(_with_companions(clip, alone, finishing.support)) for clip in made]), truth
    )
    return Finishing(replace(finishing.refinement, visibility=alone), finishing.support, both)


def _refined(
    index: int,
    network: Pips,
    iterations: int,
    refinement: RefinementSettings,
    support: SupportSettings,
    bank: TextureBank,
) -> _Refined:
    """Track a clip's points and its support points, and refine them."""
    settings = SyntheticSettings(points=POINTS, speed=SPEEDS[index % len(SPEEDS)])
    made = synthesize(SEED + index, 1, settings, bank)
    frames, queries = made.frames[0], made.trajectories[0, 0].numpy()
    size = (frames.shape[2], frames.shape[3])
    asked = np.concatenate([queries, support_points(size, support)])
    output = network.track(frames, torch.from_numpy(asked), iterations)
    logits = output.visibility_logits.double().cpu().numpy()
    images = [grey_image(frame) for frame in frames]
    refined = refine(images, asked, output.trajectories[-1].cpu().numpy(), logits < 0, refinement)
    return _Refined(*refined, visibility_evidence(logits, refined, size), made.visibility[0].numpy(), size)


def _with_companions(
    clip: _Refined, weights: tuple[float, ...], support: SupportSettings
) -> NDArray[np.float64]:
    """Append what companions say, of which those count that `weights` hold for visible."""
    seen = probabilities(clip.evidence @ np.asarray(weights))
    mine, rest = slice(clip.count), slice(clip.count, None)
    points = clip.points[:, mine]
    companions = Companions.of(points, seen[:, mine], clip.points[:, rest], seen[:, rest], clip.size, support)
    expected = expect(points, companions, clip.size, support)
    return companions_evidence(
        clip.evidence[:, mine], points, clip.correlation[:, mine], companions, expected, clip.size
    )


def _rows(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """One row for each point and frame after the first."""
    return evidence[1:].reshape(-1, evidence.shape[-1])


def fit_network(evidence: NDArray[np.float64], truth: NDArray[np.bool_]) -> VisibilityNetwork:
    """Fit a network of two hidden layers to tell the truth, both classes counting half.

    evidence: float64 `[M, K]`. truth: bool `[M]`, with both values in it.
    """
    torch.manual_seed(0)
    middle, spread = evidence.mean(axis=0), evidence.std(axis=0) + 1e-6
    rows = torch.from_numpy((evidence - middle) / spread).float()
    target = torch.from_numpy(truth).float()
    balance = _balance(target)
    network = nn.Sequential(
        nn.Linear(rows.shape[1], WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)
    )
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    batches = max(1, len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, EPOCHS * batches)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(rows)).tensor_split(batches):
            optimizer.zero_grad()
            logits = network(rows[chosen])[:, 0]
            F.binary_cross_entropy_with_logits(logits, target[chosen], weight=balance[chosen]).backward()  # type: ignore[no-untyped-call]  # torch has not typed it
            optimizer.step()
            schedule.step()
    layers = [
        (layer.weight.detach().T.double().numpy(), layer.bias.detach().double().numpy())
        for layer in network
        if isinstance(layer, nn.Linear)
    ]
    weight, bias = layers[0]
    layers[0] = (weight / spread[:, None], bias - (middle / spread) @ weight)
    # As it comes back from a file, in float32.
    return VisibilityNetwork.from_tensors(VisibilityNetwork(tuple(layers)).to_tensors())


def _balance(target: Tensor) -> Tensor:
    """Weigh visible and hidden ones so that each side counts half."""
    share = target.mean()
    return torch.where(target > 0, 0.5 / share, 0.5 / (1 - share))


def logistic_regression(evidence: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """Fit weights w so that sigmoid(evidence @ w) tells the truth, both classes counting half.

    evidence: float64 `[M, K]`, the first column 1. truth: bool `[M]`, with both values in it.
    """
    rows = torch.from_numpy(evidence)
    target = torch.from_numpy(truth.astype(np.float64))
    balance = _balance(target)
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
