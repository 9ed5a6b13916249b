"""`python -m webapp convert` and `convert-status`: one conversion on many machines."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from redis.exceptions import RedisError

from model.commands.console import watched
from model.commands.convert import conversion_options, describe
from model.convert.ledger import Ledger
from model.convert.locking import locked
from model.convert.run import Conversion
from model.convert.settings import with_weights
from model.core.errors import BadInput
from model.core.progress import Progress
from model.datasets.folder import DataFolder
from webapp.conversion.coordinate import Coordinator, add_costs
from webapp.conversion.queue import ConversionQueue
from webapp.conversion.status import Status, load_plan
from webapp.core.settings import masked
from webapp.jobs.base import connect

WATCH_SECONDS = 2.0

PATIENCE = 25
"""How often a command to a Redis that went away is tried again: about 20 s, as workers do."""

queue_option = click.option(
    "--queue",
    "redis_url",
    required=True,
    envvar="REDIS_URL",
    show_envvar=True,
    help="The Redis that all machines reach, such as redis://host:6379/0.",
)


@click.command("convert")
@conversion_options
@queue_option
@click.option("--threads", type=click.IntRange(1, 1024), help="Of each job; a fair share without it.")
@click.option(
    "--device", default="auto", show_default=True, help="auto (each worker's choice), cpu, cuda or cuda:K."
)
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Follow the work to its end, or only queue it."
)
def convert(
    *,
    inputs: tuple[str, ...],
    out: str,
    redis_url: str,
    threads: int | None,
    device: str,
    wait: bool,
    weights: str | None,
    **settings: Any,
) -> None:
    """Make a training set as `python -m model convert` does, on all machines that run a worker.

    Workers are `python -m webapp convert-worker --queue REDIS_URL`; they must reach INPUTS and --out by the
    same names. Ctrl-C ends the jobs; a worker, a machine or this command itself that is lost costs at most
    the shards under way: the same command goes on from there, and ends with the same bytes.
    """
    if weights is not None and os.path.exists(weights):
        weights = os.path.abspath(weights)  # workers have another working folder
    folder = DataFolder.open(out)
    with _explaining_redis(redis_url), locked(folder), watched("chunks") as watch:
        connect(redis_url).ping()  # before the videos are looked at
        conversion = Conversion.prepare(inputs, folder, with_weights({**settings, "weights": weights}), watch)
        queue = ConversionQueue(connect(redis_url, PATIENCE), folder.address)
        coordinator = Coordinator(conversion, queue, device, threads)
        jobs = coordinator.start()
        if wait:
            coordinator.follow(watch)
    if jobs and not wait:
        click.echo(
            f"{jobs} jobs wait or run; `python -m webapp convert-status --out {out}` watches them, and sums "
            "the set up at the end."
        )
    else:
        click.echo(describe(conversion, was_finished=not jobs))


@click.command("convert-status")
@click.option("--out", required=True, help="The training set's folder or URL.")
@queue_option
@click.option("--watch", is_flag=True, help="Follow the work to its end; Ctrl-C ends the watching alone.")
def status(*, out: str, redis_url: str, watch: bool) -> None:
    """Tell how far a conversion on many machines is, and sum it up when it is finished."""
    with _explaining_redis(redis_url), watched("chunks") as watcher:
        folder = DataFolder.open(out)
        queue = ConversionQueue(connect(redis_url), folder.address)
        queue.redis.ping()
        now = Status.of(folder, queue)
        while watch and now.is_under_way:
            watcher.check()
            watcher.progress(
                Progress(f"{sum(now.working.values())} at work", now.finished_chunks, now.chunks)
            )
            time.sleep(WATCH_SECONDS)
            now = Status.of(folder, queue)
        add_costs(folder, queue)
    if not now.is_finished or now.is_under_way:
        click.echo(now.text())
        return
    plan = load_plan(folder)
    ledger = Ledger.reopen(folder, plan)
    ledger.save()
    click.echo(describe(Conversion(folder, plan, ledger), was_finished=False))


@contextmanager
def _explaining_redis(url: str) -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise BadInput(
            f"No Redis answers at {masked(url)} ({error}); once it does, the same command goes on from here."
        ) from error
