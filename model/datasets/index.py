"""All samples of a training set as one table in memory: what each is and where its bytes lie."""

import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.progress import Progress, ReportProgress, ignore_progress
from model.datasets.folder import DataFolder
from model.datasets.sample import FACTS, IMAGE, TRACKS, Sample, SampleFacts
from model.datasets.shards import IndexEntry, ShardIndex, archive_name, cut_files
from model.datasets.summary import SPLITS, DatasetSummary

REFERENCE_HEIGHT = 256
"""Motion is compared between videos of different sizes as in an image of this height."""

_ENDINGS = (IMAGE, TRACKS, FACTS)
_READERS = 8  # indices that are fetched at once: from an object store each costs a round trip


@dataclass(frozen=True)
class SampleFilter:
    """Which samples are wanted.

    split: "train", "validation", "test", or None for all. source: the name of a video, or None for all.
    min_motion, max_motion: of `SampleFacts.motion`, in pixels of a 256-high image.
    min_moving: of the share of moving points.
    min_quality: of `SampleFacts.quality`; above 0, samples whose quality was not checked are left out.
    only_whole: leave out samples that are shorter than their horizon.
    with_camera: leave out samples in which no camera was found; its motion cannot be taken out of them.
    Raises BadInput for a split that does not exist.
    """

    split: str | None = None
    source: str | None = None
    min_motion: float = 0.0
    max_motion: float = float("inf")
    min_moving: float = 0.0
    min_quality: float = 0.0
    only_whole: bool = False
    with_camera: bool = False

    def __post_init__(self) -> None:
        if self.split is not None and self.split not in SPLITS:
            raise BadInput(
                f"There is no split “{str(self.split)[:60]}”; a training set has {', '.join(SPLITS)}."
            )


@dataclass(frozen=True, eq=False)
class DatasetIndex:
    """The samples of a training set, in the order of its shards.

    rows: a structured array, one row for each sample (some 130 bytes):
        key: bytes. shard: index into `summary.shards`. source: index into `sources`. split: index into
        `SPLITS`. parts: int64 `[3, 2]`, offset and length in the shard of the image, tracks and facts.
        start, count, horizon, moving, visible, quality: see `SampleFacts`; quality is NaN where unchecked.
        camera: `SampleFacts.camera_share`, NaN where no camera was found.
        is_upright: whether the pictures are higher than wide.
        motion: that of `SampleFacts`, but in pixels of a 256-high image.
    sources: names of the videos. groups: for each, the source that it is a part of (`SampleFacts.group`).
    """

    folder: DataFolder
    summary: DatasetSummary
    rows: NDArray[Any]
    sources: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def load(
        cls, folder: DataFolder, *, allow_incomplete: bool = False, progress: ReportProgress = ignore_progress
    ) -> "DatasetIndex":
        """Read the indices of all finished shards.

        progress: told the stage "reading the index" after each shard.
        Raises BadInput when there is no training set, its conversion has not ended (unless that is allowed),
        or an index is missing or damaged.
        """
        summary = DatasetSummary.load(folder)
        if not summary.is_complete and not allow_incomplete:
            raise BadInput(
                f"The training set {folder.url} is not complete; give the same `convert` command again to "
                "finish it, or allow an incomplete set."
            )
        tables: list[NDArray[Any]] = [np.zeros(0, _row_type(1))]
        codes: dict[tuple[str, str], int] = {}

        def load(number: int) -> tuple[NDArray[Any], list[tuple[str, str]]]:
            return _table(folder, summary, number)

        with ThreadPoolExecutor(_READERS) as readers:
            for number, (table, names) in enumerate(readers.map(load, range(len(summary.shards)))):
                places = np.array([codes.setdefault(name, len(codes)) for name in names], np.int32)
                table["source"] = places[table["source"]]
                tables.append(table)
                progress(Progress("reading the index", number + 1, len(summary.shards)))
        sources, groups = zip(*codes, strict=True) if codes else ((), ())
        return cls(folder, summary, np.concatenate(tables), sources, groups)

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, wanted: SampleFilter) -> NDArray[np.int64]:
        """Return the numbers of the rows that a filter lets through, in order."""
        rows = self.rows
        chosen = (rows["motion"] >= wanted.min_motion) & (rows["motion"] <= wanted.max_motion)
        chosen &= rows["moving"] >= wanted.min_moving
        if wanted.split is not None:
            chosen &= rows["split"] == SPLITS.index(wanted.split)
        if wanted.source is not None:
            chosen &= rows["source"] == (
                self.sources.index(wanted.source) if wanted.source in self.sources else -1
            )
        if wanted.min_quality > 0:
            chosen &= rows["quality"] >= wanted.min_quality  # false for NaN
        if wanted.only_whole:
            chosen &= rows["count"] == rows["horizon"]
        if wanted.with_camera:
            chosen &= ~np.isnan(rows["camera"])
        return np.flatnonzero(chosen)

    def read(self, numbers: Sequence[int]) -> list[Sample]:
        """Read samples by the numbers of their rows, without reading the rest of their shards.

        From an object store all are fetched at the same time.
        Raises BadInput when a shard is gone or is not the one of its index.
        """
        rows = [self.rows[number] for number in numbers]
        starts = [int(row["parts"][:, 0].min()) for row in rows]
        ends = [int(row["parts"].sum(axis=1).max()) for row in rows]
        shards = [archive_name(self.summary.shards[row["shard"]].name) for row in rows]
        paths = [self.folder.path(shard) for shard in shards]
        try:
            contents = self.folder.files.cat_ranges(paths, starts, ends, on_error="raise")
        except FileNotFoundError as error:
            raise BadInput(f"A shard of {self.folder.url} is gone; copy the set again.") from error
        return [
            self._sample(row, shard, content, start)
            for row, shard, content, start in zip(rows, shards, contents, starts, strict=True)
        ]

    def _sample(self, row: Any, shard: str, content: bytes, start: int) -> Sample:
        """Take a sample out of a piece of its shard that begins at byte `start`."""
        key = row["key"].decode()
        parts = dict(zip(_ENDINGS, row["parts"].tolist(), strict=True))
        try:
            return Sample.from_files(key, cut_files(content, parts, start))
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise BadInput(
                f"The sample {key} in {shard} of {self.folder.url} is damaged; copy the set again."
            ) from error


