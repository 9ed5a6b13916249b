"""Training sets for predictors: samples of several sets, their views, and who comes when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.dataset.reader import MotionDataset, MotionSample, open_dataset
from model.errors import BadInput
from model.predictor.config import PredictorConfig
from model.training.examples import Example, as_example, plain_view, random_view


@dataclass(frozen=True, eq=False)
class PredictorSet:
    """The samples of one split of several training sets, as examples of one size.

    size: (height, width) of the pictures. views: of each sample; the first is plain. seed: of the others.
    """

    parts: tuple[MotionDataset, ...]
    config: PredictorConfig
    size: tuple[int, int]
    views: int
    seed: int

    @classmethod
    def open(
        cls,
        folders: Sequence[str],
        split: str,
        config: PredictorConfig,
        size: tuple[int, int],
        *,
        views: int = 1,
        seed: int = 0,
    ) -> "PredictorSet":
        """Open a split of all sets; a set without that split is left out.

        Raises BadInput when nothing is left, or a set cannot be read.
        """
        parts = []
        for folder in folders:
            everything = open_dataset(folder)
            if everything.index.summary.samples(split):
                parts.append(open_dataset(folder, split))
        if not parts:
            raise BadInput(f"None of the training sets {', '.join(folders)} has samples for {split}.")
        return cls(tuple(parts), config, size, views, seed)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return sum(len(part) for part in self.parts)

    def __len__(self) -> int:
        return self.samples * self.views

    def view(self, number: int) -> Example:
        """Make a view: number is the sample's times `views`, plus the view's."""
        sample, view = divmod(number, self.views)
        example = as_example(self._sample(sample), self.config)
        if view == 0:
            return plain_view(example, self.size)
        return random_view(example, self.size, np.random.default_rng((self.seed, number)))

    def fresh_view(self, sample: int, step: int) -> Example:
        """Make a random view of a sample that depends on the training's step."""
        example = as_example(self._sample(sample), self.config)
        return random_view(example, self.size, np.random.default_rng((self.seed, sample, step)))

    def source(self, sample: int) -> str:
        """Return the name of the video that a sample is from."""
        part, index = self._place(sample)
        row = part.index.rows[part.numbers[index]]
        name: str = part.index.sources[row["source"]]
        return name

    def keys(self) -> list[str]:
        """List the keys of all samples."""
        return [key.decode() for part in self.parts for key in part.index.rows["key"][part.numbers].tolist()]

    def _sample(self, number: int) -> MotionSample:
        part, index = self._place(number)
        return part[index]

    def _place(self, number: int) -> tuple[MotionDataset, int]:
        for part in self.parts:
            if number < len(part):
                return part, number
            number -= len(part)
        raise IndexError(number)


def chosen(step: int, batch: int, count: int, seed: int, rank: int = 0, ranks: int = 1) -> list[int]:
    """Say which of `count` samples a step learns from; it depends on nothing else.

    Epochs follow each other without a gap; in each, every sample comes once, in an order of its own. With
    several ranks, each takes its share of the step's `batch * ranks` samples.
    """
    first = (step * ranks + rank) * batch
    numbers = []
    for position in range(first, first + batch):
        epoch, place = divmod(position, count)
        numbers.append(int(np.random.default_rng((seed, epoch)).permutation(count)[place]))
    return numbers
