"""/api/v1: clips, runs and methods for programs; the pages use the same addresses."""

from pathlib import Path
from typing import Any

import plotly
from flask import Flask, Response, send_file
from flask_smorest import Blueprint

from model.tracking.methods import DEFAULT_METHOD
from webapp.actions.backend import app_backend
from webapp.api.clips import clips, samples
from webapp.api.comparisons import comparisons
from webapp.api.datasets import datasets
from webapp.api.jobs import jobs
from webapp.api.problems import ProblemApi
from webapp.api.runs import runs
from webapp.api.schemas import MethodListSchema
from webapp.files.predictors import offered_methods

PREFIX = "/api/v1"

SCRIPT_SECONDS = 7 * 24 * 3600
"""The Plotly library changes with an update only, and its ETag tells."""

methods = Blueprint("methods", __name__, url_prefix=f"{PREFIX}/methods", description="Ways to find motion")


@methods.route("", methods=["GET"])
@methods.response(200, MethodListSchema)
def list_methods() -> dict[str, Any]:
    """List the methods."""
    settings = app_backend().settings
    return {
        "items": offered_methods(settings),
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
    for blueprint in (clips, samples, runs, comparisons, methods, datasets, jobs):
        api.register_blueprint(blueprint)
    app.add_url_rule("/static/plotly.min.js", "plotly_script", plotly_script)


def plotly_script() -> Response:
    """Serve the Plotly library from its Python package."""
    path = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return send_file(path, "text/javascript", max_age=SCRIPT_SECONDS)
