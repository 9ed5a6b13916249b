"""/api/v1/datasets: the training sets in the instance's folder, their samples, and how they are made."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from flask import Response, abort, send_file, url_for
from flask_smorest import Blueprint

from model.datasets.index import DatasetIndex, SampleFilter
from model.datasets.sample import Sample
from model.overlay.figure import figure_json
from webapp.actions.backend import app_backend
from webapp.actions.lookups import find
from webapp.actions.starting import claimed, prepare_conversion, prepare_training
from webapp.api.dataset_schemas import (
    DatasetDetailSchema,
    DatasetListSchema,
    DatasetSampleDetailSchema,
    DatasetSampleListSchema,
    DatasetSampleQuery,
    detail_json,
    listing_json,
    row_json,
    sample_detail_json,
)
from webapp.api.job_schemas import ConversionBody, EstimateBody, JobSchema, TrainingBody, job_json
from webapp.api.problems import can_fail
from webapp.api.schemas import ListQuery
from webapp.files.datasets import REPORT, choose, number_of
from webapp.rows.records import Clip, Job

PICTURE_SECONDS = 24 * 3600
"""How long a browser may keep a sample's picture; a set of the same name may be made anew."""

Json = dict[str, Any]

datasets = Blueprint(
    "datasets", __name__, url_prefix="/api/v1/datasets", description="Training sets in the instance's folder"
)


@datasets.route("", methods=["GET"])
@datasets.arguments(ListQuery, location="query")
@datasets.response(200, DatasetListSchema)
def list_datasets(query: Mapping[str, int]) -> Json:
    """List the training sets, by name."""
    listings = app_backend().datasets.list()
    shown = listings[query["offset"] : query["offset"] + query["limit"]]
    return {"items": [listing_json(listing) for listing in shown], "total": len(listings)}


@datasets.route("", methods=["POST"])
@datasets.arguments(ConversionBody)
@datasets.response(202, JobSchema)
@can_fail(404, 409, 422, 429, 503, 507)
def make_dataset(body: Json) -> tuple[Json, int, dict[str, str]]:
    """Begin to make a training set of clips."""
    backend = app_backend()
    with claimed(backend.settings.datasets, body["name"]):
        job = backend.queue.submit(_conversion("convert", body["name"], body))
    return job_json(backend, job), 202, {"Location": url_for("jobs.job", job_id=job.id)}


@datasets.route("/estimate", methods=["POST"])
@datasets.arguments(EstimateBody)
@datasets.response(202, JobSchema)
@can_fail(404, 422, 429, 503, 507)
def estimate_dataset(body: Json) -> tuple[Json, int]:
    """Begin to estimate a conversion: a few chunks are converted, and the job's result says what all cost."""
    backend = app_backend()
    return job_json(backend, backend.queue.submit(_conversion("estimate", "", body))), 202


def _conversion(kind: str, name: str, body: Json) -> Job:
    clips = [find(Clip, each) for each in dict.fromkeys(body["clips"])]
    values = {key: value for key, value in body.items() if key not in ("name", "clips")}
    return prepare_conversion(kind, name, clips, values, app_backend().settings)


@datasets.route("/<name>", methods=["GET"])
@datasets.response(200, DatasetDetailSchema)
@can_fail(404, 422)
def dataset(name: str) -> Json:
    """Show a training set: how it was made, and its videos."""
    return detail_json(name, _index(name))


@datasets.route("/<name>/train", methods=["POST"])
@datasets.arguments(TrainingBody)
@datasets.response(202, JobSchema)
@can_fail(404, 409, 422, 429, 503, 507)
def train_on_dataset(body: Json, name: str) -> tuple[Json, int, dict[str, str]]:
    """Begin to fine-tune a predictor on a training set; its weights can predict as soon as there are some."""
    backend = app_backend()
    values = {key: value for key, value in body.items() if key != "name"}
    job = prepare_training(body["name"], _index(name), values, backend.settings)
    with claimed(backend.settings.predictors, body["name"]):
        backend.queue.submit(job)
    return job_json(backend, job), 202, {"Location": url_for("jobs.job", job_id=job.id)}


@datasets.route("/<name>/report.html", methods=["GET"])
@datasets.response(200, {"type": "string"}, content_type="text/html")
@can_fail(404, 422)
def dataset_report(name: str) -> Response:
    """Download the report on a set that was made here, one HTML file that needs nothing else."""
    _index(name)
    path = app_backend().settings.datasets / name / REPORT
    if not path.is_file():
        abort(404, description="The data set has no report; `python -m model inspect` makes one.")
    return send_file(path, "text/html", as_attachment=True, download_name=f"{name}.html")


@datasets.route("/<name>/samples", methods=["GET"])
@datasets.arguments(DatasetSampleQuery, location="query")
@datasets.response(200, DatasetSampleListSchema)
@can_fail(404)
def list_dataset_samples(query: Mapping[str, Any], name: str) -> Json:
    """List the samples that a filter lets through."""
    index = _index(name)
    most = query["max_motion"]
    wanted = SampleFilter(
        split=query["split"],
        source=query["source"],
        min_motion=query["min_motion"],
        max_motion=float("inf") if most is None else most,
        min_moving=query["min_moving"],
        min_quality=query["min_quality"],
    )
    numbers = choose(index, wanted, query["order"])
    shown = numbers[query["offset"] : query["offset"] + query["limit"]]
    return {"items": [row_json(name, index, int(number)) for number in shown], "total": len(numbers)}


@datasets.route("/<name>/samples/<key>", methods=["GET"])
@datasets.response(200, DatasetSampleDetailSchema)
@can_fail(404, 422)
def dataset_sample(name: str, key: str) -> Json:
    """Show everything that is known of a sample."""
    index = _index(name)
    number = _number(index, key)
    return sample_detail_json(name, index, number, *index.read([number]))


@datasets.route("/<name>/samples/<key>/picture.jpg", methods=["GET"])
@datasets.response(200, {"type": "string", "format": "binary"}, content_type="image/jpeg")
@can_fail(404, 422)
def dataset_sample_picture(name: str, key: str) -> Response:
    """Show a sample's first frame, as the set holds it."""
    return send_file(BytesIO(_sample(name, key).image), "image/jpeg", max_age=PICTURE_SECONDS)


@datasets.route("/<name>/samples/<key>/figure.json", methods=["GET"])
@datasets.response(200, {"type": "object"})
@can_fail(404, 422)
def dataset_sample_figure(name: str, key: str) -> Response:
    """Show a sample as a Plotly figure; `layout.meta` holds the numbers of its trajectories."""
    picture = url_for("datasets.dataset_sample_picture", name=name, key=key)
    text = figure_json(_sample(name, key).tracks(), picture)
    return Response(text, content_type="application/json")


def _index(name: str) -> DatasetIndex:
    found = app_backend().datasets.find(name)
    if found is None:
        abort(404, description=f"There is no data set “{name[:60]}”.")
    return found


def _number(index: DatasetIndex, key: str) -> int:
    number = number_of(index, key)
    if number is None:
        abort(404, description=f"The data set has no sample “{key[:60]}”.")
    return number


def _sample(name: str, key: str) -> Sample:
    index = _index(name)
    return index.read([_number(index, key)])[0]
