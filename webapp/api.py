"""/api/v1: clips, runs and methods for programs; the pages use the same addresses."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import plotly
from flask import Flask, Response, abort, request, send_file, stream_with_context, url_for
from flask_smorest import Blueprint
from sqlalchemy import func, select

from model.estimate import Estimate
from model.methods import DEFAULT_METHOD, available_methods
from model.overlay.figure import figure_json as figure_as_json
from model.overlay.numbers import shown_first
from model.overlay.truth import true_motion
from model.video import read_frame
from webapp.backend import backend
from webapp.compare_api import comparisons
from webapp.dataset_api import datasets
from webapp.estimates import estimate_run
from webapp.exports import tracks_csv, tracks_json
from webapp.jobs import discard_results
from webapp.overlays import stored_overlay
from webapp.pictures import jpeg
from webapp.problems import ProblemApi, problem_of
from webapp.records import UNFINISHED, Clip, Run
from webapp.results import find_run, prediction_of, run_with_tracks, tracks_of
from webapp.runs import RunRequest, prepare_run, start_run
from webapp.samples import Sample, find_sample, list_samples, store_sample, true_tracks
from webapp.schemas import (
    ClipListSchema,
    ClipSchema,
    EstimateSchema,
    ListQuery,
    MethodListSchema,
    RunBody,
    RunFigureQuery,
    RunListQuery,
    RunListSchema,
    RunSchema,
    SampleListSchema,
    clip_json,
    method_json,
    run_json,
    sample_json,
)
from webapp.uploads import store_clip, uploaded_files

PREFIX = "/api/v1"
FOREVER = 365 * 24 * 3600
"""Seconds; what an id or a hash names never changes."""

SCRIPT_SECONDS = 7 * 24 * 3600
"""The Plotly library changes with an update only, and its ETag tells."""

Json = dict[str, Any]

clips = Blueprint("clips", __name__, url_prefix=f"{PREFIX}/clips", description="Videos and images")
runs = Blueprint(
    "runs", __name__, url_prefix=f"{PREFIX}/runs", description="Trackings of clips, and predictions"
)
samples = Blueprint("samples", __name__, url_prefix=f"{PREFIX}/samples", description="Clips that are there")
methods = Blueprint("methods", __name__, url_prefix=f"{PREFIX}/methods", description="Ways to find motion")

UPLOAD_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "one video, GIF, image or zip of images; or several images, one clip",
                    }
                },
            }
        }
    },
}


@clips.route("", methods=["POST"])
@clips.doc(requestBody=UPLOAD_BODY)
@clips.response(201, ClipSchema)
@clips.alt_response(200, schema=ClipSchema, description="The same bytes are there already", success=True)
@clips.alt_response(413, problem_of(413))
@clips.alt_response(415, problem_of(415))
@clips.alt_response(422, problem_of(422))
def upload() -> tuple[Json, int, dict[str, str]]:
    """Upload a clip."""
    if request.mimetype != "multipart/form-data":
        abort(415, description="Send the file as multipart/form-data in the field “file”.")
    part = backend()
    clip, is_new = store_clip(part, uploaded_files(request, part.settings.max_upload_bytes))
    address = url_for("clips.clip", clip_id=clip.id)
    return clip_json(clip), 201 if is_new else 200, {"Location": address}


@clips.route("", methods=["GET"])
@clips.arguments(ListQuery, location="query")
@clips.response(200, ClipListSchema)
def list_clips(query: Mapping[str, int]) -> Json:
    """List the clips, newest first."""
    with backend().database.session() as session:
        found = session.scalars(
            select(Clip)
            .order_by(Clip.created_at.desc(), Clip.id)
            .limit(query["limit"])
            .offset(query["offset"])
        ).all()
        total = session.scalar(select(func.count()).select_from(Clip))
    return {"items": [clip_json(clip) for clip in found], "total": total}


@clips.route("/<clip_id>", methods=["GET"])
@clips.response(200, ClipSchema)
@clips.alt_response(404, problem_of(404))
def clip(clip_id: str) -> Json:
    """Show a clip."""
    return clip_json(_clip(clip_id))


@clips.route("/<clip_id>", methods=["DELETE"])
@clips.response(204)
@clips.alt_response(404, problem_of(404))
def delete_clip(clip_id: str) -> None:
    """Remove a clip with its runs and their results; unfinished runs are cancelled."""
    part = backend()
    found = _clip(clip_id)
    with part.database.session() as session:
        its_runs = session.scalars(select(Run.id).where(Run.clip_id == clip_id)).all()
    for run_id in its_runs:
        part.jobs.cancel(run_id)
    with part.database.session() as session:
        session.delete(session.merge(found))
    for run_id in its_runs:
        discard_results(part.settings, run_id)
    part.storage.delete(found.key)


@clips.route("/<clip_id>/frames/<int:index>.jpg", methods=["GET"])
@clips.response(200, {"type": "string", "format": "binary"}, content_type="image/jpeg")
@clips.alt_response(404, problem_of(404))
def clip_frame(clip_id: str, index: int) -> Response:
    """Show one frame of a clip, at most 1280 pixels a side; frames count from 0."""
    found = _clip(clip_id)
    if index >= found.frames:
        abort(404, description=f"The clip has the frames 0 to {found.frames - 1}, but no frame {index}.")
    with backend().storage.local_copy(found.key) as path:
        picture = jpeg(read_frame(path, index))
    return _cached(send_file(BytesIO(picture), "image/jpeg"))


@samples.route("", methods=["GET"])
@samples.response(200, SampleListSchema)
def list_all_samples() -> Json:
    """List the sample clips."""
    return {"items": [sample_json(sample) for sample in list_samples(backend().settings.samples)]}


@samples.route("/<name>", methods=["POST"])
@samples.response(201, ClipSchema)
@samples.alt_response(200, schema=ClipSchema, description="It is a clip already", success=True)
@samples.alt_response(404, problem_of(404))
def use_sample(name: str) -> tuple[Json, int, dict[str, str]]:
    """Make a sample a clip, as if it had been uploaded."""
    clip, is_new = store_sample(backend(), _sample(name))
    address = url_for("clips.clip", clip_id=clip.id)
    return clip_json(clip), 201 if is_new else 200, {"Location": address}


@samples.route("/<name>/picture.jpg", methods=["GET"])
@samples.response(200, {"type": "string", "format": "binary"}, content_type="image/jpeg")
@samples.alt_response(404, problem_of(404))
def sample_picture(name: str) -> Response:
    """Show a sample's first frame."""
    return send_file(BytesIO(jpeg(read_frame(_sample(name).path, 0))), "image/jpeg", max_age=SCRIPT_SECONDS)


