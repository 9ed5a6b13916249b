"""The queue of conversions: each job converts some shards of a training set."""

import hashlib
import json
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import cast

import psutil
from redis import Redis
from redis.exceptions import RedisError
from rq import Retry, get_current_job
from rq.job import Job

from model.convert.plan import Shard
from model.convert.profile import Profile
from model.convert.run import Task
from webapp.jobs.base import Condition, JobHandle, JobQueue

QUEUE = "stillmotion-conversions"
TASK = "webapp.conversion.task.convert"

ATTEMPTS = 3
"""How often a job is begun: its worker may be lost, or an error may go away."""

KEPT_SECONDS = 14 * 24 * 3600
"""How long Redis keeps why a job failed, and what jobs have cost until somebody adds it up."""

JOB_SECONDS, CHUNK_SECONDS = 3600, 300
"""A job may take so long, and so much more for each chunk; one that takes longer hangs."""

REPORT_SECONDS = 0.5
"""How often a job says where it is and asks whether to go on."""

STOP_SECONDS = 10.0
"""How long running jobs may take to end by themselves."""


@dataclass(frozen=True)
class ConversionQueue:
    """The jobs of one training set. address: of its folder, for any machine."""

    redis: Redis
    address: str

    @property
    def jobs(self) -> JobQueue:
        """The jobs of all training sets."""
        return JobQueue(self.redis, (QUEUE,))

    @property
    def _prefix(self) -> str:
        return f"convert-{hashlib.sha256(self.address.encode()).hexdigest()[:16]}-"

    @property
    def _end_key(self) -> str:
        return f"stillmotion:{self._prefix}end"

    @property
    def _costs_key(self) -> str:
        return f"stillmotion:{self._prefix}costs"

    def job_id(self, task: Task) -> str:
        """Return a task's job id, by its last shard: the last that is finished."""
        return self._prefix + task[-1].name

    def enqueue(self, job_id: str, task: Task, device: str, threads: int | None) -> None:
        """Put a task into the queue, whatever the queue knew about the job before."""
        self.jobs.enqueue(
            job_id,
            TASK,
            self.address,
            [shard.name for shard in task],
            device,
            threads,
            timeout=JOB_SECONDS + CHUNK_SECONDS * sum(shard.chunks for shard in task),
            failure_ttl=KEPT_SECONDS,
            retry=Retry(max=ATTEMPTS - 1),
        )

    def handles(self, job_ids: Iterable[str]) -> dict[str, JobHandle]:
        """Return how jobs are, after giving up those whose worker is lost."""
        self.jobs.abandon_silent()
        return self.jobs.handles(job_ids)

    def known_jobs(self) -> list[str]:
        """Return the ids of the set's jobs that wait, work or failed."""
        return [job_id for job_id in dict.fromkeys(self.jobs.known_ids()) if job_id.startswith(self._prefix)]

    def shard_of(self, job_id: str) -> str:
        """Return the name of the shard that a job id was made of."""
        return job_id.removeprefix(self._prefix)

    def begin(self) -> None:
        """Forget why an earlier attempt was ended."""
        self.redis.delete(self._end_key)

    def end(self, reason: str) -> None:
        """Have all jobs of the set end soon; the first reason stays. reason: one sentence."""
        self.redis.set(self._end_key, reason, ex=KEPT_SECONDS, nx=True)

    def ended(self) -> str | None:
        """Return why the set's jobs have to end, or None."""
        reason = cast(bytes | None, self.redis.get(self._end_key))
        return None if reason is None else reason.decode()

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Take jobs out of the queue and wait until running ones have ended; `end` has told them to.

        Those that do not within `STOP_SECONDS` are killed: what they had not finished can be done again.
        """
        working = []
        for job_id, handle in self.handles(job_ids).items():
            if handle.condition is Condition.WORKING:
                working.append(job_id)
            else:
                self.jobs.forget(job_id)
        deadline = time.monotonic() + STOP_SECONDS
        while working and time.monotonic() < deadline:
            time.sleep(0.1)
            handles = self.handles(working)
            working = [job_id for job_id in working if handles[job_id].condition is Condition.WORKING]
        for job_id in working:
            self.jobs.stop(job_id)

    def add_cost(self, cost: Profile) -> None:
        """Keep what a job has cost until it is added up."""
        self.redis.rpush(self._costs_key, json.dumps(asdict(cost)))
        self.redis.expire(self._costs_key, KEPT_SECONDS)

    def take_costs(self) -> Profile | None:
        """Return the sum of what jobs have cost since the last call; None when there is nothing."""
        texts = cast("list[bytes] | None", self.redis.lpop(self._costs_key, 10_000))
        return sum((Profile(**json.loads(text)) for text in texts), Profile()) if texts else None


@dataclass
class JobReport:
    """A running job's reports to whoever watches; without Redis it goes on in silence.

    chunks: of shards that are not finished, done by this job.
    """

    queue: ConversionQueue
    job: Job
    shards: Mapping[str, Shard]
    chunks: int = 0
    _is_ended: bool = False
    _next_report: float = 0.0
    _next_question: float = 0.0

    @classmethod
    def of_current_job(cls, address: str, shards: Mapping[str, Shard]) -> "JobReport":
        """Make one in the process of a job."""
        job = get_current_job()
        assert job is not None
        job.meta = {"host": socket.gethostname(), "chunks": 0}
        return cls(ConversionQueue(job.connection, address), job, shards)

    def add_chunk(self) -> None:
        """Take note of one more chunk."""
        self.chunks += 1
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            self._save()

    def add_shard(self, name: str) -> None:
        """Take note of a finished shard."""
        self.chunks = max(0, self.chunks - self.shards[name].chunks)
        self._save()

    def add_cost(self, cost: Profile) -> None:
        """Tell what the job has cost."""
        with suppress(RedisError):
            self.queue.add_cost(cost)

    def is_ended(self) -> bool:
        """Tell whether the job has to end."""
        now = time.monotonic()
        if now >= self._next_question:
            self._next_question = now + REPORT_SECONDS
            with suppress(RedisError):
                self._is_ended = self.queue.ended() is not None
        return self._is_ended

    def _save(self) -> None:
        self.job.meta = {"host": socket.gethostname(), "chunks": self.chunks}
        with suppress(RedisError):
            self.job.save_meta()  # type: ignore[no-untyped-call]  # RQ has not typed it


def fair_share_of_threads(redis: Redis) -> int:
    """Return how many threads a job may use if this machine's workers all work at once."""
    workers = JobQueue(redis, (QUEUE,)).workers()
    here = sum(worker.hostname == socket.gethostname() for worker in workers)
    return max(1, len(psutil.Process().cpu_affinity()) // max(1, here))


def failure_reason(handle: JobHandle) -> str:
    """Return why a job failed, as the end of a sentence."""
    if "AbandonedJobError" in handle.failure:
        return f"its worker was lost, {ATTEMPTS} times"
    if handle.failure.startswith("Work-horse terminated"):
        cause = ", most likely because the memory ran out" if "signal 9" in handle.failure else ""
        return f"the system ended it, {ATTEMPTS} times{cause}"
    if "JobTimeoutException" in handle.failure:
        return f"it took longer than {handle.job.timeout if handle.job else JOB_SECONDS} s"
    return handle.failure or "nobody knows why"
