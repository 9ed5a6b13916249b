"""Which samples a report shows as pictures."""

import numpy as np
from numpy.typing import NDArray

from model.datasets.index import DatasetIndex


def spread(index: DatasetIndex, numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Choose samples at random, but from as many videos as possible; the same ones each time.

    numbers: rows of the index to choose from. Returns at most `count` of them, in the order of the set.
    """
    shuffled = np.random.default_rng(0).permutation(numbers)
    sources = index.rows["source"][shuffled]
    order = np.argsort(sources, kind="stable")
    begins = np.r_[0, np.flatnonzero(np.diff(sources[order])) + 1]
    turn = np.empty(len(shuffled), np.int64)  # how many of the same video come before
    turn[order] = np.arange(len(order)) - np.repeat(begins, np.diff(np.r_[begins, len(order)]))
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:count]])


def worst(index: DatasetIndex, numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Choose the samples of the lowest quality, the worst first; unchecked ones are not among them."""
    quality = index.rows["quality"][numbers]
    order = np.argsort(quality, kind="stable")  # NaN comes last
    return numbers[order[: min(count, int((~np.isnan(quality)).sum()))]]
