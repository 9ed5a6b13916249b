"""The queue of runs: submitted by the web process, cancelled, and how they end without a result."""

import logging
import os
import shutil
import signal
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError
from rq import Callback
from rq.exceptions import AbandonedJobError
from rq.job import Job
from rq.timeouts import JobTimeoutException

from model.core.errors import Unreachable
from webapp.jobs.base import JobQueue, connect
from webapp.records import Database, Run, RunState
from webapp.settings import Settings
from webapp.storage import Storage

QUEUE = "stillmotion"
TRACK, PREDICT = "webapp.jobs.tasks.track", "webapp.jobs.tasks.predict"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunQueue:
    """The runs' rows and their jobs; a job has its run's id."""

    settings: Settings
    database: Database
    jobs: JobQueue

    @classmethod
    def open(cls, settings: Settings, patience: int = 3) -> "RunQueue":
        """Open the database and the Redis that the settings name; patience: see `connect`."""
        jobs = JobQueue(connect(settings.redis, patience), QUEUE)
        return cls(settings, Database(settings.database), jobs)

    def submit(self, run: Run) -> Run:
        """Record a run, then enqueue it.

        Raises Unreachable when Redis does not answer; the run is then recorded as failed.
        """
        with self.database.session() as session:
            session.add(run)
        try:
            self.enqueue(run)
        except RedisError as error:
            log.warning("run %s was not enqueued: %s", run.id, error)
            reason = "The run could not be queued because Redis does not answer; start it again."
            self.database.finish_run(run.id, RunState.FAILED, reason)
            raise Unreachable(reason) from error
        return run

    def enqueue(self, run: Run) -> None:
        """Put a run into the queue, whatever the queue knew about it before."""
        self.jobs.enqueue(
            run.id,
            PREDICT if run.is_prediction else TRACK,
            run.id,
            timeout=self.settings.job_timeout,
            on_failure=Callback(record_failure),
            on_stopped=Callback(discard_stopped),
        )

    def cancel(self, run_id: str) -> bool:
        """End a run that is not finished; a running one stops within 2 s. False when it has already ended."""
        if not self.database.finish_run(run_id, RunState.CANCELLED):
            return False
        try:
            self.jobs.stop(run_id)
        except RedisError as error:
            # The task itself sees at its next report that the run is over.
            log.warning("run %s: the stop command could not be sent: %s", run_id, error)
        return True

    def discard(self, run_id: str) -> None:
        """Remove whatever a run has written."""
        discard_results(self.settings, run_id)

    def position(self, run_id: str) -> int | None:
        """Return a waiting run's place in the queue, 1 for the next; None when it has none."""
        try:
            return self.jobs.position(run_id)
        except RedisError:
            return None


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


def record_killed(job: Job, _process_id: int, status: int, _usage: Any) -> None:
    """Write down why a run's process ended without a word (RQ calls this in the worker)."""
    if job.origin != QUEUE or status is None or not os.WIFSIGNALED(status):
        return  # it left by itself, before the run started or after it ended: the reaper looks after it
    killer = signal.Signals(os.WTERMSIG(status))
    cause = ", most likely because the memory ran out" if killer is signal.SIGKILL else ""
    _fail(job.id, f"The system ended the run ({killer.name}){cause}; try fewer frames or points.")


def _fail(run_id: str, reason: str) -> None:
    """End a run as failed, from a worker's process."""
    settings = Settings.from_environment()
    with Database(settings.database) as database:
        if database.finish_run(run_id, RunState.FAILED, reason):
            discard_results(settings, run_id)


def discard_stopped(job: Job, _connection: Any) -> None:
    """Remove what a cancelled run leaves unfinished (RQ calls this in the worker, after the stop)."""
    settings = Settings.from_environment()
    with Database(settings.database) as database:
        discard_cancelled(settings, database, job.id)
