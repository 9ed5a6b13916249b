"""What a predictor must beat: no motion, the mean motion of each grid cell, and the nearest known image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model.core.devices import has_fast_bfloat16
from model.core.progress import Progress, ReportProgress
from model.datasets.loader import MotionDataset
from model.evaluation.predictors.samples import HEIGHT, Judged
from model.motion.grid import rescale_points
from model.prediction.network import MotionPredictor, normalise
from model.prediction.predictor import resized
from model.prediction.release import PredictorUse


@dataclass(frozen=True, eq=False)
class CellMeans:
    """The mean motion of each cell of the grid in known samples.

    motion: float32 `[rows, columns, T, 2]`, pixels of a 256-high image.
    """

    motion: NDArray[np.float32]

    @classmethod
    def of(
        cls, known: Sequence[MotionDataset], steps: int, grid: int, *, progress: ReportProgress
    ) -> "CellMeans":
        """Average over the points that are visible, frame by frame; samples of another grid are left out."""
        total = np.zeros((grid, grid, steps, 2))
        counts = np.zeros((grid, grid, steps, 1))
        samples = sum(len(part) for part in known)
        done = 0
        for part in known:
            for number in range(len(part)):
                sample = part[number]
                done += 1
                progress(Progress("averaging", done, samples))
                if sample.facts.grid != grid or len(sample.displacement) <= steps:
                    continue
                unit = sample.picture.shape[1] / HEIGHT
                motion = sample.displacement[1 : steps + 1].numpy().transpose(1, 0, 2) / unit
                seen = sample.visibility[1 : steps + 1].numpy().T[..., None] > 0.5
                total += (motion * seen).reshape(total.shape)
                counts += seen.reshape(counts.shape)
        return cls((total / np.maximum(counts, 1)).astype(np.float32))

    def answer(self, sample: Judged) -> NDArray[np.float32]:
        """Predict `[N, T, 2]`, pixels of the sample's picture."""
        size = (sample.picture.shape[0], sample.picture.shape[1])
        rows, columns = self.motion.shape[:2]
        # The cell that holds each point, whatever the grid of the sample.
        places = rescale_points(sample.queries, size, (rows, columns)).round().astype(int)
        x, y = places[:, 0].clip(0, columns - 1), places[:, 1].clip(0, rows - 1)
        return np.asarray(self.motion[y, x] * sample.unit, np.float32)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Known samples by their pooled backbone features; the most similar one lends its motion.

    features: float32 `[S, C]`, of length 1. motion: float32 `[S, rows, columns, T, 2]`, in pixels of a
    256-high image.
    """

    network: MotionPredictor
    use: PredictorUse
    features: NDArray[np.float32]
    motion: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        network: MotionPredictor,
        use: PredictorUse,
        known: Sequence[tuple[MotionDataset, int]],
        steps: int,
        grid: int,
        *,
        progress: ReportProgress,
    ) -> "Neighbours":
        """Look at known samples; known: sets and numbers in them."""
        features, motions = [], []
        for done, (part, number) in enumerate(known):
            sample = part[number]
            progress(Progress("looking at known images", done + 1, len(known)))
            if sample.facts.grid != grid or len(sample.displacement) <= steps:
                continue
            picture = sample.picture.permute(1, 2, 0).numpy()
            features.append(_pooled(network, use, picture))
            unit = picture.shape[0] / HEIGHT
            motion = sample.displacement[1 : steps + 1].numpy().transpose(1, 0, 2) / unit
            motions.append(motion.reshape(grid, grid, steps, 2))
        return cls(network, use, np.stack(features), np.stack(motions).astype(np.float32))

    def answer(self, sample: Judged) -> NDArray[np.float32]:
        """Predict `[N, T, 2]`, pixels of the sample's picture."""
        nearest = int((self.features @ _pooled(self.network, self.use, sample.picture)).argmax())
        return CellMeans(self.motion[nearest]).answer(sample)


@torch.inference_mode()
def _pooled(network: MotionPredictor, use: PredictorUse, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean deep features of a picture, of length 1: float32 `[C]`."""
    device = next(network.parameters()).device
    pixels = torch.tensor(picture).permute(2, 0, 1)[None].to(device)
    small = resized(pixels, use.working_size((picture.shape[0], picture.shape[1])))
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
        deep = network.backbone(normalise(small))[-1]
    mean = deep.float().mean(dim=(2, 3))[0]
    return np.asarray((mean / mean.norm().clamp(min=1e-30)).cpu().numpy(), np.float32)
