"""Uploads: what is kept and under which name, and what is refused with nothing left behind."""

import hashlib
import http.client
import io
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.media import (
    cut,
    declare_sizes,
    encoded,
    moving_clip,
    moving_frames,
    png_of_size,
    write_audio,
    write_zip,
)
from tests.webapp.stack import Stack, wait_for
from webapp.actions.uploads import readable_name, sweep
from webapp.core.settings import Settings

LIMIT = 4 * 1024**2
"""Bytes, as in the fixture `settings`."""


def post(client: FlaskClient, *files: tuple[str, bytes]) -> TestResponse:
    """Upload files as a browser does."""
    parts = [(io.BytesIO(content), name) for name, content in files]
    answer = client.post("/api/v1/clips", data={"file": parts}, content_type="multipart/form-data")
    answer.request.environ["wsgi.input"].close()  # a temporary file that the test client forgets
    return answer


def kept_files(settings: Settings) -> list[str]:
    """Names of all stored and temporary files."""
    folders = (settings.instance / "storage", settings.temporary_folder)
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def check_refused(client: FlaskClient, settings: Settings, answer: TestResponse, status: int) -> str:
    """Check that an upload got a problem in one sentence and left nothing; return the sentence."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    detail: str = answer.json["detail"]
    assert detail.endswith(".")
    assert len(detail) < 300
    assert "\n" not in detail
    assert client.get("/api/v1/clips").json == {"items": [], "total": 0}
    assert kept_files(settings) == []
    return detail


def test_a_video_is_kept_under_its_hash(client: FlaskClient, settings: Settings, small_clip: Path) -> None:
    content = small_clip.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    answer = post(client, ("dog.mp4", content))
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/clips/{digest[:16]}"
    facts = dict(answer.json)
    assert facts.pop("created_at")
    assert facts == {
        "id": digest[:16],
        "sha256": digest,
        "name": "dog.mp4",
        "kind": "video",
        "width": 128,
        "height": 96,
        "frames": 16,
        "fps": 25.0,
        "duration": 0.64,
        "bytes": len(content),
        "remark": "",
        "tags": [],
        "deleted_at": None,
    }
    assert kept_files(settings) == [f"{digest}.mp4"]
    again = post(client, ("other-name.mov", content))
    assert (again.status_code, again.json) == (200, answer.json)
    assert client.get(f"/api/v1/clips/{digest[:16]}").json == answer.json
    assert kept_files(settings) == [f"{digest}.mp4"]


def test_several_images_become_one_clip_in_natural_order(client: FlaskClient) -> None:
    pictures = [encoded(frame) for frame in moving_frames(12)]
    files = [(f"frame{index}.png", picture) for index, picture in enumerate(pictures)]
    answer = post(client, *reversed(files))
    assert answer.status_code == 201, answer.text
    assert (answer.json["kind"], answer.json["frames"]) == ("images", 12)
    assert answer.json["name"] == "12 images: frame0.png to frame11.png"
    # The texture moves, so a wrong order (0, 1, 10, 11, 2, ...) would show other pictures.
    for index in (2, 10):
        shown = client.get(f"/api/v1/clips/{answer.json['id']}/frames/{index}.jpg").data
        nearest = min(range(12), key=lambda other: _difference(shown, pictures[other]))
        assert nearest == index
    assert post(client, *files).status_code == 200


def test_a_dropped_folder_is_the_clip_that_its_zip_is(client: FlaskClient, settings: Settings) -> None:
    """The names come with their folders, as browsers send them."""
    images = [encoded(frame) for frame in moving_frames(4)]
    given = [("f/10.png", images[1]), ("f/9.png", images[0]), ("f/masks/9.png", images[2])]
    answer = post(client, *given, ("f/@eaDir/9.png", images[3]), ("f/.DS_Store", b"no image"))
    assert answer.status_code == 201
    assert (answer.json["frames"], answer.json["name"]) == (2, "2 images: 9.png to 10.png")
    client.delete(answer.headers["Location"])
    two = [("rig/cam1/1.png", images[0]), ("rig/cam2/1.png", images[1])]
    assert "several folders (rig/cam1, rig/cam2)" in check_refused(client, settings, post(client, *two), 422)
    flat = [("1.png", images[0]), ("1.png", images[1])]
    assert "two images named 1.png" in check_refused(client, settings, post(client, *flat), 422)


@pytest.mark.slow
def test_too_many_files_are_refused_as_that(client: FlaskClient, settings: Settings) -> None:
    files = [(f"{index}.png", b"") for index in range(10_050)]
    assert "more than 10,000 files" in check_refused(client, settings, post(client, *files), 422)


def _difference(first: bytes, second: bytes) -> float:
    import numpy as np
    from PIL import Image

    pixels = [
        np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float) for content in (first, second)
    ]
    return float(np.abs(pixels[0] - pixels[1]).mean())


def _truncated(folder: Path) -> bytes:
    return cut(moving_clip(folder / "whole.mp4"), folder / "cut.mp4", 0.5).read_bytes()


def _many_entries(folder: Path) -> bytes:
    return write_zip(folder / "many.zip", ((f"{index}.png", b"") for index in range(100_000))).read_bytes()


def _outside(folder: Path) -> bytes:
    picture = encoded(moving_frames(1)[0])
    return write_zip(folder / "outside.zip", {"../../evil.png": picture, "../b.png": picture}).read_bytes()


def _huge_member(folder: Path) -> bytes:
    # A plain zip's sizes end at 4 GiB, so three entries make the 10 GB.
    picture = encoded(moving_frames(1)[0])
    path = write_zip(folder / "huge.zip", {f"{index}.png": picture for index in range(3)})
    return declare_sizes(path, 3_500_000_000).read_bytes()


def _nested(folder: Path) -> bytes:
    inner = write_zip(folder / "inner.zip", {"a.png": encoded(moving_frames(1)[0])})
    return write_zip(folder / "nested.zip", {"inner.zip": inner.read_bytes()}).read_bytes()


def _no_images(folder: Path) -> bytes:
    return write_zip(folder / "text.zip", {"readme.txt": b"hello"}).read_bytes()


def _different_sizes(folder: Path) -> bytes:
    frames = [moving_frames(1, size)[0] for size in ((96, 128), (96, 64))]
    return write_zip(
        folder / "sizes.zip", {f"{i}.png": encoded(frame) for i, frame in enumerate(frames)}
    ).read_bytes()


BAD_FILES: dict[str, Callable[[Path], bytes]] = {
    "empty.mp4": lambda _: b"",
    "text.mp4": lambda _: b"this is a text, not a video\n" * 100,
    "cut.mp4": _truncated,
    "sound.mp4": lambda folder: write_audio(folder / "sound.mp4").read_bytes(),
    "1x1.png": lambda _: png_of_size(1, 1),
    "20000x20000.png": lambda _: png_of_size(20_000, 20_000),
    "bomb.png": lambda _: png_of_size(60_000, 60_000),
    "many.zip": _many_entries,
    "outside.zip": _outside,
    "huge.zip": _huge_member,
    "nested.zip": _nested,
    "text.zip": _no_images,
    "sizes.zip": _different_sizes,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_no_clip_is_refused_and_leaves_nothing(
    client: FlaskClient, settings: Settings, tmp_path: Path, name: str
) -> None:
    content = BAD_FILES[name](tmp_path)
    settings_limit = max(LIMIT, len(content) + 1000)
    client.application.extensions["stillmotion"] = _with_limit(client, settings_limit)
    check_refused(client, settings, post(client, (name, content)), 422)
    assert not list(tmp_path.parent.glob("evil.png"))


def _with_limit(client: FlaskClient, limit: int) -> object:
    import dataclasses

    part = client.application.extensions["stillmotion"]
    return dataclasses.replace(part, settings=dataclasses.replace(part.settings, max_upload_bytes=limit))


def test_images_together_with_a_video_or_of_different_sizes_are_refused(
    client: FlaskClient, settings: Settings, small_clip: Path
) -> None:
    picture = encoded(moving_frames(1)[0])
    mixed = post(client, ("a.png", picture), ("b.mp4", small_clip.read_bytes()))
    assert "b.mp4 is not an image" in check_refused(client, settings, mixed, 422)
    other = encoded(moving_frames(1, (64, 64))[0])
    check_refused(client, settings, post(client, ("a.png", picture), ("b.png", other)), 422)
    check_refused(client, settings, post(client, ("a.png", picture), ("b.png", b"")), 422)


def test_a_request_without_a_file_is_refused(client: FlaskClient, settings: Settings) -> None:
    wrong_field = {"video": (io.BytesIO(b"x"), "a.mp4")}
    check_refused(client, settings, client.post("/api/v1/clips", data=wrong_field), 422)
    check_refused(client, settings, client.post("/api/v1/clips", data={"file": "text"}), 415)
    check_refused(client, settings, client.post("/api/v1/clips", data=b"abc"), 415)
    broken = client.post("/api/v1/clips", data=b"abc", content_type="multipart/form-data; boundary=x")
    check_refused(client, settings, broken, 422)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a" * 296 + ".mp4", "a" * 255),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\dog.mp4", "dog.mp4"),
        ("🐕 läuft – schön.mp4", "🐕 läuft – schön.mp4"),
        ("a\x00b\nc\x1b[31m.mp4", "abc[31m.mp4"),
        ("/", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_names_stay_readable_and_harmless(given: str, expected: str) -> None:
    assert readable_name(given) == expected


@pytest.mark.parametrize("name", ["n" * 296 + ".mp4", "a/b\\..\\c.mp4", "🎬.mp4", "x.%2e%2e", "a.mp4/../"])
def test_odd_names_are_uploaded(client: FlaskClient, settings: Settings, small_clip: Path, name: str) -> None:
    answer = post(client, (name, small_clip.read_bytes()))
    assert answer.status_code == 201, answer.text
    assert 0 < len(answer.json["name"]) <= 255
    assert "/" not in answer.json["name"]
    (stored,) = kept_files(settings)
    assert stored.startswith(answer.json["sha256"])


def test_a_name_that_is_not_utf_8_is_said(client: FlaskClient) -> None:
    disposition = 'Content-Disposition: form-data; name="file"; filename="café.mp4"'.encode("latin-1")
    body = b"--b\r\n" + disposition + b"\r\n\r\nx\r\n--b--\r\n"  # as curl sends what a file is called
    answer = client.post("/api/v1/clips", data=body, content_type="multipart/form-data; boundary=b")
    assert (answer.status_code, "is not UTF-8" in answer.json["detail"]) == (422, True)


def test_a_stated_length_over_the_limit_is_refused_before_reading(stack_with_limit: Stack) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack_with_limit.port, timeout=10)
    connection.putrequest("POST", "/api/v1/clips")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(10 * 1024**3))
    connection.endheaders()
    answer = connection.getresponse()  # not one byte of the body was sent
    assert answer.status == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert f"{LIMIT:,} bytes" in answer.read().decode()
    connection.close()
    check_nothing_left(stack_with_limit)


def test_chunks_over_the_limit_are_refused_while_they_come(stack_with_limit: Stack) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", stack_with_limit.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/clips HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        send_chunk(
            connection, b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        )
        try:
            while sent < 64 * LIMIT:
                send_chunk(connection, b"\0" * 65536)
                sent += 65536
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server does not listen any more
        else:
            pytest.fail("the server took 64 times the limit")
    check_nothing_left(stack_with_limit)
    assert sent < 16 * LIMIT


def test_one_byte_over_the_limit_in_chunks_gets_413(stack_with_limit: Stack) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    body = head + b"\0" * (LIMIT - len(head)) + b"\0"
    answer = requests.post(
        f"{stack_with_limit.url}/api/v1/clips",
        data=iter([body]),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
        timeout=10,
    )
    assert answer.status_code == 413
    assert f"{LIMIT:,} bytes" in answer.json()["detail"]
    check_nothing_left(stack_with_limit)


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_a_client_that_hangs_up_leaves_nothing(stack_with_limit: Stack, how: str) -> None:
    header = b"Content-Length: 1000000" if how == "length" else b"Transfer-Encoding: chunked"
    with socket.create_connection(("127.0.0.1", stack_with_limit.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/clips HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        part = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + b"\0" * 300_000
        )
        if how == "length":
            connection.sendall(part)
        else:
            send_chunk(connection, part)
        # The server keeps what has come of a request in a file without a name, which cannot be waited for.
        time.sleep(0.5)
    check_nothing_left(stack_with_limit)


def test_the_same_bytes_at_the_same_time_give_one_clip(stack: Stack, tmp_path: Path) -> None:
    path = moving_clip(tmp_path / "twice.mp4", frames=9)
    content = path.read_bytes()
    gate = threading.Barrier(6)
    answers: list[requests.Response] = []

    def upload() -> None:
        gate.wait()
        answers.append(
            requests.post(f"{stack.url}/api/v1/clips", files={"file": ("t.mp4", content)}, timeout=30)
        )

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    digest = hashlib.sha256(content).hexdigest()
    assert len(list((stack.instance / "storage" / "clips").glob(f"{digest}*"))) == 1
    assert not list((stack.instance / "tmp").iterdir())


def test_left_over_uploads_are_swept(tmp_path: Path) -> None:
    import os

    old, fresh, foreign = (tmp_path / name for name in ("upload-old", "upload-fresh", "other"))
    for path in (old, fresh, foreign):
        path.write_bytes(b"x")
    long_ago = time.time() - 3 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"upload-fresh", "other"}
    sweep(tmp_path, uploads_older_than=0.0)
    assert {path.name for path in tmp_path.iterdir()} == {"other"}


@pytest.fixture(scope="module")
def stack_with_limit(tmp_path_factory: pytest.TempPathFactory):
    """A real server with a small upload limit, without a worker."""
    variables = {"STILLMOTION_MAX_UPLOAD_BYTES": str(LIMIT), "STILLMOTION_WORKERS": "0"}
    stack = Stack(tmp_path_factory.mktemp("limited") / "instance", variables)
    stack.start()
    yield stack
    stack.stop()


def send_chunk(connection: socket.socket, data: bytes) -> None:
    """Send one chunk of a chunked body."""
    connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def check_nothing_left(stack: Stack) -> None:
    """Check that a refused upload is gone without a trace."""
    wait_for(lambda: not list((stack.instance / "tmp").iterdir()), 5)
    assert stack.get("/clips").json() == {"items": [], "total": 0}
    assert not [path for path in (stack.instance / "storage").rglob("*") if path.is_file()]
