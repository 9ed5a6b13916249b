"""Rows: migrations that run safely, and changes of state that cannot undo each other."""

import subprocess
import sys
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from webapp.core.settings import ROOT, Settings
from webapp.rows.database import Database, migrate
from webapp.rows.records import UNFINISHED, Base, Clip, Run, RunState


def filled(tmp_path: Path) -> tuple[Database, str]:
    """A database with one clip and one queued run."""
    settings = Settings(instance=tmp_path)
    migrate(settings)
    database = Database(settings.database)
    with database.session() as session:
        clip = Clip(
            id="c",
            sha256="c" * 64,
            name="c",
            suffix="",
            kind="video",
            width=8,
            height=8,
            frames=9,
            fps=1.0,
            bytes=1,
        )
        run = Run(clip=clip, method="lk", grid=4, start=0, frames=8, frame_step=1)
        session.add(run)
    return database, run.id


def test_the_migrations_make_what_the_classes_say(tmp_path: Path) -> None:
    database, _ = filled(tmp_path)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()


def test_the_migrations_go_back_to_each_earlier_version_and_forth(tmp_path: Path) -> None:
    database, run_id = filled(tmp_path)
    with database.session() as session:
        run = session.get(Run, run_id)
        run.grid, run.points, run.query_frame = None, [[1.0, 2.5]], 3
    settings = Settings(instance=tmp_path)
    with database.engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(ROOT / "webapp" / "rows" / "migrations"))
        config.attributes["connection"] = connection
        for revision in ("0002", "0001", "base"):
            command.downgrade(config, revision)
            names = sqlalchemy.inspect(connection).get_table_names()
            if revision != "base":
                assert {"clips", "runs"} <= set(names)
                assert connection.exec_driver_sql("SELECT grid FROM runs").scalar() == 1
            connection.commit()  # what the looks began, or the next step would be rolled back in the end
    migrate(settings)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    database.close()


def test_processes_that_migrate_at_the_same_time_all_succeed(tmp_path: Path) -> None:
    code = "from webapp.rows.database import migrate; from webapp.core.settings import Settings; "
    code += f"from pathlib import Path; migrate(Settings(instance=Path({str(tmp_path)!r})))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    database = Database(Settings(instance=tmp_path).database)
    assert database.unfinished() == []
    database.close()


def test_a_run_starts_once_and_ends_once(tmp_path: Path) -> None:
    database, run_id = filled(tmp_path)
    queued = database.find(Run, run_id)
    started = database.start(queued)
    assert started is not None
    assert (started.state, started.attempts, started.clip.id) == (RunState.RUNNING, 1, "c")
    assert database.start(queued) is None
    assert database.update_running(started, progress=0.5)
    assert not database.update_running(queued, progress=0.9)
    assert database.finish(started, RunState.CANCELLED)
    assert not database.finish(started, RunState.DONE)
    assert not database.update_running(started, progress=0.6)
    assert not database.requeue(started, *UNFINISHED)
    with database.session() as session:
        run = session.get(Run, run_id)
        assert run is not None
        assert (run.state, run.progress) == (RunState.CANCELLED, 0.5)
        assert run.finished_at is not None
        assert run.finished_at.tzinfo is not None
    database.close()


def test_a_lost_run_is_queued_again_and_its_first_attempt_is_over(tmp_path: Path) -> None:
    database, run_id = filled(tmp_path)
    first = database.start(database.find(Run, run_id))
    assert database.requeue(first, *UNFINISHED)
    again = database.start(first)
    assert again is not None
    assert again.attempts == 2
    assert not database.update_running(first, progress=0.5)
    assert [run.id for run in database.unfinished()] == [run_id]
    database.close()
