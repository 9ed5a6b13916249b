"""A run's tracks drawn over its clip, as a job: made when first asked for, then kept beside the tracks."""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.clips.video import read_frame, read_frames
from model.core.errors import BadInput
from model.core.structure import from_json
from model.motion.prediction import Prediction
from model.motion.tracks import Tracks
from model.overlay.html import write_html
from model.overlay.look import Look
from model.overlay.render import without_camera, write_overlay
from webapp.core.settings import Settings
from webapp.files.provenance import about
from webapp.files.storage import Storage
from webapp.jobs.base import tell_progress
from webapp.rows.database import Database
from webapp.rows.records import Run

PREDICTED_FPS = 4.0
"""Positions a second in the overlay of a prediction, which has few."""

MOST_KEPT = 12
"""Overlays of a run with a look of their own that are kept; of more the oldest goes."""

MOST_FRAMES_IN_HTML = 1500

SECONDS_BETWEEN_REPORTS = 0.25


@dataclass(frozen=True)
class OverlayRequest:
    """Which overlay is wanted.

    camera: a prediction is of the scene in any case. hypothesis: the one of a prediction that is drawn; None:
    its single answer. view: for HTML, the viewer's address.
    """

    kind: Literal["mp4", "gif", "html"]
    camera: Literal["filmed", "removed"] = "filmed"
    hypothesis: int | None = None
    look: Look = field(default_factory=Look)
    view: str = ""

    @property
    def name(self) -> str:
        """The file's name; the same for the same request."""
        plain = f"overlay{'-camera-removed' if self.camera == 'removed' else ''}"
        if not self.is_special:
            return f"{plain}.{self.kind}"
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
        return f"{plain}-{digest}.{self.kind}"

    @property
    def is_special(self) -> bool:
        """Whether it has a look of its own."""
        return self != OverlayRequest(self.kind, self.camera)

    def check(self, tracks: Tracks, prediction: Prediction | None) -> None:
        """Raise BadInput when the tracks, as they are to be drawn, lack what is to be shown."""
        if self.kind == "html":
            if len(tracks.frames) > MOST_FRAMES_IN_HTML:
                raise BadInput(
                    f"An HTML file holds at most {MOST_FRAMES_IN_HTML:,} frames, and these tracks have "
                    f"{len(tracks.frames):,}; track a part, or save an MP4."
                )
            return
        count = 0 if prediction is None else len(prediction.hypotheses)
        if self.hypothesis is not None and self.hypothesis >= count:
            raise BadInput(f"There is no hypothesis {self.hypothesis}: the run has {count}, counted from 0.")
        self.look.check(tracks, None if prediction is None else prediction.moving)

    def key(self, run: Run) -> str:
        """Return where the storage keeps it, of a run that has tracks."""
        return f"{run.folder}/{self.name}"


def draw(run_id: str, values: Mapping[str, Any]) -> None:
    """Draw an overlay and store it. values: those of a `OverlayRequest`.

    Raises BadInput when the clip or the tracks are gone from the storage, or lack what is to be shown.
    """
    wanted = from_json(OverlayRequest, values, "the request for an overlay")
    settings = Settings.from_environment()
    storage = Storage.of(settings, is_patient=True)
    with Database(settings.database) as database:
        run = database.find(Run, run_id)
        if run is None or run.tracks_key is None:
            return  # deleted while the job waited
        storage.require_free()
        try:
            _draw(storage, run, wanted, settings.temporary_folder)
        except FileNotFoundError as error:
            raise BadInput(
                "The run's clip or tracks are gone from the storage; upload and track it again."
            ) from error
        if database.find(Run, run_id) is None:
            storage.delete(run.folder)


def _draw(storage: Storage, run: Run, wanted: OverlayRequest, temporary_folder: Path) -> None:
    with (
        storage.local_copy(str(run.tracks_key)) as tracks_file,
        storage.local_copy(run.clip.key) as clip,
        tempfile.TemporaryDirectory(dir=temporary_folder, prefix="overlay-") as folder,
    ):
        drawn = Path(folder) / wanted.name
        prediction = Prediction.load(tracks_file) if run.is_prediction else None
        tracks = Tracks.load(tracks_file) if prediction is None else prediction.tracks
        wanted.check(tracks, prediction)
        frames, facts = _frames(clip, run, tracks), about(run, tracks)
        if wanted.kind == "html":
            write_html(drawn, frames, tracks, prediction, view=wanted.view, about=facts)
        else:
            _write_film(drawn, frames, tracks, prediction, wanted, facts)
        storage.move_in(drawn, wanted.key(run))
    if wanted.is_special:
        _keep_few(storage, run, wanted.name)


def _frames(clip: Path, run: Run, tracks: Tracks) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames that are drawn on; the job tells how many of them are done."""
    count = len(tracks.frames)
    frames: Iterator[NDArray[np.uint8]]
    if run.is_prediction:
        frames = repeat(read_frame(clip, run.start), count)
    else:
        frames = read_frames(clip, start=int(tracks.frames[0]), step=run.frame_step, count=count)
    next_report = 0.0
    for done, frame in enumerate(frames):
        if time.monotonic() >= next_report:
            tell_progress(done / count)
            next_report = time.monotonic() + SECONDS_BETWEEN_REPORTS
        yield frame


def _write_film(
    path: Path,
    frames: Iterator[NDArray[np.uint8]],
    tracks: Tracks,
    prediction: Prediction | None,
    wanted: OverlayRequest,
    facts: Mapping[str, Any],
) -> None:
    facts = {**facts, "look": {"camera": wanted.camera, **asdict(wanted.look)}}
    chance = None if prediction is None else prediction.moving
    if prediction is not None and wanted.hypothesis is not None:
        tracks = replace(tracks, points=prediction.hypotheses[wanted.hypothesis])
    if wanted.camera == "removed" and prediction is None:
        tracks, frames = tracks.scene_motion(), without_camera(frames, tracks)
    fps = None if prediction is None else PREDICTED_FPS
    write_overlay(path, frames, tracks, fps=fps, look=wanted.look, chance=chance, about=facts)


def _keep_few(storage: Storage, run: Run, name: str) -> None:
    """Note an overlay with a look of its own, and remove the oldest of too many."""
    listed = f"{run.folder}/overlays.json"
    names: list[str] = []
    with suppress(FileNotFoundError), storage.local_copy(listed) as path:
        names = json.loads(path.read_text(encoding="utf-8"))
    names = [*(each for each in names if each != name), name]
    for old in names[:-MOST_KEPT]:
        storage.delete(f"{run.folder}/{old}")
    storage.write(listed, json.dumps(names[-MOST_KEPT:]).encode())
