"""Overlays as asked for: each look drawn once, lacks said before the work, files that say what they are."""

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from model.clips.video import read_frames
from model.core.version import VERSION
from model.motion.prediction import Prediction
from tests.webapp.api.test_compare import moved, stored
from webapp.actions import overlays
from webapp.core.settings import Settings
from webapp.jobs.base import tell_progress
from webapp.jobs.queue import QUEUES
from webapp.rows.records import Run

Answer = tuple[int, bytes]
Ask = Callable[[str], Answer]


@pytest.fixture
def clip(client: FlaskClient, small_clip: Path) -> str:
    answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(small_clip.read_bytes()), "small.mp4")})
    return str(answer.json["id"])


@pytest.fixture
def ask(app: Flask, client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask for an overlay, let a worker draw what waits, and ask again."""
    monkeypatch.setattr(overlays, "PATIENCE", 0.0)
    jobs = app.extensions["stillmotion"].queue.jobs
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)

    def asked(address: str) -> Answer:
        answer = client.get(f"/api/v1/runs/{address}")
        if answer.status_code == 202:
            SimpleWorker(list(QUEUES), connection=jobs.redis, serializer=JSONSerializer).work(burst=True)
            answer = client.get(f"/api/v1/runs/{address}")
        content = answer.data
        answer.close()
        return answer.status_code, content

    return asked


def test_a_film_is_what_was_asked_for(app: Flask, clip: str, tmp_path: Path, ask: Ask) -> None:
    run = stored(app, clip, moved((3.0, 0.0), "lk"), tmp_path)
    pictures = {}
    for name, wish in (
        ("whole", "paths=all"),
        ("part", "paths=all&first=4&last=6&dots=0&hidden=hide&size=2"),
    ):
        status, content = ask(f"{run}/overlay.mp4?{wish}")
        assert status == 200
        (tmp_path / f"{name}.mp4").write_bytes(content)
        pictures[name] = list(read_frames(tmp_path / f"{name}.mp4"))
    assert (len(pictures["whole"]), len(pictures["part"])) == (8, 3)
    with av.open(str(tmp_path / "part.mp4")) as film:
        told = json.loads(film.metadata["comment"])
    found = app.extensions["stillmotion"].database.find(Run, run)
    assert told["clip"] == "small.mp4"
    assert told["clip_sha256"] == found.clip.sha256
    assert (told["run"], told["method"], told["stillmotion"]) == (run, "lk", VERSION)
    assert told["frames"] == [2, 9]
    assert told["look"]["first"] == 4
    assert run in told["citation"]


def test_a_job_tells_how_much_is_drawn(
    app: Flask, client: FlaskClient, clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stored(app, clip, moved((3.0, 0.0), "lk"), tmp_path)
    backend = app.extensions["stillmotion"]
    began = time.monotonic()
    answers = [client.get(f"/api/v1/runs/{run}/overlay.gif", headers={"Prefer": "respond-async"})]
    assert time.monotonic() - began < overlays.PATIENCE / 2
    job_id = backend.queue.jobs.known_ids()[0]
    job = Job.fetch(job_id, connection=backend.queue.jobs.redis, serializer=JSONSerializer)
    monkeypatch.setattr("webapp.jobs.base.get_current_job", lambda: job)
    backend.queue.jobs.redis.delete("rq:queue:stillmotion-short-cpu")  # as if a worker had taken it
    tell_progress(0.42)
    answers.append(client.get(f"/api/v1/runs/{run}/overlay.gif", headers={"Prefer": "respond-async"}))
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json["progress"] for answer in answers] == [None, 0.42]
    assert "42%" in answers[1].json["detail"]


def test_what_a_run_lacks_is_said_before_the_work(
    app: Flask, client: FlaskClient, clip: str, tmp_path: Path, ask: Ask
) -> None:
    run = stored(app, clip, moved((3.0, 0.0), "lk"), tmp_path)
    for wish, reason in (
        ("colour=chance", "not known"),
        ("moving=1", "not known"),
        ("first=90", "no frame from 90"),
        ("hypothesis=0", "no hypothesis 0"),
        ("camera=removed", "No camera"),
        ("paths=8x", "The paths must be"),
        ("colour=blue", "colour must be one of"),
        ("size=9", "size must be"),
    ):
        answer = client.get(f"/api/v1/runs/{run}/overlay.mp4?{wish}")
        assert (answer.status_code, reason in answer.json["detail"]) == (422, True), (wish, answer.json)
    assert client.get(f"/api/v1/runs/{run}/overlay.html?view={'x' * 501}").status_code == 422
    assert app.extensions["stillmotion"].queue.jobs.known_ids() == []


def test_a_prediction_is_drawn_with_its_map_and_a_hypothesis(
    app: Flask, clip: str, tmp_path: Path, ask: Ask
) -> None:
    tracks = moved((0.0, 0.0), "fcn")
    ways = np.stack([tracks.points, moved((4.0, 0.0), "fcn").points])
    weights = np.full((2, 9), 0.5, np.float32)
    moving = np.tile(np.array([0, 0, 1], np.float32), 3)
    prediction = Prediction(tracks, ways, weights, np.stack([ways[0], ways[1]]), moving)
    run = stored(app, clip, prediction, tmp_path)
    films = {}
    for wish in ("shade=0", "shade=0&moving=1&opacity=100&dots=0", "shade=0&hypothesis=1&dots=0"):
        status, content = ask(f"{run}/overlay.mp4?{wish}")
        assert status == 200
        (tmp_path / "film.mp4").write_bytes(content)
        films[wish] = [picture.astype(int) for picture in read_frames(tmp_path / "film.mp4")]
    still, mapped, way = (film[-1] for film in films.values())
    assert mapped[:, -12:].mean() > 100
    assert mapped[:, :12].mean() < 30
    x, y = tracks.points[0, 4]
    ahead = slice(round(y) - 1, round(y) + 2), slice(round(x) + 8, round(x) + 20)
    assert way[ahead].max() > 100
    assert still[ahead].max() < 40


def test_html_holds_the_frames_the_numbers_and_the_view(
    app: Flask, clip: str, tmp_path: Path, ask: Ask
) -> None:
    run = stored(app, clip, moved((3.0, 0.0), "lk"), tmp_path)
    status, content = ask(f"{run}/overlay.html?view=frame%3D5%26colour%3Dspeed%3C%2Fscript%3E")
    assert status == 200
    text = content.decode()
    assert 'location.hash = "frame=5&colour=speed\\u003c/script>"' in text
    frames = json.loads(re.search(r'id="frames">(.*?)</script>', text)[1])
    assert len(frames) == 8
    figure = json.loads(re.search(r'id="figure">(.*?)</script>', text)[1])
    assert figure["layout"]["meta"]["stillmotion"]["about"]["run"] == run


def test_of_many_looks_the_newest_are_kept(
    app: Flask, clip: str, tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.jobs.overlays.MOST_KEPT", 2)
    run = stored(app, clip, moved((3.0, 0.0), "lk"), tmp_path)
    assert ask(f"{run}/overlay.gif")[0] == 200
    for size in (1.1, 1.2, 1.3):
        assert ask(f"{run}/overlay.gif?size={size}")[0] == 200
    backend = app.extensions["stillmotion"]
    folder = backend.storage.local_path(f"{backend.database.find(Run, run).folder}/overlay.gif").parent
    assert len(list(folder.glob("*.gif"))) == 3  # the plain one, and two
