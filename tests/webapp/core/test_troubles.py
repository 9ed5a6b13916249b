"""A service that fails is named in one sentence, at once, and nothing is lost; real services fail here."""

import io
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
import redis
import requests
import torch
from flask import Flask
from flask.testing import FlaskClient
from rq.job import Job
from rq.serializers import JSONSerializer
from s3fs import S3FileSystem
from werkzeug.test import TestResponse

from model.core.errors import BadInput
from tests.webapp.own_redis import OwnRedis
from tests.webapp.s3_server import S3Server
from tests.webapp.stack import Stack, wait_for
from webapp.actions.history import REMOVED, empty_bin
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.files.storage import Storage
from webapp.jobs.base import ForkingWorker, connect
from webapp.jobs.execution import JobContext, execute
from webapp.jobs.queue import QUEUES, record_failure, record_killed
from webapp.rows import database
from webapp.rows.database import Database, migrate
from webapp.rows.records import Clip, Run


@pytest.fixture
def clip(client: FlaskClient, small_clip: Path) -> str:
    answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(small_clip.read_bytes()), "small.mp4")})
    return str(answer.json["id"])


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An S3 server with a bucket “films”."""
    server = S3Server(tmp_path)
    S3FileSystem.clear_instance_cache()  # it would go on asking the server of the test before
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="films")
    yield server
    server.end()


def within_5_s(ask: Callable[[], TestResponse]) -> TestResponse:
    began = time.monotonic()
    answer = ask()
    assert time.monotonic() - began < 5
    return answer


@pytest.mark.slow
def test_a_storage_that_is_frozen_is_503_within_5_s_and_loses_nothing(
    settings: Settings, s3: S3Server, small_clip: Path
) -> None:
    app = create_app(replace(settings, storage_url="s3://films/stillmotion"))
    client, backend = app.test_client(), app.extensions["stillmotion"]
    content = small_clip.read_bytes()

    def upload(content: bytes) -> TestResponse:
        return client.post("/api/v1/clips", data={"file": (io.BytesIO(content), "small.mp4")})

    clip = upload(content).json["id"]
    s3.freeze()
    for ask in (
        lambda: upload(content + b"\0" * 8),
        lambda: client.get(f"/api/v1/clips/{clip}/frames/0.jpg"),
        lambda: client.delete(f"/api/v1/clips/{clip}"),
        lambda: client.get("/readyz"),
    ):
        answer = within_5_s(ask)
        assert answer.status_code == 503, answer.text
        assert "The storage does not answer; try again later." in answer.text
    assert client.get("/api/v1/clips").json["total"] == 0  # neither the new one nor the one being removed
    assert client.get(f"/api/v1/clips/{clip}").status_code == 200
    s3.thaw()
    wait_for(lambda: client.get("/readyz").json["checks"]["storage"] == "ok")
    empty_bin(backend.queue, backend.settings)
    assert client.get(f"/api/v1/clips/{clip}").status_code == 404
    assert not boto3.client("s3").list_objects_v2(Bucket="films", Prefix="stillmotion/clips").get("Contents")
    again = upload(content)
    assert (again.status_code, again.json["id"]) == (201, clip)
    s3.end()
    assert within_5_s(lambda: client.get(f"/api/v1/clips/{clip}/frames/1.jpg")).status_code == 503
    assert within_5_s(lambda: client.get("/readyz")).status_code == 503
    backend.database.close()


def test_the_whole_app_outlives_a_storage_that_is_away(start_stack, s3: S3Server, small_clip: Path) -> None:
    stack: Stack = start_stack(STORAGE_URL="s3://films/stillmotion", **s3.environment)
    clip = stack.upload(small_clip)
    done = stack.start_run(clip, grid=4)
    assert stack.wait_for_end(done)["state"] == "done"
    s3.freeze()
    away = stack.start_run(clip, grid=4)
    wait_for(lambda: stack.run(away)["state"] == "running")
    assert requests.get(f"{stack.url}/readyz", timeout=10).status_code == 503
    assert stack.cancel(away)["state"] == "cancelled"
    s3.thaw()
    stack.wait_until_ready()
    assert stack.process.poll() is None
    assert stack.wait_for_end(stack.start_run(clip, grid=4))["state"] == "done"
    assert stack.get(f"/runs/{done}/tracks.npz").status_code == 200


@pytest.mark.slow
def test_a_run_that_is_done_keeps_its_worker_for_no_storage_that_is_away(
    settings: Settings, s3: S3Server, clip: str, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json["id"]
    for name, value in replace(settings, storage_url="s3://films/stillmotion").to_environment().items():
        monkeypatch.setenv(name, value)
    ended: list[float] = []

    def work(_context: JobContext[Run]) -> None:
        s3.freeze()
        ended.append(time.monotonic())

    execute(Run, run, work)
    assert time.monotonic() - ended[0] < 30  # a worker otherwise waits for minutes
    assert client.get(f"/api/v1/runs/{run}").json["state"] == "done"
    s3.thaw()


@pytest.mark.slow
def test_a_worker_waits_for_a_storage_that_starts_anew(
    settings: Settings, s3: S3Server, tmp_path: Path
) -> None:
    storage = Storage.of(replace(settings, storage_url="s3://films/stillmotion"), is_patient=True)
    s3.end()
    with ThreadPoolExecutor() as pool:
        written = pool.submit(storage.write, "a", b"b")
        time.sleep(8)  # longer than s3fs tries by itself
        assert not written.done()
        again = S3Server(tmp_path, s3.port)
        try:
            boto3.client("s3").create_bucket(Bucket="films")
            written.result()
            assert storage.exists("a")
        finally:
            again.end()


def test_a_locked_database_is_503(
    client: FlaskClient, settings: Settings, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SQLITE_PATIENCE", 0.1)
    app = create_app(settings)
    other = sqlite3.connect(settings.instance / "stillmotion.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    answer = app.test_client().patch(f"/api/v1/clips/{clip}", json={"name": "b"})
    assert answer.status_code == 503
    assert answer.json["detail"] == "Another program holds the database for itself; try again later."
    other.execute("ROLLBACK")
    other.close()
    assert app.test_client().patch(f"/api/v1/clips/{clip}", json={"name": "b"}).status_code == 200
    app.extensions["stillmotion"].database.close()


def _newer(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()


def _corrupt(file: Path) -> None:
    file.write_bytes(b"not a database" * 1000)


def _damaged(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    content = file.read_bytes()
    file.write_bytes(content[:100] + os.urandom(len(content) - 100))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [(_newer, "comes from a newer Stillmotion"), (_corrupt, "is damaged"), (_damaged, "is damaged")],
)
def test_a_database_that_cannot_be_used_ends_the_start(
    settings: Settings, spoil: Callable[[Path], None], sentence: str
) -> None:
    migrate(settings)
    spoil(settings.instance / "stillmotion.sqlite3")
    with pytest.raises(BadInput, match=sentence) as raised:
        migrate(settings)
    assert str(settings.instance) not in str(raised.value)
    assert "SELECT" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["nonsense://user:secret@host/name", "postgresql+nodriver://u:secret@h/n", "x"]
)
def test_a_database_of_an_unknown_kind_is_one_sentence(settings: Settings, url: str) -> None:
    with pytest.raises(BadInput, match="DATABASE_URL") as raised:
        Database(url)
    assert "secret" not in str(raised.value)


def test_a_damaged_database_of_a_running_app_is_503(
    client: FlaskClient, settings: Settings, app: Flask
) -> None:
    app.extensions["stillmotion"].database.close()
    _corrupt(settings.instance / "stillmotion.sqlite3")
    (settings.instance / "stillmotion.sqlite3-wal").unlink(missing_ok=True)
    answer = client.get("/api/v1/runs")
    assert answer.status_code == 503
    assert "damaged" in answer.json["detail"]
    assert "damaged" in client.get("/readyz").json["checks"]["database"]
    assert client.get("/runs/x").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_a_redis_without_memory_is_named(client: FlaskClient, clip: str, redis_url: str) -> None:
    server = redis.Redis.from_url(redis_url)
    server.config_set("maxmemory", "1")
    try:
        answer = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"})
        failed = client.get("/api/v1/runs").json["items"][0]
        ready = client.get("/readyz")
    finally:
        server.config_set("maxmemory", "0")
        server.close()
    assert answer.status_code == 503
    assert "Redis has no memory left" in answer.json["detail"]
    assert failed["state"] == "failed"
    assert "Redis has no memory left" in failed["error"]
    assert ready.status_code == 503
    assert "Redis has no memory left" in ready.json["checks"]["redis"]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis of the test's own."""
    server = OwnRedis(tmp_path / "own-redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.slow
def test_a_redis_that_does_not_answer_holds_nobody_up(
    settings: Settings, client: FlaskClient, clip: str, own_redis: OwnRedis
) -> None:
    app = create_app(replace(settings, redis_url=own_redis.url))
    other, queue = app.test_client(), app.extensions["stillmotion"].queue
    ForkingWorker(QUEUES, connection=connect(own_redis.url)).register_birth()
    assert other.get("/readyz").status_code == 200
    wish = {"clip": clip, "method": "lk"}
    assert other.post("/api/v1/runs", json=wish).status_code == 202
    own_redis.send(signal.SIGSTOP)
    assert len(within_5_s(lambda: other.get("/api/v1/runs")).json["items"]) == 1
    ready = within_5_s(lambda: other.get("/readyz"))
    assert (ready.status_code, ready.json["checks"]["redis"]) == (503, "Redis does not answer.")
    began = time.monotonic()
    assert other.post("/api/v1/runs", json=wish).status_code == 503
    assert time.monotonic() - began < 10
    own_redis.send(signal.SIGCONT)
    assert other.get("/readyz").status_code == 200
    assert queue.jobs.count_waiting() == 1
    queue.database.close()


@pytest.mark.slow
def test_a_postgres_that_does_not_answer_is_one_sentence(settings: Settings, silent: str) -> None:
    began = time.monotonic()
    with pytest.raises(BadInput, match="The database does not answer") as raised:
        migrate(replace(settings, database_url=f"postgresql+psycopg://user:secret@{silent}/name"))
    assert time.monotonic() - began < 10
    assert "secret" not in str(raised.value)


def test_what_goes_wrong_inside_is_for_the_log(
    client: FlaskClient, settings: Settings, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json["id"]
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    value = RuntimeError("postgresql://user:secret@host: SELECT * FROM runs in /home/somebody")
    record_failure(Job(run, connection=redis.Redis()), None, RuntimeError, value, None)
    error = client.get(f"/api/v1/runs/{run}").json["error"]
    assert error == "An error inside Stillmotion ended the run (RuntimeError); see the server's log."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (torch.OutOfMemoryError("CUDA"), "The memory did not suffice; try fewer frames or points."),
        (
            torch.AcceleratorError("CUDA error: unspecified launch failure"),
            "The GPU failed or went away; start the run again when it works.",
        ),
    ],
    ids=["without memory", "gone"],
)
def test_a_gpu_that_lacks_memory_or_goes_away_is_one_sentence(
    client: FlaskClient,
    settings: Settings,
    clip: str,
    monkeypatch: pytest.MonkeyPatch,
    error: RuntimeError,
    sentence: str,
) -> None:
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json["id"]
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    record_failure(Job(run, connection=redis.Redis()), None, type(error), error, None)
    assert client.get(f"/api/v1/runs/{run}").json["error"] == sentence