@runs.route("", methods=["POST"])
@runs.arguments(RunBody)
@runs.response(202, RunSchema)
@runs.alt_response(404, problem_of(404))
@runs.alt_response(503, problem_of(503))
def start(body: Mapping[str, Any]) -> tuple[Json, int, dict[str, str]]:
    """Start a run."""
    part = backend()
    wish = RunRequest(**{**body, "clip": _clip(body["clip"])})
    run = start_run(part, wish)
    return run_json(part, run), 202, {"Location": url_for("runs.run", run_id=run.id)}


@runs.route("/estimate", methods=["POST"])
@runs.arguments(RunBody)
@runs.response(200, EstimateSchema)
@runs.alt_response(404, problem_of(404))
def estimate(body: Mapping[str, Any]) -> Estimate:
    """Say about what a run would cost, without starting it."""
    part = backend()
    wish = RunRequest(**{**body, "clip": _clip(body["clip"])})
    return estimate_run(part, prepare_run(part, wish))


@runs.route("", methods=["GET"])
@runs.arguments(RunListQuery, location="query")
@runs.response(200, RunListSchema)
def list_runs(query: Mapping[str, Any]) -> Json:
    """List the runs, newest first."""
    part = backend()
    wanted = () if query["clip"] is None else (Run.clip_id == query["clip"],)
    with part.database.session() as session:
        found = session.scalars(
            select(Run)
            .where(*wanted)
            .order_by(Run.created_at.desc(), Run.id)
            .limit(query["limit"])
            .offset(query["offset"])
        ).all()
        total = session.scalar(select(func.count()).select_from(Run).where(*wanted))
    return {"items": [run_json(part, run) for run in found], "total": total}


