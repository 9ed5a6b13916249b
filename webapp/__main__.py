"""The web app's command line: everything at once, or one more worker."""

import logging
import os
import sys

import click

from model.errors import BadInput
from webapp.settings import Settings


@click.group(invoke_without_command=True)
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


def run() -> int:
    """Run the command; bad input is one sentence and exit status 2."""
    logging.basicConfig(level=os.environ.get("STILLMOTION_LOG", "WARNING"), format="%(name)s: %(message)s")
    try:
        main.main(standalone_mode=False)
    except BadInput as error:
        click.echo(str(error), err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
