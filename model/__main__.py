"""`python -m model COMMAND`: tracking and its tools on the command line.

Exit codes: 0 done; 2 bad input, with one sentence; 130 stopped (Ctrl-C).
"""

import sys
from importlib import import_module
from typing import Any

import click

from model.core.errors import BadInput, Stopped

COMMANDS = {
    "track": "model.commands.track",
    "predict": "model.commands.predict",
    "segment": "model.commands.segment",
    "weights": "model.commands.weights",
    "synthesize": "model.commands.synthesize",
    "synthesize-stills": "model.commands.synthesize_stills",
    "train-tracker": "model.commands.train_tracker",
    "train-predictor": "model.commands.train_predictor",
    "study-heads": "model.commands.study_heads",
    "evaluate": "model.commands.evaluate",
    "calibrate-tracker": "model.commands.calibrate_tracker",
    "calibrate-predictor": "model.commands.calibrate_predictor",
    "convert": "model.commands.convert",
    "inspect": "model.commands.inspect",
    "bench": "model.commands.bench",
}


class _LazyGroup(click.Group):
    """Imports a command's file only when it is called, so that none waits for another's libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Track the motion of points in clips, and look after the weights that this needs."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        result: Any = cli.main(arguments, prog_name="python -m model", standalone_mode=False)
    except (BadInput, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"Error: {message}", err=True)
        return 2
    except (Stopped, KeyboardInterrupt, click.Abort):
        click.echo("Stopped; nothing half written is left behind.", err=True)
        return 130
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
