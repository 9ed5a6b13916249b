"""Writing down what is tracked so far: whole files, a row that names one, and nothing after the end."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from model.motion.tracks import Method, Tracks
from tests.webapp.rows.test_records import filled
from webapp.files.storage import Storage
from webapp.jobs import partials
from webapp.jobs.partials import PartialWriter
from webapp.rows.database import Database
from webapp.rows.records import UNFINISHED, Run, RunState


def tracks_of(frames: int) -> Tracks:
    """The first frames of some tracks."""
    points = np.arange(frames * 32, dtype=np.float32).reshape(frames, 16, 2)
    tracks = Tracks(
        points,
        np.ones((frames, 16), np.float32),
        np.arange(frames, dtype=np.int32),
        (8, 8),
        0.0,
        None,
        Method("lk"),
    )
    return tracks


@dataclass(frozen=True)
class Done:
    """A `PartialTracks` of so many frames."""

    frames: int

    def tracks(self) -> Tracks:
        return tracks_of(self.frames)


@pytest.fixture
def running(tmp_path: Path) -> tuple[Database, Run]:
    """A database with a run at its work."""
    database, run_id = filled(tmp_path / "instance")
    run = database.start(database.find(Run, run_id))
    assert run is not None
    yield database, run
    database.close()


def row(database: Database, run: Run) -> Run:
    """The run as the database has it now."""
    with database.session() as session:
        found = session.get(Run, run.id)
    assert found is not None
    return found


def test_the_newest_frames_replace_the_ones_before(
    running: tuple[Database, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, run = running
    monkeypatch.setattr(partials, "SECONDS_BEFORE_FIRST", 0.0)
    monkeypatch.setattr(partials, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(partials, "LARGEST_SHARE", 1e9)
    storage = Storage(str(tmp_path / "storage"), tmp_path / "tmp")
    writer = PartialWriter(database, storage, run, tmp_path)
    for frames in (3, 3, 5):
        writer.write(Done(frames))
        assert row(database, run).tracked_frames == frames
        assert row(database, run).tracks_key is None  # not a result while it runs
    folder = tmp_path / "storage" / run.folder / "partial"
    assert [path.name for path in folder.iterdir()] == ["5.npz"]

    database.finish(run, RunState.CANCELLED)
    writer.write(Done(7))
    ended = row(database, run)
    assert (ended.tracked_frames, ended.frames_in_tracks) == (5, 5)
    assert ended.tracks_key == f"{run.folder}/partial/5.npz"
    np.testing.assert_array_equal(Tracks.load(folder / "5.npz").points, tracks_of(5).points)


def test_short_runs_write_nothing(running: tuple[Database, Run], tmp_path: Path) -> None:
    database, run = running
    writer = PartialWriter(database, Storage(str(tmp_path / "storage"), tmp_path / "tmp"), run, tmp_path)

    writer.write(None)  # nobody asks for its tracks
    assert row(database, run).tracked_frames is None


def test_a_run_that_starts_again_has_tracked_nothing(running: tuple[Database, Run]) -> None:
    database, run = running
    database.update_running(run, tracked_frames=4)
    database.requeue(run, *UNFINISHED)
    assert row(database, run).tracked_frames is None
    started = database.start(run)
    assert started is not None
    database.finish(run, RunState.DONE)
    ended = row(database, run)
    assert (ended.tracked_frames, ended.tracks_key) == (ended.frames, f"{run.folder}/tracks.npz")
