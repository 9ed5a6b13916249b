"""The app behind its web server, in a thread of the tests' process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from webapp import web_server
from webapp.core.settings import Settings


@contextmanager
def serving(app: Flask, settings: Settings) -> Iterator[None]:
    """Serve an app at its settings' port, until the end of the block."""
    server = web_server.Server(app, settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)
