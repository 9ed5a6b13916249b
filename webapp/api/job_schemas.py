"""The JSON of jobs: conversions of clips, and what comes out of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import url_for
from marshmallow import Schema, fields, validate

from model.convert.settings import LONGEST_HORIZON
from model.motion.grid import LARGEST_GRID
from model.tracking.methods import DEFAULT_METHOD, method_title
from webapp.actions.backend import Backend
from webapp.api.fields import (
    BodySchema,
    QuerySchema,
    asked_boolean,
    asked_choice,
    asked_integer,
    asked_line,
    asked_number,
    asked_text,
    list_of,
    shown,
    text,
)
from webapp.api.schemas import WorkSchema, waiting_json
from webapp.files.predictors import predictor_path
from webapp.jobs.kinds import KINDS
from webapp.rows.records import Job, RunState

MOST_CLIPS = 500


class JobListQuery(QuerySchema):
    """Which jobs are wanted, the newest first."""

    limit = asked_integer("limit", 1, largest=500, load_default=100)
    offset = asked_integer("offset", 0, load_default=0)
    kind = asked_choice("kind", list(KINDS), load_default=None)
    name = asked_text("name", "only jobs of this name", load_default=None)


class RemovalQuery(QuerySchema):
    """Whether a job is to be removed."""

    remove = asked_boolean("remove", "with its training set, predictor or picture", load_default=False)


class EstimateBody(BodySchema):
    """Which clips would become a training set, and how; as `python -m model convert` has it."""

    clips = fields.List(
        asked_text("clip"),
        required=True,
        validate=validate.Length(1, MOST_CLIPS, error=f"Choose 1 to {MOST_CLIPS} clips."),
        error_messages={"required": "The clips are missing.", "invalid": "The clips must be a list of ids."},
        metadata={"description": "ids of clips, each a video"},
    )
    method = asked_text("method", "name from GET /methods of one that tracks", load_default=DEFAULT_METHOD)
    weights = asked_text("weights", "registered name", load_default=None, allow_none=True)
    grid = asked_integer("grid", 1, "points a side", largest=LARGEST_GRID, load_default=16)
    horizon = asked_integer("horizon", 2, "frames of a sample", largest=LONGEST_HORIZON, load_default=8)
    frame_step = asked_integer("frame step", 1, "take every k-th frame", load_default=1)
    interval = asked_number(
        "interval", "instead: seconds from one frame to the next", load_default=None, allow_none=True
    )
    chunk_step = asked_integer("chunk step", 1, "take every k-th chunk", load_default=1)


class ConversionBody(EstimateBody):
    """Which clips become a training set, and how."""

    name = asked_line("name", 60, required=True)


class TrainingBody(BodySchema):
    """How a predictor is trained; it ends with the minutes or the steps, whichever comes first."""

    name = asked_line("name", 60, required=True)
    minutes = asked_number("minutes", largest=10_000, load_default=None, allow_none=True)
    steps = asked_integer("steps", 1, load_default=None, allow_none=True)
    scene_motion = asked_boolean(
        "scene_motion", "learn motion with the camera's taken out, else as filmed", load_default=True
    )
    weights = asked_text(
        "weights", "of the predictor whose backbone it begins with", load_default=None, allow_none=True
    )


class SegmentationBody(BodySchema):
    """Which frame is segmented."""

    frame = asked_integer("frame", 0, load_default=0)


class JobSchema(WorkSchema):
    """A job, from the request to its result."""

    kind = text(validate=validate.OneOf(list(KINDS)))
    title = text("the kind for people")
    name = text("of the training set, the predictor or the clip")
    weights = text("of a training: what predictions take as weights, once they can", null=True)
    settings = shown(fields.Dict, "as asked for")
    error = text("why it failed", null=True)
    result = shown(fields.Dict, "of an estimate or a segmentation", null=True)
    links = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "self, page; clip, dataset, log, picture where there is one"},
    )


JobListSchema = list_of(JobSchema, "Jobs, the newest first.")


class LogSchema(Schema):
    """The course of a training."""

    rows = fields.List(
        fields.Dict(keys=fields.String(), values=fields.Float()),
        metadata={
            "description": "step, seconds, rate, losses in pixels, and scores; what a row lacks is left out"
        },
    )


def job_json(backend: Backend, job: Job, places: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return a job as `JobSchema` shows it. places: those of all that wait, for a list."""
    special = {
        "title": KINDS[job.kind].title,
        "weights": _weights(backend, job),
        "settings": _settings(job),
        **waiting_json(backend, job, places),
        "links": _links(backend, job),
    }
    return {name: special[name] if name in special else getattr(job, name) for name in JobSchema().fields}


def _settings(job: Job) -> dict[str, Any]:
    """Return what was asked for; of weights the file's name alone, since a path is for the operator."""
    flat = {**job.settings, **job.settings.get("convert", {})}
    for inside in ("convert", "looking"):
        flat.pop(inside, None)
    if "method" in flat:
        flat["method_title"] = method_title(flat["method"])
    if "weights" in flat:
        flat["weights"] = flat["weights"] and Path(flat["weights"]).name
    return flat


def _weights(backend: Backend, job: Job) -> str | None:
    path = predictor_path(backend.settings, job.name)
    return path.name if job.kind == "train" and path.is_file() else None


def _links(backend: Backend, job: Job) -> dict[str, str]:
    links = {
        "self": url_for("jobs.job", job_id=job.id),
        "page": url_for("pages.job", job_id=job.id),
    }
    dataset = job.settings.get("dataset", job.name)
    if dataset in backend.datasets.names():
        links["dataset"] = url_for("pages.dataset", name=dataset)
    if "clip" in job.settings:
        links["clip"] = url_for("pages.clip", clip_id=job.settings["clip"])
    if job.kind == "segment" and job.state == RunState.DONE:
        links["picture"] = url_for("jobs.job_picture", job_id=job.id)
    if job.kind == "train":
        links["log"] = url_for("jobs.job_log", job_id=job.id)
    return links
