"""One worker: imports everything that jobs need, then forks a process for each job."""

import gc
import itertools

from redis.exceptions import RedisError

from model.core.errors import BadInput
from model.tracking.methods import PREDICTION, check_method
from webapp.conversion import queue as conversions
from webapp.conversion import task
from webapp.jobs import tasks
from webapp.jobs.queue import QUEUE, Jobs, connect, connect_to, work
from webapp.jobs.reaper import Reaper
from webapp.records import Database, migrate
from webapp.settings import Settings

__all__ = ["run_conversion_worker", "run_worker", "task", "tasks"]


def run_worker(settings: Settings) -> None:
    """Run the app's jobs, and conversions when there are none, until SIGTERM or SIGINT.

    Raises BadInput when Redis does not answer.
    """
    _check_redis(settings.redis, "REDIS_URL")
    migrate(settings)
    settings.temporary_folder.mkdir(parents=True, exist_ok=True)
    _preload(settings.pips_weights)

    database = Database(settings.database)
    reaper = Reaper(Jobs(settings, database, connect(settings)))

    looks = itertools.count()

    def look_for_lost_runs() -> None:
        reaper.reconcile()
        database.close()  # a forked job must not share its connections
        if next(looks) == 1:  # a few seconds after the start: the worker need not be ready later for it
            _preload_predictor(settings.predictor_weights)

    work(settings.redis, [QUEUE, conversions.QUEUE], look_for_lost_runs)


def run_conversion_worker(url: str) -> None:
    """Run conversions' jobs alone, which need no database, until SIGTERM or SIGINT.

    Raises BadInput when no Redis answers at the URL.
    """
    _check_redis(url, "--queue")
    _preload(Settings.from_environment().pips_weights)
    work(url, [conversions.QUEUE], lambda: None)


def _check_redis(url: str, setting: str) -> None:
    try:
        connect_to(url).ping()
    except RedisError as error:
        raise BadInput(f"No Redis answers at {setting} {url} ({error}).") from error


def _preload(pips_weights: str | None) -> None:
    """Import what jobs need, so that their forks have it: torch only where PIPs can be used.

    Nothing here may touch CUDA or compute with torch: neither CUDA nor its threads survive a fork. Imports do
    neither, and leave the forks the number of threads that torch would choose.
    """
    try:
        check_method("pips", pips_weights)
    except BadInput:
        return
    import model.tracking.pips.tracker  # noqa: F401, PLC0415 - torch: seconds that others need not wait

    _freeze()


def _preload_predictor(weights: str | None) -> None:
    """Import what predictions need, where there can be any; torchvision takes as long as torch."""
    try:
        check_method(PREDICTION, weights)
    except BadInput:
        return
    import model.prediction.predictor  # noqa: F401, PLC0415

    _freeze()


def _freeze() -> None:
    """Keep forks from copying pages only to mark their objects."""
    gc.collect()
    gc.freeze()
