"""Brings rows and queue together again after a lost worker, a killed process or an emptied Redis."""

import logging
from dataclasses import dataclass, field

from redis.exceptions import LockError, RedisError
from sqlalchemy.exc import SQLAlchemyError

from webapp.jobs.queue import Condition, Jobs, discard_results
from webapp.records import Run, RunState

MOST_ATTEMPTS = 3
"""A run whose worker was lost starts again until it has been started this often."""

LOCK = "stillmotion:reaper"
LOCK_SECONDS = 30

log = logging.getLogger(__name__)


@dataclass
class Reaper:
    """Looks after runs that are queued or running; call `reconcile` every few seconds.

    A run that is neither in the queue nor with a worker may just be on its way, so it must be found like
    that in two looks in a row.
    """

    jobs: Jobs
    _between: set[str] = field(default_factory=set)

    def reconcile(self) -> None:
        """Make every unfinished run's row true; does nothing while Redis does not answer."""
        try:
            with self.jobs.redis.lock(LOCK, timeout=LOCK_SECONDS, blocking=False):
                self._reconcile()
        except LockError:
            return  # another process is at it
        except SQLAlchemyError as error:
            log.warning("the database does not answer, so lost runs cannot be looked for: %s", error)
        except RedisError as error:
            self._between.clear()
            log.info("Redis does not answer, so lost runs cannot be looked for: %s", error)

    def _reconcile(self) -> None:
        runs = self.jobs.database.unfinished_runs()
        if not runs:
            self._between.clear()
            return
        self.jobs.abandon_silent()
        between = set()
        for run in runs:
            condition = self.jobs.condition(run.id)
            if condition is Condition.STOPPED:
                self.jobs.database.finish_run(run.id, RunState.CANCELLED)
            elif condition is Condition.BETWEEN and run.id not in self._between:
                between.add(run.id)
            elif condition in (Condition.BETWEEN, Condition.LOST):
                self._start_again(run)
        self._between = between

    def _start_again(self, run: Run) -> None:
        database = self.jobs.database
        if run.attempts >= MOST_ATTEMPTS:
            reason = (
                f"The worker was lost {run.attempts} times while it ran this; try fewer frames or points."
            )
            if database.finish_run(run.id, RunState.FAILED, reason):
                discard_results(self.jobs.settings, run.id)
        elif database.requeue_run(run.id):
            log.warning("run %s was lost after attempt %d and is queued again", run.id, run.attempts)
            self.jobs.enqueue(run)
