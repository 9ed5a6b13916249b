"""Jobs in RQ: put into a queue, looked at, stopped, done by a worker. Only this file knows RQ's insides."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry
from rq import Queue, Worker, get_current_job
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import BaseRegistry
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from model.core.errors import BadInput
from model.core.processes import end_with_parent
from webapp.core.settings import masked

MONITORING_INTERVAL = 2
"""Seconds between a worker's signs of life during a job."""

HEARTBEAT_TTL = 10
"""Seconds without a sign of life after which a job counts as abandoned."""

WORKER_TTL = 20
"""An idle worker gives a sign of life every `WORKER_TTL` - 15 seconds (RQ subtracts the 15)."""

WORKER_IS_ALIVE = 15.0
"""Seconds since its last sign of life for which a worker counts as alive."""

KEPT_IN_REDIS = 3600
"""Seconds that Redis keeps an ended job; what matters is kept elsewhere."""

ANSWER_SECONDS = 3
"""So soon Redis must answer; RQ's workers, who wait for jobs, set a longer time."""

PATIENCE_OF_REQUESTS = 3

MAINTENANCE_INTERVAL = 5
"""Seconds between the calls of an idle worker's `maintain`."""


class Condition(Enum):
    """What RQ knows about a job."""

    WAITING = "in the queue"
    WORKING = "with a worker that gives signs of life"
    BETWEEN = "taken from the queue, or just ended"
    STOPPED = "cancelled or stopped"
    FAILED = "given up"
    GONE = "not there"


@dataclass(frozen=True)
class JobHandle:
    """A job as it was when it was looked at. job: None where it waits or is gone."""

    id: str
    condition: Condition
    job: Job | None

    @property
    def meta(self) -> dict[str, Any]:
        """What the job has said about itself."""
        return {} if self.job is None else dict(self.job.meta)

    @property
    def failure(self) -> str:
        """The last line of why it failed; empty where nobody knows."""
        result = None if self.job is None else self.job.latest_result()
        text = (result.exc_string if result is not None else None) or ""
        return text.strip().rsplit("\n", 1)[-1]


@dataclass(frozen=True)
class JobQueue:
    """Some of RQ's queues, the one served first before the others.

    Every method raises RedisError when Redis does not answer.
    """

    redis: Redis
    names: tuple[str, ...]

    @property
    def _queues(self) -> list[Queue]:
        return [Queue(name, connection=self.redis, serializer=JSONSerializer) for name in self.names]

    def started_ids(self) -> list[str]:
        """Return the ids of the jobs that a worker has begun and not ended."""
        return _ids(queue.started_job_registry for queue in self._queues)

    def enqueue(
        self, job_id: str, function: str, *args: Any, timeout: int, queue: str | None = None, **options: Any
    ) -> None:
        """Put a job into a queue, whatever the queues knew about that id before.

        function: its dotted name. args: JSON values. timeout: seconds that it may take. queue: one of
        `names`, the first one without it. options: of RQ's `Queue.enqueue_call`.
        """
        target = Queue(queue or self.names[0], connection=self.redis, serializer=JSONSerializer)
        self.forget(job_id)
        for queue_before in self._queues:
            queue_before.intermediate_queue.remove(job_id)
        times: dict[str, Any] = {"result_ttl": KEPT_IN_REDIS, "failure_ttl": KEPT_IN_REDIS, **options}
        target.enqueue_call(function, args=args, job_id=job_id, timeout=timeout, **times)

    def handles(self, job_ids: Iterable[str]) -> dict[str, JobHandle]:
        """Return how jobs are, by id."""
        waiting = set(self.waiting_ids())
        started = set(self.started_ids())
        handles, others = {}, []
        for job_id in job_ids:
            if job_id in waiting:  # there may be thousands, so they are not fetched
                handles[job_id] = JobHandle(job_id, Condition.WAITING, None)
            else:
                others.append(job_id)
        found = Job.fetch_many(others, connection=self.redis, serializer=JSONSerializer)
        for job_id, job in zip(others, found, strict=True):
            handles[job_id] = JobHandle(job_id, _condition(job, job_id in started), job)
        return handles

    def known_ids(self) -> list[str]:
        """Return the ids of the jobs that wait, work or failed."""
        failed = _ids(queue.failed_job_registry for queue in self._queues)
        return [*self.waiting_ids(), *self.started_ids(), *failed]

    def waiting_ids(self) -> list[str]:
        """Return the ids of the jobs that wait, the next one first."""
        return [job_id for ids in self.waiting().values() for job_id in ids]

    def waiting(self) -> dict[str, list[str]]:
        """Return the ids of the jobs that wait in each queue, the next one first."""
        return {queue.name: queue.get_job_ids() for queue in self._queues}

    def count_waiting(self) -> int:
        """Return how many jobs wait."""
        return sum(queue.count for queue in self._queues)

    def stop(self, job_id: str) -> None:
        """Keep a job from starting; a running one ends within 2 s."""
        with suppress(NoSuchJobError):
            job = Job.fetch(job_id, connection=self.redis, serializer=JSONSerializer)
            # cancel() keeps a waiting job from starting; only the command stops a running one.
            with suppress(InvalidJobOperation):
                send_stop_job_command(self.redis, job_id, serializer=JSONSerializer)
            with suppress(InvalidJobOperation):
                job.cancel()

    def forget(self, job_id: str) -> None:
        """Remove all that RQ knows about a job."""
        with suppress(NoSuchJobError):
            job = Job.fetch(job_id, connection=self.redis, serializer=JSONSerializer)
            # RQ 3.0's delete() raises when it finds an execution here whose details have expired.
            self.redis.delete(job.execution_registry.key)
            job.delete()

    def abandon_silent(self) -> None:
        """Have RQ give up jobs whose worker gives no sign of life any more.

        Not in a Redis that has just come back: nobody could give it signs of life while it was away.
        """
        server = self.redis.info("server")
        if int(server["uptime_in_seconds"]) > HEARTBEAT_TTL:
            for queue in self._queues:
                queue.started_job_registry.cleanup()

    def abandon_all(self) -> None:
        """Have RQ give up all jobs that were started; for when all workers are known to be gone."""
        for queue in self._queues:
            queue.started_job_registry.cleanup(timestamp=math.inf)

    def check_writable(self) -> None:
        """Write a key that is gone within a minute; a Redis that can only be read takes no jobs."""
        self.redis.set("stillmotion:check", 1, ex=60)

    def workers(self) -> list[BaseWorker]:
        """Return the workers of any of these queues that have given a sign of life lately."""
        newest = datetime.now(UTC) - timedelta(seconds=WORKER_IS_ALIVE)
        workers = SeenWorker.all(connection=self.redis, serializer=JSONSerializer)
        return [
            worker
            for worker in workers
            if worker.last_heartbeat
            and worker.last_heartbeat > newest
            and not set(self.names).isdisjoint(worker.queue_names())
        ]


