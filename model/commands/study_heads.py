"""`python -m model study-heads`: which layers of a segmentation network to replace."""

import shlex
import sys
from pathlib import Path

import click

from model.commands.console import progress_bar
from model.commands.partial import stop_on_interrupt
from model.core.errors import BadInput
from model.core.files import write_whole


@click.command("study-heads")
@click.option("--data", multiple=True, help="A training set; several may be given.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the runs.")
@click.option("--minutes", type=float, help="Of training for each run.")
@click.option("--steps", type=int, help="Steps of each run.")
@click.option(
    "--heads",
    help="mixture-l1, mixture-l1-direction: the mixture's layers with one hypothesis and L1.",
    default="last,fcn,deeplab,linear,mixture,mixture-l1,mixture-l1-direction",
    show_default=True,
)
@click.option("--backbone", default="fcn_resnet50", show_default=True, help="As in torchvision.")
@click.option("--start-from", default="imagenet", show_default=True, help="As for train-predictor.")
@click.option("--batch", type=int, default=8, show_default=True, help="Samples a step.")
@click.option("--height", type=click.IntRange(64, 2048), default=128, show_default=True)
@click.option("--width", type=click.IntRange(64, 2048), default=224, show_default=True)
@click.option("--views", type=int, default=1, show_default=True, help="Of a sample, with kept features.")
@click.option("--samples", type=click.IntRange(1), help="To measure, of each set.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
@click.option("--machine", default="this machine", show_default=True, help="What the page says of it.")
@click.option("--page", type=click.Path(path_type=Path), help="Where the study goes, as .md; OUT/study.md.")
def command(
    *,
    data: tuple[str, ...],
    out: Path,
    minutes: float | None,
    steps: int | None,
    heads: str,
    backbone: str,
    start_from: str,
    batch: int,
    height: int,
    width: int,
    views: int,
    samples: int | None,
    seed: int,
    device: str,
    machine: str,
    page: Path | None,
) -> None:
    """Train five heads with a frozen and a fine-tuned backbone on the same data, and write the comparison.

    After Ctrl-C the same command goes on with the runs that are missing.
    """
    if not data:
        raise BadInput("Name at least one training set with --data; synthesize-stills makes one.")
    if minutes is None and steps is None:
        raise BadInput("Say how long each run lasts: --minutes M, --steps S, or both.")
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.prediction.config import PredictorConfig
    from model.training.predictors.settings import PredictorTraining
    from model.training.predictors.study import markdown, run_study, with_head

    chosen = [head.strip() for head in heads.split(",")]
    base = PredictorTraining(
        PredictorConfig(backbone, trajectory=True),
        data,
        start_from,
        minutes,
        steps,
        batch,
        height,
        width,
        views=(views,),
        seed=seed,
    )
    for head in chosen:
        with_head(base, head)  # refuses what does not exist before the work begins
    with stop_on_interrupt() as should_stop, progress_bar("runs") as report:
        runs = run_study(
            out,
            base,
            heads=chosen,
            samples=samples,
            device=device,
            progress=report,
            should_stop=should_stop,
        )
    target = page or out / "study.md"
    given = [part for part in sys.argv[1:] if part]
    page_text = markdown(runs, base, f"python -m model {shlex.join(given)}", machine) + "\n"
    write_whole(target, page_text.encode())
    click.echo(page_text)
