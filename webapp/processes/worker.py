"""One worker: imports everything that jobs need, then forks a process for each job."""

import gc
import itertools
import logging
from collections.abc import Sequence
from importlib import import_module

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from model.core.errors import BadInput
from model.tracking.methods import METHODS, MethodEntry
from webapp.actions.history import empty_bin, retire
from webapp.conversion import queue as conversions
from webapp.conversion import task
from webapp.core.settings import Settings, masked
from webapp.jobs import base, overlays, tasks
from webapp.jobs.queue import RunQueue, record_killed, served_queues
from webapp.jobs.reaper import Reaper
from webapp.rows.database import migrate

LOOKS_BETWEEN_BINS = 60
"""The bin is looked through every few minutes, by a worker that has nothing to do."""

log = logging.getLogger(__name__)

__all__ = ["overlays", "run_conversion_worker", "run_worker", "task", "tasks"]


def run_worker(settings: Settings) -> None:
    """Run the app's jobs, and conversions when there are none, until SIGTERM or SIGINT.

    Raises BadInput when Redis does not answer.
    """
    _check_redis(settings.redis, "REDIS_URL")
    migrate(settings)
    _preload(METHODS[:1], settings)

    runs = RunQueue.open(settings)
    reaper = Reaper(runs)
    looks = itertools.count()

    def look_for_lost_runs() -> None:
        reaper.reconcile()
        look = next(looks)
        if look % LOOKS_BETWEEN_BINS == 1:
            _keep_house(runs, settings)
        runs.database.close()  # a forked job must not share its connections
        if look == 1:  # a few seconds after the start: the worker need not be ready later for it
            _preload(METHODS[1:], settings)

    queues = served_queues(settings)
    if "conversions" in settings.queue_words:
        queues.append(conversions.QUEUE)
    base.run(settings.redis, queues, look_for_lost_runs, record_killed)


def _keep_house(runs: RunQueue, settings: Settings) -> None:
    try:
        settings.make_instance()  # which makes the ballast again
        retire(runs, settings)
        empty_bin(runs, settings)
    except (BadInput, SQLAlchemyError) as error:  # the next time is soon
        log.warning("the bin was not looked through: %s", error)


def run_conversion_worker(url: str) -> None:
    """Run conversions' jobs alone, which need no database, until SIGTERM or SIGINT.

    Raises BadInput when no Redis answers at the URL.
    """
    _check_redis(url, "--queue")
    _preload(METHODS[:1], Settings.from_environment())
    base.run(url, [conversions.QUEUE])


def _check_redis(url: str, setting: str) -> None:
    try:
        base.connect(url).ping()
    except RedisError as error:
        raise BadInput(f"No Redis answers at {setting} {masked(url)} ({error}).") from error


def _preload(methods: Sequence[MethodEntry], settings: Settings) -> None:
    """Import what the methods' jobs need, where they can be used here, so that their forks have it.

    Nothing here may touch CUDA or compute with torch: neither CUDA nor its threads survive a fork. Imports do
    neither, and leave the forks the number of threads that torch would choose.
    """
    for method in methods:
        try:
            method.find_weights(settings.weights.get(method.weights or ""))
        except BadInput:
            continue
        import_module(method.engine.split(":")[0])  # torch and torchvision: seconds that others need not wait
    gc.collect()
    gc.freeze()  # keeps forks from copying pages only to mark their objects
