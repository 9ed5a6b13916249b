"""`python -m model train-predictor`: train a network to say from a still how its points will move."""

import csv
import os
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click

from model.commands.console import progress_bar, stop_on_interrupt
from model.commands.options import PATH, device_option, options_of, settings_from
from model.core.errors import BadInput
from model.core.files import atomic_path
from model.core.progress import Watch
from model.prediction.config import PredictorConfig
from model.training.predictors.settings import PredictorTraining


@click.command("train-predictor")
@click.option("--out", required=True, type=PATH, help="Folder for weights and log.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@options_of(PredictorConfig, PredictorTraining)
@click.option("--final-only", is_flag=True, help="Predict the last position alone, not the way there.")
@click.option("--seeds", type=int, default=1, show_default=True, help="Train as many times, in OUT/seed-K.")
@click.option("--features", type=PATH, help="Where features are kept; OUT/features.")
@device_option
def command(
    *,
    out: Path,
    resume: bool,
    final_only: bool,
    seed: int,
    seeds: int,
    features: Path | None,
    device: str,
    **values: Any,
) -> None:
    """Train a predictor; Ctrl-C saves and stops, --resume goes on. docs/predictor.md says more."""
    if seeds < 1:
        raise BadInput(f"The number of seeds must be at least 1, not {seeds}.")
    config = settings_from(PredictorConfig, values, trajectory=not final_only)
    trainings = [settings_from(PredictorTraining, values, config=config, seed=seed + k) for k in range(seeds)]
    # Here, not above: it imports torch, which `--help` need not wait for.
    from model.training.predictors.fit import fit_predictor

    is_first = os.environ.get("RANK", "0") == "0"  # of the processes of torchrun, who all do the same
    folders = [out] if seeds == 1 else [out / f"seed-{training.seed}" for training in trainings]
    with stop_on_interrupt(saves=True) as should_stop:
        for training, folder in zip(trainings, folders, strict=True):
            finished = folder / "finished"
            if (resume and seeds > 1 and finished.exists()) or should_stop():
                continue
            with progress_bar("%") as report:
                score = fit_predictor(
                    folder,
                    training,
                    resume=resume and (folder / "checkpoint.pt").exists(),
                    device=device,
                    features=features or out / "features",
                    watch=Watch(report, should_stop),
                )
            if is_first:
                click.echo(", ".join(f"{name} {value:.3f}" for name, value in asdict(score).items()))
                click.echo(f"Wrote {folder / 'weights.safetensors'}")
            if not should_stop():
                finished.touch()
    if seeds > 1 and is_first:
        _write_table(out / "runs.csv", [folder / "runs.csv" for folder in folders])
    if should_stop():
        raise KeyboardInterrupt


def _write_table(target: Path, parts: list[Path]) -> None:
    """Join the lines of several runs into one table, and show the mean and deviation of the error."""
    rows = []
    for part in parts:
        if part.exists():
            with part.open(newline="") as file:
                rows += list(csv.DictReader(file))
    if not rows:
        return
    from model.training.log import write_rows

    with atomic_path(target) as temporary:
        write_rows(temporary, list(rows[0]), rows)
    errors = [float(row["epe_moving"]) for row in rows]
    deviation = stdev(errors) if len(errors) > 1 else 0.0
    click.echo(
        f"EPE on moving points over {len(errors)} seeds: {mean(errors):.3f} ± {deviation:.3f} px; {target}"
    )
