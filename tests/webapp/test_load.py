"""What many requests may cost: overlays in jobs, a bounded queue, quick lists, short before long."""

import io
import sys
import time
from pathlib import Path

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from tests.webapp.api.test_compare import moved, stored
from tests.webapp.stack import Stack, wait_for
from webapp.actions import overlays
from webapp.conversion.queue import QUEUE as CONVERSIONS
from webapp.core.settings import Settings
from webapp.jobs.base import JobQueue
from webapp.jobs.queue import QUEUES, served_queues
from webapp.rows.records import Run, RunState


@pytest.fixture
def clip(client: FlaskClient, small_clip: Path) -> str:
    answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(small_clip.read_bytes()), "small.mp4")})
    return str(answer.json["id"])


def test_an_overlay_is_one_job_however_often_it_is_asked_for(
    app: Flask,
    client: FlaskClient,
    clip: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overlays, "PATIENCE", 0.2)
    run = stored(app, clip, moved((1.0, 0.0), "lk"), tmp_path)
    address = f"/api/v1/runs/{run}/overlay.gif"
    for _ in range(4):
        answer = client.get(address)
        assert answer.status_code == 202
        assert (answer.headers["Retry-After"], answer.headers["Refresh"]) == ("2", "2")
    jobs = app.extensions["stillmotion"].queue.jobs
    assert len(jobs.waiting_ids()) == 1
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    SimpleWorker(list(QUEUES), connection=jobs.redis, serializer=JSONSerializer).work(burst=True)
    answer = client.get(address)
    assert (answer.status_code, answer.content_type) == (200, "image/gif")
    answer.close()
    assert jobs.known_ids() == []


def test_an_overlay_that_cannot_be_drawn_says_why_and_is_tried_again(
    app: Flask,
    client: FlaskClient,
    clip: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overlays, "PATIENCE", 0.0)
    run = stored(app, clip, moved((1.0, 0.0), "lk"), tmp_path)
    backend = app.extensions["stillmotion"]
    backend.storage.delete("clips")
    assert client.get(f"/api/v1/runs/{run}/overlay.mp4").status_code == 202
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    worker = SimpleWorker(list(QUEUES), connection=backend.queue.jobs.redis, serializer=JSONSerializer)
    worker.work(burst=True)
    answer = client.get(f"/api/v1/runs/{run}/overlay.mp4")
    assert answer.status_code == 422
    assert "gone from the storage" in answer.json["detail"]
    assert client.get(f"/api/v1/runs/{run}/overlay.mp4").status_code == 202


def test_so_many_jobs_may_wait_and_no_more(client: FlaskClient, app: Flask, clip: str) -> None:
    object.__setattr__(app.extensions["stillmotion"].queue.settings, "max_waiting", 2)
    wish = {"clip": clip, "method": "zero", "grid": 4}
    assert [client.post("/api/v1/runs", json=wish).status_code for _ in range(4)] == [202, 202, 429, 429]
    answer = client.post("/api/v1/runs", json=wish)
    assert answer.headers["Retry-After"] == "60"
    assert "2 jobs wait already" in answer.json["detail"]
    assert client.get("/api/v1/runs").json["total"] == 2


def test_a_list_of_600_unfinished_runs_takes_100_ms(client: FlaskClient, app: Flask, clip: str) -> None:
    backend = app.extensions["stillmotion"]
    runs = [
        Run(
            id=f"{number:016x}",
            clip_id=clip,
            method="lk",
            grid=16,
            start=0,
            frames=8,
            frame_step=1,
            state=RunState.RUNNING if number < 100 else RunState.QUEUED,
        )
        for number in range(600)
    ]
    with backend.database.session() as session:
        session.add_all(runs)
    for run in runs[100:]:
        backend.queue.jobs.enqueue(run.id, "operator.neg", 1, timeout=10)

    def seconds(limit: int) -> float:
        """The least that a list of so many takes this process."""
        spans = []
        for _ in range(5):
            began = time.thread_time()
            listed = client.get(f"/api/v1/runs?limit={limit}").json
            spans.append(time.thread_time() - began)
        assert (listed["total"], len(listed["items"])) == (600, limit)
        places = {run["queue_position"] for run in listed["items"] if run["state"] == "queued"}
        assert places <= set(range(1, 501))
        return min(spans)

    slower = 2 if sys.gettrace() else 1  # coverage doubles it
    assert seconds(100) < 0.1
    assert seconds(500) < 0.25 * slower


def test_workers_serve_what_suits_them_first() -> None:
    assert served_queues(Settings(device="cuda"))[:2] == ["stillmotion-short-gpu", "stillmotion-short-cpu"]
    assert served_queues(Settings(device="cpu"))[:2] == ["stillmotion-short-cpu", "stillmotion-short-gpu"]
    assert served_queues(Settings(device="cpu", queues="short,cpu")) == ["stillmotion-short-cpu"]
    assert set(served_queues(Settings())) == set(QUEUES)


def test_a_short_run_waits_neither_for_a_long_run_nor_for_a_conversion(
    start_stack, small_clip: Path, long_clip: Path
) -> None:
    stack: Stack = start_stack(STILLMOTION_SHORT_WORKERS="1")
    redis = Redis(unix_socket_path=str(stack.instance / "redis" / "redis.sock"))
    conversions = JobQueue(redis, (CONVERSIONS,))
    # An hour of work that only a stop ends; what it does is all the same to the queues.
    conversions.enqueue("hour", "time.sleep", 3600, timeout=4000)
    wait_for(lambda: conversions.handles(["hour"])["hour"].job is not None)
    wait_for(lambda: len(JobQueue(redis, QUEUES).workers()) == 2)
    clip = stack.upload(small_clip)
    began = time.monotonic()
    run = stack.wait_for_end(stack.start_run(clip, grid=4))
    assert run["state"] == "done", run
    assert time.monotonic() - began < 10  # alone it takes about 1 s
    assert conversions.handles(["hour"])["hour"].condition.name == "WORKING"
    assert requests.get(f"{stack.url}/readyz", timeout=10).status_code == 200
    conversions.stop("hour")
    redis.close()
