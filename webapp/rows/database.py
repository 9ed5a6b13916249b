"""The database: opened, brought up to date, and changed safely beside other processes."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import ColumnElement, CursorResult, Engine, create_engine, event, func, select, update
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from model.core.errors import BadInput
from webapp.core.settings import Settings, masked
from webapp.core.troubles import database_trouble
from webapp.rows.records import UNFINISHED, Clip, Job, Record, Run, RunState, Worked, now

SQLITE_PATIENCE = 15.0
"""Seconds that a writer waits for another one's transaction."""

LIBPQ_LIMITS = {"connect_timeout": 4, "tcp_user_timeout": 4000}
"""A Postgres that takes no connection (s), or whose machine takes no bytes any more (ms), is away."""

Listed = TypeVar("Listed", Clip, Run, Job)


class Database:
    """A database and the few changes of a run's state, each safe against other processes' changes."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = _engine(url)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session whose changes are committed at the end, or undone by an exception."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def find(self, kind: type[Record], identifier: str) -> Record | None:
        """Return the row of a kind with that id; None when there is none."""
        with self.session() as session:
            return session.get(kind, identifier)

    def page(
        self,
        kind: type[Listed],
        limit: int,
        offset: int,
        conditions: Sequence[ColumnElement[bool]],
        order: Sequence[ColumnElement[Any]],
    ) -> tuple[Sequence[Listed], int]:
        """Return some rows of a kind in an order, and how many rows meet the conditions in all."""
        found = select(kind).where(*conditions).order_by(*order)
        with self.session() as session:
            total = session.scalar(select(func.count()).select_from(kind).where(*conditions))
            return session.scalars(found.limit(limit).offset(offset)).all(), total or 0

    def close(self) -> None:
        """Close all connections; needed before a fork."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, work: Worked) -> Worked | None:
        """Mark queued work as running and return it; None when it is not queued (any more)."""
        started = self._change(
            work,
            type(work).state == RunState.QUEUED,
            state=RunState.RUNNING,
            stage="starting",
            progress=0.0,
            eta_seconds=None,
            error=None,
            attempts=type(work).attempts + 1,
            started_at=now(),
            finished_at=None,
            **_before(work),
        )
        return self.find(type(work), work.id) if started else None

    def update_running(self, work: Run | Job, **values: Any) -> bool:
        """Change running work; False when the start that `work` is of is over (cancelled, lost)."""
        kind = type(work)
        return self._change(work, kind.state == RunState.RUNNING, kind.attempts == work.attempts, **values)

    def finish(self, work: Run | Job, state: RunState, error: str | None = None) -> bool:
        """End unfinished work; False when it has already ended."""
        values: dict[str, Any] = {"state": state, "eta_seconds": None, "finished_at": now()}
        if state is RunState.DONE:  # what is said of its clip stays
            values |= {"progress": 1.0, "stage": "done"}
            if isinstance(work, Run):
                values["tracked_frames"] = Run.frames
        else:
            values["error"] = error
        return self._change(work, type(work).state.in_(UNFINISHED), **values)

    def explain(self, work: Run | Job, state: RunState, error: str) -> bool:
        """Say why work is in the state in which it is; False when it is in another one."""
        return self._change(work, type(work).state == state, error=error)

    def requeue(self, work: Run | Job, *states: RunState) -> bool:
        """Put work back to waiting that is in one of the states; False when it is not."""
        return self._change(
            work,
            type(work).state.in_(states),
            state=RunState.QUEUED,
            stage="waiting",
            progress=0.0,
            eta_seconds=None,
            started_at=None,
            **_before(work),
        )

    def _change(self, work: Run | Job, *conditions: ColumnElement[bool], **values: Any) -> bool:
        """Change a row if the conditions hold at this moment; False when they do not."""
        with self.session() as session:
            change = update(type(work)).where(type(work).id == work.id, *conditions).values(**values)
            return cast("CursorResult[Any]", session.execute(change)).rowcount > 0

    def unfinished(self) -> list[Run | Job]:
        """Return the queued and running work, of runs before that of jobs, each oldest first."""
        runs = select(Run).where(Run.state.in_(UNFINISHED)).order_by(Run.created_at)
        jobs = select(Job).where(Job.state.in_(UNFINISHED)).order_by(Job.created_at)
        with self.session() as session:
            return [*session.scalars(runs), *session.scalars(jobs)]

    def cancelled(self, ids: Sequence[str], before: datetime) -> list[Run | Job]:
        """Return the runs and jobs of these ids that were cancelled before a moment."""
        found: list[Run | Job] = []
        with self.session() as session:
            for kind in (Run, Job):
                late = (kind.state == RunState.CANCELLED, kind.finished_at < before)
                found += session.scalars(select(kind).where(kind.id.in_(ids), *late))
        return found


def _before(work: Run | Job) -> dict[str, Any]:
    """What is said of work that has not begun, of its own kind."""
    return {"tracked_frames": None} if isinstance(work, Run) else {}


def _engine(url: str) -> Engine:
    """Connect to a database; SQLite gets write-ahead logging, so that readers never wait.

    Raises BadInput for what is no URL of a database, or of one whose package is not installed.
    """
    try:
        parsed = sqlalchemy.make_url(url)
        if parsed.get_backend_name() != "sqlite":
            limits = LIBPQ_LIMITS if parsed.get_driver_name() in ("psycopg", "psycopg2") else {}
            return create_engine(parsed, pool_pre_ping=True, connect_args=limits)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        what = f"has an unknown or missing driver ({error})" if "://" in url else "is no URL of a database"
        raise BadInput(f"DATABASE_URL {masked(url)} {what}; see docs/settings.md.") from error
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": SQLITE_PATIENCE})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def migrate(settings: Settings) -> None:
    """Bring the database's tables up to date; processes that start together take turns.

    Raises BadInput when the database cannot be used.
    """
    settings.make_instance()
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = _engine(settings.database)
    try:
        # The file's lock serves processes of one machine, and SQLite; env.py takes Postgres' own lock.
        with (settings.instance / "migrate.lock").open("w") as lock, engine.connect() as connection:
            fcntl.flock(lock, fcntl.LOCK_EX)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise BadInput(
            "The database comes from a newer Stillmotion; use that, or put a backup from before in its place."
        ) from error
    except SQLAlchemyError as error:
        trouble = database_trouble(error)
        if trouble is None:
            raise
        raise BadInput(trouble) from error
    finally:
        engine.dispose()
