"""`python -m model convert` as a person uses it: what it says and where, exit codes, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from model.__main__ import main
from model.convert.ledger import load_profile, save_profile
from model.convert.profile import Profile
from model.datasets.folder import TEMPORARY_PREFIX, DataFolder
from tests.media import moving_clip
from tests.model.convert.conversions import convert, digests, states


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for k, frames in enumerate((20, 9, 30)):
        moving_clip(folder / f"{k}.mp4", frames=frames, size=(64, 96), velocity=(2.0, k))
    (folder / "broken.mp4").write_text("no video")
    return folder


def test_it_says_what_there_is_and_where_the_time_went(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["convert", str(videos), "--out", str(tmp_path / "out"), "--method", "lk", "--grid", "4"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert f"{tmp_path / 'out'}: 8 samples" in said.out
    assert "of 3 videos" in said.out
    assert "Videos that could not be used: 1; errors.jsonl says why." in said.out
    for word in ("decode", "track", "write", "chunks/s a worker", "tracking"):
        assert word in said.out
    assert "looking at videos" in said.err
    assert "tracking: 100%" in said.err
    stats = json.loads((tmp_path / "out" / "stats.json").read_text())
    assert stats["verdict"] in said.out
    assert stats["counts"]["samples"] == 8

    before = states(tmp_path / "out")
    assert main(arguments) == 0
    assert "Everything was there already." in capsys.readouterr().out
    assert states(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing.mp4", "--out", "{out}"], "There is no file or folder nothing.mp4"),
        (
            ["{videos}/broken.mp4", "--out", "{out}"],
            "None of the videos can be used. broken.mp4: The file is no",
        ),
        (["{videos}"], "Missing option '--out'"),
        (["--out", "{out}"], "Missing argument 'INPUTS...'"),
        (["{videos}", "--out", "{out}", "--grid", "99"], "1 to 64 points a side, not 99"),
        (["{videos}", "--out", "{out}", "--overlap", "8"], "overlap must be 0 to 7, not 8"),
        (["{videos}", "--out", "{out}", "--check", "half"], "'half' is not one of"),
        (["{videos}", "--out", "{out}", "--method", "magic"], "There is no method “magic”"),
        (["{videos}", "--out", "{out}", "--workers", "0"], "0 is not in the range"),
        (["{videos}", "--out", "{out}", "--validation", "0.6", "--test", "0.5"], "together less than 1"),
        (["{videos}", "--out", "{videos}/broken.mp4"], "is no folder that can be written to"),
        (["{videos}", "--out", "nonsense://x"], "nonsense://x cannot be used"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    filled = [text.format(videos=videos, out=tmp_path / "out") for text in arguments]
    assert main(["convert", "--method", "zero", *filled]) == 2
    said = capsys.readouterr()
    last = said.err.replace("\r", "\n").strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert sentence in last
    assert said.out == ""


def start(videos: Path, out: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "model", "convert", str(videos), "--out", str(out)]
    command += ["--method", "lk", "--grid", "16", "--shard-samples", "4", "--check", "full", "--threads", "1"]
    return subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos that last a while."""
    folder = tmp_path_factory.mktemp("long")
    for k in range(3):
        moving_clip(folder / f"{k}.mp4", frames=100, size=(144, 192), velocity=(0.5, k / 5))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_stops_all_and_the_same_command_goes_on(
    long: Path, tmp_path: Path, workers: int
) -> None:
    """Ctrl-C as a terminal sends it: to all processes of the group."""
    out = tmp_path / "out"
    process = start(long, out, "--workers", str(workers))
    while not list(out.glob("shards/*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert stdout == b""
    assert b"Traceback" not in stderr
    assert stderr.decode().strip().endswith("Stopped; nothing half written is left behind.")
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert not list(out.rglob(f"{TEMPORARY_PREFIX}*"))
    kept = {name: state for name, state in states(out).items() if name.startswith("shards/")}
    assert not json.loads((out / "dataset.json").read_text())["is_complete"]

    process = start(long, out, "--workers", str(workers), "--grid", "16")
    stdout, stderr = process.communicate(timeout=150)
    assert process.returncode == 0, stderr
    assert b"samples" in stdout
    now = states(out)
    assert {name: now[name] for name in kept} == kept
    assert json.loads((out / "dataset.json").read_text())["is_complete"]


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_an_interrupt_while_workers_start_is_quiet(long: Path, tmp_path: Path) -> None:
    for delay in (0.0, 0.05, 0.2):
        process = start(long, tmp_path / f"out-{delay}", "--workers", "2")
        while not [
            child for child in psutil.Process(process.pid).children() if "spawn" in str(child.cmdline())
        ]:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130
        assert b"Traceback" not in stderr, stderr.decode()


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_two_at_once_on_one_folder_are_refused(long: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = start(long, out)
    while not list(out.glob("shards/*")):
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # it holds the folder for as long as the test wants
    second = start(long, out)
    _, stderr = second.communicate(timeout=30)
    assert second.returncode == 2
    assert stderr.decode().strip() == (
        f"Error: Another convert is at work in {out}; wait for its end, or stop it first."
    )
    first.kill()
    first.communicate()
    third = start(long, out)  # the lock has ended with its process
    while "tracking" not in (line := third.stderr.read1(4096).decode()):
        assert third.poll() is None, line
    third.send_signal(signal.SIGINT)
    third.communicate(timeout=30)
    assert third.returncode == 130


def test_the_set_of_the_command_is_that_of_the_function(videos: Path, tmp_path: Path) -> None:
    options = ["--validation", "0.3", "--test", "0.2", "--no-cuts", "--horizon", "6", "--frame-step", "2"]
    options += ["--chunk-step", "2", "--min-motion", "0.5", "--shard-samples", "2", "--workers", "2"]
    out = tmp_path / "command"
    assert main(["convert", str(videos), "--out", str(out), "--method", "lk", "--grid", "3", *options]) == 0
    settings = {"validation": 0.3, "test": 0.2, "cuts": False, "horizon": 6, "frame_step": 2}
    settings |= {"chunk_step": 2, "min_motion": 0.5, "shard_samples": 2, "grid": 3}
    convert([videos], tmp_path / "function", **settings)
    assert digests(out) == digests(tmp_path / "function")


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        ({"track": 7.0, "encode": 2.0, "wait for frames": 0.5}, "tracking 90%.* the device limits it"),
        (
            {"track": 2.0, "wait for frames": 7.0, "decode": 5.0, "cuts": 1.0},
            "opening and decoding limits it",
        ),
        ({"track": 2.0, "wait for frames": 7.0, "decode": 1.0, "resize": 5.0}, "looking for cuts limits it"),
        ({"track": 2.0, "wait for writing": 7.0, "write": 9.0}, "writing limits it"),
        ({"load": 9.0}, "too little work"),
        ({}, "too little work"),
    ],
)
def test_the_verdict_names_what_limits_the_speed(seconds: dict[str, float], verdict: str) -> None:
    profile = Profile(seconds, {"chunks": 20}, 10.0 if seconds else 0.0)
    assert re.search(verdict, profile.verdict())
    twice = profile + profile
    assert twice.verdict() == profile.verdict()
    assert twice.chunks_per_second == profile.chunks_per_second == (2.0 if seconds else 0.0)
    assert all(name in profile.table() for name in seconds)


def test_what_is_kept_and_what_is_said_are_the_same(tmp_path):
    """Hundredths of a second: of the rounded ones the tracking's share is 11 %, of the exact ones 12 %."""
    profile = Profile({"track": 0.0121, "wait for frames": 0.0284}, {"chunks": 3}, busy=0.1049)
    assert profile.verdict().startswith("tracking 12%")
    folder = DataFolder.open(tmp_path)
    save_profile(folder, profile)
    kept = json.loads((tmp_path / "stats.json").read_text())
    assert kept["verdict"] == load_profile(folder).verdict()
    assert kept["device_share"] == round(load_profile(folder).device_share, 4)
