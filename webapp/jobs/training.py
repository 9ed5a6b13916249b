"""Fine-tuning a predictor: what a worker does, as `python -m model train-predictor` does it."""

import shutil

from model.core.errors import BadInput
from model.core.progress import Progress, Watch
from model.datasets.folder import DataFolder
from model.datasets.summary import DatasetSummary
from model.prediction.config import PredictorConfig
from model.prediction.release import predictor_file, read_release
from model.training.loop import CHECKPOINT, WEIGHTS
from model.training.predictors.fit import fit_predictor
from model.training.predictors.settings import PredictorTraining
from webapp.files.predictors import predictor_path
from webapp.jobs.execution import JobContext
from webapp.rows.records import Job

SAVE_MINUTES = 1.0
"""Between checkpoints, each with a validation: what a kill can cost."""


def train(context: JobContext[Job]) -> None:
    """Train, or go on from the checkpoint; the best weights so far can then predict, also after a cancel."""
    target = predictor_path(context.settings, context.work.name)
    out, features = target.parent, target.parent / "features"
    share, done = context.work.settings["looking"], 0.0

    def report(progress: Progress) -> None:
        nonlocal done
        fraction = progress.fraction or 0.0
        is_looking = progress.stage == "computing features"
        # The validation's features come after those of the training, and are few.
        done = max(done, share * fraction if is_looking else share + (1 - share) * fraction)
        context.report(Progress(progress.stage, done, 1))
        context.storage.require_free()

    fit_predictor(
        out,
        _training(context),
        resume=(out / CHECKPOINT).exists(),
        device=context.settings.device,
        features=features,
        watch=Watch(report, context.is_over),
    )
    if not (out / WEIGHTS).exists():
        raise BadInput("The training made no use of what it saw: no validation could be measured.")
    target.unlink(missing_ok=True)
    target.hardlink_to(out / WEIGHTS)
    if not context.is_over():
        shutil.rmtree(features, ignore_errors=True)


def _training(context: JobContext[Job]) -> PredictorTraining:
    """Begin with the backbone of a predictor; images are as large as it was trained with."""
    asked = context.work.settings
    start = predictor_file(asked["weights"] or "predictor")
    release = read_release(start)
    data = context.settings.datasets / asked["dataset"]
    settings = DatasetSummary.load(DataFolder.open(data)).settings
    return PredictorTraining(
        config=PredictorConfig(
            backbone=release.config.backbone,
            grid=settings["grid"],
            horizon=settings["horizon"],
            scene_motion=asked["scene_motion"],
        ),
        data=(str(data),),
        start_from=str(start),
        height=release.use.height,
        width=release.use.width,
        minutes=asked["minutes"],
        steps=asked["steps"],
        save_minutes=SAVE_MINUTES,
    )
