"""What is finished: the shards' indices are the truth, and `dataset.json` and `errors.jsonl` sum them up."""

import json
import time
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from model.convert.plan import Plan
from model.convert.profile import Profile
from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.datasets.shards import SHARDS, Failure, ShardIndex, archive_name, finished_shards, index_name
from model.datasets.summary import SPLITS, SUMMARY, DatasetSummary, ShardSummary

ERRORS, STATS = "errors.jsonl", "stats.json"
SECONDS_BETWEEN_SAVES = 5.0


@dataclass(frozen=True)
class _Entry:
    """A finished shard. videos: sha256 of those that have samples in it."""

    samples: int
    bytes: int
    videos: frozenset[str]
    failures: tuple[Failure, ...]
    skipped: Mapping[str, int]
    method: Mapping[str, Any]
    recipe: str


@dataclass
class Ledger:
    """Keeps account of the finished shards of a plan.

    failures: videos that could not even be planned.
    """

    folder: DataFolder
    plan: Plan
    failures: tuple[Failure, ...] = ()
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _outdated: list[str] = field(default_factory=list)
    _last_save: float = 0.0

    @classmethod
    def open(
        cls, folder: DataFolder, plan: Plan, failures: Iterable[Failure], found: Container[str] = ()
    ) -> "Ledger":
        """Find out what is finished: shards of the plan whose archive and index are there.

        found: names of the videos that are there now. A shard that had to do without one of these is not
        finished.
        """
        ledger = cls(folder, plan, tuple(failures))
        sizes = folder.sizes(SHARDS)
        for shard in plan.shards:
            if index_name(shard.name) not in sizes:
                continue
            entry = _entry(folder, shard.name)
            is_whole = sizes.get(archive_name(shard.name)) == entry.bytes
            lost = [failure.source for failure in entry.failures if failure.may_pass]
            if is_whole and entry.recipe == plan.recipe(shard) and not any(name in found for name in lost):
                ledger._entries[shard.name] = entry
            else:
                ledger._outdated.append(shard.name)
        return ledger

    @classmethod
    def reopen(cls, folder: DataFolder, plan: Plan) -> "Ledger":
        """Find out what is finished; `errors.jsonl` tells which videos could not even be planned."""
        ledger = cls.open(folder, plan, (), ())
        in_shards = {
            (failure.source, failure.traceback)
            for entry in ledger._entries.values()
            for failure in entry.failures
        }
        ledger.failures = tuple(
            failure
            for failure in _load_failures(folder)
            if (failure.source, failure.traceback) not in in_shards
        )
        return ledger

    def discard_outdated(self) -> None:
        """Delete the indices of shards that have to be made anew, so that nobody takes these for finished."""
        while self._outdated:
            self.folder.delete(index_name(self._outdated.pop()))

    def is_finished(self, shard: str) -> bool:
        """Tell whether a shard is there."""
        return shard in self._entries

    def look(self, shard: str) -> bool:
        """Tell whether a shard is there by now, as another machine may have written it."""
        if shard not in self._entries and self.folder.exists(index_name(shard)):
            self.add(shard)
        return shard in self._entries

    def add(self, shard: str) -> None:
        """Take note of a finished shard."""
        self._entries[shard] = _entry(self.folder, shard)
        if time.monotonic() - self._last_save > SECONDS_BETWEEN_SAVES:
            self.save()

    def save(self) -> None:
        """Write `dataset.json` and `errors.jsonl`; they depend on what is finished alone."""
        failures = list(self.failures)
        for shard in self.plan.shards:
            if shard.name in self._entries:
                failures += self._entries[shard.name].failures
        lines = dict.fromkeys(
            json.dumps(
                {"file": failure.source, "reason": failure.reason, "traceback": failure.traceback},
                sort_keys=True,
                ensure_ascii=False,
            )
            for failure in failures
        )
        self._write_anew(ERRORS, "".join(f"{line}\n" for line in lines))
        self._write_anew(SUMMARY, self.summary(len({failure.source for failure in failures})).text())
        self._last_save = time.monotonic()

    def summary(self, failures: int) -> DatasetSummary:
        """Sum up what is finished. failures: how many videos could not be used."""
        finished = [shard for shard in self.plan.shards if shard.name in self._entries]
        entries = [self._entries[shard.name] for shard in finished]
        videos: dict[str, set[str]] = {split: set() for split in SPLITS}
        skipped: Counter[str] = Counter()
        for shard, entry in zip(finished, entries, strict=True):
            videos[shard.split] |= entry.videos
            skipped.update(entry.skipped)
        return DatasetSummary(
            settings=asdict(self.plan.settings),
            method=entries[0].method if entries else {"name": self.plan.settings.method},
            shards=tuple(
                ShardSummary(shard.name, shard.split, entry.samples, entry.bytes)
                for shard, entry in zip(finished, entries, strict=True)
            ),
            is_complete=len(finished) == len(self.plan.shards),
            videos={split: len(found) for split, found in videos.items()},
            failures=failures,
            skipped=dict(sorted(skipped.items())),
        )

    def _write_anew(self, name: str, text: str) -> None:
        """Write a file unless it has this content: who only looks whether all is finished changes nothing."""
        content = text.encode(errors="backslashreplace")  # odd bytes in file names become JSON's escapes
        with suppress(FileNotFoundError):
            if self.folder.read(name) == content:
                return
        self.folder.write(name, content)


def shards_of_others(folder: DataFolder, plan: Plan) -> list[str]:
    """Return the names of finished shards that are not as the plan has them."""
    recipes = {shard.name: plan.recipe(shard) for shard in plan.shards}
    return [name for name in finished_shards(folder) if _entry(folder, name).recipe != recipes.get(name)]


def _entry(folder: DataFolder, shard: str) -> _Entry:
    index = ShardIndex.load(folder, shard)
    return _Entry(
        samples=len(index.samples),
        bytes=index.bytes,
        videos=frozenset(entry.facts.source_sha256 for entry in index.samples),
        failures=index.failures,
        skipped=index.skipped,
        method=index.method,
        recipe=index.recipe,
    )


def _load_failures(folder: DataFolder) -> list[Failure]:
    try:
        lines = folder.read(ERRORS).decode().splitlines()
        values = [json.loads(line) for line in lines]
        return [Failure(value["file"], value["reason"], value["traceback"]) for value in values]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{ERRORS} of {folder.url} is damaged; give the `convert` command again.") from error


def load_profile(folder: DataFolder) -> Profile:
    """Read what the conversion has cost so far, from `stats.json`; nothing where it is missing."""
    try:
        content = json.loads(folder.read(STATS))
        return Profile(content["seconds"], content["counts"], content["busy"])
    except FileNotFoundError:
        return Profile()
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{STATS} of {folder.url} is damaged; delete it and go on.") from error


def save_profile(folder: DataFolder, profile: Profile) -> None:
    """Write `stats.json`, with the figures that people ask for worked out."""
    # What is worked out is worked out of the rounded seconds, as it will be when they are read again.
    kept = Profile(
        {name: round(value, 3) for name, value in sorted(profile.seconds.items())},
        dict(sorted(profile.counts.items())),
        round(profile.busy, 3),
    )
    content = {
        "seconds": kept.seconds,
        "counts": kept.counts,
        "busy": kept.busy,
        "device_share": round(kept.device_share, 4),
        "chunks_per_second": round(kept.chunks_per_second, 4),
        "verdict": kept.verdict(),
    }
    folder.write(STATS, (json.dumps(content, indent=1) + "\n").encode())
