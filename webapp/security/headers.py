"""What keeps out other sites' changes and odd text."""

import json
from typing import Any

from flask import Flask, Response, request

from webapp.api.problems import problem

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

HEADERS = {
    # Plotly sets styles by script; frames come as blobs and its downloads as data URLs.
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

VIEWER_ENDPOINTS = ("pages.run", "pages.compare", "pages.dataset")

VIEWER_SCRIPTS = "script-src 'self' 'unsafe-eval'; "
"""Plotly's WebGL library compiles its draw calls with `Function`; only pages with a viewer may do that."""


def register_security(app: Flask) -> None:
    """Refuse other sites' changes and odd text, and add the headers to every answer."""

    @app.before_request
    def refuse_other_sites() -> Response | None:
        if request.method in SAFE_METHODS:
            return None
        origin = request.headers.get("Origin")
        from_elsewhere = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") or (
            origin is not None and origin.partition("://")[2] != request.host
        )
        if from_elsewhere:
            return problem(403, "Changes are accepted from this site's own pages only.")
        return None

    @app.before_request
    def refuse_odd_text() -> Response | None:
        if not _is_text([request.path, *request.args, *request.args.values()]) or not _is_body_text():
            detail = "The request holds a NUL, half a character, or values nested too deeply."
            return problem(400, detail)
        return None

    @app.after_request
    def add_headers(response: Response) -> Response:
        if request.endpoint in VIEWER_ENDPOINTS:
            policy = VIEWER_SCRIPTS + HEADERS["Content-Security-Policy"]
            response.headers.setdefault("Content-Security-Policy", policy)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _is_body_text() -> bool:
    """Tell whether a JSON body can be read and kept; what is no JSON is left to those who want it."""
    if not request.is_json:
        return True
    try:
        return _is_text(json.loads(request.get_data()))
    except json.JSONDecodeError:
        return True
    except (ValueError, RecursionError):  # not UTF-8, a number of thousands of digits, or nested too deeply
        return False


def _is_text(value: Any) -> bool:
    """Tell whether all texts in a value can be written down: without NUL and lone surrogates."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            if "\0" in one or any("\ud800" <= character <= "\udfff" for character in one):
                return False
        elif isinstance(one, dict):
            todo += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            todo += one
    return True