@pytest.mark.parametrize("workers_lost", [0, 1])
def test_only_the_second_kill_of_a_run_fails_it(
    client: FlaskClient,
    settings: Settings,
    app: Flask,
    clip: str,
    monkeypatch: pytest.MonkeyPatch,
    workers_lost: int,
) -> None:
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json["id"]
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    backend = app.extensions["stillmotion"]
    for _ in range(workers_lost):
        started = backend.database.start(backend.database.find(Run, run))
        assert backend.database.requeue(started, started.state)
    job = Job.fetch(run, connection=backend.queue.jobs.redis, serializer=JSONSerializer)
    record_killed(job, 0, signal.SIGKILL, None)
    assert client.get(f"/api/v1/runs/{run}").json["state"] == "queued"  # the reaper starts it once more
    record_killed(job, 0, signal.SIGKILL, None)
    failed = client.get(f"/api/v1/runs/{run}").json
    assert (failed["state"], "SIGKILL" in failed["error"]) == ("failed", True)


def test_what_is_being_removed_is_removed_however_long_the_bin_keeps(
    client: FlaskClient, settings: Settings, app: Flask, clip: str
) -> None:
    backend = app.extensions["stillmotion"]
    with backend.database.session() as session:
        session.get_one(Clip, clip).deleted_at = REMOVED
    empty_bin(backend.queue, replace(settings, bin_days=36500))
    assert client.get(f"/api/v1/clips/{clip}").status_code == 404


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only for root, too; the test is skipped where that cannot be."""
    if subprocess.run(["mount", "--bind", str(folder), str(folder)], check=False).returncode:
        pytest.skip("Only root may make a folder read-only for root.")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_read_only_folder_is_one_sentence(tmp_path: Path) -> None:
    with read_only(tmp_path), pytest.raises(BadInput, match="STILLMOTION_INSTANCE"):
        create_app(Settings(instance=tmp_path / "instance"))


def test_a_storage_that_becomes_read_only_is_503_and_a_removal_ends_later(
    settings: Settings, tmp_path: Path, small_clip: Path
) -> None:
    (tmp_path / "storage").mkdir()
    app = create_app(replace(settings, storage_url=str(tmp_path / "storage")))
    client, queue = app.test_client(), app.extensions["stillmotion"].queue

    def upload(content: bytes) -> TestResponse:
        return client.post("/api/v1/clips", data={"file": (io.BytesIO(content), "small.mp4")})

    content = small_clip.read_bytes()
    clip = upload(content).json["id"]
    with read_only(tmp_path / "storage"):
        for answer in (upload(content + b"\0" * 8), client.delete(f"/api/v1/clips/{clip}")):
            assert answer.status_code == 503
            assert "Read-only file system" in answer.json["detail"]
        assert client.get(f"/api/v1/clips/{clip}/frames/0.jpg").status_code == 200
        empty_bin(queue, queue.settings)  # which a worker does again and again
    empty_bin(queue, queue.settings)
    assert client.get(f"/api/v1/clips/{clip}").status_code == 404
    assert not list((tmp_path / "storage" / "clips").iterdir())
    queue.database.close()
