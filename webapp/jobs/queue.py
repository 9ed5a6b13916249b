"""The queue of runs and jobs: submitted by the web process, cancelled, and how they end without a result."""

import logging
import os
import shutil
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError
from rq import Callback
from rq.exceptions import AbandonedJobError
from rq.job import Job as QueuedJob
from rq.timeouts import JobTimeoutException

from model.core.errors import BadInput, Unreachable, is_gpu_failure, is_out_of_memory
from model.tracking.methods import find_method
from webapp.core.settings import Settings
from webapp.core.troubles import redis_trouble, trouble
from webapp.files.storage import Storage
from webapp.jobs.base import Condition, JobQueue, connect
from webapp.jobs.estimates import estimate_run, expected_seconds
from webapp.jobs.kinds import KINDS, needs_torch
from webapp.jobs.overlays import OverlayRequest
from webapp.jobs.waiting import OTHER_SECONDS, Server, starts_in
from webapp.rows.database import Database
from webapp.rows.records import Job, Run, RunState, Worked

QUEUES = tuple(f"stillmotion-{length}-{device}" for length in ("short", "long") for device in ("gpu", "cpu"))
"""Short jobs go before long ones. Those for a GPU are networks; machines without one may do them, too."""

SHORT_SECONDS = 60.0
"""A run that will take longer, by its estimate, is a long one."""

PICTURE_BYTES, POSITION_BYTES = 300_000, 20
"""Of a run's results: a stored frame, at most 1280 pixels a side; a point in a frame."""

OVERLAY_SECONDS = 3600
"""How long an overlay may take to draw."""

DRAW = "webapp.jobs.overlays.draw"
TRACK, PREDICT = "webapp.jobs.tasks.track", "webapp.jobs.tasks.predict"
WORK = "webapp.jobs.tasks.work"

KILLS, KILLS_SECONDS = "stillmotion:kills:", 24 * 3600
"""Redis counts under this prefix and an id how often the process of work was killed, for a day after."""

log = logging.getLogger(__name__)


class QueueFull(BadInput):
    """So many jobs wait that no more are taken."""


def served_queues(settings: Settings) -> list[str]:
    """Return the queues of runs that a worker of these settings serves, in its order.

    What suits its device goes first among jobs of the same length.
    """
    device = "gpu" if has_gpu(settings.device) else "cpu"
    words = settings.queue_words
    ordered = sorted(QUEUES, key=lambda name: ("-long-" in name, not name.endswith(device)))
    return [name for name in ordered if set(name.split("-")[1:]) <= words]


def has_gpu(device: str) -> bool:
    """Tell whether the networks of a worker will run on a GPU, without touching CUDA."""
    return device.startswith("cuda") or (device == "auto" and Path("/dev/nvidiactl").exists())


