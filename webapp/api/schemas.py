"""The JSON of clips, runs and methods: what goes in, checked with sentences, and what comes out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import url_for
from marshmallow import Schema, ValidationError, fields, post_load, validate

from model.motion.grid import LARGEST_GRID
from model.tracking.both_ways import DIRECTIONS
from model.tracking.methods import DEFAULT_METHOD, is_prediction, method_title
from webapp.actions.backend import Backend
from webapp.actions.history import ORDERS
from webapp.api.fields import (
    MOST_LISTED,
    BodySchema,
    QuerySchema,
    asked_boolean,
    asked_choice,
    asked_integer,
    asked_line,
    asked_points,
    asked_text,
    integer,
    list_of,
    number,
    shown,
    text,
)
from webapp.jobs.estimates import estimate_run
from webapp.rows.records import UNFINISHED, Job, Run, RunState

CLIP_KINDS = ("video", "image", "images")

SHORT = validate.Length(max=200, error="What is looked for must have at most 200 characters.")
"""Each word is looked for in every row."""


class ListQuery(QuerySchema):
    """How much of a list is wanted, which part of it, and in what order."""

    limit = asked_integer("limit", 1, largest=MOST_LISTED, load_default=100)
    offset = asked_integer("offset", 0, load_default=0)
    text = asked_text(
        "text", "words in names and tags, of a run's clip too", load_default=None, validate=SHORT
    )
    tag = asked_text("tag", "only what has this tag", load_default=None, validate=SHORT)
    days = asked_integer("days", 0, "only what is at most so old", largest=36500, load_default=None)
    sort = asked_choice("sort", ORDERS, load_default=ORDERS[0])
    deleted = fields.Boolean(
        load_default=False, metadata={"description": "what is in the bin, and only that"}
    )


class ClipListQuery(ListQuery):
    """Which clips are wanted."""

    kind = asked_choice("kind", CLIP_KINDS, load_default=None)


class RunListQuery(ListQuery):
    """Which runs are wanted."""

    clip_id = asked_text("clip", "only runs of this clip", load_default=None, data_key="clip")
    method = asked_text("method", "only runs of this method", load_default=None)
    state = asked_choice("state", list(RunState), load_default=None)


class ClipChange(BodySchema):
    """What is to be another way; what is left out stays."""

    name = asked_line("name", 255)
    tags = fields.List(
        asked_line("tag", 40),
        validate=validate.Length(max=20, error="The tags must be at most 20."),
        error_messages={"invalid": "The tags must be a list of texts.", "null": "The tags must not be null."},
    )
    deleted = asked_boolean("deleted", "true: into the bin; false: back from it")


class RunChange(ClipChange):
    """What is to be another way; what is left out stays."""

    name = asked_line("name", 255, least=0)


class CameraQuery(QuerySchema):
    """Which motion is wanted: as filmed, or with the camera's taken out, over the first frame."""

    camera = asked_choice("camera", ("filmed", "removed"), load_default="filmed")


class RunFigureQuery(CameraQuery):
    """What a run's figure should hold."""

    until = asked_integer(
        "last frame",
        0,
        "the clip's frame to end with; the points are then marked where they end",
        load_default=None,
    )


