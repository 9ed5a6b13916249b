"""What a predictor must beat: no motion, the mean motion of each grid cell, and the nearest known image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model.core.devices import autocast
from model.core.progress import UNWATCHED, Watch
from model.datasets.index import REFERENCE_HEIGHT
from model.datasets.loader import MotionDataset
from model.evaluation.beliefs import Belief
from model.evaluation.predictors.samples import Judged, MeasuredPoints, measured
from model.motion.grid import rescale_points
from model.motion.prediction import MOVES
from model.prediction.network import MotionPredictor, normalise
from model.prediction.predictor import resized
from model.prediction.release import PredictorUse

SCALES: NDArray[np.float64] = np.geomspace(0.05, 100, 12)
"""Of the zero-centred Laplace distributions that baselines mix, in pixels of a 256-high image."""

_LEAST_WEIGHT = 1e-6
_ROUNDS = 100


@dataclass(frozen=True, eq=False)
class StillMixture:
    """Zero-centred Laplace distributions mixed: all that is known of motion without looking at the picture.

    weights: float64 `[..., len(SCALES)]`.
    """

    weights: NDArray[np.float64]

    @classmethod
    def of(cls, motion: NDArray[np.float64]) -> "StillMixture":
        """Fit the weights to displacements `[P, 2]` by expectation maximisation."""
        weights = np.full(len(SCALES), 1 / len(SCALES))
        density = np.exp(_log_densities(motion))
        for _ in range(_ROUNDS if len(motion) else 0):
            share = density * weights
            weights = (share / share.sum(axis=1, keepdims=True)).mean(axis=0).clip(_LEAST_WEIGHT)
            weights /= weights.sum()
        return cls(weights)

    def log_density(self, motion: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log density per square pixel at displacements `[P, 2]`: `[P]`."""
        each = _log_densities(motion) + np.log(self.weights)
        return np.asarray(np.logaddexp.reduce(each, axis=-1))


def _log_densities(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    away = np.abs(motion).sum(axis=-1, keepdims=True) / SCALES
    return np.asarray(-away - 2 * np.log(2 * SCALES))


@dataclass(frozen=True, eq=False)
class CellMeans:
    """The mean motion of each cell of the grid in known samples.

    motion: float32 `[rows, columns, T, 2]`, pixels of a 256-high image.
    """

    motion: NDArray[np.float32]

    def answer(self, sample: Judged) -> NDArray[np.float32]:
        """Predict `[N, T, 2]`, pixels of the sample's picture."""
        return np.asarray(self.motion[_cells(sample, self.motion.shape)] * sample.unit, np.float32)


@dataclass(frozen=True, eq=False)
class CellPrior:
    """What is known of a point by where in the picture it lies, and of points in general.

    Arrays are `[rows, columns, ...]`, one entry for each cell of the grid, from known samples.
    moving: the share of points that move by more than `MOVES`. direction: `[..., 2]`, the mean unit vector.
    mixture: its weights `[..., len(SCALES)]`. anywhere: `moving` and the mixture of all cells together.
    means: the mean motion, frame by frame.
    """

    moving: NDArray[np.float64]
    direction: NDArray[np.float64]
    mixture: StillMixture
    anywhere: tuple[float, StillMixture]
    means: CellMeans

    @classmethod
    def of(
        cls,
        known: Sequence[MotionDataset],
        steps: int,
        grid: int,
        points: MeasuredPoints = "visible",
        watch: Watch = UNWATCHED,
    ) -> "CellPrior":
        """Learn from such points of known samples as are measured; samples of another grid are left out."""
        total, counted = np.zeros((grid**2, steps, 2)), np.zeros((grid**2, steps, 1))
        finals, seen = [np.zeros((0, grid**2, 2))], [np.zeros((0, grid**2), bool)]
        samples = [(part, number) for part in known for number in range(len(part))]
        for part, number in watch.each("reading known samples", samples):
            sample = part[number]
            if sample.facts.grid != grid or len(sample.displacement) <= steps:
                continue
            unit = sample.picture.shape[1] / REFERENCE_HEIGHT
            motion = sample.displacement[1 : steps + 1].numpy().transpose(1, 0, 2).astype(np.float64) / unit
            is_measured = measured(sample, points)[1 : steps + 1].T
            total += motion * is_measured[..., None]
            counted += is_measured[..., None]
            finals.append(motion[None, :, -1])
            seen.append(is_measured[None, :, -1])
        means = (total / np.maximum(counted, 1)).reshape(grid, grid, steps, 2)
        moved, is_seen = np.concatenate(finals), np.concatenate(seen)
        cells = [moved[is_seen[:, cell], cell] for cell in range(grid**2)]
        length = [np.linalg.norm(cell, axis=1) for cell in cells]
        far = [cell[size > MOVES] for cell, size in zip(cells, length, strict=True)]
        unit_sums = [(each / np.linalg.norm(each, axis=1, keepdims=True)).sum(axis=0) for each in far]
        counts = np.array([max(1, len(cell)) for cell in cells])
        moving = np.array([len(each) for each in far]) / counts
        return cls(
            moving.reshape(grid, grid),
            (np.stack(unit_sums) / counts[:, None]).reshape(grid, grid, 2),
            StillMixture(np.stack([StillMixture.of(cell).weights for cell in cells]).reshape(grid, grid, -1)),
            (float((moving * counts).sum() / counts.sum()), StillMixture.of(np.concatenate(cells))),
            CellMeans(means.astype(np.float32)),
        )

    def of_place(self, sample: Judged) -> Belief:
        """Believe of each measured point what is known of its cell."""
        y, x = _cells(sample, self.moving.shape)
        chosen, truth = sample.chosen, sample.final
        local = StillMixture(self.mixture.weights[y, x][chosen])
        return Belief(
            truth, self.moving[y, x][chosen], self.direction[y, x][chosen], local.log_density(truth)
        )

    def of_any(self, sample: Judged) -> Belief:
        """Believe of each measured point what is known of points in general."""
        truth = sample.final
        moving, mixture = self.anywhere
        return Belief(truth, np.full(len(truth), moving), np.zeros_like(truth), mixture.log_density(truth))


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
        watch: Watch = UNWATCHED,
    ) -> "Neighbours":
        """Look at known samples; known: sets and numbers in them."""
        features, motions = [], []
        for part, number in watch.each("looking at known images", known):
            sample = part[number]
            if sample.facts.grid != grid or len(sample.displacement) <= steps:
                continue
            picture = sample.picture.permute(1, 2, 0).numpy()
            features.append(_pooled(network, use, picture))
            unit = picture.shape[0] / REFERENCE_HEIGHT
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
    with autocast(device):
        deep = network.backbone(normalise(small))[-1]
    mean = deep.float().mean(dim=(2, 3))[0]
    return np.asarray((mean / mean.norm().clamp(min=1e-30)).cpu().numpy(), np.float32)


def _cells(sample: Judged, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the row and column of the cell that holds each point, whatever the grid of the sample."""
    size = (sample.picture.shape[0], sample.picture.shape[1])
    places = rescale_points(sample.queries, size, (shape[0], shape[1])).round().astype(np.intp)
    return places[:, 1].clip(0, shape[0] - 1), places[:, 0].clip(0, shape[1] - 1)
