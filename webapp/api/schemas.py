"""The JSON of the API: what goes in, checked with sentences, and what comes out."""

from pathlib import Path
from typing import Any

from flask import url_for
from marshmallow import Schema, fields, validate

from model.motion.grid import LARGEST_GRID
from model.tracking.methods import DEFAULT_METHOD, MethodOffer
from webapp.backend import Backend
from webapp.estimates import estimate_run
from webapp.records import Clip, Run, RunState
from webapp.samples import Sample

MOST_LISTED = 500
LARGEST_INTEGER = 2**31 - 1


def _whole_number(name: str, smallest: int, largest: int, **options: Any) -> fields.Integer:
    """Declare an integer field whose every error is one sentence."""
    limits = f"from {smallest} to {largest}" if largest < LARGEST_INTEGER else f"of at least {smallest}"
    sentence = f"The {name} must be a whole number {limits}, not “{{input}}”."
    too_large = sentence if largest < LARGEST_INTEGER else f"The {name} is too large: “{{input}}”."
    return fields.Integer(
        strict=True,
        validate=[validate.Range(smallest, error=sentence), validate.Range(max=largest, error=too_large)],
        error_messages={"invalid": sentence, "too_large": sentence, "null": f"The {name} must not be null."},
        **options,
    )


def text_field(name: str, **options: Any) -> fields.String:
    """Declare a text field whose every error is one sentence."""
    sentence = f"The {name} must be a text."
    return fields.String(
        error_messages={
            "invalid": sentence,
            "null": f"The {name} must not be null.",
            "required": f"The {name} is missing.",
        },
        **options,
    )


class ProblemSchema(Schema):
    """Problem details, RFC 9457: the media type of every error is application/problem+json."""

    type = fields.String(metadata={"description": "about:blank: the status says what kind of problem"})
    title = fields.String(metadata={"description": "the status in words"})
    status = fields.Integer(metadata={"description": "the HTTP status"})
    detail = fields.String(metadata={"description": "one sentence: what is wrong, what would be right"})


