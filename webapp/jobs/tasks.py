"""What a worker runs. A task starts over and overwrites its files when it is run again."""

import numpy as np
from numpy.typing import NDArray

from model.clips.video import read_frame
from model.core.progress import Progress, Watch, raise_if_stopped
from model.tracking.methods import tracker_name
from model.tracking.run import TrackRequest, track_file
from model.tracking.tracker import Tracker
from webapp.jobs.partials import PartialWriter
from webapp.jobs.running import Workplace, carry_out
from webapp.pictures import jpeg


def track(run_id: str) -> None:
    """Track a run's clip and store `tracks.npz` and the frames.

    The frames tracked so far are stored now and then, for the case that the run is cancelled.
    """
    carry_out(run_id, _track)


def predict(run_id: str) -> None:
    """Predict from a run's first frame and store `tracks.npz`, a prediction's, and that frame."""
    carry_out(run_id, _predict)


def _track(place: Workplace) -> None:
    run = place.run
    tracker = Tracker.load(tracker_name(run.method, run.weights), device=place.settings.device)
    request = TrackRequest(run.grid, run.start, run.frames, run.frame_step)
    watch = Watch(place.report, lambda: place.report.is_over)
    writer = PartialWriter(place.database, place.storage, run, place.scratch)
    with place.storage.local_copy(run.clip.key) as clip:
        for partial in track_file(
            clip,
            tracker,
            request,
            watch,
            on_frame=lambda position, frame: _keep_frame(place, position, frame),
        ):
            writer.write(partial)
    partial.tracks().save(place.scratch / "tracks.npz")
    place.storage.move_in(place.scratch / "tracks.npz", run.result_key)


def _predict(place: Workplace) -> None:
    # Here, not above: it imports torch, which the methods without a network need not wait for.
    from model.prediction.predictor import Predictor  # noqa: PLC0415 - imports torch

    run = place.run

    def begin(stage: str, done: int) -> None:
        place.report(Progress(stage, done, 3))
        raise_if_stopped(lambda: place.report.is_over)

    begin("loading weights", 0)
    predictor = Predictor.load(run.weights or "predictor", place.settings.device)
    with place.storage.local_copy(run.clip.key) as clip:
        image = read_frame(clip, run.start)
    _keep_frame(place, 0, image)
    begin("predicting", 1)
    prediction = predictor.predict_all(image, run.grid, frame=run.start, fps=run.clip.fps)
    begin("storing", 2)
    prediction.save(place.scratch / "tracks.npz")
    place.storage.move_in(place.scratch / "tracks.npz", run.result_key)


def _keep_frame(place: Workplace, position: int, frame: NDArray[np.uint8]) -> None:
    picture = place.scratch / "frame.jpg"
    picture.write_bytes(jpeg(frame))
    place.storage.move_in(picture, place.run.picture_key(position))
