"""Training a predictor on training sets, for a time or a number of steps, in pieces if need be.

First the backbone is frozen and the head learns from features that were computed once; then, if asked, all
weights learn from fresh views, the backbone at a lower rate.
"""

import os
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from model.core.devices import find_device
from model.core.errors import BadInput
from model.core.files import atomic_path
from model.core.progress import Progress, ReportProgress, ShouldStop, ignore_progress, never_stop
from model.prediction.backbones import find_backbone
from model.prediction.heads import find_head
from model.prediction.pretrained import Initial, initial_weights
from model.training.log import TrainingLog, write_rows
from model.training.plot import write_plot
from model.training.predictors.data import PredictorSet, batch_indices
from model.training.predictors.examples import Example, stack
from model.training.predictors.export import write_weights
from model.training.predictors.feature_cache import FeatureCache, open_features
from model.training.predictors.learner import PredictorLearner
from model.training.predictors.settings import PredictorTraining
from model.training.predictors.validation import PredictorScore, score_cached

CHECKPOINT, WEIGHTS, LOG, PLOT, RUNS = (
    "checkpoint.pt",
    "weights.safetensors",
    "log.csv",
    "log.html",
    "runs.csv",
)
PANELS = {
    "Training losses": ("nearest", "error"),
    "Log likelihood": ("likelihood", "held_out_likelihood"),
    "Held-out error, pixels of a 256-high image": ("epe_moving", "epe", "nearest_epe"),
    "Held-out direction and coverage": ("cosine", "coverage"),
}


def fit_predictor(
    out: Path,
    settings: PredictorTraining,
    *,
    resume: bool = False,
    device: str = "auto",
    features: Path | None = None,
    progress: ReportProgress,
    should_stop: ShouldStop = never_stop,
) -> PredictorScore:
    """Train, and leave weights, checkpoint, log and plot in the folder `out`.

    `weights.safetensors` holds the averaged weights of the best validation so far (float16), `checkpoint.pt`
    what is needed to go on, `log.csv` a line for each validation and for every 20 steps, `log.html` its plot,
    `runs.csv` one line that sums the run up.
    resume: go on from the checkpoint in `out`, with the settings of the checkpoint, as if there had been no
        break.
    features: where the backbone's features are kept, for other runs with the same backbone and data too; by
        default `out/features`.
    progress: called with the stage and the share of the work done; by one process only.
    should_stop: polled after each step; then a checkpoint is written, from which `resume` goes on.
    Returns the last validation. Several processes under torchrun share the work.
    Raises BadInput for settings or data that cannot be used, or when `out` holds another training.
    """
    if not resume and settings.minutes is None and settings.steps is None:
        raise BadInput("Say when the training ends: --minutes M, --steps S, or both.")
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise BadInput(f"{out} holds a training already; go on with --resume, or give another folder.")
    if resume and not checkpoint.exists():
        raise BadInput(f"{out} holds no checkpoint to go on from; leave --resume out.")
    out.mkdir(parents=True, exist_ok=True)
    fabric = _fabric(find_device(device))
    progress = progress if fabric.is_global_zero else ignore_progress
    state = torch.load(checkpoint, map_location=fabric.device, weights_only=True) if resume else None
    if state is not None:
        settings = PredictorTraining.from_json(state["settings"])
    find_backbone(settings.config.backbone), find_head(settings.config.head)  # before anything is downloaded
    initial = initial_weights(settings.start_from, settings.config.backbone, progress=progress)
    if initial is not None:
        settings = replace(settings, config=replace(settings.config, strides=initial.strides))
    learner = PredictorLearner(settings, initial, fabric)
    if state is not None:
        learner.restore(state)
    return _train(out, learner, initial, features or out / "features", progress, should_stop)


