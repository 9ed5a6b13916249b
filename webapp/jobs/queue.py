"""The queue of runs: enqueue, cancel, look after; and the worker that serves queues.

Only this file and `conversion/queue.py` talk to RQ.
"""

import logging
import math
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Callback, Queue, Worker
from rq.command import send_stop_job_command
from rq.exceptions import AbandonedJobError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException
from rq.worker import BaseWorker

from model.core.errors import BadInput
from model.core.processes import end_with_parent
from webapp.records import Database, Run, RunState
from webapp.settings import Settings
from webapp.storage import Storage

QUEUE = "stillmotion"
TRACK, PREDICT = "webapp.jobs.tasks.track", "webapp.jobs.tasks.predict"

MONITORING_INTERVAL = 2
"""Seconds between a worker's signs of life during a job."""

HEARTBEAT_TTL = 10
"""Seconds without a sign of life after which a job counts as abandoned."""

WORKER_TTL = 20
"""An idle worker gives a sign of life every `WORKER_TTL` - 15 seconds (RQ subtracts the 15)."""

WORKER_IS_ALIVE = 15.0
"""Seconds since its last sign of life for which a worker counts as alive."""

KEPT_IN_REDIS = 3600
"""Seconds that Redis keeps an ended job; what matters is in the database and the storage."""

MAINTENANCE_INTERVAL = 5
"""Seconds between an idle worker's looks for lost runs."""

log = logging.getLogger(__name__)


class QueueUnavailable(Exception):  # noqa: N818 - says what is the matter
    """Redis does not answer, so nothing can be enqueued now."""


class Condition(Enum):
    """What RQ knows about a run that is not finished."""

    WAITING = "in the queue"
    WORKING = "with a worker that gives signs of life"
    BETWEEN = "taken from the queue, or not yet put there"
    STOPPED = "cancelled or stopped"
    LOST = "ended without a result"


def connect(settings: Settings, patience: int = 3) -> Redis:
    """Return a Redis client.

    patience: how often a command is tried again when Redis does not answer; the pauses grow to 1 s.
    """
    return connect_to(settings.redis, patience)


def connect_to(url: str, patience: int = 3) -> Redis:
    """Return a client of the Redis at a URL; see `connect`. Raises BadInput for what is no Redis URL."""
    try:
        return Redis.from_url(
            url,
            socket_connect_timeout=2,
            retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), patience),
        )
    except ValueError as error:
        raise BadInput(f"{url} is no URL of a Redis, such as redis://host:6379/0.") from error


def forget(redis: Redis, job_id: str) -> None:
    """Remove all that RQ knows about a job."""
    with suppress(NoSuchJobError):
        job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
        # RQ 3.0's delete() raises when it finds an execution here whose details have expired.
        redis.delete(job.execution_registry.key)
        job.delete()


def abandon_silent(redis: Redis, started: StartedJobRegistry) -> None:
    """Have RQ give up jobs whose worker gives no sign of life any more.

    Not in a Redis that has just come back: nobody could give it signs of life while it was away.
    """
    server = redis.info("server")
    if int(server["uptime_in_seconds"]) > HEARTBEAT_TTL:
        started.cleanup()


def is_alive(worker: BaseWorker) -> bool:
    """Tell whether a worker has given a sign of life lately."""
    newest = datetime.now(UTC) - timedelta(seconds=WORKER_IS_ALIVE)
    return worker.last_heartbeat is not None and worker.last_heartbeat > newest


@dataclass(frozen=True)
class Jobs:
    """The queue, as the web process and the reaper use it."""

    settings: Settings
    database: Database
    redis: Redis

    @property
    def _queue(self) -> Queue:
        return Queue(QUEUE, connection=self.redis, serializer=JSONSerializer)

    @property
    def _started(self) -> StartedJobRegistry:
        return StartedJobRegistry(QUEUE, connection=self.redis, serializer=JSONSerializer)

    def submit(self, run: Run) -> Run:
        """Record a run, then enqueue it.

        Raises QueueUnavailable when Redis does not answer; the run is then recorded as failed.
        """
        with self.database.session() as session:
            session.add(run)
        try:
            self.enqueue(run)
        except RedisError as error:
            log.warning("run %s was not enqueued: %s", run.id, error)
            reason = "The run could not be queued because Redis does not answer; start it again."
            self.database.finish_run(run.id, RunState.FAILED, reason)
            raise QueueUnavailable(reason) from error
        return run

    def enqueue(self, run: Run) -> None:
        """Put a run into the queue, whatever the queue knew about it before."""
        queue = self._queue
        forget(self.redis, run.id)
        queue.intermediate_queue.remove(run.id)
        queue.enqueue_call(
            PREDICT if run.is_prediction else TRACK,
            args=(run.id,),
            job_id=run.id,
            timeout=self.settings.job_timeout,
            result_ttl=KEPT_IN_REDIS,
            failure_ttl=KEPT_IN_REDIS,
            on_failure=Callback(record_failure),
            on_stopped=Callback(discard_stopped),
        )

    def cancel(self, run_id: str) -> bool:
        """End a run that is not finished; a running one stops within 2 s. False when it has already ended."""
        if not self.database.finish_run(run_id, RunState.CANCELLED):
            return False
        try:
            job = Job.fetch(run_id, connection=self.redis, serializer=JSONSerializer)
            # cancel() keeps a waiting job from starting; only the command stops a running one.
            with suppress(InvalidJobOperation):
                send_stop_job_command(self.redis, run_id, serializer=JSONSerializer)
            with suppress(InvalidJobOperation):
                job.cancel()
        except NoSuchJobError:
            return True
        except RedisError as error:
            # The task itself sees at its next report that the run is over.
            log.warning("run %s: the stop command could not be sent: %s", run_id, error)
        return True

    def position(self, run_id: str) -> int | None:
        """Return a waiting run's place in the queue, 1 for the next; None when it is not in the queue."""
        try:
            place = self._queue.get_job_position(run_id)
        except RedisError:
            return None
        return None if place is None else place + 1

    def count_workers(self) -> int:
        """Return how many workers are alive. Raises RedisError when Redis does not answer."""
        return sum(is_alive(worker) for worker in Worker.all(queue=self._queue, serializer=JSONSerializer))

    def abandon_silent(self) -> None:
        """Have RQ give up runs whose worker gives no sign of life any more."""
        abandon_silent(self.redis, self._started)

    def abandon_all(self) -> None:
        """Have RQ give up all jobs that were started; for when all workers are known to be gone."""
        self._started.cleanup(timestamp=math.inf)

    def condition(self, run_id: str) -> Condition:
        """Return what RQ knows about a run. Raises RedisError when Redis does not answer."""
        try:
            job = Job.fetch(run_id, connection=self.redis, serializer=JSONSerializer)
        except NoSuchJobError:
            return Condition.BETWEEN
        status = job.get_status(refresh=False)
        if run_id in self._started.get_job_ids(cleanup=False):
            return Condition.WORKING
        if status is JobStatus.QUEUED:
            return Condition.BETWEEN if self._queue.get_job_position(run_id) is None else Condition.WAITING
        if status in (JobStatus.CANCELED, JobStatus.STOPPED):
            return Condition.STOPPED
        return Condition.LOST


