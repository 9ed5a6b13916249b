"""What the process does that starts a conversion on many machines: it queues the tasks and follows them."""

import time
from dataclasses import dataclass, field

from model.convert.ledger import load_profile, save_profile
from model.convert.run import Conversion, Task
from model.core.errors import BadInput, Stopped
from model.core.progress import Progress, ReportProgress, Watch
from model.datasets.folder import DataFolder
from webapp.conversion.queue import ConversionQueue, failure_reason
from webapp.jobs.base import HEARTBEAT_TTL, Condition, JobHandle, LostJobs

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
    _lost: LostJobs = field(default_factory=lambda: LostJobs(patience=HEARTBEAT_TTL))
    _chunks: int = 0

    def start(self) -> int:
        """Queue what is left to do, and return how many jobs that is; those that wait or run already stay."""
        self.queue.begin()
        self._todo = {self.queue.job_id(task): task for task in self.conversion.tasks()}
        for job_id, handle in self.queue.handles(self._todo).items():
            if handle.condition not in (Condition.WAITING, Condition.WORKING):
                self._enqueue(job_id)
        return len(self._todo)

    def follow(self, watch: Watch) -> None:
        """Follow the jobs until all shards are there; queue those again that were lost.

        Raises Stopped on request, after ending the jobs; and BadInput when a worker has met
        what a person has to put right, or when shards failed again and again: then after all others.
        """
        try:
            while self._todo:
                watch.check()
                if (reason := self.queue.ended()) is not None:
                    self.queue.cancel(self._todo)
                    raise BadInput(reason)
                self._step(watch.progress)
                time.sleep(LOOK_SECONDS if self._todo else 0.0)
        except Stopped:
            self.queue.end("The conversion was stopped.")
            self.queue.cancel(self._todo)
            raise
        finally:
            self.conversion.folder.remove_leftovers()
            self.conversion.ledger.save()
            add_costs(self.conversion.folder, self.queue)
        if self._failed:
            reasons = "; ".join(f"{shard}: {reason}" for shard, reason in list(self._failed.items())[:3])
            raise BadInput(
                f"{len(self._failed)} jobs failed ({reasons}); give the same command again to try them again."
            )

    def _step(self, progress: ReportProgress) -> None:
        add_costs(self.conversion.folder, self.queue)
        handles = self.queue.handles(list(self._todo))
        lost = self._lost.find(handles.values())
        for job_id, handle in handles.items():
            self._take(handle, is_lost=job_id in lost)
        working = [handle for handle in handles.values() if handle.condition is Condition.WORKING]
        chunks = self.conversion.finished_chunks + sum(handle.meta.get("chunks", 0) for handle in working)
        self._chunks = min(max(self._chunks, chunks), self.conversion.chunks)  # a lost job's were counted
        progress(Progress(self._stage(len(working)), self._chunks, self.conversion.chunks))

    def _take(self, handle: JobHandle, is_lost: bool) -> None:
        """Do what a job's condition asks for."""
        job_id, condition = handle.id, handle.condition
        if condition is Condition.WORKING:
            self._begun.add(job_id)
        if condition is Condition.WAITING and job_id not in self._begun:
            return
        there = [self.conversion.ledger.look(shard.name) for shard in self._todo[job_id]]
        if condition is Condition.WORKING:
            return  # the ledger has now noted its finished shards, too
        if all(there):
            del self._todo[job_id]
        elif condition is Condition.FAILED:
            self._failed[self.queue.shard_of(job_id)] = failure_reason(handle)
            del self._todo[job_id]
        elif condition in (Condition.STOPPED, Condition.GONE) or is_lost:
            self._enqueue(job_id)

    def _enqueue(self, job_id: str) -> None:
        left = [shard for shard in self._todo[job_id] if not self.conversion.ledger.is_finished(shard.name)]
        self.queue.enqueue(job_id, tuple(left), self.device, self.threads)

    def _stage(self, working: int) -> str:
        if not self._todo:
            return "finished"
        if working:
            return f"{working} at work"
        return "waiting" if self.queue.jobs.workers() else "no worker yet"


def add_costs(folder: DataFolder, queue: ConversionQueue) -> None:
    """Add what jobs have cost to `stats.json`."""
    cost = queue.take_costs()
    if cost is not None:
        save_profile(folder, load_profile(folder) + cost)