@runs.route("/<run_id>", methods=["GET"])
@runs.response(200, RunSchema)
@runs.alt_response(404, problem_of(404))
def run(run_id: str) -> Json:
    """Show where a run is."""
    return run_json(backend(), find_run(run_id))


@runs.route("/<run_id>", methods=["DELETE"])
@runs.response(200, RunSchema)
@runs.alt_response(404, problem_of(404))
def cancel(run_id: str) -> Json:
    """Cancel a run; one that has already ended stays as it is."""
    find_run(run_id)
    backend().jobs.cancel(run_id)
    return run_json(backend(), find_run(run_id))


@runs.route("/<run_id>/tracks.npz", methods=["GET"])
@runs.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
@runs.alt_response(404, problem_of(404))
@runs.alt_response(409, problem_of(409))
def tracks_npz(run_id: str) -> Response:
    """Download the tracks as the .npz file that the command line writes too."""
    key = str(run_with_tracks(run_id).tracks_key)
    return _cached(_stored(key, "application/octet-stream", _name(run_id, "npz")))


@runs.route("/<run_id>/tracks.json", methods=["GET"])
@runs.response(200, {"type": "object"})
@runs.alt_response(404, problem_of(404))
@runs.alt_response(409, problem_of(409))
def tracks_as_json(run_id: str) -> Response:
    """Download the tracks as JSON."""
    text = tracks_json(tracks_of(run_with_tracks(run_id)))
    return _attached(Response(text, content_type="application/json"), _name(run_id, "json"))


@runs.route("/<run_id>/tracks.csv", methods=["GET"])
@runs.response(200, {"type": "string"}, content_type="text/csv")
@runs.alt_response(404, problem_of(404))
@runs.alt_response(409, problem_of(409))
def tracks_as_csv(run_id: str) -> Response:
    """Download the tracks as a table: point, frame, x, y, visibility."""
    rows = stream_with_context(tracks_csv(tracks_of(run_with_tracks(run_id))))
    return _attached(Response(rows, content_type="text/csv; charset=utf-8"), _name(run_id, "csv"))


@runs.route("/<run_id>/overlay.mp4", methods=["GET"])
@runs.response(200, {"type": "string", "format": "binary"}, content_type="video/mp4")
@runs.alt_response(404, problem_of(404))
@runs.alt_response(409, problem_of(409))
def overlay_mp4(run_id: str) -> Response:
    """Download the clip with the tracks drawn over it; the first time it is drawn while you wait."""
    return _overlay(run_id, "mp4", "video/mp4")


@runs.route("/<run_id>/overlay.gif", methods=["GET"])
@runs.response(200, {"type": "string", "format": "binary"}, content_type="image/gif")
@runs.alt_response(404, problem_of(404))
@runs.alt_response(409, problem_of(409))
def overlay_gif(run_id: str) -> Response:
    """Download the same as a GIF."""
    return _overlay(run_id, "gif", "image/gif")


