"""`python -m model evaluate predictor`: measure predictors on held-out samples of training sets."""

from pathlib import Path
from typing import Literal

import click

from model.commands.console import watched
from model.commands.options import PATH, check_output, device_option
from model.core.errors import BadInput


@click.command("predictor")
@click.argument("sets", nargs=-1)
@click.option(
    "--weights",
    multiple=True,
    help="A registered name or a file of train-predictor; several may be given. Those with the same backbone "
    "and head count as seeds of one method.",
)
@click.option("--split", default="test", show_default=True, help="validation or test.")
@click.option(
    "--points",
    type=click.Choice(["visible", "in-frame"]),
    default="visible",
    show_default=True,
    help="What is measured: points that are visible at the horizon, or all that lie within the frame then.",
)
@click.option("--samples", type=click.IntRange(1), help="At most so many of each set, evenly chosen.")
@click.option(
    "--neighbours",
    type=click.IntRange(0),
    default=500,
    show_default=True,
    help="Known images to search for the nearest one; 0 leaves that out.",
)
@device_option
@click.option("--out", type=PATH, help="Where all figures go, as .json.")
@click.option("--report", type=PATH, help="Where the report goes, as .html.")
def command(
    *,
    sets: tuple[str, ...],
    weights: tuple[str, ...],
    split: str,
    points: Literal["visible", "in-frame"],
    samples: int | None,
    neighbours: int,
    device: str,
    out: Path | None,
    report: Path | None,
) -> None:
    """Measure predictors on SETS (of convert) beside simple baselines.

    docs/predictor.md explains the figures.
    """
    inputs = [Path(name) for name in (*sets, *weights)]
    check_output("--out", out, ".json", inputs=inputs)
    check_output("--report", report, ".html", inputs=inputs)
    if not sets:
        raise BadInput("Name at least one training set; its held-out samples are measured.")
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.evaluation.predictors.report import write_report
    from model.evaluation.predictors.run import evaluate_predictors
    from model.evaluation.predictors.table import table, write_json
    from model.prediction.predictor import Predictor

    predictors = {}
    for name in weights or ("predictor",):
        predictor = Predictor.load(name, device)
        path = Path(name)
        seed = path.parent.name if path.is_file() else name
        config = predictor.network.config
        predictors[f"{config.backbone} {config.head}", seed] = predictor
    if len(predictors) < len(weights):
        raise BadInput("Two of the weights have the same network and the same folder's name; rename one.")
    with watched("samples") as watch:
        results = evaluate_predictors(
            sets,
            predictors,
            split=split,
            points=points,
            most=samples,
            neighbours=neighbours,
            watch=watch,
        )
    if out is not None:
        names = [result.name for result in results]
        said = {"sets": names, "split": split, "points": points, "samples": samples}
        write_json(out, results, said)
        click.echo(f"Wrote {out}", err=True)
    if report is not None:
        write_report(report, results)
        click.echo(f"Wrote {report}", err=True)
    click.echo(table(results))
