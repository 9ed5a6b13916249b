"""Which layers of a segmentation network to replace: five heads, frozen and fine-tuned, on one budget.

python -m benchmarks.study_heads --data SET --out FOLDER --minutes M     (docs/study-heads.md is such a page)
"""

import csv
import json
import multiprocessing
import resource
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import fill
from typing import Any

import click
import torch

from model.commands.group import run_command
from model.commands.options import options_of, settings_from
from model.core.errors import BadInput
from model.core.files import write_json, write_whole
from model.core.structure import from_json
from model.evaluation.predictors.run import MethodOutcome, evaluate_predictors
from model.prediction.config import PredictorConfig
from model.prediction.heads import HEADS
from model.prediction.predictor import Predictor
from model.training.loop import WEIGHTS
from model.training.predictors.fit import fit_predictor
from model.training.predictors.settings import PredictorTraining

TUNED_FROM = 0.5
"""The share of a fine-tuned run's budget after which the backbone learns too."""

_PAGE_WIDTH = 118
_COLUMNS = (
    *("Head", "Backbone", "AP moving", "log likelihood", "cosine", "EPE moving", "weights of the head"),
    *("steps", "s a step", "MB"),
)
_ALIKE = 0.01
"""Average precisions that differ by less are as good as each other; two seeds of one training do by 0.004."""


@dataclass(frozen=True)
class Measured:
    """What `evaluate predictor` measures of visible points, see docs/predictor.md; px of a 256-high image."""

    average_precision: float
    log_likelihood: float
    cosine: float
    epe_moving: float


@dataclass(frozen=True)
class StudyRun:
    """One line of the study.

    head: its name. tuned: whether the backbone learned too. zero, cell_mean: zero motion, and the mean of
    each grid cell, with what is known of points there. head_weights: of the head alone.
    seconds_a_step: of training, the computing of kept features left out. memory: peak of the process or the
    GPU, in MB.
    """

    head: str
    tuned: bool
    measured: Measured
    zero: Measured
    cell_mean: Measured
    head_weights: int
    steps: int
    seconds_a_step: float
    memory: float


def run_study(
    out: Path,
    base: PredictorTraining,
    *,
    heads: Sequence[str] = tuple(HEADS),
    split: str = "test",
    samples: int | None = None,
    device: str = "auto",
    apart: bool = True,
) -> list[StudyRun]:
    """Train and measure every head, frozen and fine-tuned.

    base: data, budget and all else; its head and its frozen share are replaced. heads: their names.
    split, samples: what is measured of the set, and at most how many. apart: each run in a process of its
    own, so that its peak of memory is its own. Runs that are in `out` already are not done again.
    Raises BadInput for several sets, since the figures would have to be mixed.
    """
    if len(base.data) > 1:
        raise BadInput("The study measures on one training set; give --data once.")
    runs = []
    wanted = [(head, tuned) for head in heads for tuned in (False, True)]
    for head, tuned in wanted:
        folder = out / f"{head}-{'tuned' if tuned else 'frozen'}"
        finished = folder / "result.json"
        if not finished.exists():
            config = replace(base.config, head=head)
            training = replace(base, config=config, frozen=TUNED_FROM if tuned else 1.0)
            arguments = (head, folder, training, out / "features", split, samples, device)
            run = _run_apart(arguments) if apart else _run(*arguments)
            write_json(finished, asdict(run))
        runs.append(from_json(StudyRun, json.loads(finished.read_text()), f"{finished}"))
    return runs


def _run_apart(arguments: tuple[str, Path, PredictorTraining, Path, str, int | None, str]) -> StudyRun:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_run, *arguments).result()


