"""`python -m model COMMAND`: tracking and its tools on the command line.

Exit codes: 0 done; 2 bad input, with one sentence; 130 stopped (Ctrl-C).
"""

import sys

import click

from model.commands.group import LazyGroup, run_command

COMMANDS = {
    "track": "model.commands.track:command",
    "predict": "model.commands.predict:command",
    "segment": "model.commands.segment:command",
    "weights": "model.commands.weights:command",
    "synthesize": "model.commands.synthesize:command",
    "train-tracker": "model.commands.train_tracker:command",
    "train-predictor": "model.commands.train_predictor:command",
    "evaluate": "model.commands.evaluate:command",
    "calibrate-tracker": "model.commands.calibrate_tracker:command",
    "convert": "model.commands.convert:command",
    "inspect": "model.commands.inspect:command",
    "bench": "model.commands.bench:command",
}


@click.group(cls=LazyGroup, places=COMMANDS)
def cli() -> None:
    """Track the motion of points in clips, and look after the weights that this needs."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    return run_command(cli, "python -m model", arguments)


if __name__ == "__main__":
    sys.exit(main())
