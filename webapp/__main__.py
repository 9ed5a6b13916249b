"""The web app's command line: everything at once, one more worker, or a conversion on many machines."""

import logging
import os
import sys

import click

from model.commands.group import LazyGroup, run_command
from webapp.core.settings import Settings

CONVERSION_COMMANDS = {
    "convert": "webapp.conversion.commands:convert",
    "convert-status": "webapp.conversion.commands:status",
}


@click.group(cls=LazyGroup, places=CONVERSION_COMMANDS, invoke_without_command=True)
@click.pass_context
def cli(context: click.Context) -> None:
    """Start Stillmotion: Redis, workers and the web server. The settings are environment variables."""
    logging.basicConfig(level=os.environ.get("STILLMOTION_LOG", "WARNING"), format="%(name)s: %(message)s")
    if context.invoked_subcommand is None:
        from webapp.processes.services import Supervisor  # noqa: PLC0415 - a worker does not need it

        Supervisor(Settings.from_environment()).run()


@cli.command()
def web() -> None:
    """Start the web server only, for the Redis in REDIS_URL and the storage in STORAGE_URL."""
    from webapp.web_server import serve  # noqa: PLC0415 - a worker does not need it

    serve(Settings.from_environment())


@cli.command()
def worker() -> None:
    """Start one worker only, for the Redis in REDIS_URL and the storage in STORAGE_URL."""
    from webapp.processes.worker import run_worker  # noqa: PLC0415 - it imports all that jobs need

    run_worker(Settings.from_environment())


@cli.command()
def tidy() -> None:
    """Remove files that no row names, and name rows whose files are missing; for after a restored backup."""
    from webapp.files.tidy import tidy as bring_together  # noqa: PLC0415 - as above
    from webapp.rows.database import migrate  # noqa: PLC0415 - a worker does not need it

    settings = Settings.from_environment()
    migrate(settings)
    found = bring_together(settings)
    for key in found.removed:
        click.echo(f"removed {key}, which no row names")
    for key in found.missing:
        click.echo(f"missing {key}: remove its clip or run, or upload or start it again")


@cli.command("convert-worker")
@click.option(
    "--queue",
    required=True,
    envvar="REDIS_URL",
    show_envvar=True,
    help="The Redis that all machines reach, such as redis://host:6379/0.",
)
def convert_worker(queue: str) -> None:
    """Start one worker for conversions only; it needs no database."""
    from webapp.processes.worker import run_conversion_worker  # noqa: PLC0415 - it imports all that jobs need

    run_conversion_worker(queue)


if __name__ == "__main__":
    sys.exit(run_command(cli, "python -m webapp"))
