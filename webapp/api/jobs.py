"""/api/v1/jobs: conversions and what else takes long, from the request to the end."""

import csv
from collections.abc import Mapping
from math import isfinite
from typing import Any

from flask import Response, abort
from flask_smorest import Blueprint

from webapp.actions.backend import app_backend
from webapp.actions.lookups import find
from webapp.actions.removing import remove_job
from webapp.api.answers import kept, stored
from webapp.api.job_schemas import JobListQuery, JobListSchema, JobSchema, LogSchema, RemovalQuery, job_json
from webapp.api.problems import can_fail
from webapp.core.audit import note_request
from webapp.jobs.kinds import KINDS
from webapp.rows.records import Job

Json = dict[str, Any]

jobs = Blueprint(
    "jobs", __name__, url_prefix="/api/v1/jobs", description="Conversions, and what else takes long"
)


@jobs.route("", methods=["GET"])
@jobs.arguments(JobListQuery, location="query")
@jobs.response(200, JobListSchema)
def list_jobs(query: Mapping[str, Any]) -> Json:
    """List jobs, the newest first; without a kind, those that take long."""
    backend = app_backend()
    kinds = [query["kind"]] if query["kind"] else [name for name, kind in KINDS.items() if kind.keeps]
    conditions = [Job.kind.in_(kinds)]
    if query["name"]:
        conditions.append(Job.name == query["name"])
    order: list[Any] = [Job.created_at.desc(), Job.id]
    found, total = backend.database.page(Job, query["limit"], query["offset"], conditions, order)
    places = backend.queue.places()
    return {"items": [job_json(backend, job, places) for job in found], "total": total}


@jobs.route("/<job_id>", methods=["GET"])
@jobs.response(200, JobSchema)
@can_fail(404)
def job(job_id: str) -> Json:
    """Show where a job is."""
    return job_json(app_backend(), find(Job, job_id))


@jobs.route("/<job_id>", methods=["DELETE"])
@jobs.arguments(RemovalQuery, location="query")
@jobs.response(200, JobSchema)
@can_fail(404, 422, 503)
def cancel_job(query: Mapping[str, bool], job_id: str) -> Json:
    """Cancel a job, which keeps what it has done; or remove it for good with what it made."""
    job = find(Job, job_id)
    if query["remove"]:
        answer = job_json(app_backend(), job)
        remove_job(app_backend().queue, job)
        note_request(app_backend().settings)
        return answer
    app_backend().queue.cancel(job)
    return job_json(app_backend(), find(Job, job_id))


@jobs.route("/<job_id>/log.json", methods=["GET"])
@jobs.response(200, LogSchema)
@can_fail(404)
def job_log(job_id: str) -> Json:
    """Show the course of a training so far: a row for each validation, and for every 20 steps."""
    found = find(Job, job_id)
    path = app_backend().settings.predictors / found.name / "log.csv"
    if found.kind != "train" or not path.is_file():
        return {"rows": []}
    with path.open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    return {"rows": [{name: value for name, value in row.items() if isfinite(value)} for row in rows]}


@jobs.route("/<job_id>/picture.png", methods=["GET"])
@jobs.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
@can_fail(404)
def job_picture(job_id: str) -> Response:
    """Show the frame of a segmentation with its classes coloured."""
    found = find(Job, job_id)
    if not app_backend().storage.exists(found.picture_key):
        abort(404, description="The job has no picture, or not yet.")
    return kept(stored(found.picture_key, "image/png"))


@jobs.route("/<job_id>/continue", methods=["POST"])
@jobs.response(202, JobSchema)
@can_fail(404, 409, 429, 503, 507)
def continue_job(job_id: str) -> tuple[Json, int]:
    """Go on with a job that failed or was cancelled, from what it has done."""
    if not app_backend().queue.submit_again(find(Job, job_id)):
        abort(409, description="Only a job that failed or was cancelled can be continued.")
    return job_json(app_backend(), find(Job, job_id)), 202
