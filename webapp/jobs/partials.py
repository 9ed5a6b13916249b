"""What a run has tracked so far, written down now and then: a cancelled run keeps it."""

import time
from pathlib import Path

from model.tracking.tracker import PartialTracks
from webapp.files.provenance import about
from webapp.files.storage import Storage
from webapp.rows.database import Database
from webapp.rows.records import Run

SECONDS_BEFORE_FIRST = 1.0
"""A run that is done sooner writes none."""

SECONDS_BETWEEN = 3.0
LARGEST_SHARE = 0.05
"""Of a run's time that writing may take: where it takes long, it is done less often."""


class PartialWriter:
    """Stores a run's finished frames now and then; give it what `track_file` yields.

    A stop kills the job's process at any moment, so each file appears whole under a new name, and only then
    does the run's row name it.
    """

    def __init__(self, database: Database, storage: Storage, run: Run, scratch: Path) -> None:
        self._database = database
        self._storage = storage
        self._run = run
        self._file = scratch / "partial.npz"
        self._written: int | None = None
        self._next = time.monotonic() + SECONDS_BEFORE_FIRST

    def write(self, partial: PartialTracks) -> None:
        """Write down what is done, if it is time."""
        began = time.monotonic()
        if began < self._next:
            return
        tracks = partial.tracks()
        count = len(tracks.frames)
        if count != self._written:
            tracks.save(self._file, about=about(self._run, tracks))
            self._storage.move_in(self._file, self._run.partial_key(count))
            if self._database.update_running(self._run, tracked_frames=count):
                if self._written is not None:
                    self._storage.delete(self._run.partial_key(self._written))
                self._written = count
        ended = time.monotonic()
        self._next = ended + max(SECONDS_BETWEEN, (ended - began) / LARGEST_SHARE)
