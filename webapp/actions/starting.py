"""Starting jobs: what pages and API share between a request and the queue."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from model.convert.plan import sampled_count
from model.convert.settings import ConvertSettings, with_weights
from model.core.errors import BadInput
from model.datasets.index import DatasetIndex, SampleFilter
from model.tracking.estimate import Paces, Plan
from model.tracking.methods import check_method, find_method
from model.weights.registry import find_entry
from webapp.actions.runs import check_there, chosen_weights
from webapp.core.settings import Settings
from webapp.rows.records import Clip, Job

HELD_OUT = 0.1
"""The share of the clips that go to each of the splits validation and test."""

SHARD_SAMPLES = 32
"""Chunks of a shard: what a kill can cost; a set of a person is small."""

UNKNOWN_SECONDS = 30.0
"""What a job is expected to take of which nothing is known before it has begun."""

FEATURE_SECONDS, VIEWS = 0.5, 2
"""What a backbone about takes for a view of a sample, and how many views each has."""


class NameTaken(BadInput):
    """Something else has this name."""


@contextmanager
def claimed(parent: Path, name: str) -> Iterator[None]:
    """Make the folder `name` of a job that is being submitted, which is not there yet; an error removes it.

    Raises BadInput for a name that cannot be one, NameTaken where there is such a folder.
    """
    if not re.fullmatch(r"\w[\w .-]{0,59}", name):
        raise BadInput(
            "The name must be 1 to 60 letters, digits, spaces, dots, dashes or underscores, and begin with a "
            "letter or digit."
        )
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / name
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise NameTaken(f"The name “{name}” is taken; choose another one.") from error
    try:
        yield
    except BaseException:
        folder.rmdir()
        raise


def prepare_conversion(
    kind: str, name: str, clips: Sequence[Clip], values: Mapping[str, Any], settings: Settings
) -> Job:
    """Check a conversion and return the job to submit.

    kind: "convert", or "estimate" to convert a few chunks only. values: of `ConvertSettings`, as far as they
    are given; without shares for validation and test each gets about a tenth of the clips.
    Raises BadInput for what cannot be converted.
    """
    for clip in clips:
        check_there(clip)
        if clip.frames < 2:
            raise BadInput(f"“{clip.name}” is a single picture; training sets are made of videos.")
    method = values["method"]
    if find_method(method).from_one_image:
        raise BadInput(f"The method {method} predicts; training sets are made by one that tracks.")
    weights = chosen_weights(method, values.get("weights"), settings)
    converting = with_weights(
        {**_splits(clips), "shard_samples": SHARD_SAMPLES, **values, "weights": weights}
    )
    return Job(
        kind=kind,
        name=name,
        settings={"clips": [clip.id for clip in clips], "convert": asdict(converting)},
        seconds=_tracking_seconds(clips, converting, settings) if kind == "convert" else UNKNOWN_SECONDS,
    )


def prepare_training(name: str, dataset: DatasetIndex, values: Mapping[str, Any], settings: Settings) -> Job:
    """Check the fine-tuning of a predictor on a training set and return the job to submit.

    values: minutes, steps, scene_motion, and weights, whose backbone it begins with.
    Raises NameTaken, and BadInput for what cannot be trained.
    """
    summary, title = dataset.summary, PurePosixPath(dataset.folder.url).name
    if find_entry(name) or name == Path(settings.predictor_weights or "").stem:
        raise NameTaken(f"The name “{name}” is that of installed weights; choose another one.")
    if not summary.is_complete:
        raise BadInput(f"The data set “{title}” is not complete; finish its conversion first.")
    for split in ("train", "validation"):
        if not summary.samples(split):
            raise BadInput(f"The data set “{title}” has no samples for {split}; make one of more clips.")
        if values["scene_motion"] and not len(dataset.select(SampleFilter(split=split, with_camera=True))):
            raise BadInput(
                f"In no sample for {split} of the data set “{title}” is the camera known; learn motion as "
                "filmed."
            )
    if values["minutes"] is None and values["steps"] is None:
        raise BadInput("Say when the training ends: after minutes, steps, or both.")
    weights = chosen_weights("fcn", values["weights"], settings)
    check_method("fcn", weights)
    looking = FEATURE_SECONDS * (VIEWS * summary.samples("train") + summary.samples("validation"))
    seconds = looking + 60 * (values["minutes"] or 1)
    return Job(
        kind="train",
        name=name,
        settings={**values, "dataset": title, "weights": weights, "looking": looking / seconds},
        seconds=seconds,
    )


def prepare_segmentation(clip: Clip, frame: int) -> Job:
    """Check the segmentation of a frame and return the job to submit."""
    check_there(clip)
    if frame >= clip.frames:
        raise BadInput(f"The clip has the frames 0 to {clip.frames - 1}, but no frame {frame}.")
    settings = {"clip": clip.id, "frame": frame}
    return Job(kind="segment", name=clip.name[:64], settings=settings, seconds=UNKNOWN_SECONDS)


def _splits(clips: Sequence[Clip]) -> dict[str, float]:
    """Choose shares by which the first of the clips, in the order of `split_of`, are for test and validation.

    Of two or more at least one is for validation, so that a predictor can be trained.
    """
    places = sorted({int(clip.sha256[:12], 16) / 16**12 for clip in clips})
    tests = round(HELD_OUT * len(places))
    held_out = min(len(places) - 1, tests + max(1, round(HELD_OUT * len(places))))
    bounds = [0.0, *((a + b) / 2 for a, b in pairwise(places))]
    return {"test": bounds[tests], "validation": bounds[held_out] - bounds[tests]}


def _tracking_seconds(clips: Sequence[Clip], converting: ConvertSettings, settings: Settings) -> float:
    """Say about how long tracking all of the clips takes, going by the runs here."""
    paces, method, weights = Paces(settings.instance), converting.method, converting.weights
    return sum(
        paces.estimate(
            Plan(
                method,
                weights,
                converting.grid**2,
                sampled_count(clip.frames, clip.fps, converting),
                (clip.height, clip.width),
                settings.device,
            )
        ).seconds
        for clip in clips
    )
