"""`python -m model train-predictor`: train a network to say from a still how its points will move."""

import csv
import os
import signal
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click

from model.commands.console import progress_bar
from model.core.errors import BadInput
from model.core.files import atomic_path


@click.command("train-predictor")
@click.option(
    "--data", multiple=True, help="A training set (convert, synthesize-stills); several may be given."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for weights and log.")
@click.option("--minutes", type=float, help="End after this much training.")
@click.option("--steps", type=int, help="End after this many steps.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@click.option("--backbone", default="fcn_resnet50", show_default=True, help="As in torchvision.")
@click.option("--head", default="mixture", show_default=True, help="last, fcn, deeplab, linear or mixture.")
@click.option(
    "--start-from",
    default="imagenet",
    show_default=True,
    help="imagenet or segmentation (torchvision's, downloaded), none, a registered name, or a file.",
)
@click.option("--grid", type=int, default=16, show_default=True, help="Points a side, of the linear head.")
@click.option("--horizon", type=int, default=8, show_default=True, help="Frames, the first included.")
@click.option("--final-only", is_flag=True, help="Predict the last position alone, not the way there.")
@click.option("--modes", type=int, default=6, show_default=True, help="Hypotheses; with one, plain L1.")
@click.option("--head-width", type=int, default=256, show_default=True, help="Channels of the mixture head.")
@click.option("--pool", type=int, default=4, show_default=True, help="Cells a side that linear reads.")
@click.option("--camera", is_flag=True, help="Predict the camera's motion apart.")
@click.option("--batch", type=int, default=8, show_default=True, help="Samples a step.")
@click.option("--height", type=click.IntRange(64, 2048), default=256, show_default=True)
@click.option("--width", type=click.IntRange(64, 2048), default=448, show_default=True)
@click.option("--frozen", type=float, default=1.0, show_default=True, help="Share with a frozen backbone.")
@click.option(
    "--views",
    type=int,
    multiple=True,
    default=(2,),
    show_default=True,
    help="Of a sample, with kept features; give it once, or once for each --data.",
)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="At its highest.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--seeds", type=int, default=1, show_default=True, help="Train as many times, in OUT/seed-K.")
@click.option("--patience", type=int, default=0, show_default=True, help="Validations without a better one.")
@click.option("--save-minutes", type=float, default=5.0, show_default=True, help="Between checkpoints.")
@click.option("--features", type=click.Path(path_type=Path), help="Where features are kept; OUT/features.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
def command(
    *,
    data: tuple[str, ...],
    out: Path,
    minutes: float | None,
    steps: int | None,
    resume: bool,
    backbone: str,
    head: str,
    start_from: str,
    grid: int,
    horizon: int,
    final_only: bool,
    modes: int,
    head_width: int,
    pool: int,
    camera: bool,
    batch: int,
    height: int,
    width: int,
    frozen: float,
    views: tuple[int, ...],
    learning_rate: float,
    seed: int,
    seeds: int,
    patience: int,
    save_minutes: float,
    features: Path | None,
    device: str,
) -> None:
    """Train a predictor; Ctrl-C saves and stops, --resume goes on. docs/predictor.md says more."""
    # Here, not above: it imports torch, which `--help` need not wait for.
    from model.prediction.config import PredictorConfig
    from model.training.predictors.fit import fit_predictor
    from model.training.predictors.settings import PredictorTraining

    if not data:
        raise BadInput("Name at least one training set with --data; synthesize-stills makes one.")
    if seeds < 1:
        raise BadInput(f"The number of seeds must be at least 1, not {seeds}.")
    config = PredictorConfig(backbone, head, grid, horizon, not final_only, modes, head_width, pool, camera)
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    is_first = os.environ.get("RANK", "0") == "0"  # of the processes of torchrun, who all do the same
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    folders = [out] if seeds == 1 else [out / f"seed-{seed + k}" for k in range(seeds)]
    try:
        for index, folder in enumerate(folders):
            if (resume and len(folders) > 1 and _is_finished(folder)) or stopped:
                continue
            settings = PredictorTraining(
                config,
                data,
                start_from,
                minutes,
                steps,
                batch,
                height,
                width,
                frozen,
                views=views,
                learning_rate=learning_rate,
                seed=seed + index,
                patience=patience,
                save_minutes=save_minutes,
            )
            with progress_bar("%") as report:
                score = fit_predictor(
                    folder,
                    settings,
                    resume=resume and (folder / "checkpoint.pt").exists(),
                    device=device,
                    features=features or out / "features",
                    progress=report,
                    should_stop=lambda: stopped,
                )
            if is_first:
                click.echo(", ".join(f"{name} {value:.3f}" for name, value in asdict(score).items()))
                click.echo(f"Wrote {folder / 'weights.safetensors'}")
            if not stopped:
                (folder / "finished").touch()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if len(folders) > 1 and is_first:
        _write_table(out / "runs.csv", [folder / "runs.csv" for folder in folders])
    if stopped:
        raise KeyboardInterrupt


def _is_finished(folder: Path) -> bool:
    return (folder / "finished").exists()


def _write_table(target: Path, parts: list[Path]) -> None:
    """Join the lines of several runs into one table, and show the mean and spread of the error."""
    rows = []
    for part in parts:
        if part.exists():
            with part.open(newline="") as file:
                rows += list(csv.DictReader(file))
    if not rows:
        return
    with atomic_path(target) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    errors = [float(row["epe_moving"]) for row in rows]
    mean = sum(errors) / len(errors)
    spread = (sum((error - mean) ** 2 for error in errors) / max(1, len(errors) - 1)) ** 0.5
    click.echo(f"EPE on moving points over {len(errors)} seeds: {mean:.3f} ± {spread:.3f} px; {target}")
