"""Sample clips: listed, taken with one request, never twice, and compared with their true motion."""

import base64
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from model.overlay.truth import true_motion
from tests.webapp.sample_clips import FRAMES, SIZE, make_samples, true_motion_of_sample
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.rows.records import Run, RunState


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> FlaskClient:
    """A client of an app that has samples."""
    app = create_app(dataclasses.replace(settings, samples=make_samples(tmp_path / "samples")))
    yield app.test_client()
    app.extensions["stillmotion"].database.close()


def test_samples_are_listed_with_pictures(client: FlaskClient) -> None:
    items = client.get("/api/v1/samples").json["items"]
    assert [(item["name"], item["title"], item["has_truth"]) for item in items] == [
        ("drift", "Drift", True),
        ("other", "Fall", False),
    ]
    assert client.get(items[0]["picture"]).content_type == "image/jpeg"
    assert client.get("/api/v1/clips").json["total"] == 0


def test_a_sample_becomes_one_clip_however_often_it_is_taken(client: FlaskClient) -> None:
    first = client.post("/api/v1/samples/drift")
    assert first.status_code == 201, first.text
    assert (first.json["name"], first.json["frames"]) == ("drift.mp4", FRAMES)
    assert (first.json["height"], first.json["width"]) == SIZE
    again = client.post("/api/v1/samples/drift")
    assert (again.status_code, again.json["id"]) == (200, first.json["id"])
    assert again.headers["Location"] == f"/api/v1/clips/{first.json['id']}"
    assert client.get("/api/v1/clips").json["total"] == 1


@pytest.mark.parametrize("name", ["none", "samples.json", "..", "drift.mp4"])
def test_an_unknown_sample_is_404(client: FlaskClient, name: str) -> None:
    assert client.post(f"/api/v1/samples/{name}").status_code == 404
    assert client.get(f"/api/v1/samples/{name}/picture.jpg").status_code == 404


def test_without_samples_there_are_none(settings: Settings, tmp_path: Path) -> None:
    app = create_app(dataclasses.replace(settings, samples=tmp_path / "nowhere"))
    assert app.test_client().get("/api/v1/samples").json == {"items": []}
    app.extensions["stillmotion"].database.close()


@pytest.mark.parametrize("name", ["drift", "other"])
def test_a_run_of_a_sample_shows_its_true_motion(client: FlaskClient, name: str, tmp_path: Path) -> None:
    clip = client.post(f"/api/v1/samples/{name}").json["id"]
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "zero", "grid": 8, "frames": 5}).json
    truth = true_motion_of_sample()
    still = dataclasses.replace(
        truth,
        points=np.repeat(truth.points[:1], 5, axis=0),
        visibility=truth.visibility[:5],
        frames=truth.frames[:5],
    )
    still.save(tmp_path / "tracks.npz")
    backend = client.application.extensions["stillmotion"]
    backend.database.finish(backend.database.find(Run, run["id"]), RunState.DONE)
    with backend.database.session() as session:
        backend.storage.move_in(tmp_path / "tracks.npz", str(session.get(Run, run["id"]).tracks_key))

    numbers = client.get(f"/api/v1/runs/{run['id']}/figure.json").json["layout"]["meta"]["stillmotion"]
    if name == "other":
        assert "truth" not in numbers
        return
    shown = np.frombuffer(base64.b64decode(numbers["truth"]["points"]["bdata"]), np.float32)
    np.testing.assert_array_equal(shown.reshape(5, 64, 2), truth.points[:5])
    # Zero motion is off by 1, 2, 3 and 4 steps of √5 px, where the point has not left the frame.
    steps = np.arange(1, 5)[:, None] * np.sqrt(5) * np.ones((1, 64))
    expected = steps[truth.visible[1:5]].mean()
    assert numbers["truth"]["summary"].startswith(f"Mean error {expected:.2f} px")
    compared = true_motion(still, truth)
    assert compared is not None
    assert compared.summary == numbers["truth"]["summary"]
