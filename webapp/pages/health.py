"""/healthz: the process answers. /readyz: it can do its work."""

from collections.abc import Callable

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError
from rq.worker import BaseWorker
from sqlalchemy.exc import SQLAlchemyError

from model.core.errors import Unreachable
from webapp.actions.backend import app_backend
from webapp.core.troubles import database_trouble, redis_trouble
from webapp.rows.records import Run

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

    def look_at_redis() -> None:
        backend.queue.jobs.check_writable()
        workers.extend(backend.queue.jobs.workers())

    checks = {
        "database": _check(lambda: backend.database.find(Run, "")),
        "storage": _check(backend.storage.check_writable),
        "redis": _check(look_at_redis),
        "workers": "unknown",
    }
    if checks["redis"] == "ok":
        checks["workers"] = "ok" if workers else "no worker is alive"
    is_ready = all(answer == "ok" for answer in checks.values())
    return jsonify(status="ok" if is_ready else "not ready", checks=checks), 200 if is_ready else 503


def _check(ask: Callable[[], object]) -> str:
    """Return “ok”, or what is wrong."""
    try:
        ask()
    except SQLAlchemyError as error:
        return database_trouble(error) or "The database does not know its tables."
    except RedisError as error:
        return f"{redis_trouble(error)}."
    except Unreachable as error:
        return str(error)
    except OSError as error:
        return f"The storage cannot be written ({error.strerror})."
    return "ok"
