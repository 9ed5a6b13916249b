"""How far a conversion on many machines is, from the set's folder and the queue."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from model.convert.plan import Plan
from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.datasets.shards import finished_shards
from webapp.conversion.queue import ConversionQueue, failure_reason
from webapp.jobs.base import Condition


@dataclass(frozen=True)
class Status:
    """A conversion as it is now.

    url: of the set's folder. shards, chunks: how many there are to be; finished_shards, finished_chunks: how
    many are there; chunks counts those of shards under way, too. working: how many jobs each machine runs.
    waiting: jobs in the queue. failed: reasons by shard. workers: how many are alive. ended: why the jobs
    were ended, or None.
    """

    url: str
    shards: int
    finished_shards: int
    chunks: int
    finished_chunks: int
    working: Mapping[str, int]
    waiting: int
    failed: Mapping[str, str]
    workers: int
    ended: str | None

    @classmethod
    def of(cls, folder: DataFolder, queue: ConversionQueue) -> "Status":
        """Look at a conversion. Raises BadInput when none was begun in the folder."""
        plan = load_plan(folder)
        jobs = queue.handles(queue.known_jobs()).values()
        working = [job for job in jobs if job.condition is Condition.WORKING]
        there = set(finished_shards(folder))
        finished = [shard for shard in plan.shards if shard.name in there]
        chunks = sum(shard.chunks for shard in plan.shards)
        under_way = sum(job.meta.get("chunks", 0) for job in working)
        conditions = Counter(job.condition for job in jobs)
        return cls(
            url=folder.url,
            shards=len(plan.shards),
            finished_shards=len(finished),
            chunks=chunks,
            finished_chunks=min(chunks, sum(shard.chunks for shard in finished) + under_way),
            working=Counter(job.meta.get("host", "") for job in working),
            waiting=conditions[Condition.WAITING] + conditions[Condition.BETWEEN],
            failed={
                queue.shard_of(job.id): failure_reason(job)
                for job in jobs
                if job.condition is Condition.FAILED
            },
            workers=len(queue.jobs.workers()),
            ended=queue.ended(),
        )

    @property
    def is_finished(self) -> bool:
        """Whether all shards are there."""
        return self.finished_shards == self.shards

    @property
    def is_under_way(self) -> bool:
        """Whether any job waits or works."""
        return bool(self.working) or self.waiting > 0

    def text(self) -> str:
        """Say it in a few lines."""
        lines = [
            f"{self.url}: {self.finished_shards} of {self.shards} shards, {self.finished_chunks:,} of "
            f"{self.chunks:,} chunks ({self.finished_chunks / self.chunks:.1%}).",
            f"{sum(self.working.values())} jobs at work{_hosts(self.working)}, {self.waiting} waiting, "
            f"{len(self.failed)} failed; {self.workers} workers serve this queue.",
        ]
        lines += [f"Failed: {shard}: {reason}." for shard, reason in self.failed.items()]
        if self.ended is not None:
            lines.append(f"Ended: {self.ended}")
        if not self.is_under_way:
            lines.append("Nothing is under way; the `convert` command goes on from here.")
        return "\n".join(lines)


def load_plan(folder: DataFolder) -> Plan:
    """Read the plan in a folder. Raises BadInput when there is none."""
    plan = Plan.load(folder)
    if plan is None:
        raise BadInput(f"No conversion was begun in {folder.url}; `convert` begins one.")
    return plan


def _hosts(working: Mapping[str, int]) -> str:
    names = ", ".join(f"{host} {count}" for host, count in sorted(working.items()))
    return f" ({names})" if names else ""