@runs.route("/<run_id>/figure.json", methods=["GET"])
@runs.arguments(RunFigureQuery, location="query")
@runs.response(200, {"type": "object"})
@runs.alt_response(404, problem_of(404))
@runs.alt_response(409, problem_of(409))
def figure_json(query: Mapping[str, Any], run_id: str) -> Response:
    """Show the tracks as a Plotly figure."""
    found = run_with_tracks(run_id)
    first = url_for("runs.run_frame", run_id=run_id, position=0)
    # Not kept by the browser: how tracks are drawn changes with an update.
    tracks = tracks_of(found)
    prediction = prediction_of(found)
    interval = None if prediction is None else prediction.interval
    position = shown_first(tracks)
    if query["until"] is not None:
        tracks = tracks.until(query["until"])
        position = len(tracks.frames) - 1
        interval = None if interval is None else interval[:, : position + 1]
    truth = true_tracks(backend().settings.samples, found.clip)
    compared = None if truth is None else true_motion(tracks, truth)
    text = figure_as_json(
        tracks, first, position=position, truth=compared, interval=interval, lines=query["lines"]
    )
    return Response(text, content_type="application/json")


@runs.route("/<run_id>/frames/<int:position>.jpg", methods=["GET"])
@runs.response(200, {"type": "string", "format": "binary"}, content_type="image/jpeg")
@runs.alt_response(404, problem_of(404))
def run_frame(run_id: str, position: int) -> Response:
    """Show a run's frame, at most 1280 pixels a side; 0 is its first, which a prediction shows throughout."""
    found = find_run(run_id)
    key = found.picture_key(position)
    if position >= found.frames or not backend().storage.exists(key):
        abort(404, description=f"The run has no picture {position} (of 0 to {found.frames - 1}), or not yet.")
    answer = _stored(key, "image/jpeg")
    return answer if found.state in UNFINISHED else _cached(answer)


@methods.route("", methods=["GET"])
@methods.response(200, MethodListSchema)
def list_methods() -> Json:
    """List the methods."""
    settings = backend().settings
    offers = available_methods(settings.pips_weights, settings.predictor_weights)
    return {
        "items": [method_json(offer) for offer in offers],
        "default": DEFAULT_METHOD,
        "max_upload_bytes": settings.max_upload_bytes,
    }


def register_api(app: Flask) -> None:
    """Add the API, its OpenAPI document at /api/v1/openapi.json, and its errors."""
    app.config.update(
        API_TITLE="Stillmotion",
        API_VERSION="v1",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX=PREFIX,
    )
    api = ProblemApi(app)
    for blueprint in (clips, samples, runs, comparisons, methods, datasets):
        api.register_blueprint(blueprint)
    app.add_url_rule("/static/plotly.min.js", "plotly_script", plotly_script)


def plotly_script() -> Response:
    """Serve the Plotly library from its Python package."""
    path = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return send_file(path, "text/javascript", max_age=SCRIPT_SECONDS)


def _clip(clip_id: str) -> Clip:
    with backend().database.session() as session:
        found = session.get(Clip, clip_id)
    if found is None:
        abort(404, description=f"There is no clip “{clip_id[:60]}”.")
    return found


def _sample(name: str) -> Sample:
    found = find_sample(backend().settings.samples, name)
    if found is None:
        abort(404, description=f"There is no sample “{name[:60]}”.")
    return found


def _overlay(run_id: str, kind: str, content_type: str) -> Response:
    part, found = backend(), run_with_tracks(run_id)
    key = stored_overlay(part.settings, part.storage, found, kind)
    return _stored(key, content_type, _name(run_id, kind))


def _stored(key: str, content_type: str, name: str | None = None) -> Response:
    """Send a stored file; with a name it is for saving."""
    storage = backend().storage
    path = storage.local_path(key)
    return send_file(
        path if path is not None else storage.open(key),
        content_type,
        as_attachment=name is not None,
        download_name=name,
    )


def _name(run_id: str, suffix: str) -> str:
    return f"stillmotion-{run_id}.{suffix}"


def _attached(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return response


def _cached(response: Response) -> Response:
    """Let the browser keep what never changes."""
    response.cache_control.private = True
    response.cache_control.max_age = FOREVER
    response.cache_control.no_cache = None
    return response
