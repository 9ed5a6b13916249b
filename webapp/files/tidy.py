"""Brings storage and rows together again, after a kill or a restored backup."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from webapp.core.settings import Settings
from webapp.files.storage import Storage
from webapp.rows.database import Database
from webapp.rows.records import Clip, Run, RunState, now

GRACE = timedelta(hours=1)
"""A clip's file is there a moment before its row; after so long it has none because something was killed."""


@dataclass(frozen=True)
class Tidied:
    """What did not fit. removed: keys of files without rows. missing: keys of clips and results not there."""

    removed: list[str]
    missing: list[str]


def tidy(settings: Settings, grace: timedelta = GRACE) -> Tidied:
    """Remove what the storage keeps of clips and runs that have no row, and name what rows lack.

    grace: a clip's file that is younger stays. Raises Unreachable when the storage does not answer.
    """
    storage = Storage.of(settings)
    stored = {f"{folder}/{name}" for folder in ("clips", "runs") for name in storage.names(folder)}
    # After the listing, so that no run is younger than its row.
    with Database(settings.database) as database, database.session() as session:
        clips = {clip.key for clip in session.scalars(select(Clip))}
        runs = session.scalars(select(Run)).all()
    orphans = sorted(stored - clips - {run.folder for run in runs})
    removed = [key for key in orphans if key.startswith("runs/") or storage.modified(key) <= now() - grace]
    for key in removed:
        storage.delete(key)
    results = {run.result_key for run in runs if run.state == RunState.DONE}
    missing = (clips - stored) | {key for key in results if not storage.exists(key)}
    return Tidied(removed, sorted(missing))
