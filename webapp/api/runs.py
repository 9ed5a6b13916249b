"""/api/v1/runs: trackings of clips, and predictions, with their results."""

from collections.abc import Mapping
from typing import Any

from flask import Response, abort, request, stream_with_context, url_for
from flask_smorest import Blueprint

from model.overlay.figure import figure_json as figure_as_json
from model.overlay.numbers import shown_first
from model.overlay.truth import true_motion
from model.tracking.estimate import Estimate
from model.tracking.run import TrackRequest, query_points
from webapp.actions.backend import app_backend
from webapp.actions.history import change, order, wanted
from webapp.actions.lookups import find
from webapp.actions.overlays import wait_for_overlay
from webapp.actions.runs import prepare_run
from webapp.actions.samples import true_tracks
from webapp.api.answers import LaterSchema, attached, kept, later, stored
from webapp.api.exports import tracks_csv, tracks_json
from webapp.api.overlays import OverlayQuery, ViewQuery, overlay_request
from webapp.api.problems import can_fail
from webapp.api.results import result_of, run_with_tracks, tracks_of
from webapp.api.schemas import (
    EstimateSchema,
    PointsSchema,
    RunBody,
    RunChange,
    RunFigureQuery,
    RunListQuery,
    RunListSchema,
    RunSchema,
    run_json,
)
from webapp.core.audit import note_request
from webapp.files.provenance import about
from webapp.jobs.estimates import estimate_run
from webapp.jobs.overlays import OverlayRequest
from webapp.rows.records import UNFINISHED, Clip, Run

Json = dict[str, Any]

runs = Blueprint(
    "runs", __name__, url_prefix="/api/v1/runs", description="Trackings of clips, and predictions"
)


@runs.route("", methods=["POST"])
@runs.arguments(RunBody)
@runs.response(202, RunSchema)
@can_fail(404, 429, 503, 507)
def start(body: Mapping[str, Any]) -> tuple[Json, int, dict[str, str]]:
    """Start a run."""
    backend = app_backend()
    run = backend.queue.submit(_prepared(body))
    return run_json(backend, run), 202, {"Location": url_for("runs.run", run_id=run.id)}


@runs.route("/estimate", methods=["POST"])
@runs.arguments(RunBody)
@runs.response(200, EstimateSchema)
@can_fail(404)
def estimate(body: Mapping[str, Any]) -> Estimate:
    """Say about what a run would cost, without starting it."""
    return estimate_run(app_backend().settings, _prepared(body))


def _prepared(body: Mapping[str, Any]) -> Run:
    clip = find(Clip, body["clip"])
    asked = {name: value for name, value in body.items() if name not in ("clip", "method", "weights")}
    request = TrackRequest(**asked)
    return prepare_run(clip, body["method"], body["weights"], request, app_backend().settings)


@runs.route("", methods=["GET"])
@runs.arguments(RunListQuery, location="query")
@runs.response(200, RunListSchema)
def list_runs(query: Mapping[str, Any]) -> Json:
    """List runs, those in the bin apart."""
    backend = app_backend()
    found, total = backend.database.page(
        Run, query["limit"], query["offset"], wanted(Run, query), order(Run, query["sort"])
    )
    places = backend.queue.places()
    return {"items": [run_json(backend, run, places) for run in found], "total": total}


@runs.route("/<run_id>", methods=["GET"])
@runs.response(200, RunSchema)
@can_fail(404)
def run(run_id: str) -> Json:
    """Show where a run is."""
    return run_json(app_backend(), find(Run, run_id))


@runs.route("/<run_id>", methods=["PATCH"])
@runs.arguments(RunChange)
@runs.response(200, RunSchema)
@can_fail(404)
def change_run(values: Mapping[str, Any], run_id: str) -> Json:
    """Name or tag a run, put it into the bin, which cancels it, or take it back, for some days."""
    change(app_backend().queue, find(Run, run_id), values)
    if values.get("deleted"):
        note_request(app_backend().settings, "binned")
    return run_json(app_backend(), find(Run, run_id))


@runs.route("/<run_id>", methods=["DELETE"])
@runs.response(200, RunSchema)
@can_fail(404)
def cancel(run_id: str) -> Json:
    """Cancel a run; one that has already ended stays as it is."""
    app_backend().queue.cancel(find(Run, run_id))
    return run_json(app_backend(), find(Run, run_id))


@runs.route("/<run_id>/points.json", methods=["GET"])
@runs.response(200, PointsSchema)
@can_fail(404)
def points(run_id: str) -> Json:
    """Show where a run's query points are, a grid's too."""
    found = find(Run, run_id)
    placed = query_points(found.request, found.clip.info)
    return {"frame": found.request.start, "points": placed.tolist()}


@runs.route("/<run_id>/tracks.npz", methods=["GET"])
@runs.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
@can_fail(404, 409)
def tracks_npz(run_id: str) -> Response:
    """Download the tracks as the .npz file that the command line writes too."""
    key = str(run_with_tracks(run_id).tracks_key)
    return kept(stored(key, "application/octet-stream", _name(run_id, "npz")))


@runs.route("/<run_id>/tracks.json", methods=["GET"])
@runs.response(200, {"type": "object"})
@can_fail(404, 409)
def tracks_as_json(run_id: str) -> Response:
    """Download the tracks as JSON."""
    found = run_with_tracks(run_id)
    tracks = tracks_of(found)
    text = tracks_json(tracks, about(found, tracks))
    return attached(Response(text, content_type="application/json"), _name(run_id, "json"))


