"""`python -m model calibrate-tracker`: fit the visibility rule of trained weights."""

from pathlib import Path
from typing import Any

import click

from model.commands.console import progress_bar
from model.commands.options import FILE, FOLDER, PATH, check_output


@click.command("calibrate-tracker")
@click.argument("weights", type=FILE)
@click.option("--out", required=True, type=PATH, help="Where they go, .safetensors.")
@click.option(
    "--clips", type=click.IntRange(1), default=150, show_default=True, help="Synthetic clips to use."
)
@click.option(
    "--iterations", type=click.IntRange(1, 20), help="Of the network; without it as the weights say."
)
@click.option("--seed", type=int, default=0, show_default=True, help="That of the training.")
@click.option("--textures", type=FOLDER, help="The training's folder of photos.")
@click.option("--cutouts", type=FOLDER, help="The training's folder of images with alpha.")
def command(*, weights: Path, out: Path, **values: Any) -> None:
    """Fit the rule that tells whether a point is visible, and write WEIGHTS with it to --out."""
    check_output("--out", out, ".safetensors", inputs=[weights])
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.training.trackers.calibrate import calibrate_tracker

    with progress_bar("clips") as report:
        rule = calibrate_tracker(weights, out, progress=report, **values)
    click.echo(f"Visibility rule: {rule}")
    click.echo(f"Wrote {out}")
