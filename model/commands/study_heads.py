"""`python -m model study-heads`: which layers of a segmentation network to replace."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from model.commands.console import progress_bar
from model.commands.options import options_of, settings_from
from model.commands.partial import stop_on_interrupt
from model.core.errors import BadInput
from model.core.files import write_whole
from model.prediction.config import PredictorConfig
from model.training.predictors.settings import PredictorTraining

_NOT_STUDIED = ("frozen", "patience", "save_minutes", "learning_rate")


@click.command("study-heads")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the runs.")
@click.option("--heads", help="Of them, with commas between; all, and mixture-l1 and mixture-l1-direction.")
@click.option("--backbone", default="fcn_resnet50", show_default=True, help="As in torchvision.")
@options_of(PredictorTraining, without=_NOT_STUDIED, height=128, width=224, views=(1,))
@click.option("--samples", type=click.IntRange(1), help="To measure, of each set.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
@click.option("--machine", default="this machine", show_default=True, help="What the page says of it.")
@click.option("--page", type=click.Path(path_type=Path), help="Where the study goes, as .md; OUT/study.md.")
def command(
    *,
    out: Path,
    heads: str | None,
    backbone: str,
    samples: int | None,
    device: str,
    machine: str,
    page: Path | None,
    **values: Any,
) -> None:
    """Train all heads with a frozen and a fine-tuned backbone on the same data, and write the comparison.

    After Ctrl-C the same command goes on with the runs that are missing.
    """
    base = settings_from(PredictorTraining, values, config=PredictorConfig(backbone, trajectory=True))
    if base.minutes is None and base.steps is None:
        raise BadInput("Say how long each run lasts: --minutes M, --steps S, or both.")
    # Here, not above: they import torch, which `--help` need not wait for.
    from model.training.predictors.study import STUDIED, markdown, run_study, with_head

    studied = [head.strip() for head in heads.split(",")] if heads else STUDIED
    for head in studied:
        with_head(base, head)  # refuses what does not exist before the work begins
    with stop_on_interrupt() as should_stop, progress_bar("runs") as report:
        runs = run_study(
            out,
            base,
            heads=studied,
            samples=samples,
            device=device,
            progress=report,
            should_stop=should_stop,
        )
    text = markdown(runs, base, f"python -m model {shlex.join(sys.argv[1:])}", machine)
    write_whole(page or out / "study.md", f"{text}\n".encode())
    click.echo(text)
