"""A run from upload to result, on the real stack: `python -m webapp` with its Redis, worker and server."""

import hashlib
import io
import json
import time
from pathlib import Path

import av
import numpy as np
import requests
from PIL import Image

from model.clips.video import read_frames
from model.core.version import VERSION
from model.motion.grid import query_grid
from model.tracking.tracker import Tracker
from tests.webapp.stack import Stack, is_alive, wait_for


def test_a_run_gives_tracks_frames_and_exports(stack: Stack, small_clip: Path, tmp_path: Path) -> None:
    clip = stack.upload(small_clip)
    run_id = stack.start_run(clip, grid=5, start=2, frames=6, frame_step=2)
    run = stack.wait_for_end(run_id)
    assert run["state"] == "done", run
    assert (run["progress"], run["error"], run["eta_seconds"], run["queue_position"]) == (
        1.0,
        None,
        None,
        None,
    )
    assert run["created_at"] <= run["started_at"] <= run["finished_at"]

    tracks = stack.tracks(run_id, tmp_path)
    assert tracks.frames.tolist() == [2, 4, 6, 8, 10, 12]
    assert (tracks.size, tracks.fps, tracks.grid) == ((96, 128), 25.0, (5, 5))
    np.testing.assert_allclose(tracks.points[0], query_grid(5, (96, 128)), atol=1e-4)
    # The whole picture moves by (2, 1) pixels a frame.
    seen = tracks.visible.all(axis=0)
    assert seen.sum() >= 9
    moved = (tracks.points[-1] - tracks.points[0])[seen]
    np.testing.assert_allclose(np.median(moved, axis=0), [20, 10], atol=0.5)

    assert run["tracked_frames"] == 6
    assert not (stack.instance / "storage" / "runs" / run_id / "partial").exists()
    content = stack.get(f"/runs/{run_id}/tracks.json").json()
    np.testing.assert_allclose(content["points"], tracks.points, atol=6e-4)
    assert content["frames"] == tracks.frames.tolist()
    lines = stack.get(f"/runs/{run_id}/tracks.csv").text.splitlines()
    facts = dict(line.removeprefix("# ").split(": ", 1) for line in lines if line.startswith("#"))
    assert {name: json.loads(value) for name, value in facts.items()} == content["about"]
    with np.load(tmp_path / f"{run_id}.npz") as kept:
        assert json.loads(str(kept["header"]))["about"] == content["about"]
    sha256 = hashlib.sha256(small_clip.read_bytes()).hexdigest()
    told = [content["about"][name] for name in ("run", "clip", "clip_sha256", "stillmotion")]
    assert told == [run_id, small_clip.name, sha256, VERSION]
    rows = lines[len(facts) :]
    assert rows[0] == "point,frame,x,y,visibility,scene_x,scene_y"
    assert len(rows) == 1 + 6 * 25
    last = rows[-1].split(",")
    assert last[:2] == ["24", "12"]
    np.testing.assert_allclose([float(last[2]), float(last[3])], tracks.points[-1, 24], atol=6e-4)
    assert last[5:] == ["", ""]  # 25 points are no evidence of a camera

    assert run["links"]["gif"].endswith(f"/runs/{run_id}/overlay.gif")
    assert run["links"]["mp4"].endswith(f"/runs/{run_id}/overlay.mp4")
    with av.open(io.BytesIO(stack.overlay(run_id, "mp4").content)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 6
    gif = Image.open(io.BytesIO(stack.overlay(run_id, "gif").content))
    assert (gif.format, gif.n_frames, gif.size) == ("GIF", 6, (128, 96))
    again = stack.overlay(run_id, "gif")
    assert again.headers["Content-Type"] == "image/gif"
    assert stack.get(f"/runs/{run_id}/overlay.avi").status_code == 404

    for position in (0, 5):
        picture = Image.open(io.BytesIO(stack.get(f"/runs/{run_id}/frames/{position}.jpg").content))
        assert picture.size == (128, 96)
    assert stack.get(f"/runs/{run_id}/frames/6.jpg").status_code == 404
    assert stack.get(f"/runs?clip={clip}").json()["items"][0]["id"] == run_id


def test_cancel_stops_a_running_run_within_2_s(stack: Stack, long_clip: Path) -> None:
    run_id = stack.start_run(stack.upload(long_clip), grid=64, frames=None)
    stack.wait_for_progress(run_id)
    horse = stack.horse()
    began = time.monotonic()
    answer = stack.cancel(run_id)
    assert answer["state"] == "cancelled"
    wait_for(lambda: not is_alive(horse), 2.0)
    assert time.monotonic() - began < 2.0
    wait_for(lambda: not list((stack.instance / "tmp").glob("run-*")), 5.0)
    assert stack.run(run_id)["state"] == "cancelled"
    assert stack.cancel(run_id)["state"] == "cancelled"


def test_a_cancelled_run_keeps_what_it_had_tracked(stack: Stack, long_clip: Path, tmp_path: Path) -> None:
    clip = stack.upload(long_clip)
    run_id = stack.start_run(clip, grid=64, frames=None)
    under_way = wait_for(lambda: stack.run(run_id) if stack.run(run_id)["tracked_frames"] else None)
    assert under_way["state"] == "running"
    assert "tracks" not in under_way["links"]  # nothing is shown as a result before the end
    assert stack.get(f"/runs/{run_id}/tracks.npz").status_code == 409
    stack.cancel(run_id)
    wait_for(lambda: not list((stack.instance / "tmp").glob("run-*")), 5.0)

    run = stack.run(run_id)
    assert run["state"] == "cancelled"
    kept = run["tracked_frames"]
    assert 2 <= kept < 500
    partial = stack.tracks(run_id, tmp_path)
    assert partial.frames.tolist() == list(range(kept))
    whole = Tracker.load("lk").track(
        read_frames(long_clip, start=0, step=1, count=kept + 5), query_grid(64, (96, 128))
    )
    np.testing.assert_array_equal(partial.points, whole.points[:kept])
    np.testing.assert_array_equal(partial.visibility, whole.visibility[:kept])

    assert len(stack.get(f"/runs/{run_id}/tracks.json").json()["frames"]) == kept
    numbers = stack.get(f"/runs/{run_id}/figure.json").json()["layout"]["meta"]["stillmotion"]
    assert len(numbers["frames"]) == kept
    assert stack.get(f"/runs/{run_id}/frames/{kept - 1}.jpg").status_code == 200
    with av.open(io.BytesIO(stack.overlay(run_id, "mp4").content)) as video:
        assert sum(1 for _ in video.decode(video=0)) == kept
    stored = stack.instance / "storage" / "runs" / run_id / "partial"
    assert stored / f"{kept}.npz" in list(stored.iterdir())
    requests.delete(f"{stack.url}/api/v1/clips/{clip}", timeout=10)
    assert not stored.parent.exists()


def test_a_waiting_run_has_a_place_and_can_be_cancelled(
    stack: Stack, small_clip: Path, long_clip: Path
) -> None:
    busy = stack.start_run(stack.upload(long_clip), grid=64, frames=None)
    stack.wait_for_progress(busy)
    clip = stack.upload(small_clip)
    first, second = stack.start_run(clip), stack.start_run(clip)
    assert [stack.run(run)["queue_position"] for run in (first, second)] == [1, 2]
    assert stack.cancel(first)["state"] == "cancelled"
    assert stack.run(second)["queue_position"] == 1
    assert stack.cancel(busy)["state"] == "cancelled"
    assert stack.wait_for_end(second)["state"] == "done"
    assert stack.run(first)["state"] == "cancelled"
    assert stack.run(first)["started_at"] is None


def test_a_clip_that_shrank_since_its_upload_fails_with_a_reason(
    stack: Stack, small_clip: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(small_clip.read_bytes() + b"x")
    clip = stack.upload(other)
    stored = next((stack.instance / "storage" / "clips").glob(f"{clip}*"))
    stored.unlink()
    run = stack.wait_for_end(stack.start_run(clip))
    assert (run["state"], run["error"]) == ("failed", "The clip's file is gone; upload it again.")
    assert not (stack.instance / "storage" / "runs" / run["id"]).exists()
