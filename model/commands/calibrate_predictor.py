"""`python -m model calibrate-predictor`: teach trained weights how far they are to be believed."""

from dataclasses import replace
from pathlib import Path

import click

from model.commands.console import progress_bar
from model.commands.options import FILE, PATH, check_output, device_option
from model.commands.partial import stop_on_interrupt
from model.core.errors import BadInput


@click.command("calibrate-predictor")
@click.argument("weights", type=FILE)
@click.option("--out", required=True, type=PATH, help="Where they go, .safetensors.")
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
    "--stay-prior",
    "--doubt",
    "stay_prior",
    type=click.FloatRange(0, 1, max_open=True),
    help="Take this one, as fitted for weights of the same recipe; no --data then.",
)
@click.option(
    "--abstain-below",
    "--least-gain",
    "abstain_below",
    type=click.FloatRange(0, 1),
    help="Beside --stay-prior; 0 where it is left out.",
)
@device_option
def command(
    *,
    weights: Path,
    out: Path,
    sets: tuple[str, ...],
    splits: tuple[str, ...],
    samples: int | None,
    mirror: bool,
    stay_prior: float | None,
    abstain_below: float | None,
    device: str,
) -> None:
    """Fit how far WEIGHTS are to be believed, and write them with it to --out.

    Fitted are the weight of "it stays" beside a point's hypotheses, and the informativeness below which an
    image is answered with no motion. Give pictures whose motion can be read and, as a set beside them,
    pictures whose motion cannot.
    """
    check_output("--out", out, ".safetensors", inputs=[weights])
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.prediction.release import read_release
    from model.training.predictors.calibrate import (
        ABSTAIN_THRESHOLDS,
        STAY_PRIORS,
        calibrate_predictor,
        write_use,
    )

    if stay_prior is not None:
        if sets:
            raise BadInput("Give either --data to fit on, or --stay-prior.")
        use = replace(
            read_release(weights).use,
            mirror=mirror,
            stay_prior=stay_prior,
            abstain_below=abstain_below or 0.0,
        )
        write_use(weights, out, use)
        click.echo(f"Stay prior {stay_prior:.2f}, abstain below {use.abstain_below:.2f}. Wrote {out}")
        return
    if abstain_below is not None:
        raise BadInput("Give --abstain-below beside --stay-prior; --data fits both.")
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
    prior, threshold = STAY_PRIORS.index(use.stay_prior), ABSTAIN_THRESHOLDS.index(use.abstain_below)
    tried = [(number, threshold) for number in range(len(STAY_PRIORS))]
    tried += [(prior, number) for number in range(len(ABSTAIN_THRESHOLDS))]
    for row, column in tried:
        errors = "  ".join(f"{error:.3f}" for error in fitted.errors[:, row, column])
        click.echo(
            f"stay prior {STAY_PRIORS[row]:.2f}, abstain below {ABSTAIN_THRESHOLDS[column]:.2f}  {errors}"
        )
    click.echo(f"Stay prior {use.stay_prior:.2f}, abstain below {use.abstain_below:.2f}. Wrote {out}")
