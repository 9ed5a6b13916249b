"""What every request handler needs: settings, rows, bytes and the queue, opened once for an app."""

from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import cast

from flask import current_app

from webapp.core.settings import Settings
from webapp.files.datasets import Datasets
from webapp.files.decoding import DecodingBudget
from webapp.files.storage import Storage
from webapp.jobs.queue import RunQueue
from webapp.rows.database import Database

EXTENSION = "stillmotion"


@dataclass(frozen=True)
class Backend:
    """The parts behind the pages and the API. waiting: who may wait for a job, a quarter of the threads."""

    settings: Settings
    database: Database
    storage: Storage
    queue: RunQueue
    datasets: Datasets
    decoding: DecodingBudget
    waiting: BoundedSemaphore

    @classmethod
    def open(cls, settings: Settings) -> "Backend":
        """Open the database, the storage and the queue that the settings name."""
        queue = RunQueue.open(settings)
        return cls(
            settings=settings,
            database=queue.database,
            storage=Storage.of(settings),
            queue=queue,
            datasets=Datasets(settings.datasets),
            decoding=DecodingBudget(),
            waiting=BoundedSemaphore(max(1, settings.web_threads // 4)),
        )


def app_backend() -> Backend:
    """Return the current app's backend."""
    return cast(Backend, current_app.extensions[EXTENSION])
