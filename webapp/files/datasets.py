"""Training sets in the instance's folder: which there are, and their samples one by one."""

import dataclasses
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.datasets.index import DatasetIndex, SampleFilter
from model.datasets.summary import SUMMARY, DatasetSummary

Order = Literal["set", "most-motion", "least-motion", "best-quality", "worst-quality"]

REPORT = "report.html"
"""A set's report, if the app made it; beside its summary."""

KEPT = 4
"""Sets whose tables stay in memory; one of a million samples takes some 130 MB."""


@dataclass(frozen=True)
class DatasetListing:
    """A set's name and what it says of itself; or, where it cannot be read, a sentence that says why."""

    name: str
    summary: DatasetSummary | None
    error: str | None


class Datasets:
    """Training sets in a folder, each in a folder of its own. Tables are kept while sets stay as they are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._table = lru_cache(KEPT)(self._load_table)

    def names(self) -> list[str]:
        """List the sets' names, sorted. What is asked for by name is looked up here, never made a path."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if (path / SUMMARY).is_file())

    def list(self) -> "list[DatasetListing]":
        """Look at all sets."""
        return [self._listing(name) for name in self.names()]

    def _listing(self, name: str) -> DatasetListing:
        try:
            return DatasetListing(name, DatasetSummary.load(self._open(name)), None)
        except BadInput as error:
            return DatasetListing(name, None, str(error))

    def find(self, name: str) -> DatasetIndex | None:
        """Return the table of a set's samples, or None where there is no set of that name.

        Raises BadInput when the set is damaged.
        """
        if name not in self.names():
            return None
        state = (self._folder / name / SUMMARY).stat()
        with self._lock:  # no table is read twice at the same time
            return self._table(name, (state.st_mtime_ns, state.st_size))

    def _load_table(self, name: str, _stamp: tuple[int, int]) -> DatasetIndex:
        return DatasetIndex.load(self._open(name), allow_incomplete=True)

    def _open(self, name: str) -> DataFolder:
        return named_folder(self._folder, name)


def named_folder(datasets: Path, name: str) -> DataFolder:
    """Open a set by its name; sentences go to visitors, who need not know this machine's folders."""
    return dataclasses.replace(DataFolder.open(datasets / name), url=f"datasets/{name}")


def choose(index: DatasetIndex, wanted: SampleFilter, order: Order) -> NDArray[np.int64]:
    """Return the numbers of the rows that a filter lets through, sorted; unchecked quality comes last."""
    numbers = index.select(wanted)
    if order == "set":
        return numbers
    column = "motion" if order.endswith("motion") else "quality"
    values = index.rows[column][numbers]
    if order in ("most-motion", "best-quality"):
        values = -values
    return numbers[np.argsort(values, kind="stable")]


def number_of(index: DatasetIndex, key: str) -> int | None:
    """Return the number of the row of a sample, or None where the set has no such key."""
    found = np.flatnonzero(index.rows["key"] == key.encode())
    return int(found[0]) if len(found) else None
