"""Which layers of a segmentation network to replace: five heads, frozen and fine-tuned, on one budget."""

import csv
import json
import multiprocessing
import os
import resource
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from model.evaluate_predictor.run import evaluate_predictors
from model.predictor.config import HEADS
from model.predictor.predict import Predictor
from model.progress import (
    Progress,
    ReportProgress,
    ShouldStop,
    ignore_progress,
    never_stop,
    raise_if_stopped,
)
from model.training.fit_predictor import WEIGHTS, fit_predictor
from model.training.predictor_settings import PredictorTraining

TUNED_FROM = 0.5
"""The share of a fine-tuned run's budget after which the backbone learns too."""

_COLUMNS = (
    *("Head", "Backbone", "EPE moving", "EPE", "cosine", "best of K", "weights of the head"),
    *("steps", "s a step", "MB"),
)


@dataclass(frozen=True)
class StudyRun:
    """One line of the study; lengths in pixels of a 256-high image, on the test samples of all sets.

    tuned: whether the backbone learned too. head_weights: of the head alone. seconds_a_step: of training, the
    computing of kept features left out. memory: peak of the process or the GPU, in MB.
    """

    head: str
    tuned: bool
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
    heads: Sequence[str] = HEADS,
    samples: int | None = None,
    device: str = "auto",
    apart: bool = True,
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> list[StudyRun]:
    """Train and measure every head, frozen and fine-tuned.

    base: data, budget and all else; its head and its frozen share are replaced. samples: to measure, of each
    set. apart: each run in a process of its own, so that its peak of memory is its own. Runs that are in
    `out` already are not done again. Raises Stopped between runs.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted = [(head, tuned) for head in heads for tuned in (False, True)]
    runs = []
    for done, (head, tuned) in enumerate(wanted):
        raise_if_stopped(should_stop)
        progress(Progress(f"{head}, {'fine-tuned' if tuned else 'frozen'}", done, len(wanted)))
        folder = out / f"{head}-{'tuned' if tuned else 'frozen'}"
        finished = folder / "result.json"
        if not finished.exists():
            training = replace(
                base, config=replace(base.config, head=head), frozen=TUNED_FROM if tuned else 1.0
            )
            arguments = (folder, training, out / "features", samples, device)
            run = _run_apart(arguments) if apart else _run(*arguments)
            temporary = finished.with_suffix(".part")
            temporary.write_text(json.dumps(asdict(run)))
            os.replace(temporary, finished)
        runs.append(StudyRun(**json.loads(finished.read_text())))
    progress(Progress("finished", len(wanted), len(wanted)))
    return runs


def _run_apart(arguments: tuple[Path, PredictorTraining, Path, int | None, str]) -> StudyRun:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_run, *arguments).result()


def _run(
    folder: Path, training: PredictorTraining, features: Path, samples: int | None, device: str
) -> StudyRun:
    resume = (folder / "checkpoint.pt").exists()
    fit_predictor(folder, training, resume=resume, device=device, features=features, progress=ignore_progress)
    memory = _peak_memory()  # before the evaluation, which needs other things
    with (folder / "runs.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    predictor = Predictor.load(folder / WEIGHTS, device)
    results = evaluate_predictors(
        list(training.data),
        {(training.config.head, ""): predictor},
        most=samples,
        neighbours=0,
        progress=ignore_progress,
        should_stop=never_stop,
    )
    metrics = [result.methods[-1].metrics for result in results]

    def mean(name: str, weight: str) -> float:
        counts = [getattr(each, weight) for each in metrics]
        known = [(getattr(m, name), c) for m, c in zip(metrics, counts, strict=True) if c]
        total = sum(value * count for value, count in known)
        return float(total / max(1, sum(count for _, count in known)))

    return StudyRun(
        training.config.head,
        training.frozen < 1,
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


def markdown(runs: Sequence[StudyRun], command: str, machine: str) -> str:
    """Write the study as a page: the table, and the answer that follows from it.

    command: that made it. machine: on which.
    """
    lines = [
        "# Which layer to replace",
        "",
        f"Made by `{command}` on {machine}. The same data and the same budget for every run; lengths in "
        "pixels of a 256-high image, on held-out samples; frozen: the backbone keeps its weights; "
        f"fine-tuned: it learns too, after {TUNED_FROM:.0%} of the budget.",
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
    return "\n".join([*lines, "", "## The whole classifier, or only classifier[4]?", "", answer(runs), ""])


def answer(runs: Sequence[StudyRun]) -> str:
    """Say in plain words which of `last` (only classifier[4]) and `fcn` (the whole classifier) is better."""
    sentences = []
    for tuned in (False, True):
        found = {run.head: run for run in runs if run.tuned == tuned}
        if "last" not in found or "fcn" not in found:
            continue
        last, whole = found["last"].epe_moving, found["fcn"].epe_moving
        way = "With a fine-tuned backbone" if tuned else "With a frozen backbone"
        change = 100 * (last - whole) / last if last else 0.0
        if abs(change) < 3:
            sentences.append(f"{way} it makes no difference ({last:.2f} against {whole:.2f} px).")
        elif change > 0:
            sentences.append(
                f"{way} the whole classifier is {change:.0f} % better ({whole:.2f} against {last:.2f} px)."
            )
        else:
            sentences.append(
                f"{way} replacing only classifier[4] is {-change:.0f} % better "
                f"({last:.2f} against {whole:.2f} px)."
            )
    if runs:
        best = min(runs, key=lambda run: run.epe_moving)
        state = "fine-tuned" if best.tuned else "frozen"
        sentences.append(f"The best of all is {best.head} ({state}): {best.epe_moving:.2f} px.")
    return " ".join(sentences)
