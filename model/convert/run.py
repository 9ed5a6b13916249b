"""`convert`: from a list of inputs to a finished training set; the state on disk says what is left to do."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.convert.ledger import Ledger, load_profile, save_profile, shards_of_others
from model.convert.plan import Plan, Shard, Source, chunk_starts
from model.convert.profile import Profile
from model.convert.scan import failure, scan
from model.convert.settings import ConvertSettings
from model.convert.sources import find_places, remove_fetched
from model.convert.work import ShardWorker, WorkerSettings
from model.convert.workers import work_in_processes
from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Progress, Watch
from model.datasets.folder import DataFolder
from model.datasets.shards import SHARDS, Failure, finished_shards

SHARDS_OF_A_TASK = 8
"""Shards of one long video that one worker converts in one go, so that the file is read once."""

Task = tuple[Shard, ...]


@dataclass(frozen=True)
class Conversion:
    """A training set in the making. ledger: what is finished."""

    folder: DataFolder
    plan: Plan
    ledger: Ledger

    @classmethod
    def prepare(
        cls,
        inputs: Sequence[str],
        folder: DataFolder,
        settings: ConvertSettings,
        watch: Watch = UNWATCHED,
    ) -> "Conversion":
        """Look at the videos and plan the shards, or take up the plan that is there.

        Raises BadInput when nothing can be used, or when the folder was begun with other settings.
        """
        old = _begun(folder, settings)
        folder.remove_leftovers()
        remove_fetched()
        found = scan(find_places(inputs), folder, watch)
        known = Plan(settings, old.sources, old.shards) if old else Plan(settings)
        plan = known.located(found.sources).with_sources(found.sources)
        failures = found.failures + tuple(_too_short(found.sources, settings, folder))
        if not plan.shards:
            reasons = "; ".join(f"{failure.source}: {failure.reason}" for failure in failures[:3])
            raise BadInput(f"None of the videos can be used. {reasons}")
        if old is None and (others := shards_of_others(folder, plan)):
            raise BadInput(
                f"{folder.url} holds shards of another conversion ({', '.join(others[:3])}) and no plan of "
                "it; give another --out, or delete its folder of shards."
            )
        if plan != old:
            plan.save(folder)
        there = {source.sha256 for source in found.sources}
        names = {source.place.name for source in plan.sources if source.sha256 in there}
        ledger = Ledger.open(folder, plan, failures, names)
        ledger.discard_outdated()
        ledger.save()
        return cls(folder, plan, ledger)

    def tasks(self) -> list[Task]:
        """Return the shards that are not finished, grouped into what one worker should do in one go.

        Which shards are together does not depend on what is finished.
        """
        tasks = (
            tuple(shard for shard in part if not self.ledger.is_finished(shard.name))
            for source, group in itertools.groupby(self.plan.shards, key=_only_source)
            for part in _parts(tuple(group), 1 if source is None else SHARDS_OF_A_TASK)
        )
        return [task for task in tasks if task]

    @property
    def chunks(self) -> int:
        """How many chunks there are to do in all, about: cuts and broken videos may change it."""
        return sum(shard.chunks for shard in self.plan.shards)

    @property
    def finished_chunks(self) -> int:
        """How many of them are in finished shards."""
        return sum(shard.chunks for shard in self.plan.shards if self.ledger.is_finished(shard.name))


class RunReport:
    """Passes on what workers report: to the one who watches, the ledger and the profile."""

    def __init__(self, conversion: Conversion, watch: Watch = UNWATCHED) -> None:
        self.cost = Profile()
        self.is_ended = watch.should_stop
        self._conversion, self._progress = conversion, watch.progress
        self._before = load_profile(conversion.folder)
        self._total = conversion.chunks
        self._done = conversion.finished_chunks

    def add_chunk(self) -> None:
        """Report one more chunk."""
        self._done = min(self._done + 1, self._total)
        self._progress(Progress("tracking", self._done, self._total))

    def add_shard(self, name: str) -> None:
        """Take note of a finished shard."""
        self._conversion.ledger.add(name)

    def add_cost(self, cost: Profile) -> None:
        """Add to `cost`, which is that of this run, and to the cost of all runs in the folder."""
        self.cost = self.cost + cost
        save_profile(self._conversion.folder, self._before + self.cost)


def run(conversion: Conversion, workers: WorkerSettings, watch: Watch = UNWATCHED) -> Profile:
    """Convert what is left to do; return what this run has cost.

    Raises Stopped on request: finished shards stay.
    """
    tasks = conversion.tasks()
    report = RunReport(conversion, watch)
    try:
        if workers.count > 1:
            work_in_processes(conversion.folder, _spread(tasks, workers.count), workers, report)
        elif tasks:
            worker = ShardWorker.load(conversion.folder, conversion.plan, workers, report)
            for task in tasks:
                worker.convert([shard.name for shard in task], report)
    finally:
        conversion.folder.remove_leftovers()
        conversion.ledger.save()
    return report.cost


def _begun(folder: DataFolder, settings: ConvertSettings) -> Plan | None:
    """Return the plan of a conversion that has begun; one that has nothing to show for it may be given up."""
    old = Plan.load(folder)
    if old is None or not (different := settings.differences(old.settings)):
        return old
    if not finished_shards(folder):
        for name in folder.names(SHARDS):  # archives without an index
            folder.delete(name)
        return None
    raise BadInput(
        f"{folder.url} was begun with other settings ({'; '.join(different)}); give another --out, or the "
        "settings that it was begun with."
    )


def _too_short(sources: Sequence[Source], settings: ConvertSettings, folder: DataFolder) -> Iterator[Failure]:
    """Find the videos that have no chunk."""
    for source in sources:
        if not chunk_starts(source, settings):
            error = BadInput(
                f"{_steps(settings)} its {source.frames} frames hold only one; a sample has 2 or more."
            )
            yield failure(source.place.name, error, folder)


def _steps(settings: ConvertSettings) -> str:
    return (
        f"In steps of {settings.frame_step}"
        if settings.interval is None
        else f"{settings.interval:.3g} s apart"
    )


def _spread(tasks: Sequence[Task], workers: int) -> list[Task]:
    """Cut the tasks of long videos smaller where there are too few to keep all workers busy to the end."""
    shards = sum(len(task) for task in tasks)
    size = max(1, shards // (2 * workers))
    return [part for task in tasks for part in _parts(task, size)]


def _only_source(shard: Shard) -> int | None:
    """The video that a shard is made of; None where it is made of several."""
    sources = {segment.source for segment in shard.segments}
    return shard.segments[0].source if len(sources) == 1 else None


def _parts(shards: Task, size: int) -> Iterator[Task]:
    for first in range(0, len(shards), size):
        yield shards[first : first + size]
