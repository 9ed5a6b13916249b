"""Fitting the visibility rule of trained weights to synthetic clips, and writing it into their metadata."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.core.progress import Progress, ReportProgress
from model.synthetic.batches import synthesize
from model.synthetic.scene import SyntheticSettings
from model.synthetic.textures import TextureBank, load_bank
from model.tracking.pips.multiscale import encode_at_scales, track_at_scales
from model.tracking.pips.network import Pips
from model.tracking.pips.refinement import RefinementSettings, grey_image, refine, visibility_features
from model.tracking.pips.release import PipsRelease, read_release, read_weights
from model.weights.checkpoints import check_name, write_state_dict

FIRST_SEED = 1_900_000_000
POINTS = 192
SPEEDS = (1.0, 1.3)
"""`SyntheticSettings.speed` of the clips, in turns."""

RIDGE = 1e-4


def calibrate_tracker(
    weights: Path,
    out: Path,
    *,
    clips: int,
    iterations: int | None,
    seed: int,
    textures: Path | None,
    cutouts: Path | None,
    progress: ReportProgress,
) -> tuple[float, ...]:
    """Fit `RefinementSettings.visibility`, write `weights` with it to `out`, and return it.

    weights: as `fit_tracker` or this function wrote them; its refinement settings are kept but for the rule.
    out: a .safetensors file; the tensors keep their bits. clips: how many are made for the fit.
    iterations: of the network, in the fit and as written; None: as the weights say.
    seed, textures, cutouts: of the training, so that no held-out picture is used.
    Raises BadInput when `weights` is no such file, or `out` has another ending.
    """
    check_name(out)
    tensors, release = read_weights(weights), read_release(weights)
    network = Pips.from_state_dict(tensors, config=release.config)
    refinement = release.use.refinement or RefinementSettings()
    iterations = iterations or release.use.iterations
    bank = load_bank(seed, textures, cutouts)
    features, visible = [], []
    for index in range(clips):
        some, truth = _examples(network, iterations, refinement, bank, index)
        features.append(some)
        visible.append(truth)
        progress(Progress("calibrating", index + 1, clips))
    rule = logistic_regression(np.concatenate(features), np.concatenate(visible))
    use = replace(release.use, iterations=iterations, refinement=replace(refinement, visibility=rule))
    write_state_dict(out, tensors, PipsRelease(release.config, use).to_metadata())
    return rule


def _examples(
    network: Pips, iterations: int, refinement: RefinementSettings, bank: TextureBank, index: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Track the points of a synthetic clip through the frames after the first.

    Returns `visibility_features`, float64 `[M, 5]`, and the true visibility, bool `[M]`.
    """
    settings = SyntheticSettings(points=POINTS, speed=SPEEDS[index % len(SPEEDS)])
    made = synthesize(FIRST_SEED + index, 1, settings, bank)
    frames, queries = made.frames[0], made.trajectories[0, 0]
    size = (frames.shape[2], frames.shape[3])
    encoded = encode_at_scales(network, list(frames), refinement.scales)
    output = track_at_scales(network, encoded, size, refinement.scales, queries.numpy(), iterations)
    images = [grey_image(frame) for frame in frames]
    refined = refine(images, queries.numpy(), output.points, output.logits < 0, refinement)
    features = visibility_features(output.logits, refined, size)
    return features[1:].reshape(-1, features.shape[-1]), made.visibility[0, 1:].numpy().ravel()


def logistic_regression(features: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """Fit weights w so that sigmoid(features @ w) is the probability of the truth.

    Minimises the balanced cross entropy (true and false ones count half each, so that 0.5 is the threshold
    of equal error costs) plus RIDGE * |w|^2.
    features: float64 `[M, K]`, the first column 1. truth: bool `[M]`, with both values in it.
    """
    rows = torch.from_numpy(features)
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
