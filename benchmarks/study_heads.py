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
from model.evaluation.predictors.run import evaluate_predictors
from model.prediction.config import PredictorConfig
from model.prediction.heads import HEADS
from model.prediction.predictor import Predictor
from model.training.loop import WEIGHTS
from model.training.predictors.fit import fit_predictor
from model.training.predictors.settings import PredictorTraining

TUNED_FROM = 0.5
"""The share of a fine-tuned run's budget after which the backbone learns too."""

L1, L1_AND_DIRECTION = "mixture-l1", "mixture-l1-direction"
"""The layers of the mixture head with one hypothesis that learns by L1, without and with the direction term:
what the layers bring without the mixture. With a frozen backbone only."""

STUDIED = (*HEADS, L1, L1_AND_DIRECTION)
"""What `run_study` can train."""

_PAGE_WIDTH = 118
_COLUMNS = (
    *("Head", "Backbone", "EPE moving", "EPE", "cosine", "best of K", "weights of the head"),
    *("steps", "s a step", "MB"),
)


@dataclass(frozen=True)
class StudyRun:
    """One line of the study; lengths in pixels of a 256-high image, on the test samples of all sets.

    head: of `STUDIED`. tuned: whether the backbone learned too. zero_moving, cell_mean_moving: EPE on moving
    points of zero motion and of the mean of each grid cell. head_weights: of the head alone.
    seconds_a_step: of training, the computing of kept features left out. memory: peak of the process or the
    GPU, in MB.
    """

    head: str
    tuned: bool
    zero_moving: float
    cell_mean_moving: float
    epe_moving: float
    epe: float
    cosine: float
    min_epe_moving: float
    head_weights: int
    weights: int
    steps: int
    seconds_a_step: float
    memory: float


def run_study(
    out: Path,
    base: PredictorTraining,
    *,
    heads: Sequence[str] = STUDIED,
    samples: int | None = None,
    device: str = "auto",
    apart: bool = True,
) -> list[StudyRun]:
    """Train and measure every head, frozen and fine-tuned.

    base: data, budget and all else; its head and its frozen share are replaced. heads: of `STUDIED`.
    samples: to measure, of each set. apart: each run in a process of its own, so that its peak of memory is
    its own. Runs that are in `out` already are not done again.
    """
    runs = []
    wanted = [(head, tuned) for head in heads for tuned in (False, True) if head in HEADS or not tuned]
    for head, tuned in wanted:
        folder = out / f"{head}-{'tuned' if tuned else 'frozen'}"
        finished = folder / "result.json"
        if not finished.exists():
            training = replace(with_head(base, head), frozen=TUNED_FROM if tuned else 1.0)
            arguments = (head, folder, training, out / "features", samples, device)
            run = _run_apart(arguments) if apart else _run(*arguments)
            write_json(finished, asdict(run))
        runs.append(from_json(StudyRun, json.loads(finished.read_text()), f"{finished}"))
    return runs


def with_head(training: PredictorTraining, head: str) -> PredictorTraining:
    """Return the training of a head of `STUDIED`. Raises BadInput for another name."""
    if head not in (L1, L1_AND_DIRECTION):
        return replace(training, config=replace(training.config, head=head))
    config = replace(training.config, head="mixture", modes=1)
    return replace(training, config=config, direction=0.0 if head == L1 else training.direction)


def _run_apart(arguments: tuple[str, Path, PredictorTraining, Path, int | None, str]) -> StudyRun:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_run, *arguments).result()


