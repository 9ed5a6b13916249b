"""Training sets for predictors: samples of several sets, their views, and which come when."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.datasets.loader import MotionDataset, open_dataset
from model.datasets.summary import DatasetSummary
from model.prediction.config import PredictorConfig
from model.training.predictors.examples import HIDDEN, Example, as_example, plain_view, random_view

LARGEST_SHARE = 0.2
_CAPPING_ROUNDS = 20


@dataclass(frozen=True, eq=False)
class PredictorSet:
    """The samples of one split of several training sets, as examples of few shapes.

    Each set is a part of its own, and its upright pictures are another one, since examples of one part have
    one size. Each sample has as many views as its part says, so one with more views counts more. They are
    numbered part by part and sample by sample.
    shapes: for each part, (height, width) of its examples. views: for each part, of each of its samples; the
    first is plain. seed: of the others. weights: for each part, float32 of each of its samples, see
    `source_weights`. hidden: see `as_example`.
    """

    parts: tuple[MotionDataset, ...]
    config: PredictorConfig
    shapes: tuple[tuple[int, int], ...]
    views: tuple[int, ...]
    weights: tuple[NDArray[np.float32], ...]
    seed: int
    hidden: float

    @classmethod
    def open(
        cls,
        folders: Sequence[str],
        split: str,
        config: PredictorConfig,
        size: tuple[int, int],
        *,
        views: Sequence[int] = (1,),
        seed: int = 0,
        most: int | None = None,
        hidden: float = HIDDEN,
    ) -> "PredictorSet":
        """Open a split of all sets; a set without that split is left out.

        size: (height, width) of the examples; of upright pictures (width, height).
        views: one number for all sets, or one for each. most: so many samples at most, an equal share of each
        set, evenly spread over it. hidden: see `as_example`.
        Raises BadInput when nothing is left, or a set cannot be read.
        """
        each = tuple(views) * len(folders) if len(views) == 1 else tuple(views)
        parts, counts = [], []
        for folder, count in zip(folders, each, strict=True):
            everything = open_dataset(folder)
            if everything.index.summary.samples(split):
                parts.append(open_dataset(folder, split, scene_motion=config.scene_motion))
                counts.append(count)
        if not parts:
            raise BadInput(f"None of the training sets {', '.join(folders)} has samples for {split}.")
        total = sum(len(part) for part in parts)
        share = 1.0 if most is None else min(1.0, most / total)
        shaped = []
        for part, count in zip([_thinned(part, share) for part in parts], counts, strict=True):
            importance, is_upright = _weights(part), part.index.rows["is_upright"][part.numbers]
            for kept, shape in ((~is_upright, size), (is_upright, size[::-1])):
                if kept.any():
                    shaped.append((_chosen(part, kept), shape, count, importance[kept]))
        chosen, shapes, each_views, weights = zip(*shaped, strict=True)
        return cls(chosen, config, shapes, each_views, weights, seed, hidden)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many views each part has."""
        return tuple(len(part) * views for part, views in zip(self.parts, self.views, strict=True))

    def __len__(self) -> int:
        return sum(self.sizes)

    def view(self, number: int) -> Example:
        """Make a view of which the features may be kept."""
        part, place = self.place(number)
        sample, view = divmod(place, self.views[part])
        example = self._example(part, sample)
        if view == 0:
            return plain_view(example, self.shapes[part])
        return random_view(example, self.shapes[part], np.random.default_rng((self.seed, place)))

    def fresh_view(self, number: int, step: int) -> Example:
        """Make a random view of a view's sample that depends on the training's step."""
        part, place = self.place(number)
        example = self._example(part, place // self.views[part])
        return random_view(example, self.shapes[part], np.random.default_rng((self.seed, number, step)))

    def _example(self, part: int, sample: int) -> Example:
        example = as_example(self.parts[part][sample], self.config, self.hidden)
        return example._replace(counts=example.counts * float(self.weights[part][sample]))

    def keys(self, part: int) -> list[str]:
        """List the keys of a part's samples."""
        chosen = self.parts[part]
        return [key.decode() for key in chosen.index.rows["key"][chosen.numbers].tolist()]

    def numbers(self, part: int) -> range:
        """Return the numbers of a part's views."""
        first = sum(self.sizes[:part])
        return range(first, first + self.sizes[part])

    def by_shape(self, numbers: Sequence[int]) -> list[list[int]]:
        """Group numbers of views by the shape of their pictures."""
        groups: dict[tuple[int, int], list[int]] = {}
        for number in numbers:
            groups.setdefault(self.shapes[self.place(number)[0]], []).append(number)
        return list(groups.values())

    def place(self, number: int) -> tuple[int, int]:
        """Return which part a view is of, and its number there."""
        for part, size in enumerate(self.sizes):
            if number < size:
                return part, number
            number -= size
        raise IndexError(number)


def common_interval(folders: Sequence[str]) -> float | None:
    """Return the seconds from one frame to the next in sets; None where they go by frames.

    Raises BadInput when they differ, since a horizon would then be several times, and for what is no set.
    """
    found = {
        folder: DatasetSummary.load(DataFolder.open(folder)).settings.get("interval") for folder in folders
    }
    if len(set(found.values())) > 1:
        told = ", ".join(f"{folder}: {interval or 'by frames'}" for folder, interval in found.items())
        raise BadInput(f"The sets have different intervals ({told}); convert them with one --interval.")
    return next(iter(found.values()))


def _thinned(part: MotionDataset, share: float) -> MotionDataset:
    """Keep a share of a set's samples, at least one, evenly spread."""
    count = max(1, int(share * len(part)))
    return _chosen(part, np.arange(count) * len(part) // count)


def _chosen(part: MotionDataset, kept: NDArray[np.generic]) -> MotionDataset:
    return MotionDataset(part.index, part.numbers[kept], part.image_size, part.scene_motion)


def _weights(part: MotionDataset) -> NDArray[np.float32]:
    sources = part.index.rows["source"][part.numbers]
    return source_weights([part.index.groups[source] for source in sources])


def source_weights(groups: Sequence[str]) -> NDArray[np.float32]:
    """Say how much each sample counts, 1 on average, by the source that it is from.

    Pieces of one source are much alike: n of them count as much as sqrt(n). Sources in one folder are
    somewhat alike: a folder counts at most as `LARGEST_SHARE` of all.
    """
    each = Counter(groups)
    weights = np.array([each[group] ** -0.5 for group in groups])
    folders = np.array([group.rpartition("/")[0] for group in groups])
    largest = max(LARGEST_SHARE, 1 / len(set(folders)))
    for _ in range(_CAPPING_ROUNDS):  # what is taken from one folder raises the shares of the others
        for folder in set(folders):
            own = folders == folder
            share = weights[own].sum() / weights.sum()
            if share > largest:
                weights[own] *= largest * (1 - share) / (share * (1 - largest)) if share < 1 else 1
    return np.asarray(weights * (len(weights) / weights.sum()), np.float32)


def batch_indices(step: int, batch: int, count: int, seed: int, rank: int = 0, ranks: int = 1) -> list[int]:
    """Say which of `count` views a step learns from; it depends on nothing else.

    Epochs follow each other without a gap; in each, every view comes once, in an order of its own. With
    several ranks, each takes its share of the step's `batch * ranks` views.
    """
    first = (step * ranks + rank) * batch
    numbers = []
    for position in range(first, first + batch):
        epoch, place = divmod(position, count)
        numbers.append(int(np.random.default_rng((seed, epoch)).permutation(count)[place]))
    return numbers
