"""Statistics of the motion in a training set, collected sample by sample in memory that does not grow.

Lengths are in pixels of a 256-high image, so that videos of different sizes can be compared. Only points that
are visible in a frame, and inside it, count there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Progress, Watch
from model.datasets.index import REFERENCE_HEIGHT, DatasetIndex
from model.datasets.sample import MOVING, Sample
from model.motion.grid import inside_frame

EDGES: NDArray[np.float64] = np.concatenate([[0.0], np.geomspace(0.1, 1000.0, 81)])
"""Of the displacement's bins: 20 a decade; the first holds all below 0.1 px."""

SECTORS = 24
"""Of the direction rose; sector k is centred at k · 360° / SECTORS, from right towards up as on a screen."""

REACHES = (MOVING, 4.0, 16.0)
"""Where the classes of displacement begin that the direction rose tells apart; below the first is still."""

AT_ONCE = 64
"""Samples that are fetched together, and after which progress is told."""


@dataclass(frozen=True, eq=False)
class MotionStatistics:
    """The motion of the points of many samples.

    samples: how many. grid: query points a side.
    trajectories: how many points were visible in their sample's last frame.
    displacement: int64 `[len(EDGES)]`, how many of these moved how far from the first to the last frame; the
        last entry is beyond the last edge.
    directions: int64 `[len(REACHES), SECTORS]`, how many of these moved where to, by how far.
    visible: float64 `[T]`, the share of points that are visible in each frame.
    distance: float64 `[T]`, the mean distance from the first frame's position; NaN where nothing is visible.
    cell_distance: float64 `[grid, grid]`, the mean distance in the last frame of the points of a grid cell;
        NaN where none was visible. cell_motion: float64 `[grid, grid, 2]`, their mean displacement (x, y).
    cell_visible: float64 `[grid, grid]`, the share of a cell's points that are visible in the last frame.
    """

    samples: int
    grid: int
    trajectories: int
    displacement: NDArray[np.int64]
    directions: NDArray[np.int64]
    visible: NDArray[np.float64]
    distance: NDArray[np.float64]
    cell_distance: NDArray[np.float64]
    cell_motion: NDArray[np.float64]
    cell_visible: NDArray[np.float64]

    def quantile(self, share: float) -> float:
        """Return how far the given share of the points move at most, as exactly as the bins tell."""
        if self.trajectories == 0:
            return 0.0
        reached = np.cumsum(self.displacement) / self.trajectories
        bin_number = int(np.searchsorted(reached, share))
        return float(EDGES[min(bin_number + 1, len(EDGES) - 1)])

    @property
    def moving(self) -> float:
        """The share of the trajectories that move by more than `MOVING`."""
        return float(self.directions.sum() / max(1, self.trajectories))


def pixels(length: float) -> str:
    """Write a length with the two digits that the bins are good for: "0.22 px", "110 px"."""
    return f"{float(f'{length:.2g}'):g} px"


class StatisticsCollector:
    """Adds up samples of one grid and horizon.

    scene_motion: whether the camera's motion is taken out first.
    """

    def __init__(self, grid: int, horizon: int, *, scene_motion: bool = False) -> None:
        self._grid, self._scene_motion = grid, scene_motion
        self._samples = 0
        self._displacement = np.zeros(len(EDGES), np.int64)
        self._directions = np.zeros((len(REACHES), SECTORS), np.int64)
        # By frame: points, visible ones, and their distances' sum.
        self._points, self._seen = np.zeros(horizon, np.int64), np.zeros(horizon, np.int64)
        self._distance = np.zeros(horizon)
        # By point of the grid.
        self._cell_seen, self._cell_distance = np.zeros(grid**2, np.int64), np.zeros(grid**2)
        self._cell_motion = np.zeros((grid**2, 2))

    def add(self, sample: Sample) -> None:
        """Count a sample in."""
        tracks = sample.tracks()
        moved, seen = (
            tracks.points - tracks.points[0],
            tracks.visible & inside_frame(tracks.points, tracks.size),
        )
        if self._scene_motion:
            known, moved = sample.scene_displacement()
            seen &= known[:, None]
        motion = moved * (REFERENCE_HEIGHT / tracks.size[0])
        distance = np.linalg.norm(motion, axis=2)
        self._samples += 1
        self._points[: len(seen)] += seen.shape[1]
        self._seen[: len(seen)] += seen.sum(axis=1)
        self._distance[: len(seen)] += np.where(seen, distance, 0).sum(axis=1)
        self._add_last(motion[-1], distance[-1], seen[-1])

    def _add_last(
        self, motion: NDArray[np.float32], distance: NDArray[np.float32], seen: NDArray[np.bool_]
    ) -> None:
        self._cell_seen += seen
        self._cell_distance += np.where(seen, distance, 0)
        self._cell_motion += np.where(seen[:, None], motion, 0)
        places = np.searchsorted(EDGES, distance[seen], side="right") - 1
        self._displacement += np.bincount(places, minlength=len(EDGES))
        moved = seen & (distance > REACHES[0])
        angles = np.arctan2(-motion[moved, 1], motion[moved, 0])  # the image's y points down
        sectors = np.round(angles / (2 * np.pi / SECTORS)).astype(np.int64) % SECTORS
        reaches = np.searchsorted(REACHES, distance[moved], side="left") - 1
        np.add.at(self._directions, (reaches, sectors), 1)

    def result(self) -> MotionStatistics:
        """Return what has been counted so far."""
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as promised
            cells = (self._grid, self._grid)
            return MotionStatistics(
                samples=self._samples,
                grid=self._grid,
                trajectories=int(self._displacement.sum()),
                displacement=self._displacement.copy(),
                directions=self._directions.copy(),
                visible=self._seen / self._points,
                distance=self._distance / self._seen,
                cell_distance=(self._cell_distance / self._cell_seen).reshape(cells),
                cell_motion=(self._cell_motion / self._cell_seen[:, None]).reshape(*cells, 2),
                cell_visible=(self._cell_seen / self._samples).reshape(cells),
            )


def collect(
    index: DatasetIndex,
    numbers: Sequence[int],
    watch: Watch = UNWATCHED,
    *,
    scene_motion: bool = False,
) -> MotionStatistics:
    """Read samples, by the numbers of their rows, and add up their motion.

    scene_motion: with the camera's motion taken out; each sample must have a camera.
    watch: told the stage "reading samples".
    Raises BadInput when a sample is damaged or has another grid or horizon than the set's settings say,
    Stopped on request.
    """
    settings = index.summary.settings
    grid, horizon = int(settings["grid"]), int(settings["horizon"])
    collector = StatisticsCollector(grid, horizon, scene_motion=scene_motion)
    for first in range(0, len(numbers), AT_ONCE):
        watch.check()
        for sample in index.read(numbers[first : first + AT_ONCE]):
            if (sample.facts.grid, sample.facts.horizon) != (grid, horizon):
                raise BadInput(
                    f"The sample {sample.key} has not the {grid}×{grid} points and {horizon} frames that the "
                    "set's settings say; convert the videos anew."
                )
            collector.add(sample)
        watch.progress(Progress("reading samples", min(first + AT_ONCE, len(numbers)), len(numbers)))
    return collector.result()
