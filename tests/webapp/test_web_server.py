"""The web server under slow and rude clients, over real sockets."""

import gzip
import select
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from flask import Flask

from tests.webapp.stack import Stack, free_port
from webapp import web_server
from webapp.core.settings import Settings

SLOW = 200
"""Connections of each kind."""


def health_seconds(stack: Stack) -> float:
    """The median of what five questions take: one alone may wait for the machine, not for the app."""
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        assert requests.get(f"{stack.url}/healthz", timeout=30).status_code == 200
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


@pytest.fixture
def connections(stack: Stack) -> Iterator[list[socket.socket]]:
    """Open connections to the app."""
    with ExitStack() as closing:
        yield [
            closing.enter_context(socket.create_connection(("127.0.0.1", stack.port))) for _ in range(SLOW)
        ]


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/v1/clips HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: 1000000\r\n\r\n--b\r\n",
        b"",
    ],
    ids=["headers", "body", "nothing"],
)
def test_slow_senders_do_not_stop_the_site(
    stack: Stack, connections: list[socket.socket], beginning: bytes
) -> None:
    for step in range(3):
        for connection in connections:
            connection.sendall(beginning if step == 0 else b"x" if beginning else b"")
        assert health_seconds(stack) < 1.0


def test_slow_readers_do_not_stop_the_site(stack: Stack, connections: list[socket.socket]) -> None:
    request = b"GET /static/plotly.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request)
    assert health_seconds(stack) < 1.0


def test_a_body_beyond_the_limit_is_answered_in_a_sentence(stack: Stack) -> None:
    answer = requests.post(f"{stack.url}/api/v1/runs", json={"clip": "x" * (3 << 20)}, timeout=30)
    assert answer.status_code == 413
    assert answer.json()["status"] == 413
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/clips HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b"
            b"\r\nContent-Length: 99000000000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n" + b"100000\r\nx")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nno header\r\n",
        b"GET http://[x/ HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n",
    ],
    ids=["header", "address", "length"],
)
def test_a_broken_request_is_answered(stack: Stack, beginning: bytes) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as connection:
        connection.sendall(beginning + b"Host: localhost\r\n\r\n")
        assert b" 400 " in connection.recv(100)


def test_answers_are_compressed_and_not_sent_twice(stack: Stack) -> None:
    address = f"{stack.url}/static/plotly.min.js"
    plain = requests.get(address, headers={"Accept-Encoding": "identity"}, timeout=30)
    packed = requests.get(address, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=30)
    assert packed.headers["Content-Encoding"] == "gzip"
    sent = packed.raw.read(decode_content=False)
    assert len(sent) < 0.4 * len(plain.content)
    assert gzip.decompress(sent) == plain.content
    numbers = f"{stack.url}/api/v1/openapi.json"
    for where in (address, numbers):
        first = requests.get(where, headers={"Accept-Encoding": "gzip"}, timeout=30)
        again = {"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]}
        assert requests.get(where, headers=again, timeout=30).status_code == 304


def test_a_request_whose_headers_do_not_come_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "HEADER_SECONDS", 0.2)
    port = free_port()
    server = web_server.Server(Flask("empty"), Settings(instance=tmp_path, port=port))
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        deadline = time.monotonic() + 5
        while not select.select([slow], [], [], 0)[0]:
            assert time.monotonic() < deadline, "the connection is still open"
            server.asyncore.loop(timeout=0.05, map=server._map, use_poll=True, count=1)
            server.maintenance(time.time())
        assert slow.recv(100) == b""
    server.task_dispatcher.shutdown()
    server.close()
