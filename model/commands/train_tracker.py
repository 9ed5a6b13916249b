"""`python -m model train-tracker`: train PIPs on synthetic clips."""

import signal
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click

from model.commands.console import progress_bar


@click.command("train-tracker")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for weights and log.")
@click.option("--minutes", type=float, help="End after this much training.")
@click.option("--steps", type=int, help="End after this many steps.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@click.option("--size", default="small", show_default=True, help="small or authors.")
@click.option("--batch", type=int, default=2, show_default=True, help="Clips a step.")
@click.option("--points", type=int, default=64, show_default=True, help="Query points a clip.")
@click.option("--height", type=int, default=160, show_default=True, help="Of the clips, in pixels.")
@click.option("--width", type=int, default=224, show_default=True, help="Of the clips, in pixels.")
@click.option("--learning-rate", type=float, default=8e-4, show_default=True, help="At its highest.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--textures", type=click.Path(), help="A folder of photos for the layers.")
@click.option("--cutouts", type=click.Path(), help="A folder of images with alpha for the layers.")
@click.option("--start-from", type=click.Path(), help="Weights to begin with.")
@click.option("--save-minutes", type=float, default=6.0, show_default=True, help="Between checkpoints.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
def command(
    *,
    out: Path,
    minutes: float | None,
    steps: int | None,
    resume: bool,
    size: str,
    batch: int,
    points: int,
    height: int,
    width: int,
    learning_rate: float,
    seed: int,
    textures: str | None,
    cutouts: str | None,
    start_from: str | None,
    save_minutes: float,
    device: str,
) -> None:
    """Train PIPs on synthetic clips; Ctrl-C saves and stops, --resume goes on."""
    # Here, not above: it imports torch, which `--help` need not wait for.
    from model.training.trackers.fit import TrackerTraining, fit_tracker

    settings = TrackerTraining(
        size=size,
        minutes=minutes,
        steps=steps,
        batch=batch,
        points=points,
        height=height,
        width=width,
        learning_rate=learning_rate,
        seed=seed,
        textures=textures,
        cutouts=cutouts,
        start_from=start_from,
        save_minutes=save_minutes,
    )
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with progress_bar("%") as report:
            score = fit_tracker(
                out,
                settings,
                resume=resume,
                device=device,
                progress=report,
                should_stop=lambda: stopped,
            )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for name, value in asdict(score).items():
        click.echo(f"{name}: {value:.3f}")
    click.echo(f"Wrote {out / 'weights.safetensors'}")
    if stopped:
        raise KeyboardInterrupt