@dataclass(frozen=True)
class RunQueue:
    """The rows of runs and jobs, and their jobs in RQ, which have their ids."""

    settings: Settings
    database: Database
    jobs: JobQueue

    @classmethod
    def open(cls, settings: Settings, patience: int = 3) -> "RunQueue":
        """Open the database and the Redis that the settings name; patience: see `connect`."""
        jobs = JobQueue(connect(settings.redis, patience), QUEUES)
        return cls(settings, Database(settings.database), jobs)

    def submit(self, work: Worked) -> Worked:
        """Record work, then enqueue it.

        Raises NoRoom, QueueFull, and Unreachable when Redis does not take it; it is then recorded as failed.
        """
        self.check_room(result_bytes(work) if isinstance(work, Run) else 0)
        with self.database.session() as session:
            session.add(work)
        self._enqueue_or_fail(work)
        return work

    def submit_again(self, job: Job) -> bool:
        """Enqueue a job that failed or was cancelled; it goes on from what it has left. False for others.

        Raises as `submit`, and BadInput while its worker has not ended yet.
        """
        self.check_room(0)
        if self.is_working(job):
            raise BadInput("The job is just ending; continue it in a moment.")
        if not self.database.requeue(job, RunState.FAILED, RunState.CANCELLED):
            return False
        self.jobs.redis.delete(KILLS + job.id)
        self._enqueue_or_fail(job)
        return True

    def is_working(self, job: Job) -> bool:
        """Tell whether a worker is at a job, cancelled or not. Raises RedisError."""
        return self.jobs.handles([job.id])[job.id].condition is Condition.WORKING

    def check_room(self, wanted: int) -> None:
        """Raise NoRoom unless there is room for so many bytes more, QueueFull when too many jobs wait."""
        Storage.of(self.settings).require_room(wanted)
        self._check_length()

    def _enqueue_or_fail(self, work: Run | Job) -> None:
        try:
            self.enqueue(work)
        except RedisError as error:
            log.warning("%s %s was not enqueued: %s", work.noun, work.id, error)
            reason = f"The {work.noun} could not be queued because {redis_trouble(error)}; start it again."
            self.database.finish(work, RunState.FAILED, reason)
            raise Unreachable(reason) from error

    def enqueue(self, work: Run | Job) -> None:
        """Put work into the queue, whatever the queue knew about it before."""
        self.jobs.enqueue(
            work.id,
            _task(work),
            work.id,
            queue=self._queue_of(work),
            timeout=self.settings.job_timeout,
            on_failure=Callback(record_failure),
            on_stopped=Callback(discard_stopped),
        )

    def _queue_of(self, work: Run | Job) -> str:
        """Choose by how long it takes, and whether it is for a GPU."""
        if isinstance(work, Job):
            length, uses_torch = KINDS[work.kind].length, needs_torch(work)
        else:
            length = "short" if estimate_run(self.settings, work).seconds <= SHORT_SECONDS else "long"
            uses_torch = find_method(work.method).uses_torch
        return f"stillmotion-{length}-{'gpu' if uses_torch else 'cpu'}"

    def cancel(self, work: Run | Job) -> bool:
        """End work that is not finished. False when it has already ended.

        What runs is stopped within 2 s; a job that keeps what it has when it looks at its row the next time.
        """
        if not self.database.finish(work, RunState.CANCELLED):
            return False
        try:
            if not (isinstance(work, Job) and KINDS[work.kind].keeps and self.is_working(work)):
                self.jobs.stop(work.id)
        except RedisError as error:
            # The task itself sees at its next report that the work is over.
            log.warning("%s %s: the stop command could not be sent: %s", work.noun, work.id, error)
        return True

    def discard(self, run_id: str) -> None:
        """Remove whatever a run has written. Raises Unreachable when the storage does not answer."""
        shutil.rmtree(scratch_folder(self.settings, run_id), ignore_errors=True)
        Storage.of(self.settings).delete(f"runs/{run_id}")

    def places(self) -> dict[str, int]:
        """Return the place in the queue of each run that waits, 1 for the next; none without Redis."""
        try:
            return {job_id: place for place, job_id in enumerate(self.jobs.waiting_ids(), 1)}
        except RedisError:
            return {}

    def starts_in(self, work: Run | Job) -> float | None:
        """Return the seconds until what waits begins, about; None without Redis or a worker for it."""
        try:
            waiting, workers = self.jobs.waiting(), self.jobs.workers()
            current = {worker.name: worker.get_current_job_id() for worker in workers}
        except RedisError:
            return None
        unfinished = {work.id: work for work in self.database.unfinished()}
        seconds = expected_seconds(self.settings, list(unfinished.values()))

        def free_in(job_id: str | None) -> float:
            if job_id is None:
                return 0.0
            running = unfinished.get(job_id)
            left = None if running is None else running.eta_seconds
            return left if left is not None else seconds.get(job_id, OTHER_SECONDS)

        servers = [Server(worker.queue_names(), free_in(current[worker.name])) for worker in workers]
        return starts_in(work.id, waiting, servers, seconds)

    def draw_overlay(self, run: Run, wanted: OverlayRequest) -> float | None:
        """Have an overlay drawn, unless it waits or is being drawn already; see `webapp.jobs.overlays`.

        Returns how much of it is drawn, 0 to below 1; None while it waits for its turn.

        Raises BadInput with the reason why drawing it failed, NoRoom, QueueFull, and RedisError.
        """
        job_id = f"{wanted.name.replace('.', '-')}-{run.id}-{run.frames_in_tracks}"
        Storage.of(self.settings).require_free()  # a Redis on a full disk would be the one to refuse
        with self.jobs.redis.lock(f"stillmotion:{job_id}", timeout=10):
            handle = self.jobs.handles([job_id])[job_id]
            if handle.condition is Condition.FAILED and "AbandonedJobError" not in handle.failure:
                reason = overlay_failure(handle.failure)
                self.jobs.forget(job_id)
                raise BadInput(f"The overlay could not be drawn: {reason}")
            if handle.condition not in (Condition.WAITING, Condition.WORKING, Condition.BETWEEN):
                self.check_room(0)
                self.jobs.enqueue(
                    job_id,
                    DRAW,
                    run.id,
                    asdict(wanted),
                    queue="stillmotion-short-cpu",
                    timeout=OVERLAY_SECONDS,
                    result_ttl=0,  # once it is drawn, the storage says so
                )
            return handle.meta.get("progress")

    def _check_length(self) -> None:
        """Raise QueueFull when too many jobs wait."""
        try:
            waiting = self.jobs.count_waiting()
        except RedisError:
            return  # who enqueues says so
        if waiting >= self.settings.max_waiting:
            raise QueueFull(f"{waiting} jobs wait already, and no more are taken; try again later.")


