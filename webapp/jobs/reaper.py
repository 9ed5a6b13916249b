"""Brings rows and queue together again after a lost worker, a killed process or an emptied Redis."""

import logging
from dataclasses import dataclass, field
from datetime import timedelta

from redis.exceptions import LockError, RedisError
from sqlalchemy.exc import SQLAlchemyError

from webapp.jobs.base import Condition, LostJobs
from webapp.jobs.queue import RunQueue, discard_results
from webapp.rows.records import UNFINISHED, Job, Run, RunState, now

MOST_ATTEMPTS = 3
"""What a worker was lost with starts again until it has been started this often."""

STOP_SECONDS = 60.0
"""Cancelled work may take so long to keep what it has and end; then its process is killed."""

LOCK = "stillmotion:reaper"
LOCK_SECONDS = 30

log = logging.getLogger(__name__)


@dataclass
class Reaper:
    """Looks after work that is queued or running; call `reconcile` every few seconds."""

    queue: RunQueue
    stop_seconds: float = STOP_SECONDS
    _lost: LostJobs = field(default_factory=lambda: LostJobs(patience=0.0))  # two looks in a row

    def reconcile(self) -> None:
        """Make every unfinished row true; does nothing while Redis does not answer."""
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
        self._kill_hung()
        unfinished = self.queue.database.unfinished()
        if not unfinished:
            self._lost.clear()
            return
        self.queue.jobs.abandon_silent()
        handles = self.queue.jobs.handles(work.id for work in unfinished)
        lost = self._lost.find(handles.values())
        for work in unfinished:
            condition = handles[work.id].condition
            if condition is Condition.STOPPED:
                self.queue.database.finish(work, RunState.CANCELLED)
            elif condition is Condition.FAILED or work.id in lost:
                self._start_again(work)

    def _kill_hung(self) -> None:
        """Have the workers kill cancelled work that has not ended by itself, so that they are free again."""
        started = self.queue.jobs.started_ids()
        if not started:
            return
        before = now() - timedelta(seconds=self.stop_seconds)
        for work in self.queue.database.cancelled(started, before):
            log.warning("%s %s was cancelled and did not end; it is killed", work.noun, work.id)
            reason = (
                f"The {work.noun} did not end within {self.stop_seconds:g} s of the cancel and was killed."
            )
            self.queue.database.explain(work, RunState.CANCELLED, reason)
            self.queue.jobs.stop(work.id)

    def _start_again(self, work: Run | Job) -> None:
        database = self.queue.database
        if work.attempts >= MOST_ATTEMPTS:
            reason = f"The {work.noun}'s worker or process was lost {work.attempts} times; {work.advice}."
            if database.finish(work, RunState.FAILED, reason):
                discard_results(self.queue.settings, work)
        elif database.requeue(work, *UNFINISHED):
            log.warning(
                "%s %s was lost after attempt %d and is queued again", work.noun, work.id, work.attempts
            )
            self.queue.enqueue(work)