class ListQuery(Schema):
    """How much of a list is wanted."""

    limit = _whole_number("limit", 1, MOST_LISTED, load_default=100)
    offset = _whole_number("offset", 0, LARGEST_INTEGER, load_default=0)

    class Meta:
        """Numbers in a query are text."""

        unknown = "exclude"

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Accept digits: in a query everything is text."""
        if isinstance(field_obj, fields.Integer):
            field_obj.strict = False


class RunListQuery(ListQuery):
    """Which runs are wanted."""

    clip = text_field("clip", load_default=None, metadata={"description": "only runs of this clip"})


class RunFigureQuery(Schema):
    """What a run's figure should hold."""

    until = _whole_number(
        "last frame",
        0,
        LARGEST_INTEGER,
        load_default=None,
        metadata={"description": "the clip's frame to end with; the points are then marked where they end"},
    )

    class Meta:
        """As in the other queries."""

        unknown = "exclude"

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Accept digits: in a query everything is text."""
        if isinstance(field_obj, fields.Integer):
            field_obj.strict = False


class RunBody(Schema):
    """What to track, or to predict: a method that is `from_one_image` looks at the first frame alone."""

    clip = text_field("clip", required=True, metadata={"description": "id of an uploaded clip"})
    method = text_field(
        "method", load_default=DEFAULT_METHOD, metadata={"description": "name from GET /methods"}
    )
    weights = text_field(
        "weights", load_default=None, allow_none=True, metadata={"description": "registered name"}
    )
    grid = _whole_number("grid", 1, LARGEST_GRID, load_default=16, metadata={"description": "points a side"})
    start = _whole_number("first frame", 0, LARGEST_INTEGER, load_default=0)
    frames = _whole_number(
        "number of frames",
        2,
        LARGEST_INTEGER,
        load_default=8,
        allow_none=True,
        metadata={
            "description": "null: to the end; more than there are: cut; a prediction's weights say how many "
            "frames it speaks of, and this does not matter"
        },
    )
    frame_step = _whole_number(
        "frame step", 1, LARGEST_INTEGER, load_default=1, metadata={"description": "1 for a prediction"}
    )


class ClipSchema(Schema):
    """An uploaded clip."""

    id = fields.String()
    name = fields.String()
    kind = fields.String(validate=validate.OneOf(["video", "image", "images"]))
    width = fields.Integer()
    height = fields.Integer()
    frames = fields.Integer()
    fps = fields.Float(metadata={"description": "average; 0 for images"})
    duration = fields.Float(metadata={"description": "seconds; 0 for images"})
    bytes = fields.Integer()
    sha256 = fields.String()
    created_at = fields.DateTime()


class SampleSchema(Schema):
    """A clip that comes with Stillmotion."""

    name = fields.String()
    title = fields.String()
    description = fields.String(metadata={"description": "one sentence"})
    licence = fields.String()
    has_truth = fields.Boolean(metadata={"description": "its true motion is known and shown beside tracks"})
    picture = fields.String(metadata={"description": "address of a JPEG"})


class SampleListSchema(Schema):
    """The sample clips."""

    items = fields.List(fields.Nested(SampleSchema))


class LinksSchema(Schema):
    """Where a run's page and results are; a result's link is there once the result is."""

    self = fields.String()
    page = fields.String()
    clip = fields.String()
    tracks = fields.String()
    json = fields.String()
    csv = fields.String()
    mp4 = fields.String()
    gif = fields.String()
    figure = fields.String()
    frames = fields.String(metadata={"description": "a template: {position} is 0 to frames - 1"})


class RunSchema(Schema):
    """A run, from the request to its result."""

    id = fields.String()
    clip = fields.String()
    method = fields.String()
    weights = fields.String(allow_none=True)
    grid = fields.Integer()
    start = fields.Integer()
    frames = fields.Integer(metadata={"description": "how many frames are tracked or predicted"})
    frame_step = fields.Integer(
        metadata={"description": "between two of them; of a prediction of the end alone its whole length"}
    )
    tracked_frames = fields.Integer(
        allow_none=True,
        metadata={"description": "frames whose tracks are stored; a cancelled run keeps those"},
    )
    state = fields.String(validate=validate.OneOf(list(RunState)))
    stage = fields.String()
    progress = fields.Float(metadata={"description": "0 to 1"})
    eta_seconds = fields.Float(allow_none=True)
    queue_position = fields.Integer(allow_none=True, metadata={"description": "1 is the next to start"})
    error = fields.String(allow_none=True, metadata={"description": "one sentence"})
    created_at = fields.DateTime()
    started_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    estimate = fields.Float(
        allow_none=True, metadata={"description": "seconds it will take once started, about; null at the end"}
    )
    estimated_memory_bytes = fields.Integer(allow_none=True, metadata={"description": "at its peak, about"})
    links = fields.Nested(LinksSchema)


class EstimateSchema(Schema):
    """What a run would cost."""

    seconds = fields.Float(metadata={"description": "once it starts, about"})
    memory_bytes = fields.Integer(metadata={"description": "of the job's process at its peak, about"})
    is_rough = fields.Boolean(metadata={"description": "true: no run of this method has been measured here"})


class ClipListSchema(Schema):
    """Clips, newest first."""

    items = fields.List(fields.Nested(ClipSchema))
    total = fields.Integer()


class RunListSchema(Schema):
    """Runs, newest first."""

    items = fields.List(fields.Nested(RunSchema))
    total = fields.Integer()


class MethodSchema(Schema):
    """A method to find motion."""

    name = fields.String()
    title = fields.String()
    summary = fields.String()
    available = fields.Boolean()
    reason = fields.String(allow_none=True, metadata={"description": "why it is not available"})
    from_one_image = fields.Boolean(
        metadata={"description": "it predicts from its first frame; a single image is enough"}
    )


class MethodListSchema(Schema):
    """The methods, the default first."""

    items = fields.List(fields.Nested(MethodSchema))
    default = fields.String()
    max_upload_bytes = fields.Integer(metadata={"description": "the largest body of POST /clips"})


def clip_json(clip: Clip) -> dict[str, Any]:
    """Return a clip as the API shows it."""
    return {name: getattr(clip, name) for name in ClipSchema().fields}


def run_json(backend: Backend, run: Run) -> dict[str, Any]:
    """Return a run as the API shows it."""
    waits = run.state == RunState.QUEUED
    cost = estimate_run(backend, run) if waits or run.state == RunState.RUNNING else None
    special = {
        "clip": run.clip_id,
        "weights": None if run.weights is None else Path(run.weights).name,
        "queue_position": backend.jobs.position(run.id) if waits else None,
        "estimate": None if cost is None else cost.seconds,
        "estimated_memory_bytes": None if cost is None else cost.memory_bytes,
        "links": _links(run),
    }
    return {name: special[name] if name in special else getattr(run, name) for name in RunSchema().fields}


def _links(run: Run) -> dict[str, str]:
    here = url_for("runs.run", run_id=run.id)
    links = {"self": here, "page": f"/runs/{run.id}", "clip": url_for("clips.clip", clip_id=run.clip_id)}
    if run.tracks_key is not None:
        links |= {
            "tracks": f"{here}/tracks.npz",
            "json": f"{here}/tracks.json",
            "csv": f"{here}/tracks.csv",
            "mp4": f"{here}/overlay.mp4",
            "gif": f"{here}/overlay.gif",
            "figure": f"{here}/figure.json",
            "frames": f"{here}/frames/{{position}}.jpg",
        }
    return links


def sample_json(sample: Sample) -> dict[str, Any]:
    """Return a sample as the API shows it."""
    shown = {name: getattr(sample, name, None) for name in SampleSchema().fields}
    return shown | {"picture": url_for("samples.sample_picture", name=sample.name)}


def method_json(offer: MethodOffer) -> dict[str, Any]:
    """Return a method as the API shows it."""
    return {name: getattr(offer, name) for name in MethodSchema().fields}
