"""Points of one's own in the API: what goes in is checked, and runs follow them both ways."""

import io
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from model.motion.grid import query_grid
from tests.webapp.stack import Stack

POINTS = [[60, 50], [71.5, 44.25]]


@pytest.fixture
def clip(client: FlaskClient, small_clip: Path) -> str:
    """The id of an uploaded clip of 16 frames of 128×96 pixels."""
    answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(small_clip.read_bytes()), "small.mp4")})
    return str(answer.json["id"])


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"points": []}, "There must be 1 to 4096 query points, not 0."),
        ({"points": [[1, 2]] * 4097}, "There must be 1 to 4096 query points, not 4097."),
        ({"points": [[1, 2], [128, 3]]}, "Query point 1 at (128, 3) lies outside the frame"),
        ({"points": "here"}, "The points must be a list of [x, y], in pixels of the frame."),
        ({"points": [[1, 2], [3]]}, "Point 1 must be [x, y], two numbers in pixels of the frame."),
        ({"points": [[1, "2"]]}, "Point 0 must be [x, y]"),
        ({"points": [[True, 2]]}, "Point 0 must be [x, y]"),
        ({"points": [[1, float("nan")]]}, "Point 0 must be [x, y]"),
        ({"points": [[1, 10**400]]}, "Point 0 must be [x, y]"),
        ({"points": POINTS, "frame": 16}, "must be 0 to 15"),
        ({"points": POINTS, "frame": 3, "start": 4}, "as “frame” or as “start”, not two of them."),
        ({"points": POINTS, "direction": "backward"}, "start later"),
        ({"points": POINTS, "direction": "up"}, "must be one of forward, backward, both"),
        ({"points": POINTS, "method": "fcn"}, "predicts a grid of points forwards"),
        ({"direction": "both", "method": "fcn"}, "predicts a grid of points forwards"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_sentence(
    client: FlaskClient, clip: str, wish: dict[str, object], sentence: str
) -> None:
    answer = client.post("/api/v1/runs", json={"clip": clip, "method": "lk", **wish})
    assert answer.status_code == 422, answer.text
    assert sentence in answer.json["detail"]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"direction": "both", "frames": 5}, (8, 4, 9, "both")),
        ({"direction": "both", "frames": None}, (8, 0, 16, "both")),
        ({"direction": "backward", "frames": 5, "frame_step": 2}, (8, 0, 5, "backward")),
        ({"frames": 5}, (8, 8, 5, "forward")),
    ],
)
def test_a_run_tells_its_points_and_can_be_started_again_from_what_it_tells(
    client: FlaskClient, clip: str, wish: dict[str, object], expected: tuple[object, ...]
) -> None:
    body = {"clip": clip, "method": "lk", "points": POINTS, "frame": 8, **wish}
    run = client.post("/api/v1/runs", json=body).json
    assert (run["query_frame"], run["start"], run["frames"], run["direction"]) == expected
    assert (run["grid"], run["point_count"]) == (None, 2)
    told = client.get(run["links"]["points"]).json
    assert told == {"frame": 8, "points": POINTS}
    again = client.post("/api/v1/runs", json={"clip": clip, "method": "lk", **told, **wish}).json
    assert {name: again[name] for name in ("start", "frames")} == {
        name: run[name] for name in ("start", "frames")
    }


def test_a_grid_s_points_are_told_too(client: FlaskClient, clip: str) -> None:
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk", "grid": 3, "start": 4}).json
    told = client.get(run["links"]["points"]).json
    assert told["frame"] == 4
    np.testing.assert_allclose(told["points"], query_grid(3, (96, 128)), atol=1e-4)


def test_points_are_followed_both_ways(stack: Stack, small_clip: Path, tmp_path: Path) -> None:
    clip = stack.upload(small_clip)
    run_id = stack.start_run(clip, points=POINTS, frame=8, direction="both", frames=None)
    run = stack.wait_for_end(run_id)
    assert run["state"] == "done", run
    tracks = stack.tracks(run_id, tmp_path)
    assert (tracks.frames.tolist(), tracks.query_frame, tracks.grid) == (list(range(16)), 8, None)
    expected = np.array(POINTS) + (tracks.frames - 8)[:, None, None] * [2.0, 1.0]
    np.testing.assert_allclose(tracks.points, expected, atol=0.3)
    content = stack.get(f"/runs/{run_id}/tracks.json").json()
    assert (content["query_frame"], content["grid"]) == (8, None)
    pictures = [stack.get(f"/runs/{run_id}/frames/{position}.jpg").content for position in (0, 15)]
    clip_pictures = [stack.get(f"/clips/{clip}/frames/{index}.jpg").content for index in (0, 15)]
    assert pictures == clip_pictures
    assert stack.overlay(run_id, "gif").content[:3] == b"GIF"
    assert stack.get(f"/runs/{run_id}/figure.json").status_code == 200

    other = stack.start_run(clip, points=POINTS, frame=8, direction="backward")
    stack.wait_for_end(other)
    answer = stack.get(f"/compare?reference={run_id}&candidate={other}")
    assert answer.status_code == 422
    assert "followed backwards" in answer.json()["detail"]
