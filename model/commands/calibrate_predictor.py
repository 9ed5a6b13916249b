"""`python -m model calibrate-predictor`: teach trained weights how far they are to be believed."""

from dataclasses import replace
from pathlib import Path

import click

from model.commands.console import progress_bar
from model.commands.partial import stop_on_interrupt
from model.errors import BadInput


@click.command("calibrate-predictor")
@click.argument("weights", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where they go, .safetensors.")
@click.option("--data", "sets", multiple=True, help="A training set; several may be given, and count alike.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    default=("validation",),
    show_default=True,
    help="Of the sets, unseen, and not what is reported later; may be given once for each --data.",
)
@click.option("--samples", type=click.IntRange(1), help="At most so many of each set, evenly chosen.")
@click.option("--mirror", is_flag=True, help="Have the weights look at the mirrored image, too.")
@click.option(
    "--doubt",
    type=click.FloatRange(0, 1, max_open=True),
    help="Take this one, as fitted for weights of the same recipe; no --data then.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
def command(
    *,
    weights: Path,
    out: Path,
    sets: tuple[str, ...],
    splits: tuple[str, ...],
    samples: int | None,
    mirror: bool,
    doubt: float | None,
    device: str,
) -> None:
    """Fit by how much WEIGHTS doubt that things move, and write them with it to --out."""
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.predictor.release import read_release
    from model.training.calibrate_predictor import DOUBTS, calibrate_predictor, write_use

    if doubt is not None:
        if sets:
            raise BadInput("Give either --data to fit doubt on, or --doubt.")
        write_use(weights, out, replace(read_release(weights).use, mirror=mirror, doubt=doubt))
        click.echo(f"Doubt: {doubt:.2f}. Wrote {out}")
        return
    with stop_on_interrupt() as should_stop, progress_bar("samples") as bar:
        fitted = calibrate_predictor(
            weights,
            out,
            sets,
            splits=splits,
            most=samples,
            mirror=mirror,
            device=device,
            progress=bar,
            should_stop=should_stop,
        )
    click.echo("ADE, as a share of no motion's:")
    for number, tried in enumerate(DOUBTS):
        figures = "  ".join(f"{errors[number]:.3f}" for errors in fitted.errors)
        click.echo(f"doubt {tried:.2f}  {figures}")
    click.echo(f"Doubt: {fitted.use.doubt:.2f}. Wrote {out}")
