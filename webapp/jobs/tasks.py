"""What a worker runs. A run starts over and overwrites its files when it is run again."""

from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from model.clips.video import read_frame
from model.core.jpeg import jpeg
from model.core.progress import Progress, Watch, raise_if_stopped
from model.tracking.estimate import Paces, Stopwatch
from model.tracking.methods import tracker_name
from model.tracking.run import track_file
from model.tracking.tracker import Tracker
from webapp.core.settings import Settings
from webapp.files.provenance import about
from webapp.jobs.estimates import plan_of
from webapp.jobs.execution import JobContext, execute
from webapp.jobs.kinds import KINDS
from webapp.jobs.partials import PartialWriter
from webapp.rows.database import Database
from webapp.rows.records import Job, Run


def track(run_id: str) -> None:
    """Track a run's clip and store `tracks.npz` and the frames.

    The frames tracked so far are stored now and then, for the case that the run is cancelled.
    """
    execute(Run, run_id, _track)


def predict(run_id: str) -> None:
    """Predict from a run's first frame and store `tracks.npz`, a prediction's, and that frame."""
    execute(Run, run_id, _predict)


def work(job_id: str) -> None:
    """Do a job by its kind; it goes on from the files that an earlier attempt has left."""
    with Database(Settings.from_environment().database) as database:
        job = database.find(Job, job_id)
    if job is not None:
        module, name = KINDS[job.kind].task.split(":")
        # Here, not above: some import torch, which the others need not wait for.
        execute(Job, job_id, getattr(import_module(module), name))


def _track(context: JobContext[Run]) -> None:
    run, plan = context.work, plan_of(context.settings, context.work)
    stopwatch = Stopwatch()
    tracker = Tracker.load(tracker_name(run.method, run.weights), device=context.settings.device)
    stopwatch.lap("start")

    def keep_frame(position: int, frame: NDArray[np.uint8]) -> None:
        _keep_frame(context, position, frame)
        stopwatch.lap("frame")

    remarks: list[str] = []
    writer = PartialWriter(context.database, context.storage, run, context.scratch)
    with context.storage.local_copy(run.clip.key) as clip:
        for partial in track_file(
            clip,
            tracker,
            run.request,
            Watch(stopwatch.timing(context.report), context.is_over, say=remarks.append),
            on_frame=keep_frame,
            info=run.clip.info,
        ):
            writer.write(partial)
    tracks = partial.tracks()
    if remarks:
        context.report.is_over = not context.database.update_running(
            run, frames=len(tracks.frames), error=" ".join(remarks)
        )
    tracks.save(context.scratch / "tracks.npz", about=about(run, tracks))
    context.storage.move_in(context.scratch / "tracks.npz", run.result_key)
    Paces(context.settings.instance).add(plan, stopwatch.pace(plan))


def _predict(context: JobContext[Run]) -> None:
    # Here, not above: it imports torch, which the methods without a network need not wait for.
    from model.prediction.predictor import Predictor  # noqa: PLC0415 - imports torch

    run, plan = context.work, plan_of(context.settings, context.work)
    stopwatch = Stopwatch()

    def begin(stage: str, done: int) -> None:
        context.report(Progress(stage, done, 3))
        raise_if_stopped(context.is_over)

    begin("loading weights", 0)
    predictor = Predictor.load(run.weights or "predictor", context.settings.device)
    with context.storage.local_copy(run.clip.key) as clip:
        image = read_frame(clip, run.start)
    _keep_frame(context, 0, image)
    begin("predicting", 1)
    prediction = predictor.predict_all(image, run.request.grid, frame=run.start, fps=run.clip.fps)
    begin("storing", 2)
    prediction.save(context.scratch / "tracks.npz", about(run, prediction.tracks))
    context.storage.move_in(context.scratch / "tracks.npz", run.result_key)
    stopwatch.lap("start")  # neither frames nor points matter
    Paces(context.settings.instance).add(plan, stopwatch.pace(plan))


def _keep_frame(context: JobContext[Run], position: int, frame: NDArray[np.uint8]) -> None:
    context.storage.require_free()
    picture = context.scratch / "frame.jpg"
    picture.write_bytes(jpeg(frame))
    context.storage.move_in(picture, context.work.picture_key(position))