def discard_results(settings: Settings, run_id: str) -> None:
    """Remove whatever a run without a result has written."""
    shutil.rmtree(scratch_folder(settings, run_id), ignore_errors=True)
    Storage(settings.storage, settings.temporary_folder).delete(f"runs/{run_id}")


def discard_cancelled(settings: Settings, database: Database, run_id: str) -> None:
    """Remove what a cancelled run has written but for the frames that it had tracked.

    A run that was started again elsewhere keeps its files.
    """
    run = database.find(Run, run_id)
    if run is not None and run.state != RunState.CANCELLED:
        return
    shutil.rmtree(scratch_folder(settings, run_id), ignore_errors=True)
    if run is None or run.tracks_key is None:
        discard_results(settings, run_id)


def scratch_folder(settings: Settings, run_id: str) -> str:
    """Return the folder for a run's unfinished files; the same for each attempt, so none is forgotten."""
    return str(settings.temporary_folder / f"run-{run_id}")


def _fail(run_id: str, reason: str) -> None:
    """End a run as failed, from a worker's process."""
    settings = Settings.from_environment()
    database = Database(settings.database)
    try:
        if database.finish_run(run_id, RunState.FAILED, reason):
            discard_results(settings, run_id)
    finally:
        database.close()


def record_failure(
    job: Job, _connection: Any, kind: type[BaseException], value: BaseException, _traceback: Any
) -> None:
    """Write down why a task raised (RQ calls this in the process that ran it)."""
    if issubclass(kind, AbandonedJobError):
        return  # the reaper decides whether it starts again
    if issubclass(kind, JobTimeoutException):
        _fail(job.id, f"The run took longer than {job.timeout} s and was ended; try fewer frames or points.")
    elif issubclass(kind, MemoryError):
        _fail(job.id, "The memory did not suffice; try fewer frames or points.")
    else:
        _fail(job.id, f"An error inside Stillmotion ended the run ({kind.__name__}: {value}); see the log.")


def discard_stopped(job: Job, _connection: Any) -> None:
    """Remove what a cancelled run leaves unfinished (RQ calls this in the worker, after the stop)."""
    settings = Settings.from_environment()
    database = Database(settings.database)
    try:
        discard_cancelled(settings, database, job.id)
    finally:
        database.close()


def record_killed(job: Job, _process_id: int, status: int, _usage: Any) -> None:
    """Write down why a run's process ended without a word (RQ calls this in the worker)."""
    if job.origin != QUEUE or status is None or not os.WIFSIGNALED(status):
        return  # it left by itself, before the run started or after it ended: the reaper looks after it
    killer = signal.Signals(os.WTERMSIG(status))
    cause = ", most likely because the memory ran out" if killer is signal.SIGKILL else ""
    _fail(job.id, f"The system ended the run ({killer.name}){cause}; try fewer frames or points.")


class TrackingWorker(Worker):
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
        """Look for lost runs besides RQ's own maintenance."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]  # RQ has not typed it
        self.maintain()


def work(url: str, queues: Sequence[str], maintain: Callable[[], None]) -> None:
    """Run jobs until SIGTERM or SIGINT.

    url: of the Redis. queues: a job of the first one goes before those of the next.
    maintain: called at the start, and every few seconds while there is nothing to do.
    """
    # A job outlives a restart of Redis: its worker waits about 20 s for it to come back.
    redis = connect_to(url, patience=25)
    worker = TrackingWorker(
        list(queues),
        connection=redis,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL,
        job_monitoring_interval=MONITORING_INTERVAL,
        maintenance_interval=MAINTENANCE_INTERVAL,
        default_result_ttl=KEPT_IN_REDIS,
        work_horse_killed_handler=record_killed,
        log_job_description=False,
    )
    worker.maintain = maintain
    worker.work(logging_level="WARNING")
