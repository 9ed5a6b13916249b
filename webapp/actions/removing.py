"""Removing jobs for good, with what they made."""

import shutil
from pathlib import Path

from sqlalchemy import func, select

from model.core.errors import BadInput
from webapp.core.settings import Settings
from webapp.files.storage import Storage
from webapp.jobs.queue import RunQueue
from webapp.rows.records import Job


def remove_job(queue: RunQueue, job: Job) -> None:
    """Cancel a job and remove its row, its training set or predictor, and its picture.

    Raises BadInput while a worker is at it, or while a training reads the set.
    """
    settings, database = queue.settings, queue.database
    queue.cancel(job)
    if queue.is_working(job):
        raise BadInput("The job is just ending; remove it in a moment.")
    if job.kind == "convert" and any(
        isinstance(work, Job) and work.settings.get("dataset") == job.name for work in database.unfinished()
    ):
        raise BadInput(f"A training reads the data set “{job.name}”; cancel it first.")
    folder = _folder(settings, job)
    with database.session() as session:
        alike = select(func.count()).where(Job.kind == job.kind, Job.name == job.name)
        if folder is not None and session.scalar(alike) == 1:  # else it is another one's now
            shutil.rmtree(folder, ignore_errors=True)
        Storage.of(settings).delete(job.picture_key)
        session.delete(session.get_one(Job, job.id))


def _folder(settings: Settings, job: Job) -> Path | None:
    parents = {"convert": settings.datasets, "train": settings.predictors}
    return parents[job.kind] / job.name if job.kind in parents else None
