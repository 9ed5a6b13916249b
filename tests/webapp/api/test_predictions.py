"""Predictions from one image through the API, with a real worker and weights of random values."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from rq.job import Job
from rq.serializers import JSONSerializer

from model.clips.video import read_frame
from model.motion.grid import query_grid
from model.motion.prediction import Prediction
from model.prediction.outputs import DIRECTIONS
from tests.media import encoded, texture, write_image
from tests.predictors import HORIZON, tiny_predictor
from tests.webapp.stack import Stack, wait_for
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.jobs import tasks
from webapp.jobs.execution import SECONDS_BETWEEN_REPORTS
from webapp.jobs.queue import PREDICT, TRACK

SIZE = (90, 120)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_predictor(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def predicting_stack(weights: Path, tmp_path_factory: pytest.TempPathFactory):
    """A running app whose method “fcn” has the random weights."""
    instance = tmp_path_factory.mktemp("predicting") / "instance"
    stack = Stack(instance, {"STILLMOTION_PREDICTOR_WEIGHTS": str(weights)})
    try:
        stack.start()
        stack.wait_until_ready(60)
        yield stack
    finally:
        stack.stop()


def downloaded(stack: Stack, run: str, folder: Path) -> Prediction:
    (folder / "motion.npz").write_bytes(stack.get(f"/runs/{run}/tracks.npz").content)
    return Prediction.load(folder / "motion.npz")


@pytest.mark.slow
def test_a_single_image_is_predicted(predicting_stack: Stack, weights: Path, tmp_path: Path) -> None:
    from model.prediction.predictor import Predictor

    stack = predicting_stack
    picture = write_image(tmp_path / "still.png", texture(*SIZE))
    clip = stack.upload(picture)
    run = stack.wait_for_end(stack.start_run(clip, method="fcn", grid=5), 120)
    assert run["state"] == "done", run
    assert (run["frames"], run["frame_step"], run["weights"]) == (HORIZON, 1, "tiny.safetensors")
    found = downloaded(stack, run["id"], tmp_path)
    expected = Predictor.load(weights, "cpu").predict_all(read_frame(picture, 0), 5)
    np.testing.assert_allclose(found.tracks.points, expected.tracks.points, atol=1e-3)
    np.testing.assert_allclose(found.interval, expected.interval, atol=1e-3)
    np.testing.assert_allclose(found.tracks.points[0], query_grid(5, SIZE), atol=1e-4)

    # Every position shows the still, and the overlays are made of it.
    frames = [stack.get(f"/runs/{run['id']}/frames/{k}.jpg") for k in (0, HORIZON - 1)]
    assert frames[0].content == frames[1].content
    assert Image.open(io.BytesIO(frames[0].content)).size == SIZE[::-1]
    assert stack.get(f"/runs/{run['id']}/frames/{HORIZON}.jpg").status_code == 404
    with av.open(io.BytesIO(stack.overlay(run["id"], "mp4").content)) as video:
        assert sum(1 for _ in video.decode(video=0)) == HORIZON
    assert Image.open(io.BytesIO(stack.overlay(run["id"], "gif").content)).n_frames == HORIZON
    listed = stack.get(f"/runs/{run['id']}/tracks.json").json()
    assert listed["frames"] == list(range(HORIZON))
    rows = stack.get(f"/runs/{run['id']}/tracks.csv").text.splitlines()
    assert sum(not row.startswith("# ") for row in rows) == 1 + HORIZON * 25
    numbers = stack.get(f"/runs/{run['id']}/figure.json").json()["layout"]["meta"]["stillmotion"]
    assert (numbers["is_prediction"], numbers["position"]) == (True, HORIZON - 1)
    assert numbers["summary"].startswith("Within ")
    assert set(numbers["interval"]) == {"low", "high"}


@pytest.mark.slow
def test_the_last_frame_of_a_clip_is_predicted_and_a_frame_is_compared(
    predicting_stack: Stack, small_clip: Path, tmp_path: Path
) -> None:
    stack = predicting_stack
    clip = stack.upload(small_clip)
    last = stack.start_run(clip, method="fcn", grid=3, start=15)
    early = stack.start_run(clip, method="fcn", grid=3, start=2)
    tracked = stack.start_run(clip, method="lk", grid=3, start=2, frames=8)
    for run in (last, early, tracked):
        assert stack.wait_for_end(run, 120)["state"] == "done"
    assert downloaded(stack, last, tmp_path).tracks.frames.tolist() == list(range(15, 15 + HORIZON))
    prediction = downloaded(stack, early, tmp_path)
    assert prediction.tracks.fps == 25.0
    found = stack.get(f"/compare?reference={tracked}&candidate={early}").json()
    assert found["frames"] == list(range(2, 10))
    assert found["metrics"]["hypotheses"] == 1 + DIRECTIONS
    assert 0 <= found["metrics"]["coverage"] <= 1
    truth = stack.tracks(tracked, tmp_path)
    counted = truth.visible[-1]
    error = np.linalg.norm(truth.points[-1] - prediction.tracks.points[-1], axis=1)
    np.testing.assert_allclose(
        np.array(found["final_error"])[counted].astype(float), error[counted], atol=1e-3
    )
    assert [value is None for value in found["final_error"]] == (~counted).tolist()
    # The picture moves by (2, 1) pixels a frame.
    assert found["zero_pixels"]["median_final"] == pytest.approx(7 * 5**0.5, abs=0.5)


def test_a_file_that_is_no_predictor_fails_with_a_sentence(
    predicting_stack: Stack, small_clip: Path, weights: Path
) -> None:
    stack = predicting_stack
    content = weights.read_bytes()
    clip = stack.upload(small_clip)
    try:
        weights.write_bytes(content[: len(content) // 2])
        answer = requests.post(f"{stack.url}/api/v1/runs", json={"clip": clip, "method": "fcn"}, timeout=30)
        assert answer.status_code == 422
        assert "damaged" in answer.json()["detail"]
    finally:
        weights.write_bytes(content)


@pytest.mark.slow
def test_a_lost_worker_starts_a_prediction_again(predicting_stack: Stack, tmp_path: Path) -> None:
    stack = predicting_stack
    clip = stack.upload(write_image(tmp_path / "other.png", texture(*SIZE, seed=4)))
    run = stack.start_run(clip, method="fcn", grid=64)
    wait_for(lambda: stack.run(run)["state"] != "queued", pause=0.002)
    stack.worker().kill()
    done = stack.wait_for_end(run, 120)
    assert done["state"] == "done", done
    assert Prediction.load(_stored(stack, run)).tracks.grid == (64, 64)


def _stored(stack: Stack, run: str) -> Path:
    return stack.instance / "storage" / "runs" / run / "tracks.npz"


# ---- without a worker ----


@pytest.fixture
def offering(settings: Settings, weights: Path, tmp_path: Path):
    """The app in this process, with weights that predict the first and the last frame alone."""
    del weights  # torch is imported by now
    path = tiny_predictor(tmp_path / "ends.safetensors", trajectory=False)
    variables = {**settings.to_environment(), "STILLMOTION_PREDICTOR_WEIGHTS": str(path)}
    app = create_app(Settings.from_environment(variables))
    yield app
    app.extensions["stillmotion"].database.close()


def uploaded(client: FlaskClient, content: bytes, name: str) -> str:
    return str(client.post("/api/v1/clips", data={"file": (io.BytesIO(content), name)}).json["id"])


def test_a_prediction_of_the_end_alone_has_two_positions_a_horizon_apart(
    offering: Flask, small_clip: Path
) -> None:
    client = offering.test_client()
    clip = uploaded(client, small_clip.read_bytes(), "a.mp4")
    answer = client.post("/api/v1/runs", json={"clip": clip, "method": "fcn", "start": 15, "frames": 5})
    assert answer.status_code == 202, answer.text
    run = answer.json
    assert (run["start"], run["frames"], run["frame_step"]) == (15, 2, HORIZON - 1)
    assert 0 < run["estimate"] < 60
    assert 3e8 < run["estimated_memory_bytes"] < 2e9
    jobs = offering.extensions["stillmotion"].queue.jobs
    tracked = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json
    queued = Job.fetch_many([run["id"], tracked["id"]], connection=jobs.redis, serializer=JSONSerializer)
    assert [job.func_name for job in queued] == [PREDICT, TRACK]
    assert [job.origin for job in queued] == ["stillmotion-short-gpu", "stillmotion-short-cpu"]


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"frame_step": 2}, "frame step must be 1, not 2"),
        ({"start": 1}, "must be 0 to 0"),
        ({"grid": 65}, "1 to 64"),
        ({"weights": "pips-small"}, "no weights “pips-small”"),
        ({"weights": "/etc/passwd"}, "no weights “/etc/passwd”"),
    ],
)
def test_a_prediction_that_cannot_be_is_422(offering: Flask, wish: dict[str, Any], word: str) -> None:
    client = offering.test_client()
    clip = uploaded(client, encoded(texture(*SIZE)), "a.png")
    answer = client.post("/api/v1/runs", json={"clip": clip, "method": "fcn", **wish})
    assert answer.status_code == 422, answer.text
    assert word in answer.json["detail"]


def test_methods_say_which_needs_one_image(offering: Flask, settings: Settings) -> None:
    offers = {offer["name"]: offer for offer in offering.test_client().get("/api/v1/methods").json["items"]}
    assert offers["fcn"]["available"]
    assert [name for name, offer in offers.items() if offer["from_one_image"]] == ["fcn"]
    variables = {**settings.to_environment(), "STILLMOTION_PREDICTOR_WEIGHTS": "nowhere"}
    client = create_app(Settings.from_environment(variables)).test_client()
    offers = {offer["name"]: offer for offer in client.get("/api/v1/methods").json["items"]}
    assert not offers["fcn"]["available"]
    assert offers["fcn"]["reason"].startswith("There are no weights “nowhere”")
    clip = uploaded(client, encoded(texture(*SIZE)), "a.png")
    answer = client.post("/api/v1/runs", json={"clip": clip, "method": "fcn"})
    assert answer.status_code == 422
    assert "nowhere" in json.loads(answer.text)["detail"]
    client.application.extensions["stillmotion"].database.close()


@pytest.mark.slow
def test_asking_for_a_prediction_imports_no_torch(offering: Flask, tmp_path: Path) -> None:
    picture = write_image(tmp_path / "a.png", texture(*SIZE))
    weights = offering.extensions["stillmotion"].settings.predictor_weights
    code = f"""