@runs.route("/<run_id>/tracks.csv", methods=["GET"])
@runs.response(200, {"type": "string"}, content_type="text/csv")
@can_fail(404, 409)
def tracks_as_csv(run_id: str) -> Response:
    """Download a table: point, frame, x, y, visibility, x and y without the camera; # lines: of what."""
    found = run_with_tracks(run_id)
    tracks = tracks_of(found)
    rows = stream_with_context(tracks_csv(tracks, about(found, tracks)))
    return attached(Response(rows, content_type="text/csv; charset=utf-8"), _name(run_id, "csv"))


@runs.route("/<run_id>/overlay.mp4", methods=["GET"])
@runs.arguments(OverlayQuery, location="query")
@runs.response(200, {"type": "string", "format": "binary"}, content_type="video/mp4")
@runs.alt_response(202, schema=LaterSchema, description="It is being drawn", success=True)
@can_fail(404, 409, 422, 429, 503, 507)
def overlay_mp4(query: Mapping[str, Any], run_id: str) -> Response:
    """Download the clip with the tracks drawn over it; the first time it is drawn: 202 until it is."""
    return _overlay(run_id, overlay_request("mp4", query), "video/mp4")


@runs.route("/<run_id>/overlay.gif", methods=["GET"])
@runs.arguments(OverlayQuery, location="query")
@runs.response(200, {"type": "string", "format": "binary"}, content_type="image/gif")
@runs.alt_response(202, schema=LaterSchema, description="It is being drawn", success=True)
@can_fail(404, 409, 422, 429, 503, 507)
def overlay_gif(query: Mapping[str, Any], run_id: str) -> Response:
    """Download the same as a GIF."""
    return _overlay(run_id, overlay_request("gif", query), "image/gif")


@runs.route("/<run_id>/overlay.html", methods=["GET"])
@runs.arguments(ViewQuery, location="query")
@runs.response(200, {"type": "string"}, content_type="text/html")
@runs.alt_response(202, schema=LaterSchema, description="It is being drawn", success=True)
@can_fail(404, 409, 422, 429, 503, 507)
def overlay_html(query: Mapping[str, Any], run_id: str) -> Response:
    """Download the viewer with its frames and numbers as one file, which needs no server."""
    return _overlay(run_id, OverlayRequest("html", view=query["view"]), "text/html; charset=utf-8")


@runs.route("/<run_id>/figure.json", methods=["GET"])
@runs.arguments(RunFigureQuery, location="query")
@runs.response(200, {"type": "object"})
@can_fail(404, 409, 422)
def figure_json(query: Mapping[str, Any], run_id: str) -> Response:
    """Show the frame as a Plotly figure; `layout.meta` holds the numbers of which the viewer draws tracks.

    While a run works, there are those of the frames that are tracked so far, now and then of some more.
    """
    found = run_with_tracks(run_id, is_partial_enough=True)
    first = url_for("runs.run_frame", run_id=run_id, position=0)
    # Not kept by the browser: how tracks are drawn changes with an update.
    tracks, prediction = result_of(found, query["camera"])
    position = shown_first(tracks)
    if query["until"] is not None:
        tracks = tracks.until(query["until"])
        position = len(tracks.frames) - 1
        prediction = None if prediction is None else prediction.until(query["until"])
    truth = true_tracks(app_backend().settings.samples, found.clip)
    # The truth is of what was filmed.
    compared = None if truth is None or tracks.is_scene_motion else true_motion(tracks, truth)
    text = figure_as_json(
        tracks, first, position=position, truth=compared, prediction=prediction, about=about(found, tracks)
    )
    return Response(text, content_type="application/json")


@runs.route("/<run_id>/frames/<int:position>.jpg", methods=["GET"])
@runs.response(200, {"type": "string", "format": "binary"}, content_type="image/jpeg")
@can_fail(404)
def run_frame(run_id: str, position: int) -> Response:
    """Show a run's frame, at most 1280 pixels a side; 0 is its first, which a prediction shows throughout."""
    found = find(Run, run_id)
    key = found.picture_key(position)
    if position >= found.frames or not app_backend().storage.exists(key):
        abort(404, description=f"The run has no picture {position} (of 0 to {found.frames - 1}), or not yet.")
    answer = stored(key, "image/jpeg")
    return answer if found.state in UNFINISHED else kept(answer)


def _overlay(run_id: str, asked: OverlayRequest, content_type: str) -> Response:
    found = run_with_tracks(run_id)
    if not app_backend().storage.exists(asked.key(found)):
        asked.check(*result_of(found, asked.camera))
    is_patient = "respond-async" not in request.headers.get("Prefer", "")  # RFC 7240
    drawn = wait_for_overlay(app_backend(), found, asked, is_patient)
    if drawn is None:
        return later("The overlay waits for its turn; ask again.", drawn)
    if drawn < 1:
        return later(f"The overlay is being drawn, {drawn:.0%} are done; ask again.", drawn)
    return stored(
        asked.key(found),
        content_type,
        _name(run_id, f"{'camera-removed.' if asked.camera == 'removed' else ''}{asked.kind}"),
    )


def _name(run_id: str, suffix: str) -> str:
    return f"stillmotion-{run_id}.{suffix}"
