"""A run's tracks drawn over its clip: made when first asked for, then kept beside the tracks."""

import tempfile
from itertools import repeat
from pathlib import Path

from model.clips.video import read_frame, read_frames
from model.core.errors import BadInput
from model.motion.tracks import Tracks
from model.overlay.render import without_camera, write_overlay
from webapp.backend import Backend
from webapp.records import Run

PREDICTED_FPS = 4.0
"""Positions a second in the overlay of a prediction, which has few."""


def stored_overlay(backend: Backend, run: Run, kind: str, camera: str) -> str:
    """Return the storage key of an overlay of a run that has tracks, drawn now if it is not there yet.

    kind: "mp4" or "gif". camera: "filmed" or "removed"; a prediction is of the scene in any case.
    Raises BadInput when the clip or the tracks are gone from the storage, or the camera is not known.
    """
    storage = backend.storage
    name = "overlay-camera-removed" if camera == "removed" else "overlay"
    key = f"{run.folder}/{name}.{kind}"
    if storage.exists(key):
        return key
    try:
        with (
            storage.local_copy(str(run.tracks_key)) as tracks_file,
            storage.local_copy(run.clip.key) as clip,
            tempfile.TemporaryDirectory(dir=backend.settings.temporary_folder, prefix="overlay-") as folder,
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
            storage.move_in(drawn, key)
    except FileNotFoundError as error:
        raise BadInput(
            "The run's clip or tracks are gone from the storage; upload and track it again."
        ) from error
    return key
