"""What the process does that starts a conversion on many machines: it queues the tasks and follows them."""

import time
from dataclasses import dataclass, field

from model.convert.ledger import load_profile, save_profile
from model.convert.locking import is_abandoned
from model.convert.run import Conversion, Task
from model.core.errors import BadInput, Stopped
from model.core.progress import Progress, ReportProgress, ShouldStop, raise_if_stopped
from model.datasets.folder import DataFolder
from webapp.conversion.queue import Condition, ConversionQueue, Look
from webapp.jobs.queue import HEARTBEAT_TTL

LOOK_SECONDS = 0.5


@dataclass
class Coordinator:
    """Queues a conversion's tasks and looks after them.

    device, threads: see `webapp.conversion.task.convert`.
    """

    conversion: Conversion
    queue: ConversionQueue
    device: str = "auto"
    threads: int | None = None
    _todo: dict[str, Task] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _between_since: dict[str, float] = field(default_factory=dict)
    _chunks: int = 0

    def start(self) -> int:
        """Queue what is left to do, and return how many jobs that is; those that wait or run already stay."""
        self.queue.begin()
        self._todo = {self.queue.job_id(task): task for task in self.conversion.tasks()}
        for job_id, look in self.queue.look(self._todo).items():
            if look.condition not in (Condition.WAITING, Condition.WORKING):
                self._enqueue(job_id)
        return len(self._todo)

    def follow(self, progress: ReportProgress, should_stop: ShouldStop) -> None:
        """Follow the jobs until all shards are there; queue those again that were lost.

        Raises Stopped when `should_stop` says so, after ending the jobs; and BadInput when a worker has met
        what a person has to put right, or when shards failed again and again: then after all others.
        """
        try:
            while self._todo:
                raise_if_stopped(should_stop)
                if (reason := self.queue.ended()) is not None:
                    self.queue.cancel(self._todo)
                    raise BadInput(reason)
                self._step(progress)
                time.sleep(LOOK_SECONDS if self._todo else 0.0)
        except Stopped:
            self.queue.end("The conversion was stopped.")
            self.queue.cancel(self._todo)
            raise
        finally:
            self.conversion.folder.remove_leftovers(is_abandoned)
            self.conversion.ledger.save()
            self._add_costs()
        if self._failed:
            reasons = "; ".join(f"{shard}: {reason}" for shard, reason in list(self._failed.items())[:3])
            raise BadInput(
                f"{len(self._failed)} jobs failed ({reasons}); give the same command again to try them again."
            )

    def _step(self, progress: ReportProgress) -> None:
        self._add_costs()
        looks = self.queue.look(list(self._todo))
        for job_id, look in looks.items():
            self._take(job_id, look)
        working = [look for look in looks.values() if look.condition is Condition.WORKING]
        chunks = self.conversion.finished_chunks + sum(look.chunks for look in working)
        self._chunks = min(max(self._chunks, chunks), self.conversion.chunks)  # a lost job's were counted
        progress(Progress(self._stage(len(working)), self._chunks, self.conversion.chunks))

    def _take(self, job_id: str, look: Look) -> None:
        """Do what a job's condition asks for."""
        if look.condition is Condition.WORKING:
            self._begun.add(job_id)
        if look.condition is Condition.WAITING and job_id not in self._begun:
            return
        there = [self.conversion.ledger.look(shard.name) for shard in self._todo[job_id]]
        if look.condition is Condition.WORKING:
            self._between_since.pop(job_id, None)
        elif all(there):
            del self._todo[job_id]
        elif look.condition is Condition.FAILED:
            self._failed[self.queue.shard_of(job_id)] = look.reason
            del self._todo[job_id]
        elif look.condition is Condition.GONE or self._is_overdue(job_id, look):
            self._enqueue(job_id)

    def _is_overdue(self, job_id: str, look: Look) -> bool:
        """Tell whether a job has been on its way for so long that it must be lost."""
        if look.condition is not Condition.BETWEEN:
            return False
        since = self._between_since.setdefault(job_id, time.monotonic())
        return time.monotonic() - since > HEARTBEAT_TTL

    def _enqueue(self, job_id: str) -> None:
        self._between_since.pop(job_id, None)
        left = [shard for shard in self._todo[job_id] if not self.conversion.ledger.is_finished(shard.name)]
        self.queue.enqueue(job_id, tuple(left), self.device, self.threads)

    def _stage(self, working: int) -> str:
        if not self._todo:
            return "finished"
        if working:
            return f"{working} at work"
        return "waiting" if self.queue.count_workers() else "no worker yet"

    def _add_costs(self) -> None:
        add_costs(self.conversion.folder, self.queue)


def add_costs(folder: DataFolder, queue: ConversionQueue) -> None:
    """Add what jobs have cost to `stats.json`."""
    cost = queue.take_costs()
    if cost is not None:
        save_profile(folder, load_profile(folder) + cost)