def _ids(registries: Iterable[BaseRegistry]) -> list[str]:
    return [job_id for registry in registries for job_id in registry.get_job_ids(cleanup=False)]


def tell_progress(fraction: float) -> None:
    """Note how much of the job that runs in this process is done, for its `meta`; without Redis do not."""
    job = get_current_job()
    if job is not None:
        job.meta["progress"] = fraction
        with suppress(RedisError):
            job.save_meta()  # type: ignore[no-untyped-call]  # RQ has not typed it


def _condition(job: Job | None, is_started: bool) -> Condition:
    if job is None:
        return Condition.GONE
    if is_started:
        return Condition.WORKING
    status = job.get_status(refresh=False)
    if status is JobStatus.FAILED:
        return Condition.FAILED
    if status in (JobStatus.CANCELED, JobStatus.STOPPED):
        return Condition.STOPPED
    return Condition.BETWEEN


@dataclass
class LostJobs:
    """Finds jobs that neither wait nor work although they should.

    Such a job may just be on its way, so it is lost only when it is found like that again later than
    `patience` seconds after the first time.
    """

    patience: float
    _since: dict[str, float] = field(default_factory=dict)

    def find(self, handles: Iterable[JobHandle]) -> set[str]:
        """Return the ids of the jobs that are lost; handles: of all jobs that should wait or work."""
        now = time.monotonic()
        self._since = {
            handle.id: self._since.get(handle.id, now)
            for handle in handles
            if handle.condition in (Condition.BETWEEN, Condition.GONE)
        }
        return {job_id for job_id, since in self._since.items() if now - since > self.patience}

    def clear(self) -> None:
        """Begin anew."""
        self._since.clear()


def connect(url: str, patience: int = PATIENCE_OF_REQUESTS) -> Redis:
    """Return a client of the Redis at a URL.

    patience: how often a command is tried again when Redis is not there; the pauses grow to 1 s. Where it is
        more than a request's, a Redis that is there and does not answer is asked again, too.
    Raises BadInput for what is no URL of a Redis.
    """
    unanswered = (TimeoutError,) if patience > PATIENCE_OF_REQUESTS else ()
    retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), patience, (ConnectionError, *unanswered))
    try:
        return Redis.from_url(url, socket_connect_timeout=2, socket_timeout=ANSWER_SECONDS, retry=retry)
    except ValueError as error:
        raise BadInput(f"{masked(url)} is no URL of a Redis, such as redis://host:6379/0.") from error


class SeenWorker(Worker):
    """A worker of another process, which is only looked at."""

    def _set_connection(self, connection: Redis) -> Redis:
        """Leave the time for answers of a connection as it is; RQ would have it wait as long as for jobs."""
        return connection


class ForkingWorker(Worker):
    """RQ's forking worker with short heartbeats, and with jobs that end with it.

    A fork of a process that has imported everything starts a job in a fraction of a second
    (docs/decisions/0003-workers.md).
    """

    maintain: Callable[[], None] = staticmethod(lambda: None)

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Return the seconds after which a silent job counts as abandoned; RQ's own is 60 s more."""
        return HEARTBEAT_TTL

    def setup_work_horse_signals(self) -> None:
        """Let a job's process end with its worker: nobody could stop it any more."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]  # RQ has not typed it
        end_with_parent(parent=self.pid)  # which the worker wrote down before the fork

    def run_maintenance_tasks(self) -> None:
        """Call `maintain` besides RQ's own maintenance."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]  # RQ has not typed it
        self.maintain()


def run(
    url: str,
    queues: Sequence[str],
    maintain: Callable[[], None] = lambda: None,
    on_killed: Callable[[Job, int, int, Any], None] | None = None,
) -> None:
    """Run jobs until SIGTERM or SIGINT.

    url: of the Redis. queues: a job of the first one goes before those of the next.
    maintain: called at the start, and every few seconds while there is nothing to do.
    on_killed: called with (job, process id, wait status, resource usage) when a job's process ended without
        a word.
    """
    # A job outlives a restart of Redis: its worker waits about 20 s for it to come back.
    worker = ForkingWorker(
        list(queues),
        connection=connect(url, patience=25),
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL,
        job_monitoring_interval=MONITORING_INTERVAL,
        maintenance_interval=MAINTENANCE_INTERVAL,
        default_result_ttl=KEPT_IN_REDIS,
        work_horse_killed_handler=on_killed,
        log_job_description=False,
    )
    worker.maintain = maintain
    worker.work(logging_level="WARNING")
