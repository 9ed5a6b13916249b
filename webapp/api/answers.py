"""Files as answers: for saving, to be kept by the browser, from the storage."""

from flask import Response, json, send_file
from marshmallow import Schema

from webapp.actions.backend import app_backend
from webapp.api.fields import number, text

FOREVER = 365 * 24 * 3600
"""Seconds; what an id or a hash names never changes."""


LATER_SECONDS = 2
"""After how long to ask again for what is being made."""


class LaterSchema(Schema):
    """What was asked for is being made: ask again, after the seconds in Retry-After."""

    detail = text("one sentence")
    progress = number("how much of it is done, 0 to 1; null while it waits for its turn", null=True)


def later(detail: str, progress: float | None) -> Response:
    """Say that something is being made, and how much is done; a browser asks again by itself."""
    told = json.dumps({"detail": detail, "progress": progress})
    answer = Response(told, 202, content_type="application/json")
    answer.headers["Retry-After"] = answer.headers["Refresh"] = str(LATER_SECONDS)
    return answer


def stored(key: str, content_type: str, name: str | None = None) -> Response:
    """Send a stored file; with a name it is for saving."""
    storage = app_backend().storage
    with storage.local_copy(key) as path:
        # A copy is opened while it is there: the web server reads it later, and must not wait for a network.
        file = path if storage.local_path(key) is not None else path.open("rb")
    return send_file(
        file,
        content_type,
        as_attachment=name is not None,
        download_name=name,
    )


def attached(response: Response, name: str) -> Response:
    """Let the browser save an answer under a name."""
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return response


def kept(response: Response) -> Response:
    """Let the browser keep what never changes."""
    response.cache_control.private = True
    response.cache_control.max_age = FOREVER
    response.cache_control.no_cache = None
    return response
