"""The pages for people. They show what /api/v1 says; their scripts are ES modules in static/."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, render_template, request, send_from_directory

from model.datasets.summary import SPLITS
from model.motion.grid import LARGEST_GRID, query_grid
from model.overlay.html import MODULES, VIEWER_FOLDER
from webapp.actions.backend import app_backend
from webapp.actions.lookups import find
from webapp.files.predictors import offered_methods
from webapp.jobs.kinds import KINDS
from webapp.rows.records import Clip, Job, Run

SMALLEST_GRID_OFFERED = 4

blueprint = Blueprint("pages", __name__)


@blueprint.app_context_processor
def viewer_modules() -> dict[str, Any]:
    """Let templates name the viewer's modules, so that browsers load all of them at once."""
    return {"viewer_modules": MODULES}


@blueprint.get("/")
def home() -> str:
    """Upload a clip; see the clips and runs that are there."""
    settings = app_backend().settings
    return render_template(
        "home.html",
        max_upload_bytes=settings.max_upload_bytes,
        methods=offered_methods(settings),
        largest_grid=LARGEST_GRID,
    )


@blueprint.get("/clips/<clip_id>")
def clip(clip_id: str) -> str:
    """Look at a clip, choose how to track it, and start."""
    found = find(Clip, clip_id)
    # Any grid lies evenly between the corners of the 2×2 one.
    corners = query_grid(2, (found.height, found.width)).tolist()
    return render_template(
        "clip.html",
        clip=found,
        bin_days=app_backend().settings.bin_days,
        methods=offered_methods(app_backend().settings),
        first=corners[0],
        last=corners[-1],
        smallest_grid=SMALLEST_GRID_OFFERED,
        largest_grid=LARGEST_GRID,
    )


@blueprint.get("/runs/<run_id>")
def run(run_id: str) -> str:
    """Follow a run, then look at its tracks."""
    found = find(Run, run_id)
    return render_template("run.html", run=found, clip=found.clip)


@blueprint.get("/compare")
def compare() -> str:
    """Look at a run beside another one of the same clip."""
    candidate = request.args.get("candidate")
    if not candidate:
        abort(422, description="Say which run to compare: choose “Compare …” on a run's page.")
    found = find(Run, candidate)
    return render_template("compare.html", run=found, clip=found.clip)


@blueprint.get("/api")
def api() -> str:
    """Tell programmers what the OpenAPI document says."""
    document = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()
    return render_template("api.html", document=document)


@blueprint.get("/datasets")
def datasets() -> str:
    """List the training sets, and the clips to make one of."""
    methods = offered_methods(app_backend().settings)
    return render_template("datasets.html", methods=methods, largest_grid=LARGEST_GRID)


@blueprint.get("/datasets/<name>")
def dataset(name: str) -> str:
    """Go through a training set, sample by sample."""
    if name not in app_backend().datasets.names():
        abort(404, description="There is no such data set here.")
    return render_template("dataset.html", name=name, splits=SPLITS)


@blueprint.get("/jobs/<job_id>")
def job(job_id: str) -> str:
    """Follow a job, then look at what it made."""
    found = find(Job, job_id)
    return render_template("job.html", job=found, title=KINDS[found.kind].title)


@blueprint.get("/static/viewer/<name>")
def viewer_file(name: str) -> Response:
    """Serve the viewer's modules and styles, which the self-contained HTML files hold too."""
    return send_from_directory(VIEWER_FOLDER, name)
