"""What the samples of a set are like one by one: histograms over samples, and the videos they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.datasets.index import DatasetIndex
from model.datasets.summary import SPLITS

Column = Literal["motion", "moving", "visible", "quality"]

SHARE_EDGES: NDArray[np.float64] = np.linspace(0, 1, 21)
"""Of the bins of shares; the last one holds 1 itself."""

MOTION_EDGES: NDArray[np.float64] = np.geomspace(0.1, 1000, 33)
"""Of the bins of mean motion, 8 a decade; the first one holds what is below, too, the last what is beyond."""


@dataclass(frozen=True, eq=False)
class SampleHistogram:
    """How many samples have which value.

    edges: float64 `[bins + 1]`. counts: by split, int64 `[bins]`; splits without samples are left out.
    missing: how many samples have no value.
    """

    edges: NDArray[np.float64]
    counts: Mapping[str, NDArray[np.int64]]
    missing: int

    @property
    def total(self) -> int:
        """How many samples have a value."""
        return sum(int(counts.sum()) for counts in self.counts.values())


@dataclass(frozen=True)
class VideoCount:
    """A video and how many samples it gives. motion: their mean motion, in pixels of a 256-high image."""

    source: str
    split: str
    samples: int
    motion: float


def sample_histogram(rows: NDArray[Any], column: Column) -> SampleHistogram:
    """Count the samples (rows of a `DatasetIndex`) by one of their values."""
    values = rows[column].astype(np.float64)
    known = ~np.isnan(values)
    edges = MOTION_EDGES if column == "motion" else SHARE_EDGES
    counts = {
        name: np.histogram(np.clip(values[chosen], edges[0], edges[-1]), edges)[0]
        for number, name in enumerate(SPLITS)
        if (chosen := known & (rows["split"] == number)).any()
    }
    return SampleHistogram(edges, counts, int((~known).sum()))


def video_counts(index: DatasetIndex, rows: NDArray[Any]) -> list[VideoCount]:
    """List the videos that samples come from, those with the most samples first."""
    samples = np.bincount(rows["source"], minlength=len(index.sources))
    motion = np.bincount(rows["source"], rows["motion"], minlength=len(index.sources))
    splits = np.zeros(len(index.sources), np.int64)
    splits[rows["source"]] = rows["split"]
    order = np.argsort(-samples, kind="stable")
    return [
        VideoCount(
            index.sources[number],
            SPLITS[splits[number]],
            int(samples[number]),
            float(motion[number] / samples[number]),
        )
        for number in order[: int((samples > 0).sum())]
    ]
