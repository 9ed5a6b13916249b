"""Conversions of small videos, for the tests of `convert`."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from model.convert.run import Conversion, run
from model.convert.settings import with_weights
from model.convert.work import WorkerSettings
from model.core.progress import ShouldStop, Watch, never_stop
from model.datasets.folder import DataFolder
from model.datasets.index import DatasetIndex
from model.datasets.sample import Sample


def convert(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    workers: int = 1,
    should_stop: ShouldStop = never_stop,
    **settings: Any,
) -> Conversion:
    """Convert in this process, with Lucas-Kanade, 4×4 points and small shards where nothing else is said."""
    settings = {"method": "lk", "grid": 4, "shard_samples": 4, "validation": 0.0, "test": 0.0, **settings}
    watch = Watch(should_stop=should_stop)
    names = [str(text) for text in inputs]
    conversion = Conversion.prepare(names, DataFolder.open(out), with_weights(settings), watch)
    run(conversion, WorkerSettings(workers, threads=1, device="cpu"), watch)
    return conversion


def samples(out: str | Path) -> Iterator[Sample]:
    """Read all samples of a set, in the order of its shards."""
    index = DatasetIndex.load(DataFolder.open(out), allow_incomplete=True)
    for number in range(len(index)):
        yield from index.read([number])


def errors(out: Path) -> list[dict[str, str]]:
    """Read `errors.jsonl`."""
    return [json.loads(line) for line in (out / "errors.jsonl").read_text().splitlines()]


def digests(out: Path) -> dict[str, str]:
    """The content of each file of a set, but for what depends on time and place: profile, catalogue, plan."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("stats.json", "catalogue.json", "plan.json", ".lock")
    }


def states(out: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of each file and folder: any that is written anew differs."""
    return {
        str(path.relative_to(out)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.rglob("*")
    }
