"""A training's log: one CSV file, to which a resumed training is appended."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from model.core.files import atomic_path
from model.training.schedule import Schedule

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


_EVERY = 20  # steps of a line


class Learning(Protocol):
    """Where a training is."""

    step: int
    seconds: float
    schedule: Schedule

    @property
    def share(self) -> float:
        """The finished share of the training."""


class TrainingLog:
    """Lines for validations and, in between, for the mean losses of some steps each.

    step: from which the training goes on; later lines of an earlier part are dropped.
    losses: their names. score: the dataclass of a validation.
    """

    def __init__(
        self, path: Path, step: int, losses: Sequence[str], score: "type[DataclassInstance]"
    ) -> None:
        self._losses = tuple(losses)
        self._path = path
        self._names = ["step", "seconds", "rate", *losses, *(field.name for field in fields(score))]
        kept = _rows_before(path, step)
        with atomic_path(path) as temporary:
            write_rows(temporary, self._names, kept)
        self._sums, self._count = torch.zeros(len(losses)), 0

    def step(self, learning: Learning, losses: Sequence[Tensor]) -> None:
        """Take note of a step's losses, scalars in the order of their names."""
        self._sums += torch.stack(list(losses)).float().cpu()
        self._count += 1
        if learning.step % _EVERY == 0:
            means = (self._sums / self._count).tolist()
            self._sums, self._count = torch.zeros(len(self._losses)), 0
            named = zip(self._losses, means, strict=True)
            self._append(learning, {name: f"{value:.4f}" for name, value in named})

    def validation(self, learning: Learning, score: "DataclassInstance") -> None:
        """Note a validation."""
        self._append(learning, {name: f"{value:.4f}" for name, value in asdict(score).items()})

    def _append(self, learning: Learning, values: Mapping[str, str]) -> None:
        rate = learning.schedule.rate(learning.share)
        row = {"step": learning.step, "seconds": f"{learning.seconds:.1f}", "rate": f"{rate:.3g}", **values}
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._names, restval="").writerow(row)


def write_rows(path: Path, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file with a line of names."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _rows_before(path: Path, step: int) -> list[dict[str, str]]:
    """The rows of an earlier part of the training, up to the step from which it goes on."""
    if step == 0 or not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if int(row["step"]) <= step]
