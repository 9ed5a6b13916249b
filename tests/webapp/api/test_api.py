"""The API with a real Redis: what goes in is checked, and every error is a problem in a sentence."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from PIL import Image
from werkzeug.test import TestResponse

from model.tracking.estimate import Paces
from model.tracking.methods import DEFAULT_METHOD, Pace
from model.weights.registry import find_weights
from tests.media import encoded, moving_frames
from webapp.core.settings import ROOT, Settings
from webapp.jobs.estimates import plan_of
from webapp.rows.records import Run, RunState


@pytest.fixture
def clip(client: FlaskClient, small_clip: Path) -> str:
    """The id of an uploaded clip of 16 frames."""
    answer = client.post("/api/v1/clips", data={"file": (io.BytesIO(small_clip.read_bytes()), "small.mp4")})
    return str(answer.json["id"])


def check_problem(answer: TestResponse, status: int) -> str:
    """Check that an answer is a problem of RFC 9457 and return its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert (answer.json["type"], answer.json["status"]) == ("about:blank", status)
    assert answer.json["detail"].endswith(".")
    return str(answer.json["detail"])


def test_the_openapi_document_is_valid_and_names_every_address(client: FlaskClient) -> None:
    document = client.get("/api/v1/openapi.json").json
    validate(document)
    served = {
        str(rule).replace("<int:", "<").replace("<", "{").replace(">", "}")
        for rule in client.application.url_map.iter_rules()
        if str(rule).startswith("/api/v1/") and not str(rule).endswith("openapi.json")
    }
    assert set(document["paths"]) == served
    error = document["paths"]["/api/v1/runs/{run_id}"]["get"]["responses"]["404"]["$ref"].split("/")[-1]
    assert "application/problem+json" in document["components"]["responses"][error]["content"]


def test_a_run_is_queued_with_defaults(client: FlaskClient, clip: str) -> None:
    answer = client.post("/api/v1/runs", json={"clip": clip})
    assert answer.status_code == 202, answer.text
    run = dict(answer.json)
    assert answer.headers["Location"] == f"/api/v1/runs/{run['id']}"
    expected = {"clip": clip, "method": DEFAULT_METHOD, "grid": 16, "start": 0, "frames": 8, "frame_step": 1}
    assert {name: run[name] for name in expected} == expected
    assert (run["state"], run["progress"], run["queue_position"], run["weights"]) == ("queued", 0.0, 1, None)
    assert client.get(f"/api/v1/runs/{run['id']}").json == run
    listed = client.get("/api/v1/runs").json
    assert (listed["total"], [item["id"] for item in listed["items"]]) == (1, [run["id"]])
    assert client.get("/api/v1/runs?clip=other").json["total"] == 0
    for path in ("tracks.npz", "tracks.json", "tracks.csv", "figure.json", "overlay.mp4", "overlay.gif"):
        check_problem(client.get(f"/api/v1/runs/{run['id']}/{path}"), 409)
    check_problem(client.get(f"/api/v1/runs/{run['id']}/frames/0.jpg"), 404)


def test_frames_to_the_end_are_counted(client: FlaskClient, clip: str) -> None:
    body = {"clip": clip, "start": 3, "frames": None, "frame_step": 4}
    assert client.post("/api/v1/runs", json=body).json["frames"] == 4  # 3, 7, 11, 15
    body = {"clip": clip, "frames": 1000}
    assert client.post("/api/v1/runs", json=body).json["frames"] == 16


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"grid": 0}, "1 to 64, not “0”"),
        ({"grid": 65}, "1 to 64, not “65”"),
        ({"grid": "abc"}, "1 to 64, not “abc”"),
        ({"grid": 2.5}, "not “2.5”"),
        ({"grid": 10**30}, "1 to 64"),
        ({"grid": None}, "grid"),
        ({"start": 16}, "16 frames"),
        ({"start": -1}, "first frame"),
        ({"start": 10**12}, "first frame"),
        ({"start": 15}, "only one"),
        ({"frames": 1}, "at least 2"),
        ({"frame_step": 0}, "at least 1"),
        ({"frame_step": 100}, "only one"),
        ({"method": "magic"}, "magic"),
        ({"method": 5}, "method"),
        ({"method": "pips", "weights": "/etc/passwd"}, "/etc/passwd"),
        ({"method": "lk", "weights": "x"}, "takes no weights"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wish_that_cannot_be_met_is_422(
    client: FlaskClient, clip: str, wish: dict[str, Any], word: str
) -> None:
    assert word in check_problem(client.post("/api/v1/runs", json={"clip": clip, **wish}), 422)
    assert client.get("/api/v1/runs").json["total"] == 0


def test_a_single_image_cannot_be_tracked(client: FlaskClient) -> None:
    picture = (io.BytesIO(encoded(moving_frames(1)[0])), "a.png")
    found = client.post("/api/v1/clips", data={"file": picture}).json
    assert (found["kind"], found["frames"], found["duration"]) == ("image", 1, 0.0)
    detail = check_problem(client.post("/api/v1/runs", json={"clip": found["id"]}), 422)
    assert "at least 2 frames" in detail


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/clips/none"),
        ("DELETE", "/api/v1/clips/none"),
        ("GET", "/api/v1/clips/none/frames/0.jpg"),
        ("GET", "/api/v1/runs/none"),
        ("DELETE", "/api/v1/runs/none"),
        ("GET", "/api/v1/runs/none/tracks.npz"),
        ("GET", "/api/v1/runs/none/figure.json"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/v1/clips/..%2f..%2fetc%2fpasswd"),
    ],
)
def test_what_is_not_there_is_404(client: FlaskClient, method: str, path: str) -> None:
    check_problem(client.open(path, method=method), 404)


