"""/healthz: the process answers. /readyz: it can do its work."""

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from webapp.backend import Backend, app_backend

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Say whether database, storage, Redis and a worker are there; 503 with the missing ones if not."""
    backend = app_backend()
    checks = {
        "database": _database(backend),
        "storage": _storage(backend),
        **_queue(backend),
    }
    is_ready = all(answer == "ok" for answer in checks.values())
    return jsonify(status="ok" if is_ready else "not ready", checks=checks), 200 if is_ready else 503


def _database(backend: Backend) -> str:
    try:
        with backend.database.session() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return f"the database does not answer ({type(error).__name__})"
    return "ok"


def _storage(backend: Backend) -> str:
    try:
        backend.storage.check_writable()
    except OSError as error:
        return f"the storage is not writable ({error.strerror})"
    return "ok"


def _queue(backend: Backend) -> dict[str, str]:
    try:
        workers = backend.queue.jobs.workers()
    except RedisError as error:
        return {"redis": f"Redis does not answer ({type(error).__name__})", "workers": "unknown"}
    return {"redis": "ok", "workers": "ok" if workers else "no worker is alive"}
