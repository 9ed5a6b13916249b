"""The web app's command line: everything at once, one more worker, or a conversion on many machines."""

import logging
import os
import sys
from importlib import import_module

import click

from model.core.errors import BadInput, Stopped
from webapp.settings import Settings

CONVERSION_COMMANDS = {"convert": "convert", "convert-status": "status"}


class _LazyGroup(click.Group):
    """Imports the commands of conversions only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *CONVERSION_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in CONVERSION_COMMANDS:
            return super().get_command(ctx, cmd_name)
        commands = import_module("webapp.conversion.commands")
        command: click.Command = getattr(commands, CONVERSION_COMMANDS[cmd_name])
        return command


@click.group(
    cls=_LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.pass_context
def main(context: click.Context) -> None:
    """Start Stillmotion: Redis, workers and the web server. The settings are environment variables."""
    if context.invoked_subcommand is None:
        from webapp.services import Supervisor  # noqa: PLC0415 - a worker does not need it

        Supervisor(Settings.from_environment()).run()


@main.command()
def worker() -> None:
    """Start one worker only, for the Redis in REDIS_URL and the storage in STORAGE_URL."""
    from webapp.worker import run_worker  # noqa: PLC0415 - it imports all that jobs need

    run_worker(Settings.from_environment())


@main.command("convert-worker")
@click.option(
    "--queue",
    required=True,
    envvar="REDIS_URL",
    show_envvar=True,
    help="The Redis that all machines reach, such as redis://host:6379/0.",
)
def convert_worker(queue: str) -> None:
    """Start one worker for conversions only; it needs no database."""
    from webapp.worker import run_conversion_worker  # noqa: PLC0415 - it imports all that jobs need

    run_conversion_worker(queue)


def run() -> int:
    """Run the command; bad input is one sentence and exit status 2."""
    logging.basicConfig(level=os.environ.get("STILLMOTION_LOG", "WARNING"), format="%(name)s: %(message)s")
    try:
        main.main(prog_name="python -m webapp", standalone_mode=False)
    except BadInput as error:
        click.echo(str(error), err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (Stopped, click.Abort):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