def _row_type(key_length: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("key", f"S{key_length}"),
            ("shard", np.int32),
            ("parts", np.int64, (len(_ENDINGS), 2)),
            ("source", np.int32),
            ("split", np.int8),
            ("start", np.int64),
            ("count", np.int16),
            ("horizon", np.int16),
            ("motion", np.float32),
            ("moving", np.float32),
            ("visible", np.float32),
            ("quality", np.float32),
            ("camera", np.float32),
            ("is_upright", np.bool_),
        ]
    )


def _table(
    folder: DataFolder, summary: DatasetSummary, number: int
) -> tuple[NDArray[Any], list[tuple[str, str]]]:
    """Return a shard's rows and its videos with their groups; `source` is an index into these."""
    name = summary.shards[number].name
    try:
        entries = ShardIndex.load(folder, name).samples
    except FileNotFoundError as error:
        raise BadInput(
            f"The index of the shard {name} of {folder.url} is gone; copy the set again, or give its "
            "`convert` command again."
        ) from error
    names = sorted({(entry.facts.source, entry.facts.group or entry.facts.source) for entry in entries})
    places = {source: place for place, (source, _) in enumerate(names)}
    rows = np.zeros(len(entries), _row_type(max((len(entry.key) for entry in entries), default=1)))
    for row, entry in zip(rows, entries, strict=True):
        facts = entry.facts
        row["key"] = entry.key.encode()
        row["shard"] = number
        row["parts"] = _parts(entry)
        row["source"] = places[facts.source]
        row["split"] = SPLITS.index(facts.split)
        row["motion"] = motion_at_reference(facts)
        row["quality"] = np.nan if facts.quality is None else facts.quality
        row["camera"] = np.nan if facts.camera_share is None else facts.camera_share
        row["is_upright"] = facts.size[0] > facts.size[1]
        for column in ("start", "count", "horizon", "moving", "visible"):
            row[column] = getattr(facts, column)
    return rows, names


def _parts(entry: IndexEntry) -> list[tuple[int, int]]:
    return [(entry.parts[ending].offset, entry.parts[ending].length) for ending in _ENDINGS]


def motion_at_reference(facts: SampleFacts) -> float:
    """Return a sample's mean motion in pixels of a 256-high image."""
    return facts.motion * REFERENCE_HEIGHT / facts.size[0]
