"""What keeps other sites from using a visitor's browser against this one."""

from urllib.parse import urlsplit

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
    """Refuse other sites' changes and add the headers to every answer."""

    @app.before_request
    def refuse_other_sites() -> Response | None:
        if request.method in SAFE_METHODS:
            return None
        origin = request.headers.get("Origin")
        from_elsewhere = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") or (
            origin is not None and urlsplit(origin).netloc != request.host
        )
        if from_elsewhere:
            return problem(403, "Forbidden", "Changes are accepted from this site's own pages only.")
        return None

    @app.after_request
    def add_headers(response: Response) -> Response:
        if request.endpoint in VIEWER_ENDPOINTS:
            policy = VIEWER_SCRIPTS + HEADERS["Content-Security-Policy"]
            response.headers.setdefault("Content-Security-Policy", policy)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
