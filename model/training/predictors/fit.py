"""Training a predictor on training sets, for a time or a number of steps, in pieces if need be."""

from dataclasses import asdict, replace
from pathlib import Path

from model.core.devices import find_device
from model.core.files import atomic_path
from model.core.progress import UNWATCHED, Watch, ignore_progress
from model.core.structure import from_json
from model.prediction.backbones import find_backbone
from model.prediction.heads import find_head
from model.prediction.network import MotionPredictor
from model.prediction.pretrained import initial_weights
from model.training.log import write_rows
from model.training.loop import CHECKPOINT, TrainingLoop, launch_fabric, open_checkpoint
from model.training.predictors.data import common_interval
from model.training.predictors.settings import PredictorTraining
from model.training.predictors.task import PredictorTask
from model.training.predictors.validation import PredictorScore

RUNS = "runs.csv"


def fit_predictor(
    out: Path,
    settings: PredictorTraining,
    *,
    resume: bool = False,
    device: str = "auto",
    features: Path | None = None,
    watch: Watch = UNWATCHED,
) -> PredictorScore:
    """Train, and leave weights, checkpoint, log and plot in the folder `out`.

    `weights.safetensors` holds the averaged weights of the best validation so far (float16), `checkpoint.pt`
    what is needed to go on, `log.csv` a line for each validation and for every 20 steps, `log.html` its plot,
    `runs.csv` one line that sums the run up.
    resume: go on from the checkpoint in `out`, with the settings of the checkpoint, as if there had been no
        break.
    features: where the backbone's features are kept, for other runs with the same backbone and data too; by
        default `out/features`.
    watch: told by one process what share of the work is done. When it asks for the end after a step, a
        checkpoint is written, from which `resume` goes on, and Stopped is not raised.
    Returns the last validation. Several processes under torchrun share the work.
    Raises BadInput for settings or data that cannot be used, or when `out` holds another training.
    """
    place = find_device(device)
    find_backbone(settings.config.backbone)  # before anything is downloaded
    find_head(settings.config.head)
    state = open_checkpoint(out, settings, place, resume=resume)
    if state is not None:
        settings = from_json(PredictorTraining, state["settings"], f"the settings in {out / CHECKPOINT}")
    else:
        interval = common_interval(settings.data)
        settings = replace(settings, config=replace(settings.config, interval=interval))
    fabric = launch_fabric(place)
    if not fabric.is_global_zero:
        watch = replace(watch, progress=ignore_progress)
    initial = initial_weights(settings.start_from, settings.config.backbone, progress=watch.progress)
    if initial is not None:
        settings = replace(settings, config=replace(settings.config, strides=initial.strides))
    task = PredictorTask(settings, initial, fabric, features or out / "features", watch)
    loop = TrainingLoop(out, task, fabric, state)
    score = loop.run(watch)
    if fabric.is_global_zero:
        _write_run(out / RUNS, task, loop, score)
    return score


def _write_run(
    path: Path,
    task: PredictorTask,
    loop: TrainingLoop[MotionPredictor, PredictorScore],
    score: PredictorScore,
) -> None:
    """Sum the run up in one line, for a table of runs."""
    settings, config = task.training, task.training.config
    row = {
        "backbone": config.backbone,
        "head": config.head,
        "seed": settings.seed,
        "frozen": settings.frozen,
        "head_weights": sum(value.numel() for value in task.network.head.parameters()),
        "weights": sum(value.numel() for value in task.network.parameters()),
        "steps": loop.step,
        "seconds": round(loop.seconds, 1),
        "seconds_a_step": round(loop.seconds / max(1, loop.step), 4),
        "best_step": loop.best_step,
        "best": round(loop.best, 4),
        **{name: round(value, 4) for name, value in asdict(score).items()},
    }
    with atomic_path(path) as temporary:
        write_rows(temporary, list(row), [row])
