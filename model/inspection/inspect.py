"""`inspect`: all that a report shows of a training set, gathered in one pass."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch
from model.datasets.folder import DataFolder
from model.datasets.index import DatasetIndex, SampleFilter
from model.datasets.sample import Sample, SampleFacts
from model.datasets.summary import DatasetSummary
from model.inspection.choosing import spread, worst
from model.inspection.samples import Column, SampleHistogram, VideoCount, sample_histogram, video_counts
from model.inspection.statistics import MotionStatistics, collect
from model.overlay.render import draw_trajectories

ERRORS = "errors.jsonl"
MOST_FAILURES = 50
SHEET_PICTURES = 24
WORST_PICTURES = 12


@dataclass(frozen=True, eq=False)
class DrawnSample:
    """A first frame with the trajectories on it, uint8 `[h, w, 3]` RGB, and the sample's facts."""

    picture: NDArray[np.uint8]
    facts: SampleFacts


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a training set looks like.

    url: where it is. samples: how many there are; `motion.samples` tells how many were read for the
    statistics of points. scene_motion: whether these, and what is drawn, are with the camera's motion taken
    out; samples in which no camera was found are then left out of both. histograms: over all samples, as
    filmed. videos: most samples first. sheet: samples of as many videos as possible. worst: those of the
    lowest quality. failures: {file, reason} of videos that could not be used, at most `MOST_FAILURES`.
    """

    url: str
    summary: DatasetSummary
    samples: int
    scene_motion: bool
    motion: MotionStatistics
    histograms: Mapping[Column, SampleHistogram]
    videos: Sequence[VideoCount]
    sheet: Sequence[DrawnSample]
    worst: Sequence[DrawnSample]
    failures: Sequence[Mapping[str, Any]]

    @property
    def typical_size(self) -> tuple[int, int]:
        """(height, width) of the most frequent video size among the pictures."""
        return Counter(drawn.facts.size for drawn in self.sheet).most_common(1)[0][0]


def inspect(
    folder: DataFolder,
    *,
    scene_motion: bool = False,
    most_samples: int | None = None,
    watch: Watch = UNWATCHED,
) -> Inspection:
    """Look at a training set, finished or not.

    scene_motion: with the camera's motion taken out, see `Inspection`.
    most_samples: read at most so many samples for the statistics of points, chosen at random; None: all.
    Raises BadInput when there is no set, it is empty, it is damaged, or no camera was found in any sample;
    Stopped on request.
    """
    index = DatasetIndex.load(folder, allow_incomplete=True, progress=watch.progress)
    if len(index) == 0:
        raise BadInput(f"The training set {folder.url} has no samples yet.")
    everything = index.select(SampleFilter(with_camera=scene_motion))
    if len(everything) == 0:
        raise BadInput(f"No camera was found in any sample of {folder.url}; its motion cannot be taken out.")
    read = everything
    if most_samples is not None and most_samples < len(everything):
        read = np.sort(np.random.default_rng(0).choice(everything, most_samples, replace=False))
    columns: tuple[Column, ...] = ("motion", "moving", "visible", "quality")
    return Inspection(
        url=folder.url,
        summary=index.summary,
        samples=len(index),
        scene_motion=scene_motion,
        motion=collect(index, read.tolist(), watch, scene_motion=scene_motion),
        histograms={column: sample_histogram(index.rows, column) for column in columns},
        videos=video_counts(index, index.rows),
        sheet=_drawn(index, spread(index, everything, SHEET_PICTURES), scene_motion),
        worst=_drawn(index, worst(index, everything, WORST_PICTURES), scene_motion),
        failures=_failures(folder),
    )


def _drawn(index: DatasetIndex, numbers: NDArray[np.int64], scene_motion: bool) -> list[DrawnSample]:
    return [_draw(sample, scene_motion) for sample in index.read(numbers.tolist())]


def _draw(sample: Sample, scene_motion: bool) -> DrawnSample:
    """Draw a sample's trajectories over its first frame."""
    tracks = sample.tracks().scene_motion() if scene_motion else sample.tracks()
    return DrawnSample(draw_trajectories(sample.picture(), tracks), sample.facts)


def _failures(folder: DataFolder) -> list[dict[str, Any]]:
    if not folder.exists(ERRORS):
        return []
    lines = folder.read(ERRORS).decode().splitlines()[:MOST_FAILURES]
    return [json.loads(line) for line in lines]
