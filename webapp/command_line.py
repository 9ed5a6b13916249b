"""`stillmotion COMMAND`: the commands of `python -m model`, and `serve`, which is `python -m webapp`."""

import click

from model.__main__ import COMMANDS
from model.commands.group import LazyGroup, run_command


@click.group(cls=LazyGroup, places={"serve": "webapp.__main__:cli", **COMMANDS})
def cli() -> None:
    """Track the motion of points in clips, predict it from stills, and show both in the browser."""


def main() -> int:
    """Run a command and return its exit code."""
    return run_command(cli, "stillmotion")
