"""What all work in the queue has in common: its start, its progress and its end, whatever happens."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from model.core.errors import BadInput, Stopped
from model.core.progress import Progress
from webapp.core.settings import Settings
from webapp.files.storage import Storage
from webapp.jobs.estimates import expected_seconds
from webapp.jobs.queue import discard, discard_cancelled, discard_results, scratch_folder
from webapp.jobs.time_left import TimeLeft
from webapp.rows.database import Database
from webapp.rows.records import Job, Run, RunState, Worked

SECONDS_BETWEEN_REPORTS = 0.25
"""Progress is written to the database at most this often; what is cancelled is noticed as often."""


class WorkProgress:
    """Writes the progress of work into its row, not too often, and learns whether the work is over."""

    def __init__(self, database: Database, work: Run | Job, estimate: float) -> None:
        """estimate: seconds that the work is expected to take."""
        self._left = TimeLeft(estimate)
        self._database = database
        self._work = work
        self._began = time.monotonic()
        self._next_report = 0.0
        self.is_over = False

    def __call__(self, progress: Progress) -> None:
        """Take note of where the work is."""
        seconds = time.monotonic()
        fraction = progress.fraction or 0.0
        if seconds < self._next_report and fraction < 1.0:
            return
        self._next_report = seconds + SECONDS_BETWEEN_REPORTS
        self.is_over = not self._database.update_running(
            self._work,
            stage=progress.stage,
            progress=fraction,
            eta_seconds=self._left.after(seconds - self._began, fraction),
        )


@dataclass(frozen=True)
class JobContext(Generic[Worked]):
    """What a job works with.

    work: its row, as it was started. scratch: an empty folder, removed in the end. report: takes
    the progress.
    """

    settings: Settings
    database: Database
    storage: Storage
    work: Worked
    scratch: Path
    report: WorkProgress

    def is_over(self) -> bool:
        """Tell whether the work has to end: somebody else has ended it."""
        return self.report.is_over


def execute(kind: type[Worked], work_id: str, do: Callable[[JobContext[Worked]], None]) -> None:
    """Do queued work; its row says how it ended.

    do: of a run, stores `tracks.npz` and pictures. A BadInput of it is the reason why the work failed;
        Stopped ends it as cancelled.
    """
    settings = Settings.from_environment()
    with Database(settings.database) as database:
        queued = database.find(kind, work_id)
        work = None if queued is None else database.start(queued)
        if work is None:
            return  # cancelled while it waited
        try:
            _execute(settings, database, work, do)
        except BadInput as error:
            if database.finish(work, RunState.FAILED, str(error)):
                discard_results(settings, work)
        except Stopped:
            discard_cancelled(settings, database, work)


def _execute(
    settings: Settings, database: Database, work: Worked, do: Callable[[JobContext[Worked]], None]
) -> None:
    storage = Storage.of(settings, is_patient=True)
    scratch = Path(scratch_folder(settings, work.id))
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    partial = f"{work.folder}/partial" if isinstance(work, Run) else None
    if partial:
        storage.delete(partial)  # an earlier attempt's
    progress = WorkProgress(database, work, expected_seconds(settings, [work])[work.id])
    try:
        do(JobContext(settings, database, storage, work, scratch, progress))
    except FileNotFoundError as error:
        raise BadInput("The clip's file is gone; upload it again.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not database.finish(work, RunState.DONE):
        raise Stopped(f"The {work.noun} was cancelled while its result was stored.")
    if partial:
        # At once or never: the next run must not wait for a storage that is away. It goes with its folder.
        discard(settings, partial)
