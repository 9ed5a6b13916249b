"""The samples that predictors are measured on, with their truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.datasets.index import REFERENCE_HEIGHT
from model.datasets.loader import MotionDataset, MotionSample, open_dataset

MeasuredPoints = Literal["visible", "in-frame"]
"""Which points are measured: those that are visible at the horizon, or all that lie within the frame then.

Trackers call what moves fast hidden, so the visible ones are a choice of the slower.
"""


@dataclass(frozen=True, eq=False)
class Judged:
    """A sample and the points of it that are measured.

    picture: uint8 `[H, W, 3]`. queries: float32 `[N, 2]`, pixels of it. unit: pixels of the picture for one
    of a 256-high one. truth: float32 `[N, T, 2]`, displacements in pixels of the picture after the query.
    chosen: bool `[N]`, the points that are measured, see `MeasuredPoints`. source: the video.
    grid: points a side.
    """

    picture: NDArray[np.uint8]
    queries: NDArray[np.float32]
    truth: NDArray[np.float32]
    chosen: NDArray[np.bool_]
    source: str
    grid: int

    @property
    def unit(self) -> float:
        """Pixels of the picture for one of a 256-high one."""
        return float(self.picture.shape[0] / REFERENCE_HEIGHT)

    @property
    def final(self) -> NDArray[np.float64]:
        """The true displacements of the measured points: float64 `[P, 2]`, pixels of a 256-high image."""
        return np.asarray(self.truth[self.chosen, -1] / self.unit, np.float64)

    @classmethod
    def of(cls, sample: MotionSample, steps: int, points: MeasuredPoints = "visible") -> "Judged":
        """Take a sample of a training set; steps: frames after the query."""
        picture = sample.picture.permute(1, 2, 0).numpy()
        truth = sample.displacement[1 : steps + 1].numpy().transpose(1, 0, 2)
        return cls(
            np.ascontiguousarray(picture),
            sample.queries.numpy(),
            truth,
            measured(sample, points)[steps],
            sample.facts.source,
            sample.facts.grid,
        )


@dataclass(frozen=True, eq=False)
class Domain:
    """One training set: its held-out samples, and those that baselines learn from.

    name: of the set. judged, known: parts of it. steps: frames after the query. points: that are measured.
    """

    name: str
    judged: MotionDataset
    known: MotionDataset | None
    steps: int
    points: MeasuredPoints

    @classmethod
    def open(
        cls,
        folder: str,
        split: str,
        steps: int,
        *,
        scene_motion: bool = False,
        points: MeasuredPoints = "visible",
    ) -> "Domain":
        """Open a set. Raises BadInput when it has no samples of the split, or a shorter horizon."""
        judged = open_dataset(folder, split, scene_motion=scene_motion)
        everything = judged.index.summary
        has_known = everything.samples("train") > 0
        known = open_dataset(folder, "train", scene_motion=scene_motion) if has_known else None
        horizon = judged[0].facts.horizon
        if horizon < steps + 1:
            raise BadInput(f"{folder} has a horizon of {horizon} frames; {steps + 1} are predicted.")
        return cls(Path(folder).name or folder, judged, known, steps, points)

    def judged_at(self, number: int) -> Judged:
        """Return a held-out sample."""
        return Judged.of(self.judged[number], self.steps, self.points)


def measured(sample: MotionSample, points: MeasuredPoints) -> NDArray[np.bool_]:
    """Tell which positions of a sample are measured: bool `[T, N]`."""
    in_frame = sample.in_frame.numpy()
    return in_frame if points == "in-frame" else in_frame & (sample.visibility.numpy() > 0.5)


def spaced(count: int, most: int | None) -> Sequence[int]:
    """Choose up to `most` numbers below `count`, evenly."""
    if most is None or count <= most:
        return range(count)
    return [int(number) for number in np.linspace(0, count - 1, most).round()]
