"""What is there of clips and runs: found, sorted, named, tagged, put into the bin and taken back."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, or_, select, type_coerce, update
from sqlalchemy.exc import SQLAlchemyError

from model.core.errors import Unreachable
from webapp.core.audit import note_removal
from webapp.core.settings import Settings
from webapp.core.troubles import FULL, database_trouble
from webapp.files.storage import Storage
from webapp.jobs.queue import RunQueue
from webapp.rows.records import Clip, Run, now

log = logging.getLogger(__name__)

KEPT = "keep"
"""A clip or run with this tag stays, however old it is."""

REMOVED = datetime(1900, 1, 1, tzinfo=UTC)
"""Since when what is being removed is in the bin: what is interrupted goes on at the next look at the bin."""

ORDERS = ("newest", "oldest", "name")


def wanted(kind: type[Clip] | type[Run], query: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions of a list's query.

    query: as `webapp.api.schemas.ClipListQuery` and `RunListQuery` load it. A run is in the bin also when its
    clip is.
    """
    in_bin: ColumnElement[bool] = kind.deleted_at.is_not(None)
    if kind is Run:
        in_bin = in_bin | Run.clip.has(Clip.deleted_at.is_not(None))
    conditions: list[ColumnElement[bool]] = [in_bin if query["deleted"] else ~in_bin]
    if query["days"] is not None:
        conditions.append(kind.created_at >= now() - timedelta(days=query["days"]))
    if query["tag"] is not None:
        conditions.append(_has_tag(kind, query["tag"]))
    for word in (query["text"] or "").split():
        named = [kind.name.icontains(word, autoescape=True), _tags(kind).icontains(word, autoescape=True)]
        if kind is Run:
            named.append(Run.clip.has(Clip.name.icontains(word, autoescape=True)))
        conditions.append(or_(*named))
    for name in ("clip_id", "method", "state", "kind"):
        if query.get(name) is not None:
            conditions.append(getattr(kind, name) == query[name])
    return conditions


def order(kind: type[Clip] | type[Run], name: str) -> list[ColumnElement[Any]]:
    """Return what to sort by for one of `ORDERS`; runs go by their clip's name, then by their own."""
    age = kind.created_at.asc() if name == "oldest" else kind.created_at.desc()
    by_age: list[Any] = [age, kind.id]
    if name != "name":
        return by_age
    clip_name = select(Clip.name).where(Clip.id == Run.clip_id).scalar_subquery()
    by_name: list[Any] = [clip_name, Run.name] if kind is Run else [Clip.name]
    return by_name + by_age


def _tags(kind: type[Clip] | type[Run]) -> ColumnElement[str]:
    return type_coerce(kind.tags, Text)


def _has_tag(kind: type[Clip] | type[Run], tag: str) -> ColumnElement[bool]:
    return _tags(kind).contains(f"\n{tag}\n", autoescape=True)


def change(queue: RunQueue, found: Clip | Run, values: Mapping[str, Any]) -> None:
    """Give a clip or run another name or tags, or put it into the bin (`deleted`) or take it back.

    What is not finished of what goes into the bin is cancelled.
    """
    _even_on_a_full_disk(queue.settings, lambda: _change(queue, found, values))


def _change(queue: RunQueue, found: Clip | Run, values: Mapping[str, Any]) -> None:
    columns = {name: values[name] for name in ("name", "tags") if name in values}
    if "deleted" in values:
        columns["deleted_at"] = now() if values["deleted"] else None
        for run in _runs(queue, found) if values["deleted"] else ():
            queue.cancel(run)
    with queue.database.session() as session:
        row = session.get_one(type(found), found.id)
        for name, value in columns.items():
            setattr(row, name, value)


def _runs(queue: RunQueue, found: Clip | Run) -> list[Run]:
    """Return a clip's runs, or the run."""
    if isinstance(found, Run):
        return [found]
    with queue.database.session() as session:
        return list(session.scalars(select(Run).where(Run.clip_id == found.id)))


def remove(queue: RunQueue, found: Clip | Run) -> None:
    """Remove a clip with its runs, or a run, and all their files; unfinished runs are cancelled.

    Raises Unreachable when the storage does not answer; the next `empty_bin` then tries again.
    """
    _even_on_a_full_disk(queue.settings, lambda: _remove(queue, found))


def _remove(queue: RunQueue, found: Clip | Run) -> None:
    runs = _runs(queue, found)
    for run in runs:
        queue.cancel(run)
    with queue.database.session() as session:
        session.execute(update(type(found)).filter_by(id=found.id).values(deleted_at=REMOVED))
    for run in runs:
        queue.discard(run.id)
    if isinstance(found, Clip):
        Storage.of(queue.settings).delete(found.key)
    with queue.database.session() as session:
        row = session.get(type(found), found.id)
        if row is not None:
            session.delete(row)


def _even_on_a_full_disk(settings: Settings, work: Callable[[], None]) -> None:
    """Change the database; where there is no room for that, in that of the ballast."""
    try:
        work()
    except SQLAlchemyError as error:
        if database_trouble(error) != FULL:
            raise
        settings.ballast.unlink(missing_ok=True)
        work()


def empty_bin(queue: RunQueue, settings: Settings) -> None:
    """Remove what has been in the bin for as many days as the settings keep it."""
    oldest = now() - timedelta(days=settings.bin_days)
    with queue.database.session() as session:
        runs = session.scalars(select(Run).where(Run.deleted_at < oldest)).all()
        clips = session.scalars(select(Clip).where(Clip.deleted_at < oldest)).all()
    found: list[Clip | Run] = [*runs, *clips]
    for row in found:
        try:
            remove(queue, row)
        except Unreachable as error:
            log.warning("%s The bin is emptied later.", error)
            return
        note_removal(settings, f"{row.__tablename__}/{row.id}", "STILLMOTION_BIN_DAYS")


def retire(queue: RunQueue, settings: Settings) -> None:
    """Put into the bin what ended or came longer ago than the settings keep it, if they say so.

    What has the tag `KEPT` stays, and a clip as long as a run of it does.
    """
    if not settings.keep_days:
        return
    oldest = now() - timedelta(days=settings.keep_days)
    with queue.database.session() as session:
        ended = (Run.finished_at < oldest, Run.deleted_at.is_(None), ~_has_tag(Run, KEPT))
        session.execute(update(Run).where(*ended).values(deleted_at=now()))
        in_use = select(Run.clip_id).where(Run.deleted_at.is_(None))
        came = (Clip.created_at < oldest, Clip.deleted_at.is_(None), ~_has_tag(Clip, KEPT))
        session.execute(update(Clip).where(*came, Clip.id.not_in(in_use)).values(deleted_at=now()))
