"""The WSGI app, put together from its pages and its API."""

from typing import cast

from flask import Flask, Response, request
from flask_compress import Compress
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp.actions.backend import EXTENSION, Backend
from webapp.actions.uploads import StreamingRequest, sweep
from webapp.api.problems import register_problems
from webapp.api.register import register_api
from webapp.core.settings import FRONTEND, Settings
from webapp.pages.health import blueprint as health
from webapp.pages.views import blueprint as pages
from webapp.rows.database import migrate
from webapp.security.access import register_access
from webapp.security.headers import register_security

LARGEST_BODY = 1024 * 1024
"""Bytes of a request other than an upload, which has its own limit."""


COMPRESSION = {
    "COMPRESS_ALGORITHM": ["zstd", "gzip"],
    "COMPRESS_ALGORITHM_STREAMING": ["zstd", "gzip"],
    "COMPRESS_MIMETYPES": ["text/html", "text/css", "text/csv", "text/javascript", "application/json"],
    "COMPRESS_STREAMING_ENDPOINT_CONDITIONAL": ["static", "plotly_script", "pages.viewer_file"],
}


class StillmotionFlask(Flask):
    """Flask with requests that stream their uploads."""

    request_class = StreamingRequest


def create_app(settings: Settings | None = None) -> Flask:
    """Make the WSGI app.

    settings: from the environment where they are not given.
    Raises BadInput when a setting cannot be used.
    """
    settings = settings or Settings.from_environment()
    migrate(settings)
    app = StillmotionFlask(__name__, root_path=str(FRONTEND))
    # Flask's default for static files stays: browsers ask whether they changed, so an update shows at once.
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.config.update(COMPRESSION)
    Compress(app)
    app.extensions[EXTENSION] = Backend.open(settings)
    sweep(settings.temporary_folder)
    register_access(app, settings)
    register_security(app)
    register_problems(app)
    register_api(app)
    app.register_blueprint(health)
    app.register_blueprint(pages)

    @app.after_request  # the last that is registered is the first that is called: before the compression
    def tag_numbers(response: Response) -> Response:
        if request.method == "GET" and response.mimetype == "application/json" and not response.is_streamed:
            response.add_etag()
        return response

    @app.teardown_request
    def discard_uploads(_error: BaseException | None) -> None:
        for file in cast(StreamingRequest, request).received:
            file.discard()

    if settings.proxies:
        trusted = dict.fromkeys(("x_for", "x_proto", "x_host", "x_prefix"), settings.proxies)
        app.wsgi_app = ProxyFix(app.wsgi_app, **trusted)  # type: ignore[method-assign]  # as Werkzeug documents it
    return app