def test_other_errors_are_problems_too(client: FlaskClient) -> None:
    assert "no clip" in check_problem(client.post("/api/v1/runs", json={"clip": "x"}), 404)
    assert "clip is missing" in check_problem(client.post("/api/v1/runs", json={}), 422)
    not_allowed = client.delete("/api/v1/runs")
    check_problem(not_allowed, 405)
    assert "POST" in not_allowed.headers["Allow"]
    check_problem(client.post("/api/v1/runs", data="{", content_type="application/json"), 400)
    check_problem(client.post("/api/v1/runs", data="x" * 2_000_000, content_type="application/json"), 413)
    check_problem(client.get("/api/v1/runs?limit=abc"), 422)
    check_problem(client.get("/api/v1/runs?limit=0"), 422)
    assert client.get("/api/v1/runs?limit=1&offset=5").json == {"items": [], "total": 0}


def test_frames_of_a_clip_are_pictures(client: FlaskClient, clip: str) -> None:
    answer = client.get(f"/api/v1/clips/{clip}/frames/15.jpg")
    assert answer.content_type == "image/jpeg"
    assert Image.open(io.BytesIO(answer.data)).size == (128, 96)
    assert "max-age" in answer.headers["Cache-Control"]
    detail = check_problem(client.get(f"/api/v1/clips/{clip}/frames/16.jpg"), 404)
    assert "0 to 15" in detail


def test_a_deleted_clip_takes_its_runs_and_files_with_it(
    client: FlaskClient, settings: Settings, clip: str
) -> None:
    run = client.post("/api/v1/runs", json={"clip": clip}).json["id"]
    assert client.delete(f"/api/v1/clips/{clip}").status_code == 204
    check_problem(client.get(f"/api/v1/clips/{clip}"), 404)
    check_problem(client.get(f"/api/v1/runs/{run}"), 404)
    assert not [path for path in (settings.instance / "storage").rglob("*") if path.is_file()]


def test_methods_say_what_is_there(client: FlaskClient, settings: Settings) -> None:
    answer = client.get("/api/v1/methods").json
    assert (answer["default"], answer["max_upload_bytes"]) == (DEFAULT_METHOD, settings.max_upload_bytes)
    offers = {offer["name"]: offer for offer in answer["items"]}
    assert offers["lk"]["available"]
    assert offers[DEFAULT_METHOD]["available"]