import sys
from webapp.app import create_app
client = create_app().test_client()
with open({str(picture)!r}, "rb") as file:
    clip = client.post("/api/v1/clips", data={{"file": (file, "a.png")}}).json["id"]
wish = {{"clip": clip, "method": "fcn"}}
assert client.post("/api/v1/runs/estimate", json=wish).status_code == 200
run = client.post("/api/v1/runs", json=wish).json["id"]
for path in ("figure.json", "tracks.npz"):
    assert client.get(f"/api/v1/runs/{{run}}/{{path}}").status_code == 409
assert client.get(f"/api/v1/compare?reference={{run}}&candidate={{run}}").status_code == 409
print("torch" in sys.modules)
"""
    environment = {**os.environ, **offering.extensions["stillmotion"].settings.to_environment()}
    assert environment["STILLMOTION_PREDICTOR_WEIGHTS"] == weights
    answer = subprocess.run(
        [sys.executable, "-c", code], check=False, env=environment, capture_output=True, text=True, timeout=60
    )
    assert answer.stdout.strip() == "False", answer.stderr


def queued_prediction(app: Flask, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prediction in the queue, for a task that is called in this process."""
    for name, value in app.extensions["stillmotion"].settings.to_environment().items():
        monkeypatch.setenv(name, value)
    client = app.test_client()
    clip = uploaded(client, encoded(texture(*SIZE)), "a.png")
    return str(client.post("/api/v1/runs", json={"clip": clip, "method": "fcn", "grid": 3}).json["id"])


