"""The web server: waitress, whose loop reads requests and writes answers; slow clients hold no thread.

A thread gets a request when it is complete, and hands its answer back at once. What connections may cost is
bounded by deadlines, and by how many there may be.
"""

import json
import logging
import math
import resource
import signal
import tempfile
import time
from functools import partial
from types import FrameType
from typing import Any

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import RequestEntityTooLarge

from webapp.app import LARGEST_BODY, create_app
from webapp.core.settings import Settings
from webapp.core.troubles import FULL
from webapp.files.storage import Storage
from webapp.security.access import access_token

HEADER_SECONDS = 20
"""A request's headers must be there so soon after its first byte."""

BODY_SECONDS = 3600
"""The whole of a request must be there so soon after its first byte."""

SILENT_SECONDS = 60
"""A connection on which nothing moved for so long is closed."""

MOST_CONNECTIONS = 4000
SENT_AT_ONCE = 1 << 16
"""Bytes that are read for a reader before it is known how many it takes."""

FILES_EACH = 3
"""A connection may need its socket and two temporary files."""


class BodyTooLarge(RequestEntityTooLarge):  # type: ignore[misc]  # waitress has no types
    """A refusal before the app is asked, as the app words its own (`webapp.api.problems`)."""

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status, headers and body."""
        del ident
        problem = {"type": "about:blank", "title": self.reason, "status": self.code, "detail": self.body}
        headers = [("Content-Type", "application/problem+json")]
        return f"{self.code} {self.reason}", headers, json.dumps(problem).encode()


class DiskFull(BodyTooLarge):
    """The disk became full while a body came in."""

    code = 507
    reason = "Insufficient Storage"


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Keeps no body that is too large: the app answers at once, and the channel throws away what comes."""

    def __init__(self, adjustments: Adjustments, channel: "Channel") -> None:
        super().__init__(adjustments)
        self._channel = channel

    def parse_header(self, header_plus: bytes) -> None:
        """Read the first line and the headers. Raises ParsingError, which is answered with 400."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # an address as http://[x/, a length of thousands of digits
            raise ParsingError("The address or a header cannot be read") from error

    def received(self, data: bytes) -> int:
        """Take in some bytes, and return how many of them belong to this request."""
        had_headers = self.headers_finished
        consumed: int = super().received(data)
        begins = self.headers_finished and not had_headers
        if begins and self.content_length > min(self._largest, self._room):
            self.completed = True
            # Who waits for the answer will send no body.
            self.connection_close = self.headers.get("EXPECT", "").lower() == "100-continue"
            self.expect_continue = False
            self._channel.unwanted = self.content_length - (len(data) - consumed)
            return len(data)
        if self.chunked and self.body_bytes_received > self._largest:
            self.error = BodyTooLarge(
                f"The request's body is too large; this address takes up to {self._largest:,} bytes."
            )
            self.completed = True
        elif self.headers_finished and self._room < 0:
            self.error = DiskFull(FULL)
            self.completed = True
        return consumed

    @property
    def _is_upload(self) -> bool:
        return bool(self.headers.get("CONTENT_TYPE", "").startswith("multipart/form-data"))

    @property
    def _largest(self) -> int:
        return int(self._channel.server.settings.max_upload_bytes) if self._is_upload else LARGEST_BODY

    @property
    def _room(self) -> float:
        """Bytes that may still be kept; small bodies are taken in any case."""
        return self._channel.server.storage.free_bytes() if self._is_upload else math.inf


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that knows when its request began, and what nobody wants of it.

    unwanted: bytes of an answered request that are still to come.
    """

    def __init__(self, server: "Server", *arguments: Any, **options: Any) -> None:
        self.parser_class = partial(Parser, channel=self)
        self.began = 0.0
        self.unwanted = 0
        super().__init__(server, *arguments, **options)
        self.sendbuf_len = SENT_AT_ONCE

    def received(self, data: bytes) -> bool:
        """Take in some bytes."""
        unwanted = min(self.unwanted, len(data))
        self.unwanted -= unwanted
        if unwanted == len(data):
            return True
        data = data[unwanted:]
        if self.request is None:
            self.began = time.time()
        is_open: bool = super().received(data)
        return is_open

    def is_late(self, now: float) -> bool:
        """Tell whether its request should be there by now."""
        if self.request is None:
            return False
        return bool(now > self.began + (BODY_SECONDS if self.request.headers_finished else HEADER_SECONDS))


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Closes the connections whose requests do not get on."""

    channel_class = Channel

    def __init__(self, app: Flask, settings: Settings) -> None:
        self.settings = settings
        self.storage = Storage.of(settings)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        super().__init__(
            app,
            listen=f"{host}:{settings.port}",
            threads=settings.web_threads,
            connection_limit=_connection_limit(),
            channel_timeout=SILENT_SECONDS,
            cleanup_interval=5,
            asyncore_use_poll=True,  # select() ends at file number 1024
            recv_bytes=1 << 18,
            max_request_header_size=1 << 16,
            max_request_body_size=1 << 62,  # the parser knows the limits
            # A thread never waits for a slow reader: what is beyond 1 MiB goes to a temporary file.
            outbuf_high_watermark=1 << 40,
            # The app knows which proxies it believes.
            clear_untrusted_proxy_headers=not settings.proxies,
            ident=None,
            log_socket_errors=False,
        )

        self._health = ThreadedTaskDispatcher()
        self._health.set_thread_count(1)

    def add_task(self, channel: Channel) -> None:
        """Give a complete request to a thread; questions for the health have one of their own."""
        request = channel.requests[0]
        is_health = request.error is None and request.path.endswith(
            "/healthz"
        )  # a broken one may have no path
        (self._health if is_health else self.task_dispatcher).add_task(channel)

    def maintenance(self, now: float) -> None:
        """Look through the connections; waitress calls this every few seconds."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            if channel.is_late(now):
                channel.will_close = True


def serve(settings: Settings) -> None:
    """Serve the app until SIGTERM or SIGINT."""
    settings.make_instance()
    token, is_new = access_token(settings)
    if is_new:
        where = settings.instance / "token"
        print(f"Visitors need the token that {where} keeps: {token}", flush=True)  # noqa: T201 - its answer
    app = create_app(settings)
    # waitress keeps long bodies and answers in temporary files: on the disk whose room is looked after.
    tempfile.tempdir = str(settings.temporary_folder)
    logging.getLogger("waitress").setLevel(logging.ERROR)  # clients that leave are not worth a line
    signal.signal(signal.SIGTERM, _leave)
    Server(app, settings).run()


def _connection_limit() -> int:
    """Ask the system for as many open files as it gives, and return for how many connections they suffice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_EACH * MOST_CONNECTIONS
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MOST_CONNECTIONS, soft // FILES_EACH) if soft != resource.RLIM_INFINITY else MOST_CONNECTIONS


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
