"""The JSON of training sets: filters, checked with sentences, and what comes out."""

from dataclasses import asdict
from typing import Any, get_args

from flask import url_for
from marshmallow import Schema, fields, validate

from model.datasets.index import DatasetIndex, motion_at_reference
from model.datasets.sample import Sample
from model.datasets.summary import SPLITS, DatasetSummary
from model.inspection.samples import video_counts
from model.tracking.methods import method_title
from webapp.api.fields import asked_choice, asked_number, integer, list_of, number, shown, text
from webapp.api.schemas import ListQuery
from webapp.files.datasets import REPORT, DatasetListing, Order

MOST_VIDEOS = 1000
MOTION = "in pixels of a 256-high image"


class DatasetSampleQuery(ListQuery):
    """Which samples are wanted, and in which order."""

    split = asked_choice("split", SPLITS, load_default=None)
    source = text("only samples of this video", null=True, load_default=None)
    min_motion = asked_number("least motion", MOTION, load_default=0.0)
    max_motion = asked_number("most motion", MOTION, load_default=None)
    min_moving = asked_number("least share of moving points", largest=1, load_default=0.0)
    min_quality = asked_number(
        "least quality",
        "above 0, samples whose quality was not checked are left out",
        largest=1,
        load_default=0.0,
    )
    order = asked_choice("order", get_args(Order), load_default="set")


class DatasetSchema(Schema):
    """A training set; all but its name is null where it cannot be read."""

    name = text()
    error = text("why it cannot be read, one sentence", null=True)
    is_complete = shown(fields.Boolean, null=True)
    samples = integer(null=True)
    samples_by_split = shown(fields.Dict, null=True, keys=fields.String(), values=fields.Integer())
    videos = integer(null=True)
    failures = integer("videos that could not be used", null=True)
    bytes = integer(null=True)
    method = text(null=True)
    method_title = text("the method's name for people", null=True)
    grid = integer("points a side", null=True)
    horizon = integer("frames of a sample", null=True)
    links = fields.Dict(keys=fields.String(), values=fields.String())


DatasetListSchema = list_of(DatasetSchema, "The training sets, by name.")


class DatasetVideoSchema(Schema):
    """A video that samples come from."""

    source = text()
    split = text()
    samples = integer()
    motion = number(f"mean, {MOTION}")


class DatasetDetailSchema(DatasetSchema):
    """A training set with how it was made, and its videos."""

    settings = shown(fields.Dict, "of the conversion")
    sources = fields.List(
        fields.Nested(DatasetVideoSchema),
        metadata={"description": f"those with the most samples first, at most {MOST_VIDEOS}"},
    )


class DatasetSampleSchema(Schema):
    """A sample, as its set's table has it."""

    key = text()
    source = text("the video's name")
    split = text(validate=validate.OneOf(SPLITS))
    start = integer("the index in the video of the first frame")
    count = integer("how many frames")
    motion = number(f"mean distance of the points, {MOTION}")
    moving = number("share of moving points")
    visible = number("share of points visible in the last frame")
    quality = number("share of checked points that come back; null: not checked", null=True)
    links = fields.Dict(keys=fields.String(), values=fields.String())


DatasetSampleListSchema = list_of(DatasetSampleSchema, "Samples that a filter lets through.")


class DatasetSampleDetailSchema(DatasetSampleSchema):
    """A sample with everything that is known of it."""

    facts = shown(fields.Dict, "its JSON file in the set")


def listing_json(listing: DatasetListing) -> dict[str, Any]:
    """Return a set as the list shows it."""
    summary = listing.summary
    known = {} if summary is None else _summary_json(summary)
    nothing = dict.fromkeys(DatasetSchema().fields)
    links = {
        "self": url_for("datasets.dataset", name=listing.name),
        "page": url_for("pages.dataset", name=listing.name),
        "samples": url_for("datasets.list_dataset_samples", name=listing.name),
    }
    return {**nothing, **known, "name": listing.name, "error": listing.error, "links": links}


def detail_json(name: str, index: DatasetIndex) -> dict[str, Any]:
    """Return a set with its videos."""
    listed = listing_json(DatasetListing(name, index.summary, None))
    if index.folder.exists(REPORT):
        listed["links"]["report"] = url_for("datasets.dataset_report", name=name)
    return {
        **listed,
        "settings": index.summary.settings,
        "sources": video_counts(index, index.rows)[:MOST_VIDEOS],
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
        "method_title": method_title(summary.method["name"]),
        "grid": summary.settings["grid"],
        "horizon": summary.settings["horizon"],
    }


def row_json(name: str, index: DatasetIndex, number: int) -> dict[str, Any]:
    """Return a sample as the list shows it; its shard is not read."""
    row = dict(zip(index.rows.dtype.names or (), index.rows[number].tolist(), strict=True))
    key = row["key"].decode()
    here = url_for("datasets.dataset_sample", name=name, key=key)
    return {
        **row,
        "key": key,
        "source": index.sources[row["source"]],
        "split": SPLITS[row["split"]],
        "links": {"self": here, "picture": f"{here}/picture.jpg", "figure": f"{here}/figure.json"},
    }


def sample_detail_json(name: str, index: DatasetIndex, number: int, sample: Sample) -> dict[str, Any]:
    """Return a sample with all its facts."""
    return {
        **row_json(name, index, number),
        "motion": motion_at_reference(sample.facts),
        "facts": asdict(sample.facts),
    }
