"""A run's tracks drawn over its clip, as a job: made when first asked for, then kept beside the tracks."""

import tempfile
from itertools import repeat
from pathlib import Path

from model.clips.video import read_frame, read_frames
from model.core.errors import BadInput
from model.motion.tracks import Tracks
from model.overlay.render import without_camera, write_overlay
from webapp.records import Database, Run
from webapp.settings import Settings
from webapp.storage import Storage

PREDICTED_FPS = 4.0
"""Positions a second in the overlay of a prediction, which has few."""


def overlay_key(run: Run, kind: str, camera: str) -> str:
    """Return where the storage keeps an overlay of a run that has tracks.

    kind: "mp4" or "gif". camera: "filmed" or "removed"; a prediction is of the scene in any case.
    """
    return f"{run.folder}/{'overlay-camera-removed' if camera == 'removed' else 'overlay'}.{kind}"


def draw(run_id: str, kind: str, camera: str) -> None:
    """Draw an overlay and store it; see `overlay_key`.

    Raises BadInput when the clip or the tracks are gone from the storage, or the camera is not known.
    """
    settings = Settings.from_environment()
    storage = Storage.of(settings, is_patient=True)
    with Database(settings.database) as database:
        run = database.find(Run, run_id)
        if run is None or run.tracks_key is None:
            return  # deleted while the job waited
        try:
            _draw(storage, run, kind, camera, settings.temporary_folder)
        except FileNotFoundError as error:
            raise BadInput(
                "The run's clip or tracks are gone from the storage; upload and track it again."
            ) from error
        if database.find(Run, run_id) is None:
            storage.delete(run.folder)


def _draw(storage: Storage, run: Run, kind: str, camera: str, temporary_folder: Path) -> None:
    with (
        storage.local_copy(str(run.tracks_key)) as tracks_file,
        storage.local_copy(run.clip.key) as clip,
        tempfile.TemporaryDirectory(dir=temporary_folder, prefix="overlay-") as folder,
    ):
        drawn = Path(folder) / f"overlay.{kind}"
        tracks = Tracks.load(tracks_file)
        if run.is_prediction:
            still = repeat(read_frame(clip, run.start), len(tracks.frames))
            write_overlay(drawn, still, tracks, fps=PREDICTED_FPS)
        else:
            frames = read_frames(
                clip, start=int(tracks.frames[0]), step=run.frame_step, count=len(tracks.frames)
            )
            if camera == "removed":
                tracks, frames = tracks.scene_motion(), without_camera(frames, tracks)
            write_overlay(drawn, frames, tracks)
        storage.move_in(drawn, overlay_key(run, kind, camera))
