"""The command line as a person uses it: real files, exit codes, one sentence for each mistake."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import pytest
import torch

from model.__main__ import main
from model.commands.group import run_command
from model.core.progress import Progress
from model.motion.tracks import Tracks
from model.tracking.pips.network import Pips, PipsConfig
from model.tracking.pips.release import PipsUse
from model.tracking.pips.tracker import PipsEngine
from model.tracking.tracker import Tracker
from model.weights.registry import REGISTRY, find_weights
from tests.media import moving_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "moving.mp4"
    moving_clip(path, frames=12, size=(120, 160), velocity=(2.0, 1.0))
    return path


def test_track_writes_tracks_and_overlays(clip, tmp_path, capsys):
    outputs = [tmp_path / f"overlay.{suffix}" for suffix in ("html", "mp4", "gif")]
    arguments = ["track", str(clip), "--out", str(tmp_path / "t.npz"), "--grid", "6", "--method", "lk"]
    arguments += ["--start", "2", "--frames", "5", "--frame-step", "2"]
    for output in outputs:
        arguments += ["--overlay", str(output)]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "36 points over 5 frames" in said.out
    assert "tracking" in said.err
    tracks = Tracks.load(tmp_path / "t.npz")
    assert tracks.frames.tolist() == [2, 4, 6, 8, 10]
    assert tracks.grid == (6, 6)
    assert tracks.fps > 0
    middle = tracks.points[:, 14]
    np.testing.assert_allclose(middle - middle[0], np.arange(5)[:, None] * [4.0, 2.0], atol=0.6)
    assert all(output.stat().st_size > 1000 for output in outputs)
    assert len(list(tmp_path.iterdir())) == 4


def test_track_follows_points_of_a_file_both_ways(clip, tmp_path, capsys):
    (tmp_path / "points.csv").write_text("x,y\n60,40\n70,50\n")
    arguments = ["track", str(clip), "--out", str(tmp_path / "t.npz"), "--method", "lk"]
    arguments += ["--points", str(tmp_path / "points.csv"), "--from-frame", "6", "--direction", "both"]
    assert main([*arguments, "--frames", "0", "--overlay", str(tmp_path / "t.gif")]) == 0
    assert "2 points over 12 frames" in capsys.readouterr().out
    tracks = Tracks.load(tmp_path / "t.npz")
    assert (tracks.frames.tolist(), tracks.query_frame) == (list(range(12)), 6)
    expected = np.array([[60, 40], [70, 50]]) + (tracks.frames - 6)[:, None, None] * [2.0, 1.0]
    np.testing.assert_allclose(tracks.points, expected, atol=0.3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--grid", "0"], "1 to 64 points a side, not 0"),
        (["--grid", "65"], "1 to 64 points a side, not 65"),
        (["--grid", "abc"], "'abc' is not a valid integer"),
        (["--start", "12"], "must be 0 to 11, since the clip has 12 frames, not 12"),
        (["--start", "11"], "hold only one"),
        (["--frames", "1"], "at least 2 frames, not 1"),
        (["--frame-step", "0"], "at least 1, not 0"),
        (["--method", "magic"], "There is no method “magic”"),
        (["--method", "pips", "--weights", "none.pth"], "There are no weights “none.pth”"),
        (["--overlay", "x.avi"], "must end in .html, .mp4 or .gif"),
        (["--overlay", "no/such/folder/x.gif"], "There is no folder"),
        (["--points", "none.csv"], "points' file none.csv cannot be read"),
        (["--direction", "sideways"], "'sideways' is not one of"),
        (["--direction", "backward"], "hold only one; start later"),
        (["--nonsense"], "No such option"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(clip, tmp_path, capsys, arguments, sentence):
    assert main(["track", str(clip), "--out", str(tmp_path / "t.npz"), *arguments]) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_checked_before_the_work(clip, tmp_path, capsys):
    assert main(["track", str(clip)]) == 2
    assert main(["track", str(clip), "--out", str(tmp_path / "t.csv")]) == 2
    assert main(["track", str(tmp_path / "none.mp4"), "--out", str(tmp_path / "t.npz")]) == 2
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["Error"] * 3


def test_more_frames_than_there_are_is_said(clip, tmp_path, capsys):
    arguments = ["--frames", "40", "--grid", "2", "--method", "lk"]
    assert main(["track", str(clip), "--out", str(tmp_path / "t.npz"), *arguments]) == 0
    assert "only 12 of the 40 frames" in capsys.readouterr().err
    assert len(Tracks.load(tmp_path / "t.npz").frames) == 12


def test_weights_says_what_there_is(capsys):
    assert main(["weights"]) == 0
    listed = capsys.readouterr().out
    assert all(entry.name in listed and entry.sha256 in listed for entry in REGISTRY)


def test_pips_without_weights_says_how_to_get_them(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("model.tracking.methods.find_weights", lambda name: find_weights(name, ()))
    assert main(["track", str(clip), "--out", str(tmp_path / "t.npz"), "--method", "pips"]) == 2
    assert "PIPs needs trained weights and none are installed" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupt_exits_with_130_and_keeps_what_is_done(tmp_path, capsys):
    clip = tmp_path / "long.mp4"
    moving_clip(clip, frames=200, size=(360, 480), velocity=(0.1, 0.0))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "model", "track", str(clip), "--frames", "0", "--grid", "64"),
            *("--method", "lk"),
            *("--out", str(tmp_path / "t.npz")),
        ],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    seen = b""
    while not re.search(rb"tracking: +[1-9]", seen):  # not each percent is shown
        written = process.stderr.read1(4096)
        assert written, "it ended before it could be interrupted"
        seen += written
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 10
    seen = b""
    while process.poll() is None and time.monotonic() < deadline:
        seen += process.stderr.read1(4096)
    seen += process.stderr.read()
    assert process.wait(1) == 130
    process.stderr.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["long.mp4", "t.partial.npz"]
    kept = Tracks.load(tmp_path / "t.partial.npz")
    count = len(kept.frames)
    assert 2 <= count < 200
    assert f"Kept {count} of 200 frames in {tmp_path / 't.partial.npz'}; the same command starts again." in (
        seen.decode()
    )
    whole = ["track", str(clip), "--frames", str(count), "--grid", "64", "--method", "lk"]
    assert main([*whole, "--out", str(tmp_path / "t.npz")]) == 0
    assert "t.partial.npz is from another clip or other settings" in capsys.readouterr().err
    np.testing.assert_array_equal(kept.points, Tracks.load(tmp_path / "t.npz").points)
    assert not (tmp_path / "t.partial.npz").exists()


@dataclass(frozen=True)
class InterruptedEngine(PipsEngine):
    """PIPs of which someone has had enough after so many frames, if it did not go on from an earlier call."""

    patience: float = 0.0

    def follow(self, frames, queries, watch, state=None):
        def told(where: Progress) -> None:
            if state is None and where.done > self.patience:
                os.kill(os.getpid(), signal.SIGINT)
            watch.progress(where)

        return super().follow(frames, queries, replace(watch, progress=told), state)


@pytest.mark.slow
def test_the_same_command_goes_on_after_an_interrupt_to_the_same_bits(tmp_path, monkeypatch, capsys):
    clip = moving_clip(tmp_path / "moving.mp4", frames=24, velocity=(1.0, 0.5))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = Pips(
            PipsConfig(channels=16, width=32, depth=1, stride=8, encoder_widths=(8, 8, 8, 8))
        ).eval()
    once = PipsUse(iterations=1)
    engines = {
        "whole": PipsEngine(network, "0" * 64, once),
        "t": InterruptedEngine(network, "0" * 64, once, patience=11.0),
    }

    def track(name: str, start: int = 0) -> int:
        monkeypatch.setattr(Tracker, "load", lambda *_: Tracker(engines[name]))
        options = ["--method", "zero", "--frames", "0", "--grid", "2", "--start", str(start)]
        return main(["track", str(clip), "--out", str(tmp_path / f"{name}.npz"), *options])

    assert track("whole") == 0
    assert track("t") == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    kept = Tracks.load(tmp_path / "t.partial.npz")
    assert 7 <= len(kept.frames) < 20
    assert not (tmp_path / "t.npz").exists()
    assert track("t") == 0
    assert "Going on from t.partial.npz" in capsys.readouterr().err
    whole, resumed = Tracks.load(tmp_path / "whole.npz"), Tracks.load(tmp_path / "t.npz")
    for name in ("points", "visibility", "handovers", "frames"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(kept, name), getattr(whole, name)[: len(kept.frames)])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["moving.mp4", "t.npz", "whole.npz"]

    assert track("t", start=1) == 130
    (tmp_path / "t.partial.npz").write_bytes((tmp_path / "t.partial.npz").read_bytes()[:300])
    capsys.readouterr()
    engines["t"] = engines["whole"]
    assert track("t") == 0
    assert "t.partial.npz is damaged, so tracking starts again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "The memory did not suffice; try fewer frames or points."),
        (torch.OutOfMemoryError("CUDA"), "The memory did not suffice; try fewer frames or points."),
        (
            torch.AcceleratorError("CUDA error: unspecified launch failure"),
            "The GPU failed or went away; try again, or with --device cpu.",
        ),
    ],
    ids=["memory", "a GPU's memory", "a GPU"],
)
def test_what_the_machine_lacks_is_one_sentence(error, sentence, capsys):
    @click.command()
    def command() -> None:
        raise error

    assert run_command(command, "stillmotion", []) == 2
    assert capsys.readouterr().err == f"Error: {sentence}\n"


def test_an_error_inside_is_not_hidden():
    @click.command()
    def command() -> None:
        raise RuntimeError("a mistake of ours")

    with pytest.raises(RuntimeError, match="a mistake of ours"):
        run_command(command, "stillmotion", [])
