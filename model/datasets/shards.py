"""Shards: tar archives of samples, each with an index that says what is in it and where.

The index is written after its shard, so a shard counts as done when its index is there.
"""

import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from model.datasets.folder import DataFolder
from model.datasets.sample import Sample, SampleFacts

SHARDS = "shards"
"""The folder of a training set that holds its shards."""


class Part(NamedTuple):
    """Where a file lies in a shard, in bytes."""

    offset: int
    length: int


@dataclass(frozen=True)
class IndexEntry:
    """A sample of a shard. parts: its files by their endings, see `model.datasets.sample`."""

    key: str
    parts: Mapping[str, Part]
    facts: SampleFacts


@dataclass(frozen=True)
class Failure:
    """A video that could not be used.

    source: its name. reason: one sentence. traceback: the id of the traceback kept in `tracebacks/ID.txt`.
    may_pass: it was not there or was changed, so another time it may be of use.
    """

    source: str
    reason: str
    traceback: str
    may_pass: bool = False


@dataclass(frozen=True)
class ShardIndex:
    """What a shard holds.

    name: without ending, such as "train-000000". bytes: of the archive. samples: in the archive's order.
    failures: videos of this shard that could not be used.
    skipped: how many samples were left out, by the reason ("still").
    method: name and settings of what tracked, as `model.motion.tracks.Method` has them.
    recipe: a digest of what the shard was to be made of, and how; see `model.convert.plan.Plan.recipe`.
    """

    name: str
    bytes: int
    samples: tuple[IndexEntry, ...]
    failures: tuple[Failure, ...]
    skipped: Mapping[str, int]
    method: Mapping[str, Any]
    recipe: str = ""

    def save(self, folder: DataFolder) -> None:
        """Write it beside its shard."""
        folder.write(index_name(self.name), json.dumps(asdict(self), sort_keys=True).encode())

    @classmethod
    def load(cls, folder: DataFolder, name: str) -> "ShardIndex":
        """Read the index of a shard. Raises FileNotFoundError without one, BadInput when it is damaged."""
        return folder.read_json(index_name(name), cls, "delete it and convert again")


def archive_name(shard: str) -> str:
    """Return the name of a shard's archive in its folder."""
    return f"{SHARDS}/{shard}.tar"


def index_name(shard: str) -> str:
    """Return the name of a shard's index in its folder."""
    return f"{SHARDS}/{shard}.json"


def finished_shards(folder: DataFolder) -> list[str]:
    """Return the names of the shards that are there, sorted: those with an index."""
    return [PurePosixPath(name).stem for name in folder.names(SHARDS) if name.endswith(".json")]


def cut_files(content: bytes, parts: Mapping[str, tuple[int, int]], first: int) -> dict[str, bytes]:
    """Return a sample's files out of a piece of its shard.

    parts: offset and length in the shard of each file. first: the offset in the shard of the piece.
    """
    return {ending: content[at - first : at - first + length] for ending, (at, length) in parts.items()}


class ShardWriter:
    """Writes samples into a tar archive; the bytes depend on the samples alone.

    What was added since `mark` can be taken back.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._entries: list[IndexEntry] = []

    def add(self, sample: Sample) -> None:
        """Append a sample's files."""
        parts = {}
        for ending, content in sample.files().items():
            header = tarfile.TarInfo(f"{sample.key}.{ending}")  # no time, no owner: the same bytes always
            header.size = len(content)
            self._file.write(header.tobuf(tarfile.USTAR_FORMAT))
            parts[ending] = Part(self._file.tell(), len(content))
            self._file.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))
        self._entries.append(IndexEntry(sample.key, parts, sample.facts))

    def mark(self) -> tuple[int, int]:
        """Return what `take_back` takes."""
        return self._file.tell(), len(self._entries)

    def take_back(self, mark: tuple[int, int]) -> None:
        """Remove the samples that were added after `mark` was called."""
        position, count = mark
        self._file.seek(position)
        self._file.truncate()
        del self._entries[count:]

    def finish(self) -> tuple[int, tuple[IndexEntry, ...]]:
        """End and close the archive; return its size in bytes and what is in it."""
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.write(bytes(-self._file.tell() % tarfile.RECORDSIZE))
        size = self._file.tell()
        self.close()
        return size, tuple(self._entries)

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()