def test_pips_without_weights_says_how_to_get_them(
    client: FlaskClient, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.tracking.methods.find_weights", lambda name: find_weights(name, ()))
    offers = {offer["name"]: offer for offer in client.get("/api/v1/methods").json["items"]}
    assert not offers["pips"]["available"]
    assert offers["pips"]["reason"].endswith(".")
    answer = client.post("/api/v1/runs", json={"clip": clip, "method": "pips"})
    assert "PIPs needs trained weights" in check_problem(answer, 422)


def test_weights_that_were_fetched_can_be_chosen(
    client: FlaskClient, clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLMOTION_CACHE", str(tmp_path / "cache"))
    wish = {"clip": clip, "method": "pips", "weights": "pips-authors"}
    answer = client.post("/api/v1/runs", json=wish)
    assert "weights --download pips-authors" in check_problem(answer, 422)
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    (folder / "pips-authors.pth").write_bytes(b"weights")
    (folder / "pips-authors.pth.sha256").write_text(f"{'0' * 64}  pips-authors.pth\n")
    offers = {offer["name"]: offer for offer in client.get("/api/v1/methods").json["items"]}
    assert offers["pips"]["weights"] == ["pips-small", "pips-authors"]
    assert client.post("/api/v1/runs", json=wish).json["weights"] == "pips-authors"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[x"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 202),
        ({}, 202),
    ],
)
def test_other_sites_cannot_change_anything(
    client: FlaskClient, clip: str, headers: dict[str, str], status: int
) -> None:
    answer = client.post("/api/v1/runs", json={"clip": clip}, headers=headers)
    assert answer.status_code == status
    if status == 403:
        check_problem(answer, 403)
        assert client.get("/api/v1/runs", headers=headers).status_code == 200


def test_every_answer_has_security_headers(client: FlaskClient) -> None:
    for path in ("/healthz", "/api/v1/clips", "/nothing", "/api/v1/nothing"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_health_and_readiness(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"] == {
        "database": "ok",
        "storage": "ok",
        "redis": "ok",
        "workers": "no worker is alive",
    }


def test_plotly_is_served_from_its_package(client: FlaskClient) -> None:
    answer = client.get("/static/plotly.min.js")
    assert answer.content_type.startswith("text/javascript")
    assert len(answer.data) > 1_000_000
    again = client.get("/static/plotly.min.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    for response in (answer, again):
        response.close()  # the file that the test client does not close


@pytest.mark.slow
def test_the_web_process_never_imports_torch(tmp_path: Path, small_clip: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from webapp.app import create_app
from webapp.core.settings import Settings
client = create_app(Settings(instance=Path({str(tmp_path)!r}), redis_url="unix:///nowhere")).test_client()
with open({str(small_clip)!r}, "rb") as file:
    clip = client.post("/api/v1/clips", data={{"file": (file, "a.mp4")}}).json["id"]
assert client.get(f"/api/v1/clips/{{clip}}/frames/3.jpg").status_code == 200
for path in ("/", f"/clips/{{clip}}", "/api/v1/methods", "/api/v1/openapi.json", "/readyz"):
    client.get(path)
assert client.post("/api/v1/runs", json={{"clip": clip}}).status_code == 503
for method in ("lk", "pips"):
    client.post("/api/v1/runs/estimate", json={{"clip": clip, "method": method}})
print("torch" in sys.modules)
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert answer.stdout.strip() == "False", answer.stderr


def test_an_estimate_comes_before_the_start_and_follows_what_runs_take(
    client: FlaskClient, app: Flask, clip: str
) -> None:
    wish = {"clip": clip, "method": "lk", "grid": 32, "frames": 16}
    rough = client.post("/api/v1/runs/estimate", json=wish)
    assert rough.status_code == 200, rough.text
    assert rough.json["is_rough"]
    assert rough.json["memory_bytes"] > 50_000_000
    assert client.get("/api/v1/runs").json["total"] == 0  # asking starts nothing
    run = client.post("/api/v1/runs", json=wish).json
    assert run["estimate"] == rough.json["seconds"]
    assert run["estimated_memory_bytes"] == rough.json["memory_bytes"]

    # 2 s to start, 1.5 s a frame, and 0.01 s for each of 1,024 points and 7 steps from frame to frame.
    backend = app.extensions["stillmotion"]
    with backend.database.session() as session:
        plan = plan_of(backend.settings, session.get(Run, run["id"]))
    Paces(backend.settings.instance).add(plan, Pace(2.0, 1.5, 0.01, 300_000_000))
    better = client.post("/api/v1/runs/estimate", json=wish).json
    assert not better["is_rough"]
    assert better["seconds"] == pytest.approx(2 + 16 * 1.5 + 1024 * 15 / 7 * 0.01, abs=0.01)
    shorter = client.post("/api/v1/runs/estimate", json={**wish, "frames": 8}).json
    assert shorter["seconds"] == pytest.approx(2 + 8 * 1.5 + 1024 * 0.01)
    assert 300e6 < shorter["memory_bytes"] < 301e6
    assert client.post("/api/v1/runs/estimate", json={**wish, "method": "zero"}).json["is_rough"]
    backend.database.finish(backend.database.find(Run, run["id"]), RunState.DONE)
    assert client.get(f"/api/v1/runs/{run['id']}").json["estimate"] is None


@pytest.mark.parametrize("wish", [{"grid": 0}, {"start": 16}, {"method": "magic"}])
def test_an_estimate_of_what_cannot_be_done_is_422(
    client: FlaskClient, clip: str, wish: dict[str, Any]
) -> None:
    check_problem(client.post("/api/v1/runs/estimate", json={"clip": clip, **wish}), 422)
