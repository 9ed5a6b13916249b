"""/healthz: the process answers. /readyz: it can do its work."""

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from webapp.backend import Backend, backend

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Say whether database, storage, Redis and a worker are there; 503 with the missing ones if not."""
    part = backend()
    checks = {
        "database": _database(part),
        "storage": _storage(part),
        **_queue(part),
    }
    is_ready = all(answer == "ok" for answer in checks.values())
    return jsonify(status="ok" if is_ready else "not ready", checks=checks), 200 if is_ready else 503


def _database(part: Backend) -> str:
    try:
        with part.database.session() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return f"the database does not answer ({type(error).__name__})"
    return "ok"


def _storage(part: Backend) -> str:
    try:
        part.storage.check_writable()
    except OSError as error:
        return f"the storage is not writable ({error.strerror})"
    return "ok"


def _queue(part: Backend) -> dict[str, str]:
    try:
        workers = part.jobs.count_workers()
    except RedisError as error:
        return {"redis": f"Redis does not answer ({type(error).__name__})", "workers": "unknown"}
    return {"redis": "ok", "workers": "ok" if workers else "no worker is alive"}