def result_bytes(run: Run) -> int:
    """Return about how many bytes a run's results will take."""
    return run.frames * (PICTURE_BYTES + POSITION_BYTES * run.point_count)


def overlay_failure(failure: str) -> str:
    """Return the sentence of a failed job's last line, if it is one for people."""
    kind, _, sentence = failure.partition(": ")
    is_for_people = kind.rpartition(".")[2] in ("BadInput", "Unreachable", "NoRoom")
    return sentence if is_for_people else "the server's log says why."


def discard_results(settings: Settings, work: Run | Job) -> None:
    """Remove whatever work without a result has written, if the storage answers; jobs go on from theirs."""
    shutil.rmtree(scratch_folder(settings, work.id), ignore_errors=True)
    if isinstance(work, Job):
        return
    discard(settings, work.folder)


def discard(settings: Settings, key: str) -> None:
    """Remove a file or folder of the storage, if it answers within seconds."""
    try:
        Storage.of(settings).delete(key)
    except Unreachable as error:
        log.warning("%s stays: %s", key, error)


def discard_cancelled(settings: Settings, database: Database, work: Run | Job) -> None:
    """Remove what cancelled work has written but for the frames that a run had tracked.

    What was started again elsewhere keeps its files.
    """
    now = database.find(type(work), work.id)
    if now is not None and now.state != RunState.CANCELLED:
        return
    shutil.rmtree(scratch_folder(settings, work.id), ignore_errors=True)
    if not (isinstance(now, Run) and now.tracks_key):
        discard_results(settings, work)


def _task(work: Run | Job) -> str:
    if isinstance(work, Job):
        return WORK
    return PREDICT if work.is_prediction else TRACK


def _find(database: Database, work_id: str) -> Run | Job | None:
    return database.find(Run, work_id) or database.find(Job, work_id)


def scratch_folder(settings: Settings, run_id: str) -> str:
    """Return the folder for a run's unfinished files; the same for each attempt, so none is forgotten."""
    return str(settings.temporary_folder / f"run-{run_id}")


def record_failure(
    job: QueuedJob, _connection: Any, kind: type[BaseException], value: BaseException, _traceback: Any
) -> None:
    """Write down why a task raised (RQ calls this in the process that ran it)."""
    if issubclass(kind, AbandonedJobError):
        return  # the reaper decides whether it starts again
    if issubclass(kind, JobTimeoutException):
        _fail(job.id, f"The {{noun}} took longer than {job.timeout} s and was ended; {{advice}}.")
    elif is_out_of_memory(value):
        _fail(job.id, "The memory did not suffice; {advice}.")
    elif is_gpu_failure(value):
        _fail(job.id, "The GPU failed or went away; start the {noun} again when it works.")
    elif said := trouble(value):
        _fail(job.id, said)
    else:
        # What it says may hold paths or SQL: that is for the log, to which the worker writes it.
        inside = f"An error inside Stillmotion ended the {{noun}} ({kind.__name__}); see the server's log."
        _fail(job.id, inside)


def record_killed(job: QueuedJob, _process_id: int, status: int, _usage: Any) -> None:
    """Write down why the process of work ended without a word (RQ calls this in the worker)."""
    if job.func_name not in (TRACK, PREDICT, WORK) or status is None or not os.WIFSIGNALED(status):
        return  # it left by itself, before the work started or after it ended: the reaper looks after it
    killer = signal.Signals(os.WTERMSIG(status))
    if killer is signal.SIGKILL and _count_kill(job) == 1:
        return  # another process may have taken the memory: the reaper starts it once more
    cause = ", most likely because the memory ran out" if killer is signal.SIGKILL else ""
    _fail(job.id, f"The system ended the {{noun}} ({killer.name}){cause}; {{advice}}.")


def _count_kill(job: QueuedJob) -> int:
    """Return how often the process of work has been killed, this time too; losses of workers do not count."""
    with job.connection.pipeline() as pipeline:
        pipeline.incr(KILLS + job.id)
        pipeline.expire(KILLS + job.id, KILLS_SECONDS)
        return int(pipeline.execute()[0])


def _fail(work_id: str, reason: str) -> None:
    """End work as failed, from a worker's process. reason: may hold {noun} and {advice}, see `Work`."""
    settings = Settings.from_environment()
    with Database(settings.database) as database:
        work = _find(database, work_id)
        if work is None:
            return
        said = reason.format(noun=work.noun, advice=work.advice)
        if database.finish(work, RunState.FAILED, said):
            discard_results(settings, work)


def discard_stopped(job: QueuedJob, _connection: Any) -> None:
    """Remove what cancelled work leaves unfinished (RQ calls this in the worker, after the stop)."""
    settings = Settings.from_environment()
    with Database(settings.database) as database:
        work = _find(database, job.id)
        if work is not None:
            discard_cancelled(settings, database, work)
