"""Training sets for predictors: samples of several sets, their views, and which come when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.core.errors import BadInput
from model.datasets.loader import MotionDataset, open_dataset
from model.prediction.config import PredictorConfig
from model.training.predictors.examples import Example, as_example, plain_view, random_view


@dataclass(frozen=True, eq=False)
class PredictorSet:
    """The samples of one split of several training sets, as examples of one size.

    Each sample has as many views as its set says, so a set with more views counts more. They are numbered
    set by set and sample by sample.
    size: (height, width) of the pictures. views: for each set, of each of its samples; the first is plain.
    seed: of the others.
    """

    parts: tuple[MotionDataset, ...]
    config: PredictorConfig
    size: tuple[int, int]
    views: tuple[int, ...]
    seed: int

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
    ) -> "PredictorSet":
        """Open a split of all sets; a set without that split is left out.

        views: one number for all sets, or one for each. most: so many samples at most, an equal share of each
        set, evenly spread over it.
        Raises BadInput when nothing is left, or a set cannot be read.
        """
        each = tuple(views) * len(folders) if len(views) == 1 else tuple(views)
        parts, counts = [], []
        for folder, count in zip(folders, each, strict=True):
            everything = open_dataset(folder)
            if everything.index.summary.samples(split):
                parts.append(open_dataset(folder, split))
                counts.append(count)
        if not parts:
            raise BadInput(f"None of the training sets {', '.join(folders)} has samples for {split}.")
        total = sum(len(part) for part in parts)
        share = 1.0 if most is None else min(1.0, most / total)
        return cls(tuple(_thinned(part, share) for part in parts), config, size, tuple(counts), seed)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many views each set has."""
        return tuple(len(part) * views for part, views in zip(self.parts, self.views, strict=True))

    def __len__(self) -> int:
        return sum(self.sizes)

    def view(self, number: int) -> Example:
        """Make a view of which the features may be kept."""
        part, place = self.place(number)
        sample, view = divmod(place, self.views[part])
        example = as_example(self.parts[part][sample], self.config)
        if view == 0:
            return plain_view(example, self.size)
        return random_view(example, self.size, np.random.default_rng((self.seed, place)))

    def fresh_view(self, number: int, step: int) -> Example:
        """Make a random view of a view's sample that depends on the training's step."""
        part, place = self.place(number)
        example = as_example(self.parts[part][place // self.views[part]], self.config)
        return random_view(example, self.size, np.random.default_rng((self.seed, number, step)))

    def keys(self, part: int) -> list[str]:
        """List the keys of a set's samples."""
        chosen = self.parts[part]
        return [key.decode() for key in chosen.index.rows["key"][chosen.numbers].tolist()]

    def numbers(self, part: int) -> range:
        """Return the numbers of a set's views."""
        first = sum(self.sizes[:part])
        return range(first, first + self.sizes[part])

    def place(self, number: int) -> tuple[int, int]:
        """Return which set a view is of, and its number there."""
        for part, size in enumerate(self.sizes):
            if number < size:
                return part, number
            number -= size
        raise IndexError(number)


def _thinned(part: MotionDataset, share: float) -> MotionDataset:
    """Keep a share of a set's samples, at least one, evenly spread."""
    count = max(1, int(share * len(part)))
    kept = np.arange(count) * len(part) // count
    return MotionDataset(part.index, part.numbers[kept], part.image_size)


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
