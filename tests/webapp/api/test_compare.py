"""GET /compare: the figures are those of stored tracks, and what cannot be compared is said."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from model.motion.grid import query_grid
from model.motion.prediction import Prediction
from model.motion.tracks import Method, Tracks
from tests.media import moving_clip
from webapp.rows.records import Run, RunState

SIZE = (96, 128)


def moved(velocity: tuple[float, float], method: str, start: int = 2, side: int = 3) -> Tracks:
    """A grid that moves steadily over 8 frames; all visible."""
    steps = np.arange(8, dtype=np.float32)[:, None, None]
    points = query_grid(side, SIZE) + steps * np.float32(velocity)
    frames = np.arange(start, start + 8, dtype=np.int32)
    visibility = np.ones(points.shape[:2], np.float32)
    return Tracks(points, visibility, frames, SIZE, 25.0, (side, side), Method(method))


def stored(app: Flask, clip: str, result: Tracks | Prediction, folder: Path) -> str:
    """Make a run that is done, with these tracks."""
    tracks = result.tracks if isinstance(result, Prediction) else result
    backend = app.extensions["stillmotion"]
    run = Run(
        clip_id=clip,
        method=tracks.method.name,
        grid=tracks.grid[0],
        start=int(tracks.frames[0]),
        frames=len(tracks.frames),
        frame_step=1,
        state=RunState.DONE,
    )
    with backend.database.session() as session:
        session.add(run)
    result.save(folder / "tracks.npz")
    backend.storage.move_in(folder / "tracks.npz", run.result_key)
    return run.id


@pytest.fixture
def clip(client: FlaskClient, small_clip: Path) -> str:
    answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(small_clip.read_bytes()), "small.mp4")})
    return str(answer.json["id"])


def compared(client: FlaskClient, reference: str, candidate: str):
    return client.get(f"/api/v1/compare?reference={reference}&candidate={candidate}")


def test_a_prediction_is_measured_against_tracks(
    client: FlaskClient, app: Flask, clip: str, tmp_path: Path
) -> None:
    truth = moved((3.0, 4.0), "pips")
    truth.visibility[-1, 4] = 0.1
    still = moved((0.0, 0.0), "fcn")
    reach = np.float32([[[[30.0]]], [[[30.0]]]]) * np.float32([-1, 1])[:, None, None, None]
    prediction = Prediction(
        still,
        np.stack([still.points, truth.points]),
        np.float32([[0.75] * 9, [0.25] * 9]),
        (still.points + reach).astype(np.float32),
        np.ones(9, np.float32),
    )
    reference, candidate = (stored(app, clip, result, tmp_path) for result in (truth, prediction))
    answer = compared(client, reference, candidate)
    assert answer.status_code == 200, answer.text
    found = answer.json
    assert (found["reference"], found["candidate"], found["grid"]) == (reference, candidate, 3)
    assert found["frames"] == list(range(2, 10))
    assert found["size"] == [96, 128]
    # 5 px a frame over 7 frames; on the way 5, 10, ... 35, on average 20.
    assert found["final_error"] == [None if k == 4 else pytest.approx(35, abs=1e-3) for k in range(9)]
    assert found["displacement"] == [None if k == 4 else pytest.approx(0, abs=1e-3) for k in range(9)]
    assert found["true_displacement"] == found["final_error"]
    assert found["path_error"][0] == pytest.approx(20, abs=1e-3)
    assert found["path_error"][4] is None
    assert found["pixels"] == pytest.approx(
        {"mean_final": 35, "median_final": 35, "mean_path": 20, "median_path": 20}, abs=1e-3
    )
    assert found["zero_pixels"] == pytest.approx(found["pixels"], abs=1e-3)  # it predicted no motion
    assert found["metrics"]["epe"] == pytest.approx(35 * 256 / 96, abs=1e-2)
    assert found["metrics"]["min_ade"] == pytest.approx(0, abs=1e-3)
    assert found["metrics"]["points"] == 8
    # The ends lie 21 px in x and 28 px in y away, within 30.
    assert found["metrics"]["coverage"] == 1.0
    assert found["zero_metrics"]["coverage"] is None
    assert len(found["starts"]) == 9

    numbers = client.get(f"/api/v1/runs/{candidate}/figure.json?until=5").json["layout"]["meta"]
    assert numbers["stillmotion"]["frames"] == [2, 3, 4, 5]
    assert numbers["stillmotion"]["position"] == 3
    answer = client.get(f"/api/v1/runs/{reference}/figure.json?until=1")
    assert answer.status_code == 422
    assert "at least 2" in answer.json["detail"]


def test_what_cannot_be_compared_is_said(
    client: FlaskClient, app: Flask, clip: str, tmp_path: Path, settings
) -> None:
    run = stored(app, clip, moved((1.0, 0.0), "lk"), tmp_path)
    later = stored(app, clip, moved((1.0, 0.0), "lk", start=3), tmp_path)
    finer = stored(app, clip, moved((1.0, 0.0), "lk", side=4), tmp_path)
    other = moving_clip(tmp_path / "other.mp4", frames=5)
    answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(other.read_bytes()), "other.mp4")})
    elsewhere = stored(app, answer.json["id"], moved((1.0, 0.0), "lk"), tmp_path)
    gone = stored(app, clip, moved((1.0, 0.0), "lk"), tmp_path)
    (settings.instance / "storage" / "runs" / gone / "tracks.npz").unlink()
    for reference, word in (
        (later, "same frame"),
        (finer, "same points"),
        (elsewhere, "different clips"),
        (gone, "gone from the storage"),
    ):
        answer = compared(client, reference, run)
        assert answer.status_code == 422, answer.text
        assert answer.content_type == "application/problem+json"
        assert word in answer.json["detail"]
    waiting = client.post("/api/v1/runs", json={"clip": clip, "method": "lk"}).json["id"]
    assert compared(client, run, waiting).status_code == 409
    assert compared(client, "none", run).status_code == 404
    answer = client.get(f"/api/v1/compare?candidate={run}")
    assert (answer.status_code, answer.json["detail"]) == (422, "The reference is missing.")
    answer = client.get(f"/api/v1/compare?reference={run}")
    assert (answer.status_code, answer.json["detail"]) == (422, "The candidate is missing.")


def test_a_prediction_whose_file_holds_tracks_alone_is_said(
    client: FlaskClient, app: Flask, clip: str, tmp_path: Path
) -> None:
    reference = stored(app, clip, moved((1.0, 0.0), "lk"), tmp_path)
    candidate = stored(app, clip, dataclasses.replace(moved((1.0, 0.0), "fcn")), tmp_path)
    answer = compared(client, reference, candidate)
    assert answer.status_code == 422
    assert "no prediction" in answer.json["detail"]


def test_the_page_names_both_and_refuses_what_is_not_there(
    client: FlaskClient, app: Flask, clip: str, tmp_path: Path
) -> None:
    run = stored(app, clip, moved((1.0, 0.0), "lk"), tmp_path)
    page = client.get(f"/compare?candidate={run}")
    assert page.status_code == 200
    assert "small.mp4" in page.text
    assert client.get("/compare").status_code == 422
    assert client.get("/compare?candidate=none").status_code == 404


def test_with_the_camera_removed_only_what_moves_on_its_own_is_measured(
    client: FlaskClient, app: Flask, clip: str, tmp_path: Path
) -> None:
    object_points = np.s_[:, 30:36]
    own = np.arange(8, dtype=np.float32)[:, None, None] * np.float32([0.0, 2.0])
    runs = []
    for pan, method in ((-4.0, "pips"), (-3.0, "lk")):  # they disagree on the camera alone
        tracks = moved((pan, 0.0), method, side=8)
        tracks.points[object_points] += own
        runs.append(stored(app, clip, tracks.with_camera(), tmp_path))
    still = moved((0.0, 0.0), "fcn", side=8)
    there = np.repeat(still.points[None], 2, axis=0)
    sure = np.ones((1, 64), np.float32)
    prediction = Prediction(still, there[:1], sure, there, sure[0])
    predicted = stored(app, clip, prediction, tmp_path)

    def answer(candidate: str, camera: str) -> dict[str, Any]:
        found = client.get(f"/api/v1/compare?reference={runs[0]}&candidate={candidate}&camera={camera}")
        assert found.status_code == 200, found.text
        return dict(found.json)

    assert answer(runs[1], "filmed")["pixels"]["mean_final"] == pytest.approx(7, abs=0.01)
    assert answer(runs[1], "removed")["pixels"]["mean_final"] == pytest.approx(0, abs=0.1)
    # A prediction speaks of the scene already: what it said to stand still is right then.
    assert answer(predicted, "filmed")["pixels"]["median_final"] == pytest.approx(28, abs=0.01)
    found = answer(predicted, "removed")
    expected = [14.0 if 30 <= k < 36 else 0.0 for k in range(64)]
    np.testing.assert_allclose(found["final_error"], expected, atol=0.3)
    assert found["metrics"]["moving"] == 6

    figure = f"/api/v1/runs/{runs[0]}/figure.json"
    filmed, removed = (
        client.get(f"{figure}?camera={camera}").json["layout"]["meta"]["stillmotion"]
        for camera in ("filmed", "removed")
    )
    assert filmed["camera"]["share"] > 0.8
    assert "The camera moves the picture 4.0 px a frame to the left; 9%" in filmed["summary"]
    assert removed["camera"]["is_removed"] is True
    content = client.get(f"/api/v1/runs/{runs[0]}/tracks.json").json["camera"]
    np.testing.assert_allclose(content["homographies"][7], [[1, 0, -28], [0, 1, 0], [0, 0, 1]], atol=0.1)
    table = client.get(f"/api/v1/runs/{runs[0]}/tracks.csv").text.splitlines()
    x, y, scene_x, scene_y = (float(table[-64 + 33].split(",")[k]) for k in (2, 3, 5, 6))
    np.testing.assert_allclose([scene_x - x, scene_y - y], [28, 0], atol=0.3)


def test_where_no_camera_was_found_it_cannot_be_removed(
    client: FlaskClient, app: Flask, clip: str, tmp_path: Path
) -> None:
    run = stored(app, clip, moved((1.0, 0.0), "lk").with_camera(), tmp_path)
    for address in (
        f"/api/v1/runs/{run}/figure.json?camera=removed",
        f"/api/v1/runs/{run}/overlay.mp4?camera=removed",
        f"/api/v1/compare?reference={run}&candidate={run}&camera=removed",
    ):
        answer = client.get(address)
        assert answer.status_code == 422
        assert answer.json["detail"].startswith("No camera motion is known of these tracks")
    answer = client.get(f"/api/v1/runs/{run}/figure.json?camera=none")
    assert answer.status_code == 422
    assert answer.json["detail"] == "The camera must be one of filmed, removed, not “none”."
    assert client.get(f"/api/v1/runs/{run}/tracks.json").json["camera"] is None
