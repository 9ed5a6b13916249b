"""A disk that becomes full: refused before the reserve is touched, and removing always works."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import requests
from flask import Flask
from flask.testing import FlaskClient
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from tests.webapp.serving import serving
from tests.webapp.stack import Stack, free_port, is_alive, wait_for
from webapp.actions.history import retire
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.jobs.queue import QUEUES
from webapp.rows.records import Clip, Run, now

MIB = 1024**2
RESERVE = 8 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("Only root may make a small disk.")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Write a file that leaves so many bytes free."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while (free := shutil.disk_usage(disk).free) > left:
            file.write(bytes(min(free - left, MIB)))
    return filler


@pytest.fixture
def on_disk(disk: Path, settings: Settings) -> Settings:
    """Settings of an instance on the small disk."""
    return replace(settings, instance=disk / "instance", reserve_bytes=RESERVE, max_upload_bytes=100 * MIB)


@pytest.fixture
def app(on_disk: Settings) -> Iterator[Flask]:
    """The app there; it stands before the one of all tests."""
    app = create_app(on_disk)
    yield app
    app.extensions["stillmotion"].database.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of it."""
    return app.test_client()


def upload(client: FlaskClient, path: Path) -> str:
    return str(
        client.post("/api/v1/clips", data={"file": (io.BytesIO(path.read_bytes()), "a.mp4")}).json["id"]
    )


@pytest.fixture
def served(app: Flask, on_disk: Settings) -> Iterator[str]:
    """The address of the app behind its web server."""
    port = free_port()
    with serving(app, replace(on_disk, port=port)):
        yield f"http://127.0.0.1:{port}"


class Watched(io.BytesIO):
    """A file that is sent, and the least room that was left meanwhile."""

    def __init__(self, size: int, disk: Path) -> None:
        super().__init__(bytes(size))
        self.disk = disk
        self.least = shutil.disk_usage(disk).free

    def read(self, size: int | None = -1) -> bytes:
        self.least = min(self.least, shutil.disk_usage(self.disk).free)
        return super().read(size)


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
def test_an_upload_that_does_not_fit_is_refused_before_the_reserve_is_touched(
    served: str, disk: Path, is_chunked: bool
) -> None:
    file = Watched(40 * MIB, disk)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'

    def body() -> Iterator[bytes]:
        yield head
        while part := file.read(1 << 16):
            yield part

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    try:
        if is_chunked:
            answer = requests.post(f"{served}/api/v1/clips", data=body(), headers=headers, timeout=30)
        else:
            answer = requests.post(f"{served}/api/v1/clips", files={"file": ("a.mp4", file)}, timeout=30)
    except requests.ConnectionError:
        assert is_chunked  # a client that does not listen while it sends may miss the answer
    else:
        assert answer.status_code == 507, answer.text
        assert answer.json()["detail"].startswith("The server's disk is full")
    assert file.least >= RESERVE - MIB
    wait_for(lambda: not [path for path in (disk / "instance" / "tmp").iterdir() if path.is_file()], 5)


def test_where_only_the_reserve_is_left_nothing_new_begins(
    client: FlaskClient, disk: Path, small_clip: Path
) -> None:
    clip = upload(client, small_clip)
    fill(disk, RESERVE // 2)
    wish = {"clip": clip, "method": "lk", "grid": 4}
    for answer in (
        client.post("/api/v1/runs", json=wish),
        client.post("/api/v1/clips", data={"file": (io.BytesIO(b"GIF89a"), "a.gif")}),
    ):
        assert answer.status_code == 507
        assert answer.json["detail"].startswith(
            "The server's disk is full but for a reserve of 8,388,608 bytes"
        )
    assert client.get("/api/v1/runs").json["total"] == 0
    assert client.get("/readyz").json["checks"]["storage"] == "ok"


def test_a_full_disk_keeps_nothing_from_being_removed(
    client: FlaskClient, app: Flask, disk: Path, small_clip: Path
) -> None:
    clip = upload(client, small_clip)
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json["id"]
    fill(disk, 0)
    assert shutil.disk_usage(disk).free == 0
    assert client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).status_code == 507
    assert client.delete(f"/api/v1/clips/{clip}").status_code == 204
    assert client.get(f"/api/v1/runs/{run}").status_code == 404
    assert not list((disk / "instance" / "storage" / "clips").iterdir())