class RunBody(BodySchema):
    """What to track, or to predict: a method that is `from_one_image` looks at the first frame alone."""

    clip = asked_text("clip", "id of an uploaded clip", required=True)
    method = asked_text("method", "name from GET /methods", load_default=DEFAULT_METHOD)
    weights = asked_text("weights", "registered name", load_default=None, allow_none=True)
    grid = asked_integer("grid", 1, "points a side", largest=LARGEST_GRID, load_default=16)
    points = asked_points(
        "points", "[x, y] of each, in pixels of the query frame, in place of a grid; not for a prediction"
    )
    start = asked_integer("first frame", 0, load_default=0)
    frame = asked_integer(
        "query frame",
        0,
        "in which the points are given; null: the first one",
        load_default=None,
        allow_none=True,
    )
    direction = asked_choice("direction", DIRECTIONS, load_default="forward")
    frames = asked_integer(
        "number of frames",
        2,
        "in each direction, with the query frame; null: to the end; more than there are: cut; a prediction's "
        "weights say how many frames it speaks of, and this does not matter",
        load_default=8,
        allow_none=True,
    )
    frame_step = asked_integer("frame step", 1, "1 for a prediction", load_default=1)

    @post_load
    def name_the_start(self, body: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Take the query frame, where it is given, for the start; the direction says what else is tracked."""
        frame = body.pop("frame")
        if frame is not None and body["start"] not in (0, frame):
            raise ValidationError("Give the query frame as “frame” or as “start”, not two of them.", "frame")
        return body if frame is None else {**body, "start": frame}


class ClipSchema(Schema):
    """An uploaded clip."""

    id = text()
    name = text()
    kind = text(validate=validate.OneOf(CLIP_KINDS))
    width = integer()
    height = integer()
    frames = integer()
    fps = number("average; 0 for images")
    duration = number("seconds; 0 for images")
    bytes = integer()
    sha256 = text()
    remark = text("how its pictures are shown, if not as they are stored; else empty")
    created_at = shown(fields.DateTime)
    tags = fields.List(fields.String())
    deleted_at = shown(fields.DateTime, "since when it is in the bin", null=True)


ClipListSchema = list_of(ClipSchema, "Clips.")


class SampleSchema(Schema):
    """A clip that comes with Stillmotion."""

    name = text()
    title = text()
    description = text("one sentence")
    licence = text()
    has_truth = shown(fields.Boolean, "its true motion is known and shown beside tracks")
    picture = text("address of a JPEG")


class SampleListSchema(Schema):
    """The sample clips."""

    items = fields.List(fields.Nested(SampleSchema))


class LinksSchema(Schema):
    """Where a run's page and results are; a result's link is there once the result is."""

    self = text()
    page = text()
    clip = text()
    points = text()
    tracks = text()
    json = text()
    csv = text()
    mp4 = text()
    gif = text()
    html = text()
    figure = text()
    frames = text("a template: {position} is 0 to frames - 1")


class WorkSchema(Schema):
    """Where a run or another job is, from the request to its result."""

    id = text()
    state = text(validate=validate.OneOf(list(RunState)))
    stage = text()
    progress = number("0 to 1")
    eta_seconds = number(null=True)
    queue_position = integer("1 is the next to start", null=True)
    starts_in_seconds = number("of what waits, about; null in lists", null=True)
    created_at = shown(fields.DateTime)
    started_at = shown(fields.DateTime, null=True)
    finished_at = shown(fields.DateTime, null=True)


class RunSchema(WorkSchema):
    """A run, from the request to its result."""

    clip = text()
    name = text("given by a person; may be empty")
    tags = fields.List(fields.String())
    deleted_at = shown(fields.DateTime, "since when it is in the bin", null=True)
    method = text()
    method_title = text("the method's name for people")
    is_prediction = shown(fields.Boolean, "the method looked at the first frame alone")
    weights = text(null=True)
    grid = integer("points a side; null: points of one's own, see links.points", null=True)
    point_count = integer()
    start = integer("the first frame")
    query_frame = integer("in which the points are given; others may come before it")
    direction = text("from the query frame", validate=validate.OneOf(DIRECTIONS))
    frames = integer("how many frames are tracked or predicted")
    frame_step = integer("between two of them; of a prediction of the end alone its whole length")
    tracked_frames = integer("frames whose tracks are stored; a cancelled run keeps those", null=True)
    error = text("why it failed, or what of its clip could not be read", null=True)
    estimate = number("seconds it will take once started, about; null at the end and in lists", null=True)
    estimated_memory_bytes = integer("at its peak, about", null=True)
    links = fields.Nested(LinksSchema)


RUN_FIELDS = tuple(RunSchema().fields)
RunListSchema = list_of(RunSchema, "Runs.")


class PointsSchema(Schema):
    """The query points of a run."""

    frame = integer("the query frame")
    points = fields.List(
        fields.List(fields.Float()), metadata={"description": "[x, y] of each, in its pixels"}
    )


class EstimateSchema(Schema):
    """What a run would cost."""

    seconds = number("once it starts, about")
    memory_bytes = integer("of the job's process at its peak, about")
    is_rough = shown(fields.Boolean, "true: no run of this method has been measured here")


class MethodSchema(Schema):
    """A method to find motion."""

    name = text()
    title = text()
    summary = text()
    available = shown(fields.Boolean)
    reason = text("why it is not available", null=True)
    from_one_image = shown(fields.Boolean, "it predicts from its first frame; a single image is enough")
    weights = fields.List(fields.String(), metadata={"description": "names of those it can be run with"})


class MethodListSchema(Schema):
    """The methods, the default first."""

    items = fields.List(fields.Nested(MethodSchema))
    default = text()
    max_upload_bytes = integer("the largest body of POST /clips")


def waiting_json(backend: Backend, work: Run | Job, places: Mapping[str, int] | None) -> dict[str, Any]:
    """Return the place of what waits, and when it begins. places: those of all that wait, for a list."""
    waits = work.state == RunState.QUEUED
    is_alone = waits and places is None
    known = backend.queue.places() if is_alone else places or {}
    return {
        "queue_position": known.get(work.id) if waits else None,
        "starts_in_seconds": backend.queue.starts_in(work) if is_alone else None,
    }


def run_json(backend: Backend, run: Run, places: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return a run as `RunSchema` shows it.

    places: those of all waiting runs, for a list, whose runs come without estimates.
    """
    is_told = places is None and run.state in UNFINISHED
    cost = estimate_run(backend.settings, run) if is_told else None
    request = run.request
    special = {
        "clip": run.clip_id,
        "query_frame": request.start,
        "direction": request.direction,
        "method_title": method_title(run.method),
        "is_prediction": is_prediction(run.method),
        "weights": None if run.weights is None else Path(run.weights).name,
        **waiting_json(backend, run, places),
        "estimate": None if cost is None else cost.seconds,
        "estimated_memory_bytes": None if cost is None else cost.memory_bytes,
        "links": _links(run),
    }
    return {name: special[name] if name in special else getattr(run, name) for name in RUN_FIELDS}


def _links(run: Run) -> dict[str, str]:
    here = url_for("runs.run", run_id=run.id)
    links = {
        "self": here,
        "page": url_for("pages.run", run_id=run.id),
        "clip": url_for("clips.clip", clip_id=run.clip_id),
        "points": f"{here}/points.json",
    }
    figure = {"figure": f"{here}/figure.json", "frames": f"{here}/frames/{{position}}.jpg"}
    if run.tracks_key is None:
        return links if run.shown_key is None else links | figure
    results = {name: f"{here}/tracks.{name}" for name in ("json", "csv")}
    results |= {name: f"{here}/overlay.{name}" for name in ("mp4", "gif", "html")}
    return {
        **links,
        **results,
        **figure,
        "tracks": f"{here}/tracks.npz",
    }