def _train(
    out: Path,
    learner: PredictorLearner,
    initial: Initial | None,
    features: Path,
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> PredictorScore:
    settings, fabric = learner.settings, learner.fabric
    train = PredictorSet.open(settings.data, "train", settings.config, settings.size, views=settings.views)
    unseen = PredictorSet.open(
        settings.data, "validation", settings.config, settings.size, most=settings.validation
    )

    def keep(examples: PredictorSet) -> FeatureCache:
        with fabric.rank_zero_first():  # the others find them computed
            return _keep_features(learner, initial, examples, features, progress, should_stop)

    kept = keep(train) if learner.is_frozen else None
    targets: dict[int, Example] = {}
    held_out = [unseen.view(number) for number in range(len(unseen))]
    held_features = keep(unseen) if settings.frozen == 1 else None
    log = _log(out, learner) if fabric.is_global_zero else None
    last_score = PredictorScore.unknown()

    def check() -> PredictorScore:
        learner.average.exchange(learner.network)
        # One process measures for all, so that they agree: each has its own statistics of batch norm.
        score: PredictorScore = fabric.broadcast(
            score_cached(learner.network, held_out, held_features, settings.size)
            if fabric.is_global_zero
            else PredictorScore.unknown()
        )
        # Not by the error of the single answer: "nothing moves" is hard to beat while little is learned.
        fit = score.held_out_likelihood if learner.network.hypotheses > 1 else -score.epe
        if fit > learner.best:
            learner.best, learner.best_step, learner.worse = fit, learner.step, 0
            if fabric.is_global_zero:
                write_weights(out / WEIGHTS, learner.network, settings, score)
        else:
            learner.worse += 1
        learner.average.exchange(learner.network)
        if log is not None:
            log.validation(learner, score)
            write_plot(out / LOG, out / PLOT, PANELS)
            with atomic_path(out / CHECKPOINT) as temporary:
                torch.save(learner.state(), temporary)
        return score

    saved_at, last = learner.seconds, time.perf_counter()
    is_over = learner.share >= 1
    while not is_over:
        if learner.is_frozen and learner.share >= settings.frozen:
            learner.unfreeze()
        numbers = batch_indices(
            learner.step, settings.batch, len(train), settings.seed, fabric.global_rank, fabric.world_size
        )
        batch, maps = _batch(learner, train, kept, targets, numbers)
        losses = learner.learn(batch, maps)
        now = time.perf_counter()
        learner.seconds, asked = _largest(fabric, learner.seconds + now - last, float(should_stop()))
        speed = (now - last) / settings.batch
        last = now
        if log is not None:
            log.step(learner, (losses.likelihood, losses.nearest, losses.error))
        progress(
            Progress(
                f"step {learner.step}, error {float(losses.error):.2f} px, {speed:.2f} s/sample",
                100 * learner.share,
                100,
            )
        )
        is_over = learner.share >= 1 or asked > 0
        if is_over or learner.seconds - saved_at >= 60 * settings.save_minutes:
            saved_at = learner.seconds
            last_score = check()
            last = time.perf_counter()
            is_over = is_over or bool(settings.patience and learner.worse >= settings.patience)
    if log is not None:
        _write_run(out / RUNS, learner, last_score)
    return last_score


def _keep_features(
    learner: PredictorLearner,
    initial: Initial | None,
    examples: PredictorSet,
    folder: Path,
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> FeatureCache:
    """Compute the features that are missing, set by set: another set beside them leaves them as they are."""
    settings, config = learner.settings, learner.settings.config
    parts = []
    for part, views in enumerate(examples.views):
        description = {
            "network": [config.backbone, config.strides, config.camera, learner.network.head.reads],
            "weights": "random" if initial is None else initial.sha256,
            "seed": settings.seed if initial is None else 0,
            "size": settings.size,
            "views": views,
            "keys": examples.keys(part),
        }
        parts.append(
            open_features(
                folder,
                learner.network,
                description,
                [partial(examples.view, number) for number in examples.numbers(part)],
                progress=progress,
                should_stop=should_stop,
            )
        )
    return FeatureCache(tuple(parts))


def _batch(
    learner: PredictorLearner,
    train: PredictorSet,
    kept: FeatureCache | None,
    targets: dict[int, Example],
    numbers: list[int],
) -> tuple[Example, tuple[Tensor, ...] | None]:
    """Make a batch: of kept views while the backbone is frozen, of fresh ones of their samples afterwards."""
    device = learner.fabric.device
    if not learner.is_frozen or kept is None:
        fresh = stack([train.fresh_view(number, learner.step) for number in numbers])
        return Example(*(part.to(device) for part in fresh)), None
    for number in numbers:
        if number not in targets:
            # Pictures are not needed any more, and would not fit into memory.
            targets[number] = train.view(number)._replace(picture=torch.zeros(0))
    batch = stack([targets[number] for number in numbers])
    return Example(*(part.to(device) for part in batch)), kept.read(numbers, device)


def _fabric(device: torch.device) -> Fabric:
    """One process, or as many as torchrun started."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    devices: Any = local if local > 1 or device.index is None else [device.index]
    fabric = Fabric(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=devices if local > 1 or device.type == "cpu" else [device.index or 0],
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
    )
    fabric.launch()
    return fabric


def _largest(fabric: Fabric, *values: float) -> list[float]:
    """Return the largest of each value over all processes, which must do the same after the same step."""
    if fabric.world_size == 1:
        return list(values)
    mine = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    return [float(value) for value in torch.as_tensor(fabric.all_reduce(mine, reduce_op="max"))]


def _log(out: Path, learner: PredictorLearner) -> TrainingLog:
    losses = ("likelihood", "nearest", "error")
    return TrainingLog(out / LOG, learner.step, losses, PredictorScore, every=20, digits=4)


def _write_run(path: Path, learner: PredictorLearner, score: PredictorScore) -> None:
    """Sum the run up in one line, for a table of runs."""
    settings, config = learner.settings, learner.settings.config
    row = {
        "backbone": config.backbone,
        "head": config.head,
        "seed": settings.seed,
        "frozen": settings.frozen,
        "head_weights": sum(value.numel() for value in learner.network.head.parameters()),
        "weights": sum(value.numel() for value in learner.network.parameters()),
        "steps": learner.step,
        "seconds": round(learner.seconds, 1),
        "seconds_a_step": round(learner.seconds / max(1, learner.step), 4),
        "best_step": learner.best_step,
        "best": round(learner.best, 4),
        **{name: round(value, 4) for name, value in asdict(score).items()},
    }
    with atomic_path(path) as temporary:
        write_rows(temporary, list(row), [row])