def test_a_run_that_meets_a_full_disk_says_so(
    client: FlaskClient, app: Flask, disk: Path, on_disk: Settings, small_clip: Path, monkeypatch
) -> None:
    run = client.post("/api/v1/runs", json={"clip": upload(client, small_clip), "method": "lk"}).json["id"]
    fill(disk, RESERVE // 2)
    for name, value in on_disk.to_environment().items():
        monkeypatch.setenv(name, value)
    jobs = app.extensions["stillmotion"].queue.jobs
    SimpleWorker(list(QUEUES), connection=jobs.redis, serializer=JSONSerializer).work(burst=True)
    ended = client.get(f"/api/v1/runs/{run}").json
    assert ended["state"] == "failed"
    assert ended["error"].startswith("The server's disk is full")
    assert not (disk / "instance" / "storage" / "runs" / run).exists()


def test_clips_and_results_have_a_quota(settings: Settings, small_clip: Path) -> None:
    size = small_clip.stat().st_size
    app = create_app(replace(settings, quota_bytes=2 * size))
    client = app.test_client()
    clip = upload(client, small_clip)
    second = small_clip.read_bytes() + b"\0" * 4
    answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(second), "b.mp4")})
    assert answer.status_code == 507
    assert f"may take {2 * size:,} bytes in all, and {size:,} are in use" in answer.json["detail"]
    assert client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).status_code == 507
    assert client.get("/api/v1/clips").json["total"] == 1
    app.extensions["stillmotion"].database.close()


def test_what_is_old_goes_into_the_bin(settings: Settings, small_clip: Path) -> None:
    app = create_app(settings)
    client, backend = app.test_client(), app.extensions["stillmotion"]
    clip = upload(client, small_clip)
    runs = [client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json["id"] for _ in range(3)]
    long_ago = now() - timedelta(days=11)
    with backend.database.session() as session:
        session.get_one(Clip, clip).created_at = long_ago
        for run in runs[:2]:
            session.get_one(Run, run).finished_at = long_ago
    client.patch(f"/api/v1/runs/{runs[1]}", json={"tags": ["keep"]})

    def there() -> tuple[set[str], int]:
        found = client.get("/api/v1/runs").json["items"]
        return {run["id"] for run in found}, client.get("/api/v1/clips").json["total"]

    retire(backend.queue, settings)
    assert there() == (set(runs), 1)
    retire(backend.queue, replace(settings, keep_days=12))
    assert there() == (set(runs), 1)
    retire(backend.queue, replace(settings, keep_days=10))
    assert there() == ({runs[1], runs[2]}, 1)
    client.patch(f"/api/v1/runs/{runs[1]}", json={"tags": []})
    with backend.database.session() as session:
        session.get_one(Run, runs[2]).finished_at = long_ago
    retire(backend.queue, replace(settings, keep_days=10))
    assert there() == (set(), 0)
    assert client.get("/api/v1/clips?deleted=true").json["total"] == 1
    backend.database.close()


def test_redis_and_workers_outlive_a_full_disk(start_stack, disk: Path, small_clip: Path) -> None:
    stack: Stack = start_stack(instance=disk / "instance", STILLMOTION_RESERVE_BYTES=str(RESERVE))
    clip = stack.upload(small_clip)
    earlier = stack.start_run(clip, grid=4)
    stack.wait_for_end(earlier)
    server = stack.redis()
    filler = fill(disk, 0)
    client = redis.Redis(unix_socket_path=urlsplit(f"unix://{disk}/instance/redis/redis.sock").path)
    with suppress(redis.RedisError):
        for number in range(200):  # more than the file's last block takes
            client.set(f"filler-{number}", b"x" * 1000)
    answer = requests.post(f"{stack.url}/api/v1/runs", json={"clip": clip, "method": "lk"}, timeout=10)
    assert answer.status_code == 507
    assert stack.get(f"/runs/{earlier}/overlay.gif").status_code == 507
    ready = requests.get(f"{stack.url}/readyz", timeout=10)
    assert ready.status_code == 503, ready.text
    filler.unlink()
    stack.wait_until_ready()
    assert is_alive(server)
    run = stack.wait_for_end(stack.start_run(clip, grid=4))
    assert run["state"] == "done", run
    assert requests.delete(f"{stack.url}/api/v1/clips/{clip}", timeout=10).status_code == 204
    client.close()
