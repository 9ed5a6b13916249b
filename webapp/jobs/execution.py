"""What every run's job has in common: its start, its progress and its end, whatever happens in between."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.core.errors import BadInput, Stopped
from model.core.progress import Progress
from webapp.jobs.estimates import estimate_run
from webapp.jobs.queue import discard, discard_cancelled, discard_results, scratch_folder
from webapp.jobs.time_left import TimeLeft
from webapp.records import Database, Run, RunState
from webapp.settings import Settings
from webapp.storage import Storage

SECONDS_BETWEEN_REPORTS = 0.25
"""Progress is written to the database at most this often; a cancelled run is noticed as often."""


class RunProgress:
    """Writes a run's progress into its row, not too often, and learns from it whether the run is over."""

    def __init__(self, database: Database, run: Run, estimate: float) -> None:
        """estimate: seconds that the run is expected to take."""
        self._left = TimeLeft(estimate)
        self._database = database
        self._run_id = run.id
        self._attempt = run.attempts
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
            self._run_id,
            self._attempt,
            stage=progress.stage,
            progress=fraction,
            eta_seconds=self._left.after(seconds - self._began, fraction),
        )


@dataclass(frozen=True)
class JobContext:
    """What a run's job works with.

    run: as it was started. scratch: an empty folder, removed in the end. report: takes the progress.
    """

    settings: Settings
    database: Database
    storage: Storage
    run: Run
    scratch: Path
    report: RunProgress


def execute(run_id: str, work: Callable[[JobContext], None]) -> None:
    """Do a queued run's work; the run's row says how it ended.

    work: stores `tracks.npz` and pictures. A BadInput of it is the reason why the run failed; Stopped ends it
        as cancelled.
    """
    settings = Settings.from_environment()
    with Database(settings.database) as database:
        run = database.start_run(run_id)
        if run is None:
            return  # cancelled while it waited
        try:
            _execute(settings, database, run, work)
        except BadInput as error:
            if database.finish_run(run_id, RunState.FAILED, str(error)):
                discard_results(settings, run_id)
        except Stopped:
            discard_cancelled(settings, database, run_id)


def _execute(settings: Settings, database: Database, run: Run, work: Callable[[JobContext], None]) -> None:
    storage = Storage.of(settings, is_patient=True)
    scratch = Path(scratch_folder(settings, run.id))
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    storage.delete(f"{run.folder}/partial")  # an earlier attempt's
    progress = RunProgress(database, run, estimate_run(settings, run).seconds)
    try:
        work(JobContext(settings, database, storage, run, scratch, progress))
    except FileNotFoundError as error:
        raise BadInput("The clip's file is gone; upload it again.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not database.finish_run(run.id, RunState.DONE):
        raise Stopped("The run was cancelled while its result was stored.")
    # At once or never: the next run must not wait for a storage that is away. It goes with the run's folder.
    discard(settings, f"{run.folder}/partial")
