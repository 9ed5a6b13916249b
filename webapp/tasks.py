"""What a worker runs. A task starts over and overwrites its files when it is run again."""

import shutil
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.errors import BadInput, Stopped
from model.methods import tracker_name
from model.progress import Progress
from model.track import TrackRequest, track_file
from model.tracker import Tracker
from webapp.jobs import discard_cancelled, discard_results, scratch_folder
from webapp.partials import PartialWriter
from webapp.pictures import jpeg
from webapp.records import Database, Run, RunState
from webapp.settings import Settings
from webapp.storage import Storage

SECONDS_BETWEEN_REPORTS = 0.25
"""Progress is written to the database at most this often; a cancelled run is noticed as often."""


def track(run_id: str) -> None:
    """Track a run's clip and store `tracks.npz` and the frames; the run's row says how it ended.

    The frames tracked so far are stored now and then, for the case that the run is cancelled.
    """
    settings = Settings.from_environment()
    database = Database(settings.database)
    try:
        run = database.start_run(run_id)
        if run is None:
            return  # cancelled while it waited
        try:
            _track(settings, database, run)
        except BadInput as error:
            if database.finish_run(run_id, RunState.FAILED, str(error)):
                discard_results(settings, run_id)
        except Stopped:
            discard_cancelled(settings, database, run_id)
    finally:
        database.close()


def _track(settings: Settings, database: Database, run: Run) -> None:
    storage = Storage(settings.storage, settings.temporary_folder)
    report = RunProgress(database, run)
    scratch = Path(scratch_folder(settings, run.id))
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    storage.delete(f"{run.folder}/partial")  # an earlier attempt's

    def keep_frame(position: int, frame: NDArray[np.uint8]) -> None:
        picture = scratch / "frame.jpg"
        picture.write_bytes(jpeg(frame))
        storage.move_in(picture, f"{run.folder}/frames/{position:05d}.jpg")

    try:
        tracker = Tracker.load(tracker_name(run.method, run.weights), device=settings.device)
        with storage.local_copy(run.clip.key) as clip:
            tracks = track_file(
                clip,
                tracker,
                TrackRequest(run.grid, run.start, run.frames, run.frame_step),
                on_frame=keep_frame,
                progress=report,
                should_stop=lambda: report.is_over,
                keep=PartialWriter(database, storage, run, scratch),
            )
        tracks.save(scratch / "tracks.npz")
        storage.move_in(scratch / "tracks.npz", f"{run.folder}/tracks.npz")
    except FileNotFoundError as error:
        raise BadInput("The clip's file is gone; upload it again.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not database.finish_run(run.id, RunState.DONE):
        raise Stopped("The run was cancelled while its result was stored.")
    storage.delete(f"{run.folder}/partial")


class RunProgress:
    """Writes a run's progress into its row, not too often, and learns from it whether the run is over."""

    def __init__(self, database: Database, run: Run) -> None:
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
        elapsed = seconds - self._began
        self.is_over = not self._database.update_running(
            self._run_id,
            self._attempt,
            stage=progress.stage,
            progress=fraction,
            eta_seconds=elapsed * (1 - fraction) / fraction if fraction > 0 else None,
        )
