"""Brings rows and queue together again after a lost worker, a killed process or an emptied Redis."""

import logging
from dataclasses import dataclass, field

from redis.exceptions import LockError, RedisError
from sqlalchemy.exc import SQLAlchemyError

from webapp.jobs.base import Condition, LostJobs
from webapp.jobs.queue import RunQueue, discard_results
from webapp.records import Run, RunState

MOST_ATTEMPTS = 3
"""A run whose worker was lost starts again until it has been started this often."""

LOCK = "stillmotion:reaper"
LOCK_SECONDS = 30

log = logging.getLogger(__name__)


@dataclass
class Reaper:
    """Looks after runs that are queued or running; call `reconcile` every few seconds."""

    queue: RunQueue
    _lost: LostJobs = field(default_factory=lambda: LostJobs(patience=0.0))  # two looks in a row

    def reconcile(self) -> None:
        """Make every unfinished run's row true; does nothing while Redis does not answer."""
        try:
            with self.queue.jobs.redis.lock(LOCK, timeout=LOCK_SECONDS, blocking=False):
                self._reconcile()
        except LockError:
            return  # another process is at it
        except SQLAlchemyError as error:
            log.warning("the database does not answer, so lost runs cannot be looked for: %s", error)
        except RedisError as error:
            self._lost.clear()
            log.info("Redis does not answer, so lost runs cannot be looked for: %s", error)

    def _reconcile(self) -> None:
        runs = self.queue.database.unfinished_runs()
        if not runs:
            self._lost.clear()
            return
        self.queue.jobs.abandon_silent()
        handles = self.queue.jobs.handles(run.id for run in runs)
        lost = self._lost.find(handles.values())
        for run in runs:
            condition = handles[run.id].condition
            if condition is Condition.STOPPED:
                self.queue.database.finish_run(run.id, RunState.CANCELLED)
            elif condition is Condition.FAILED or run.id in lost:
                self._start_again(run)

    def _start_again(self, run: Run) -> None:
        database = self.queue.database
        if run.attempts >= MOST_ATTEMPTS:
            reason = (
                f"The worker was lost {run.attempts} times while it ran this; try fewer frames or points."
            )
            if database.finish_run(run.id, RunState.FAILED, reason):
                discard_results(self.queue.settings, run.id)
        elif database.requeue_run(run.id):
            log.warning("run %s was lost after attempt %d and is queued again", run.id, run.attempts)
            self.queue.enqueue(run)
