"""One worker: imports everything that jobs need, then forks a process for each job."""

import gc

from redis.exceptions import RedisError

from model.errors import BadInput
from model.methods import check_method
from webapp import tasks
from webapp.jobs import Jobs, connect, work
from webapp.reaper import Reaper
from webapp.records import Database, migrate
from webapp.settings import Settings

__all__ = ["run_worker", "tasks"]


def run_worker(settings: Settings) -> None:
    """Run jobs until SIGTERM or SIGINT. Raises BadInput when Redis does not answer."""
    try:
        connect(settings).ping()
    except RedisError as error:
        raise BadInput(f"No Redis answers at REDIS_URL {settings.redis} ({error}).") from error
    migrate(settings)
    settings.temporary_folder.mkdir(parents=True, exist_ok=True)
    _preload(settings)

    database = Database(settings.database)
    reaper = Reaper(Jobs(settings, database, connect(settings)))

    def look_for_lost_runs() -> None:
        reaper.reconcile()
        database.close()  # a forked job must not share its connections

    work(settings, look_for_lost_runs)


def _preload(settings: Settings) -> None:
    """Import what jobs need, so that their forks have it: torch only where PIPs can be used.

    Nothing here may touch CUDA or compute with torch: neither CUDA nor its threads survive a fork. Imports do
    neither, and leave the forks the number of threads that torch would choose.
    """
    try:
        check_method("pips", settings.pips_weights)
    except BadInput:
        return
    import model.pips.tracker  # noqa: F401, PLC0415 - torch: seconds that others need not wait

    gc.collect()
    gc.freeze()  # keeps forks from copying pages only to mark their objects
