"""`convert`: from a list of inputs to a finished training set; the state on disk says what is left to do."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psutil

from model.convert.converting import convert_shards
from model.convert.ledger import Ledger, load_profile, save_profile
from model.convert.plan import Plan, Shard
from model.convert.profile import Profile, Stopwatch
from model.convert.settings import ConvertSettings
from model.convert.sources import find_places
from model.convert.survey import survey
from model.convert.workers import WorkerSettings, work_in_processes
from model.dataset.folder import DataFolder
from model.errors import BadInput
from model.progress import Progress, ReportProgress, ShouldStop

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
        progress: ReportProgress,
        should_stop: ShouldStop,
    ) -> "Conversion":
        """Look at the videos and plan the shards, or take up the plan that is there.

        Raises BadInput when nothing can be used, or when the folder was begun with other settings.
        """
        old = Plan.load(folder)
        if old is not None and (different := settings.differences(old.settings)):
            raise BadInput(
                f"{folder.url} was begun with other settings ({'; '.join(different)}); give another "
                "--out, or the settings that it was begun with."
            )
        folder.remove_leftovers(lambda process: not psutil.pid_exists(process))
        found = survey(find_places(inputs), folder, progress, should_stop)
        plan = (old or Plan(settings)).located(found.sources).with_sources(found.sources)
        if not plan.shards:
            reasons = "; ".join(f"{failure.source}: {failure.reason}" for failure in found.failures[:3])
            raise BadInput(f"None of the videos can be used. {reasons}")
        if plan != old:
            plan.save(folder)
        ledger = Ledger.open(folder, plan, found.failures)
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


class ChunkProgress:
    """Turns finished chunks and shards into progress reports."""

    def __init__(self, conversion: Conversion, progress: ReportProgress) -> None:
        self._conversion, self._progress = conversion, progress
        self._total = conversion.chunks
        self._done = conversion.finished_chunks

    def add_chunk(self) -> None:
        """Report one more chunk."""
        self._done = min(self._done + 1, self._total)
        self._progress(Progress("tracking", self._done, self._total))

    def add_shard(self, name: str) -> None:
        """Take note of a finished shard."""
        self._conversion.ledger.add(name)


def run(
    conversion: Conversion,
    workers: WorkerSettings,
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> Profile:
    """Convert what is left to do; return what this run has cost.

    Raises Stopped when `should_stop` says so: finished shards stay.
    """
    tasks = conversion.tasks()
    before = load_profile(conversion.folder)
    cost = Profile()
    report = ChunkProgress(conversion, progress)

    def add_cost(part: Profile) -> None:
        nonlocal cost
        cost = cost + part
        save_profile(conversion.folder, before + cost)

    try:
        if workers.count == 1:
            _work_here(conversion, tasks, workers, report, add_cost, should_stop)
        else:
            work_in_processes(conversion.folder, tasks, workers, report, add_cost, should_stop)
    finally:
        conversion.folder.remove_leftovers(lambda process: not psutil.pid_exists(process))
        conversion.ledger.save()
    return cost


def _work_here(
    conversion: Conversion,
    tasks: Sequence[Task],
    workers: WorkerSettings,
    report: ChunkProgress,
    add_cost: Callable[[Profile], None],
    should_stop: ShouldStop,
) -> None:
    if not tasks:
        return
    stopwatch = Stopwatch()
    with stopwatch.stage("load"):
        tracker = workers.load_tracker(conversion.plan.settings)
    add_cost(Profile(dict(stopwatch.seconds), {}, stopwatch.seconds["load"]))
    for task in tasks:
        add_cost(
            convert_shards(
                conversion.plan,
                list(task),
                conversion.folder,
                tracker,
                on_shard=report.add_shard,
                on_chunk=report.add_chunk,
                should_stop=should_stop,
            )
        )


def _only_source(shard: Shard) -> int | None:
    """The video that a shard is made of; None where it is made of several."""
    sources = {segment.source for segment in shard.segments}
    return shard.segments[0].source if len(sources) == 1 else None


def _parts(shards: Task, size: int) -> Iterator[Task]:
    for first in range(0, len(shards), size):
        yield shards[first : first + size]
