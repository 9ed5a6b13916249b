"""A full disk is one sentence, with real disks, and the same command goes on."""

import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.core.errors import BadInput
from tests.media import moving_clip
from tests.model.convert.conversions import convert, digests


def run_convert(
    inputs: list[Path], out: Path, *options: str, largest_file: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command as a person does. largest_file: bytes that it may write to one file."""
    command = [sys.executable, "-m", "model", "convert", *map(str, inputs), "--out", str(out), *options]
    command += ["--method", "zero", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if largest_file is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
        stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


SENTENCE = "is full; make room and give the same command again to go on."
AS_THE_COMMAND = {"method": "zero", "grid": 16, "validation": 0.1, "test": 0.1}
"""What `run_convert` makes, asked for in this process."""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(tmp_path: Path, workers: int) -> None:
    """The system refuses files above a size, with the same kind of error as a full disk, everywhere."""
    videos = [
        moving_clip(tmp_path / f"{k}.mp4", frames=frames, size=(96, 128), velocity=(2.0, k))
        for k, frames in enumerate((16, 90, 16, 16))
    ]
    out = tmp_path / "out"
    options = ("--workers", str(workers), "--shard-samples", "12", "--overlap", "4")
    stopped = run_convert(videos, out, *options, largest_file=60_000)
    assert stopped.returncode == 2, stopped.stderr
    last = stopped.stderr.replace("\r", "\n").strip().splitlines()[-1]
    assert last == f"Error: The disk that holds {out} {SENTENCE}"
    assert "Traceback" not in stopped.stderr
    assert stopped.stdout == ""
    assert not list(out.rglob(".writing-*"))
    for place in (out, tmp_path / "undisturbed"):
        convert(videos, place, shard_samples=12, overlap=4, **AS_THE_COMMAND)
    assert digests(out) == digests(tmp_path / "undisturbed")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 300 kB, or, where this process may not mount one, a folder without a limit."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(place)]
    is_mounted = (
        shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    yield place
    if is_mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_disk_that_is_really_full(small_disk: Path, tmp_path: Path) -> None:
    if not os.path.ismount(small_disk):
        return  # only root may mount; the test above shows the same with a limit on the size of files
    videos = [
        moving_clip(tmp_path / f"{k}.mp4", frames=40, size=(96, 128), velocity=(2.0, k)) for k in range(3)
    ]
    out = small_disk / "out"
    stopped = run_convert(videos, out, "--overlap", "7", "--shard-samples", "8")
    assert stopped.returncode == 2, stopped.stderr
    assert f"Error: The disk that holds {out} {SENTENCE}" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert not list(out.rglob(".writing-*"))
    finished = sorted((out / "shards").glob("*.json"))
    assert 0 < len(finished) < 12
    settings = {"overlap": 7, "shard_samples": 8, **AS_THE_COMMAND}
    with pytest.raises(BadInput, match="is full"):  # there is still no room
        convert(videos, out, **settings)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    before = [path.stat().st_mtime_ns for path in finished]
    convert(videos, out, **settings)
    assert [path.stat().st_mtime_ns for path in finished] == before
    convert(videos, tmp_path / "undisturbed", **settings)
    assert digests(out) == digests(tmp_path / "undisturbed")


@pytest.mark.timeout(60)
def test_a_full_disk_while_the_reader_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer fails while the queue of frames is full: nobody waits for ever."""
    video = moving_clip(tmp_path / "long.mp4", frames=400, size=(48, 64))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(BadInput, match="is full; make room"):
            convert([video], tmp_path / "out", overlap=7, shard_samples=1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [thread for thread in threading.enumerate() if thread.name in ("reading", "writing")]
    assert not list((tmp_path / "out").rglob(".writing-*"))