def _run(
    head: str,
    folder: Path,
    training: PredictorTraining,
    features: Path,
    split: str,
    samples: int | None,
    device: str,
) -> StudyRun:
    resume = (folder / "checkpoint.pt").exists()
    fit_predictor(folder, training, resume=resume, device=device, features=features)
    memory = _peak_memory()  # before the evaluation, which needs other things
    with (folder / "runs.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    predictor = Predictor.load(folder / WEIGHTS, device)
    (result,) = evaluate_predictors(
        training.data, {(head, ""): predictor}, split=split, most=samples, neighbours=0
    )
    found = {each.name: _measured(each) for each in result.methods}
    return StudyRun(
        head,
        training.frozen < 1,
        found[head],
        found["zero"],
        found["cell mean"],
        int(row["head_weights"]),
        int(row["steps"]),
        float(row["seconds_a_step"]),
        memory,
    )


def _measured(method: MethodOutcome) -> Measured:
    belief = method.belief
    return Measured(
        belief.average_precision, belief.log_likelihood, belief.direction, method.metrics.epe_moving
    )


def _peak_memory() -> float:
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated() / 2**20)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def markdown(runs: Sequence[StudyRun], base: PredictorTraining, command: str, machine: str) -> str:
    """Write the study as a page: the table, and the answer that follows from it.

    base: as for `run_study`. command: that made it. machine: on which.
    """
    lines = [
        "# Which layer to replace",
        "",
        "```sh",
        command,
        "```",
        "",
        fill(
            f"On {machine}. The same data and the same budget for every run, measured on held-out ones. AP "
            "moving: average precision of finding the points that move by more than 2 px of a 256-high "
            "image; the other figures as in docs/predictor.md. Frozen: the backbone keeps its weights; "
            f"fine-tuned: it learns too, after {TUNED_FROM:.0%} of the budget. Begun with --start-from "
            f"{base.start_from}: `last` keeps `classifier[0]` to `[3]` as published if that is "
            "`segmentation`, and else as they begin, at random. `bins` learns by likelihood, the "
            "others by L1 and, beside it, one width for all points.",
            _PAGE_WIDTH,
        ),
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"| --- | --- |{' ---: |' * (len(_COLUMNS) - 2)}",
    ]
    for run in sorted(runs, key=lambda each: -each.measured.average_precision):
        figures = (
            *(run.head, "fine-tuned" if run.tuned else "frozen", *_figures(run.measured)),
            *(f"{run.head_weights / 1e6:.2f} M", f"{run.steps}"),
            *(f"{run.seconds_a_step:.3f}", f"{run.memory:.0f}"),
        )
        lines.append(f"| {' | '.join(figures)} |")
    for name, measured in (("zero motion", runs[0].zero), ("mean of each cell", runs[0].cell_mean)):
        lines.append(f"| {' | '.join((name, '', *_figures(measured), *[''] * 4))} |")
    heading = "## The whole classifier, or only classifier[4]?"
    return "\n".join([*lines, "", heading, "", fill(answer(runs), _PAGE_WIDTH), ""])


def _figures(measured: Measured) -> tuple[str, ...]:
    return (
        *(f"{measured.average_precision:.3f}", f"{measured.log_likelihood:.3f}"),
        *(f"{measured.cosine:.3f}", f"{measured.epe_moving:.2f}"),
    )


def answer(runs: Sequence[StudyRun]) -> str:
    """Say in plain words which of `last` (only classifier[4]) and `fcn` (the whole classifier) is better."""
    sentences = []
    for tuned in (False, True):
        found = {run.head: run.measured.average_precision for run in runs if run.tuned == tuned}
        way = "With a fine-tuned backbone" if tuned else "With a frozen backbone"
        if "last" in found and "fcn" in found:
            whole, last = "the whole classifier", "replacing only classifier[4]"
            sentences.append(f"{way}, {_better(found['fcn'], found['last'], whole, last)}")
    best = max(runs, key=lambda run: run.measured.average_precision)
    state = "fine-tuned" if best.tuned else "frozen"
    sentences.append(f"The best of all is {best.head} ({state}): {best.measured.average_precision:.3f}.")
    return " ".join(sentences)


def _better(one: float, other: float, its_name: str, other_name: str) -> str:
    """Say which of two average precisions is larger and by how much."""
    if abs(one - other) < _ALIKE:
        return f"it makes no difference whether it is {its_name} or {other_name} ({one:.3f} and {other:.3f})."
    name = its_name if one > other else other_name
    return f"{name} finds more of what moves ({max(one, other):.3f} against {min(one, other):.3f})."


@click.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder for the runs and study.md."
)
@click.option("--heads", default=",".join(HEADS), show_default=True)
@click.option("--backbone", default="fcn_resnet50", show_default=True, help="As in torchvision.")
@options_of(PredictorTraining, height=128, width=224, views=(1,))
@click.option("--scene-motion", is_flag=True, help="As of train-predictor.")
@click.option("--final-only", is_flag=True, help="As of train-predictor.")
@click.option("--split", default="test", show_default=True, help="What is measured of the set.")
@click.option("--samples", type=click.IntRange(1), help="At most so many of it.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
@click.option("--machine", default="this machine", show_default=True, help="What the page says of it.")
def main(
    *,
    out: Path,
    heads: str,
    backbone: str,
    scene_motion: bool,
    final_only: bool,
    split: str,
    samples: int | None,
    device: str,
    machine: str,
    **values: Any,
) -> None:
    """Train all heads and write the comparison; the same command goes on with the runs that are missing."""
    config = PredictorConfig(backbone, trajectory=not final_only, scene_motion=scene_motion)
    base = settings_from(PredictorTraining, values, config=config)
    if base.minutes is None and base.steps is None:
        raise BadInput("Say how long each run lasts: --minutes M, --steps S, or both.")
    runs = run_study(out, base, heads=heads.split(","), split=split, samples=samples, device=device)
    text = markdown(runs, base, f"python -m benchmarks.study_heads {shlex.join(sys.argv[1:])}", machine)
    write_whole(out / "study.md", text.encode())
    click.echo(text)


if __name__ == "__main__":
    sys.exit(run_command(main, "python -m benchmarks.study_heads", None))
