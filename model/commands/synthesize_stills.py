"""`python -m model synthesize-stills`: a training set of stills whose motion can be read from them."""

from pathlib import Path

import click

from model.commands.console import progress_bar
from model.commands.options import PATH
from model.commands.partial import stop_on_interrupt

_FOLDER = click.Path(exists=True, file_okay=False)


@click.command("synthesize-stills")
@click.option("--out", required=True, type=PATH, help="Folder for the training set.")
@click.option("--train", type=int, default=2000, show_default=True, help="Samples to train with.")
@click.option("--validation", type=int, default=200, show_default=True, help="Samples to choose by.")
@click.option("--test", type=int, default=400, show_default=True, help="Samples to judge by.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other scenes.")
@click.option("--height", type=click.IntRange(64, 2048), default=256, show_default=True)
@click.option("--width", type=click.IntRange(64, 2048), default=448, show_default=True)
@click.option("--grid", type=int, default=16, show_default=True, help="Query points a side.")
@click.option("--horizon", type=int, default=8, show_default=True, help="Frames, the first included.")
@click.option("--textures", type=_FOLDER, help="A folder of photos, beside procedural surfaces.")
@click.option("--cutouts", type=_FOLDER, help="A folder of images with alpha.")
@click.option("--cues", help="Only these kinds of scenes, with commas between.")
def command(
    *,
    out: Path,
    train: int,
    validation: int,
    test: int,
    seed: int,
    height: int,
    width: int,
    grid: int,
    horizon: int,
    textures: str | None,
    cutouts: str | None,
    cues: str | None,
) -> None:
    """Make a training set for train-predictor; docs/still-cues.md says which cues its stills have.

    After Ctrl-C the same command goes on.
    """
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.synthetic.stills.dataset import StillCueSettings, write_still_cues

    settings = StillCueSettings(
        train, validation, test, height, width, grid, horizon, seed, textures, cutouts, cues=cues
    )
    with stop_on_interrupt() as should_stop, progress_bar("stills") as report:
        summary = write_still_cues(out, settings, progress=report, should_stop=should_stop)
    click.echo(f"Wrote {summary.samples()} stills to {out}")
