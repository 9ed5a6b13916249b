"""`dataset.json`: what a training set is, for those who read it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from model.core.errors import BadInput
from model.datasets.folder import DataFolder

SUMMARY = "dataset.json"
FORMAT_VERSION = 1
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class ShardSummary:
    """A shard's name without ending, its split, and how many samples and bytes it has."""

    name: str
    split: str
    samples: int
    bytes: int


@dataclass(frozen=True)
class DatasetSummary:
    """A training set as a whole.

    settings: of the conversion (`model.convert.settings.ConvertSettings` as JSON values).
    method: what tracked, as `model.motion.tracks.Method` has it.
    shards: those that are finished. is_complete: whether all are.
    videos: how many sources have samples, by split. failures: how many videos could not be used.
    skipped: how many samples were left out, by the reason.
    """

    settings: Mapping[str, Any]
    method: Mapping[str, Any]
    shards: tuple[ShardSummary, ...]
    is_complete: bool
    videos: Mapping[str, int]
    failures: int
    skipped: Mapping[str, int]
    format: Literal["stillmotion-dataset"] = "stillmotion-dataset"
    version: int = FORMAT_VERSION

    def samples(self, split: str | None = None) -> int:
        """Return how many samples there are, in all or in a split."""
        return sum(shard.samples for shard in self.shards if split in (None, shard.split))

    def text(self) -> str:
        """Return what stands in `dataset.json`."""
        return json.dumps(asdict(self), sort_keys=True, indent=1) + "\n"

    def save(self, folder: DataFolder) -> None:
        """Write `dataset.json`."""
        folder.write(SUMMARY, self.text().encode())

    @classmethod
    def load(cls, folder: DataFolder) -> "DatasetSummary":
        """Read `dataset.json`.

        Raises BadInput when there is none, or it is damaged, of another kind or of a newer version.
        """
        try:
            return folder.read_json(SUMMARY, cls, "give the same `convert` command again", FORMAT_VERSION)
        except FileNotFoundError as error:
            raise BadInput(
                f"{folder.url} holds no training set ({SUMMARY} is missing); `convert` makes one."
            ) from error
