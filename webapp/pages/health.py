"""/healthz: the process answers. /readyz: it can do its work."""

from collections.abc import Callable

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError
from rq.worker import BaseWorker
from sqlalchemy.exc import SQLAlchemyError

from webapp.backend import app_backend
from webapp.records import Run

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Say whether database, storage, Redis and a worker are there; 503 with the missing ones if not."""
    backend = app_backend()
    workers: list[BaseWorker] = []
    checks = {
        "database": _check(lambda: backend.database.find(Run, ""), "the database does not answer"),
        "storage": _check(backend.storage.check_writable, "the storage is not writable"),
        "redis": _check(lambda: workers.extend(backend.queue.jobs.workers()), "Redis does not answer"),
        "workers": "unknown",
    }
    if checks["redis"] == "ok":
        checks["workers"] = "ok" if workers else "no worker is alive"
    is_ready = all(answer == "ok" for answer in checks.values())
    return jsonify(status="ok" if is_ready else "not ready", checks=checks), 200 if is_ready else 503


def _check(ask: Callable[[], object], failure: str) -> str:
    """Return “ok”, or what failed and why."""
    try:
        ask()
    except (SQLAlchemyError, RedisError, OSError) as error:
        return f"{failure} ({getattr(error, 'strerror', None) or type(error).__name__})"
    return "ok"