def _run(
    head: str, folder: Path, training: PredictorTraining, features: Path, samples: int | None, device: str
) -> StudyRun:
    resume = (folder / "checkpoint.pt").exists()
    fit_predictor(folder, training, resume=resume, device=device, features=features)
    memory = _peak_memory()  # before the evaluation, which needs other things
    with (folder / "runs.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    predictor = Predictor.load(folder / WEIGHTS, device)
    results = evaluate_predictors(
        list(training.data),
        {(head, ""): predictor},
        most=samples,
        neighbours=0,
    )

    def mean(name: str, weight: str, method: str = head) -> float:
        metrics = [each.metrics for result in results for each in result.methods if each.name == method]
        counts = [getattr(each, weight) for each in metrics]
        known = [(getattr(m, name), c) for m, c in zip(metrics, counts, strict=True) if c]
        total = sum(value * count for value, count in known)
        return float(total / max(1, sum(count for _, count in known)))

    return StudyRun(
        head,
        training.frozen < 1,
        mean("epe_moving", "moving", "zero"),
        mean("epe_moving", "moving", "cell mean"),
        mean("epe_moving", "moving"),
        mean("epe", "points"),
        mean("cosine", "moving"),
        mean("min_epe_moving", "moving"),
        int(row["head_weights"]),
        int(row["weights"]),
        int(row["steps"]),
        float(row["seconds_a_step"]),
        memory,
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
            f"On {machine}. The same data and the same budget for every run; lengths in pixels of a 256-high "
            "image, on held-out samples; frozen: the backbone keeps its weights; fine-tuned: it learns too, "
            f"after {TUNED_FROM:.0%} of the budget. Begun with --start-from {base.start_from}: `last` keeps "
            "`classifier[0]` to `[3]` as published if that is `segmentation`, and else as they begin, at "
            "random. All learn by L1 but `mixture`, which learns by the likelihood of its hypotheses and by "
            "a direction term; "
            f"`{L1}` has the layers of `mixture`, one hypothesis and plain L1, `{L1_AND_DIRECTION}` the "
            "direction term as well.",
            _PAGE_WIDTH,
        ),
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"| --- | --- |{' ---: |' * (len(_COLUMNS) - 2)}",
    ]
    for run in sorted(runs, key=lambda each: each.epe_moving):
        figures = (
            *(run.head, "fine-tuned" if run.tuned else "frozen"),
            *(f"{run.epe_moving:.2f}", f"{run.epe:.2f}", f"{run.cosine:.3f}", f"{run.min_epe_moving:.2f}"),
            *(f"{run.head_weights / 1e6:.2f} M", f"{run.steps}"),
            *(f"{run.seconds_a_step:.3f}", f"{run.memory:.0f}"),
        )
        lines.append(f"| {' | '.join(figures)} |")
    if runs:
        lines += [
            "",
            f"On the same moving points zero motion has an EPE of {runs[0].zero_moving:.2f} px, the mean "
            f"motion of each grid cell one of {runs[0].cell_mean_moving:.2f} px.",
        ]
    heading = "## The whole classifier, or only classifier[4]?"
    return "\n".join([*lines, "", heading, "", fill(answer(runs), _PAGE_WIDTH), ""])


def answer(runs: Sequence[StudyRun]) -> str:
    """Say in plain words which of `last` (only classifier[4]) and `fcn` (the whole classifier) is better."""
    sentences = []
    for tuned in (False, True):
        found = {run.head: run.epe_moving for run in runs if run.tuned == tuned}
        way = "With a fine-tuned backbone" if tuned else "With a frozen backbone"
        if "last" in found and "fcn" in found:
            whole, last = "the whole classifier", "replacing only classifier[4]"
            sentences.append(f"{way}, {_better(found['fcn'], found['last'], whole, last)}")
        if "mixture" in found and L1 in found:
            likelihood, plain = "the mixture with its likelihood", "its layers with plain L1"
            sentences.append(f"{way}, {_better(found['mixture'], found[L1], likelihood, plain)}")
    if runs:
        best = min(runs, key=lambda run: run.epe_moving)
        state = "fine-tuned" if best.tuned else "frozen"
        sentences.append(f"The best of all is {best.head} ({state}): {best.epe_moving:.2f} px.")
    return " ".join(sentences)


def _better(one: float, other: float, its_name: str, other_name: str) -> str:
    """Say which of two errors is smaller and by how much; less than 3 % is no difference."""
    low, high = sorted((one, other))
    if high - low < 0.03 * high:
        return (
            f"it makes no difference whether it is {its_name} or {other_name} ({one:.2f} and {other:.2f} px)."
        )
    name = its_name if one < other else other_name
    return f"{name} is {100 * (high - low) / high:.0f} % better ({low:.2f} against {high:.2f} px)."


@click.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder for the runs and study.md."
)
@click.option("--heads", default=",".join(STUDIED), show_default=True)
@click.option("--backbone", default="fcn_resnet50", show_default=True, help="As in torchvision.")
@options_of(PredictorTraining, height=128, width=224, views=(1,))
@click.option("--samples", type=click.IntRange(1), help="To measure, of each set.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
@click.option("--machine", default="this machine", show_default=True, help="What the page says of it.")
def main(
    out: Path, heads: str, backbone: str, samples: int | None, device: str, machine: str, **values: Any
) -> None:
    """Train all heads and write the comparison; the same command goes on with the runs that are missing."""
    base = settings_from(PredictorTraining, values, config=PredictorConfig(backbone, trajectory=True))
    if base.minutes is None and base.steps is None:
        raise BadInput("Say how long each run lasts: --minutes M, --steps S, or both.")
    runs = run_study(out, base, heads=heads.split(","), samples=samples, device=device)
    text = markdown(runs, base, f"python -m benchmarks.study_heads {shlex.join(sys.argv[1:])}", machine)
    write_whole(out / "study.md", text.encode())
    click.echo(text)


if __name__ == "__main__":
    sys.exit(run_command(main, "python -m benchmarks.study_heads", None))
