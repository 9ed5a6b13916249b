"""`python -m model train-tracker`: train PIPs on synthetic clips."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from model.commands.console import watched
from model.commands.options import PATH, device_option, options_of, settings_from
from model.training.trackers.settings import TrackerTraining


@click.command("train-tracker")
@click.option("--out", required=True, type=PATH, help="Folder for weights and log.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@options_of(TrackerTraining)
@device_option
def command(*, out: Path, resume: bool, device: str, **values: Any) -> None:
    """Train PIPs on synthetic clips; Ctrl-C saves and stops, --resume goes on."""
    # Here, not above: it imports torch, which `--help` need not wait for.
    from model.training.trackers.fit import fit_tracker

    settings = settings_from(TrackerTraining, values)
    with watched("%", saves=True) as watch:
        score = fit_tracker(out, settings, resume=resume, device=device, watch=watch)
    for name, value in asdict(score).items():
        click.echo(f"{name}: {value:.3f}")
    click.echo(f"Wrote {out / 'weights.safetensors'}")
    if watch.should_stop():
        raise KeyboardInterrupt
