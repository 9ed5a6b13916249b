"""`dataset.json`: what a training set is, for those who read it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from model.core.errors import BadInput
from model.datasets.folder import DataFolder

SUMMARY = "dataset.json"
FORMAT, VERSION = "stillmotion-dataset", 1
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

    def samples(self, split: str | None = None) -> int:
        """Return how many samples there are, in all or in a split."""
        return sum(shard.samples for shard in self.shards if split in (None, shard.split))

    def text(self) -> str:
        """Return what stands in `dataset.json`."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(content, sort_keys=True, indent=1) + "\n"

    def save(self, folder: DataFolder) -> None:
        """Write `dataset.json`."""
        folder.write(SUMMARY, self.text().encode())

    @classmethod
    def load(cls, folder: DataFolder) -> "DatasetSummary":
        """Read `dataset.json`.

        Raises BadInput when there is none, or it is damaged, of another kind or of a newer version.
        """
        try:
            content = json.loads(folder.read(SUMMARY))
            if content.pop("format") != FORMAT:
                raise ValueError("another format")
            version = content.pop("version")
            if version > VERSION:
                raise BadInput(
                    f"The training set {folder.url} has format version {version}, but this Stillmotion reads "
                    f"up to {VERSION}; update Stillmotion."
                )
            shards = tuple(ShardSummary(**shard) for shard in content.pop("shards"))
            return cls(shards=shards, **content)
        except FileNotFoundError as error:
            raise BadInput(
                f"{folder.url} holds no training set ({SUMMARY} is missing); `convert` makes one."
            ) from error
        except BadInput:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{SUMMARY} of {folder.url} is damaged; give the same `convert` command again."
            ) from error
