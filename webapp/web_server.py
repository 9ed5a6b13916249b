"""The web server: gunicorn with one process of threads, so that an upload blocks nobody."""

from flask import Flask
from gunicorn.app.base import BaseApplication

from webapp.app import create_app
from webapp.settings import Settings

UPLOAD_SECONDS = 600
"""How long gunicorn lets the web process be silent; its threads send signs of life during long uploads."""


class WebServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The app behind gunicorn, which reads no configuration of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn where to listen, and how."""
        host, port = self.settings.host, self.settings.port
        options = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "worker_class": "gthread",
            "workers": 1,
            "threads": self.settings.web_threads,
            "timeout": UPLOAD_SECONDS,
            "graceful_timeout": 2,
            "keepalive": 5,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the app, in the process that serves it."""
        return create_app(self.settings)
