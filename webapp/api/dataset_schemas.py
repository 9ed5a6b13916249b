"""The JSON of training sets: filters, checked with sentences, and what comes out."""

import math
from typing import Any, get_args

from flask import url_for
from marshmallow import Schema, fields, validate

from model.datasets.index import DatasetIndex, motion_at_reference
from model.datasets.sample import Sample
from model.datasets.summary import SPLITS, DatasetSummary
from model.inspection.samples import video_counts
from webapp.api.schemas import ListQuery
from webapp.datasets import DatasetListing, Order

MOST_VIDEOS = 1000
MOTION = "in pixels of a 256-high image"


def _number(name: str, smallest: float, largest: float | None, **options: Any) -> fields.Float:
    """Declare a number whose every error is one sentence."""
    limits = f"from {smallest:g} to {largest:g}" if largest is not None else f"of at least {smallest:g}"
    sentence = f"The {name} must be a number {limits}, not “{{input}}”."
    return fields.Float(
        validate=validate.Range(smallest, largest, error=sentence),
        error_messages={
            "invalid": sentence,
            "too_large": sentence,
            "special": f"The {name} must be a number {limits}.",  # NaN or infinite; marshmallow tells no more
        },
        **options,
    )


def _choice(name: str, values: tuple[str, ...], **options: Any) -> fields.String:
    sentence = f"The {name} must be one of {', '.join(values)}, not “{{input}}”."
    return fields.String(validate=validate.OneOf(values, error=sentence), **options)


class DatasetSampleQuery(ListQuery):
    """Which samples are wanted, and in which order."""

    split = _choice("split", SPLITS, load_default=None)
    source = fields.String(load_default=None, metadata={"description": "only samples of this video"})
    min_motion = _number("least motion", 0, None, load_default=0.0, metadata={"description": MOTION})
    max_motion = _number("most motion", 0, None, load_default=None, metadata={"description": MOTION})
    min_moving = _number("least share of moving points", 0, 1, load_default=0.0)
    min_quality = _number(
        "least quality",
        0,
        1,
        load_default=0.0,
        metadata={"description": "above 0, samples whose quality was not checked are left out"},
    )
    order = _choice("order", get_args(Order), load_default="set")


class DatasetSchema(Schema):
    """A training set; all but its name is null where it cannot be read."""

    name = fields.String()
    error = fields.String(allow_none=True, metadata={"description": "why it cannot be read, one sentence"})
    is_complete = fields.Boolean(allow_none=True)
    samples = fields.Integer(allow_none=True)
    samples_by_split = fields.Dict(keys=fields.String(), values=fields.Integer(), allow_none=True)
    videos = fields.Integer(allow_none=True)
    failures = fields.Integer(allow_none=True, metadata={"description": "videos that could not be used"})
    bytes = fields.Integer(allow_none=True)
    method = fields.String(allow_none=True)
    grid = fields.Integer(allow_none=True, metadata={"description": "points a side"})
    horizon = fields.Integer(allow_none=True, metadata={"description": "frames of a sample"})
    links = fields.Dict(keys=fields.String(), values=fields.String())


class DatasetListSchema(Schema):
    """The training sets, by name."""

    items = fields.List(fields.Nested(DatasetSchema))
    total = fields.Integer()


class DatasetVideoSchema(Schema):
    """A video that samples come from."""

    source = fields.String()
    split = fields.String()
    samples = fields.Integer()
    motion = fields.Float(metadata={"description": f"mean, {MOTION}"})


class DatasetDetailSchema(DatasetSchema):
    """A training set with how it was made, and its videos."""

    settings = fields.Dict(metadata={"description": "of the conversion"})
    sources = fields.List(
        fields.Nested(DatasetVideoSchema),
        metadata={"description": f"those with the most samples first, at most {MOST_VIDEOS}"},
    )


class DatasetSampleSchema(Schema):
    """A sample, as its set's table has it."""

    key = fields.String()
    source = fields.String(metadata={"description": "the video's name"})
    split = fields.String(validate=validate.OneOf(SPLITS))
    start = fields.Integer(metadata={"description": "the index in the video of the first frame"})
    count = fields.Integer(metadata={"description": "how many frames"})
    motion = fields.Float(metadata={"description": f"mean distance of the points, {MOTION}"})
    moving = fields.Float(metadata={"description": "share of moving points"})
    visible = fields.Float(metadata={"description": "share of points visible in the last frame"})
    quality = fields.Float(
        allow_none=True, metadata={"description": "share of checked points that come back; null: not checked"}
    )
    links = fields.Dict(keys=fields.String(), values=fields.String())


class DatasetSampleListSchema(Schema):
    """Samples that a filter lets through."""

    items = fields.List(fields.Nested(DatasetSampleSchema))
    total = fields.Integer()


class DatasetSampleDetailSchema(DatasetSampleSchema):
    """A sample with everything that is known of it."""

    facts = fields.Dict(metadata={"description": "its JSON file in the set"})


def listing_json(listing: DatasetListing) -> dict[str, Any]:
    """Return a set as the list shows it."""
    summary = listing.summary
    known = {} if summary is None else _summary_json(summary)
    nothing = dict.fromkeys(DatasetSchema().fields)
    return {**nothing, **known, "name": listing.name, "error": listing.error, "links": _links(listing.name)}


def detail_json(name: str, index: DatasetIndex) -> dict[str, Any]:
    """Return a set with its videos."""
    videos = video_counts(index, index.rows)
    return {
        **listing_json(DatasetListing(name, index.summary, None)),
        "settings": dict(index.summary.settings),
        "sources": [vars(video) for video in videos[:MOST_VIDEOS]],
    }


def _summary_json(summary: DatasetSummary) -> dict[str, Any]:
    return {
        "is_complete": summary.is_complete,
        "samples": summary.samples(),
        "samples_by_split": {split: summary.samples(split) for split in SPLITS},
        "videos": sum(summary.videos.values()),
        "failures": summary.failures,
        "bytes": sum(shard.bytes for shard in summary.shards),
        "method": summary.method["name"],
        "grid": summary.settings["grid"],
        "horizon": summary.settings["horizon"],
    }


def _links(name: str) -> dict[str, str]:
    return {
        "self": url_for("datasets.dataset", name=name),
        "page": url_for("pages.dataset", name=name),
        "samples": url_for("datasets.list_dataset_samples", name=name),
    }


def row_json(name: str, index: DatasetIndex, number: int) -> dict[str, Any]:
    """Return a sample as the list shows it; its shard is not read."""
    row = index.rows[number]
    key = row["key"].decode()
    here = url_for("datasets.dataset_sample", name=name, key=key)
    return {
        "key": key,
        "source": index.sources[row["source"]],
        "split": SPLITS[row["split"]],
        "start": int(row["start"]),
        "count": int(row["count"]),
        "motion": float(row["motion"]),
        "moving": float(row["moving"]),
        "visible": float(row["visible"]),
        "quality": None if math.isnan(row["quality"]) else float(row["quality"]),
        "links": {"self": here, "picture": f"{here}/picture.jpg", "figure": f"{here}/figure.json"},
    }


def sample_detail_json(name: str, index: DatasetIndex, number: int, sample: Sample) -> dict[str, Any]:
    """Return a sample with all its facts."""
    return {
        **row_json(name, index, number),
        "motion": motion_at_reference(sample.facts),
        "facts": sample.facts.to_json(),
    }