def test_a_prediction_that_is_cancelled_on_the_way_leaves_nothing(
    offering: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model.prediction.predictor import Predictor

    run = queued_prediction(offering, monkeypatch)
    client, load = offering.test_client(), Predictor.load

    def load_slowly(*arguments: str) -> Predictor:
        assert client.get(f"/api/v1/runs/{run}").json["stage"] == "loading weights"
        client.delete(f"/api/v1/runs/{run}")
        time.sleep(SECONDS_BETWEEN_REPORTS)
        return load(*arguments)

    monkeypatch.setattr(Predictor, "load", load_slowly)
    tasks.predict(run)
    assert client.get(f"/api/v1/runs/{run}").json["state"] == "cancelled"
    instance = offering.extensions["stillmotion"].settings.instance
    assert not (instance / "storage" / "runs" / run).exists()
    assert not list((instance / "tmp").glob("run-*"))


def test_weights_that_are_damaged_by_the_time_fail_the_run_with_their_sentence(
    offering: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queued_prediction(offering, monkeypatch)
    Path(offering.extensions["stillmotion"].settings.predictor_weights).write_bytes(b"no weights")
    tasks.predict(run)
    found = offering.test_client().get(f"/api/v1/runs/{run}").json
    assert found["state"] == "failed"
    assert found["error"].startswith("ends.safetensors holds no predictor")
