"""`python -m model calibrate-predictor`: teach trained weights how far they are to be believed."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from model.commands.console import progress_bar
from model.commands.partial import stop_on_interrupt
from model.core.errors import BadInput


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
@click.option("--least-gain", type=click.FloatRange(0, 1), help="Beside --doubt; 0 where it is left out.")
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
    least_gain: float | None,
    device: str,
) -> None:
    """Fit how far WEIGHTS are to be believed, and write them with it to --out.

    Fitted are the doubt that a point moves and the least gain with which a picture is answered at all. Give
    pictures whose motion can be read and, as a set beside them, pictures whose motion cannot.
    """
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.prediction.release import read_release
    from model.training.predictors.calibrate import DOUBTS, GAINS, calibrate_predictor, write_use

    if doubt is not None:
        if sets:
            raise BadInput("Give either --data to fit doubt on, or --doubt.")
        use = replace(read_release(weights).use, mirror=mirror, doubt=doubt, least_gain=least_gain or 0.0)
        write_use(weights, out, use)
        click.echo(f"Doubt {doubt:.2f}, least gain {use.least_gain:.2f}. Wrote {out}")
        return
    if least_gain is not None:
        raise BadInput("Give --least-gain beside --doubt; --data fits both.")
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
    use = fitted.use
    click.echo("ADE, as a share of no motion's:")
    for number, tried in enumerate(DOUBTS):
        at = GAINS.index(use.least_gain)
        click.echo(
            f"doubt {tried:.2f}, least gain {use.least_gain:.2f}  {_shares(fitted.errors[:, number, at])}"
        )
    for number, tried in enumerate(GAINS):
        at = DOUBTS.index(use.doubt)
        click.echo(f"doubt {use.doubt:.2f}, least gain {tried:.2f}  {_shares(fitted.errors[:, at, number])}")
    click.echo(f"Doubt {use.doubt:.2f}, least gain {use.least_gain:.2f}. Wrote {out}")


def _shares(errors: Iterable[float]) -> str:
    return "  ".join(f"{error:.3f}" for error in errors)
