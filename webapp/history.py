"""What is there of clips and runs: found, sorted, named, tagged, put into the bin and taken back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, or_, select, type_coerce

from webapp.audit import note_removal
from webapp.jobs.queue import RunQueue
from webapp.records import Clip, Run, now
from webapp.settings import Settings
from webapp.storage import Storage

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
    columns = {name: values[name] for name in ("name", "tags") if name in values}
    if "deleted" in values:
        columns["deleted_at"] = now() if values["deleted"] else None
        for run_id in _run_ids(queue, found) if values["deleted"] else ():
            queue.cancel(run_id)
    with queue.database.session() as session:
        row = session.get_one(type(found), found.id)
        for name, value in columns.items():
            setattr(row, name, value)


def _run_ids(queue: RunQueue, found: Clip | Run) -> list[str]:
    """Return the ids of a clip's runs, or that of the run."""
    if isinstance(found, Run):
        return [found.id]
    with queue.database.session() as session:
        return list(session.scalars(select(Run.id).where(Run.clip_id == found.id)))


def remove(queue: RunQueue, found: Clip | Run) -> None:
    """Remove a clip with its runs, or a run, and all their files; unfinished runs are cancelled."""
    run_ids = _run_ids(queue, found)
    for run_id in run_ids:
        queue.cancel(run_id)
    with queue.database.session() as session:
        session.delete(session.merge(found))
    for run_id in run_ids:
        queue.discard(run_id)
    if isinstance(found, Clip):
        Storage(queue.settings.storage, queue.settings.temporary_folder).delete(found.key)


def empty_bin(queue: RunQueue, settings: Settings) -> None:
    """Remove what has been in the bin for as many days as the settings keep it."""
    oldest = now() - timedelta(days=settings.bin_days)
    with queue.database.session() as session:
        runs = session.scalars(select(Run).where(Run.deleted_at < oldest)).all()
        clips = session.scalars(select(Clip).where(Clip.deleted_at < oldest)).all()
    found: list[Clip | Run] = [*runs, *clips]
    for row in found:
        remove(queue, row)
        note_removal(settings, f"{row.__tablename__}/{row.id}", "STILLMOTION_BIN_DAYS")
