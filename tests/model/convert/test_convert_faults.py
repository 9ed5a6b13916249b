"""What can be wrong with videos and disks, with real files: each is told in a sentence, the rest is done."""

import json
import os
import resource
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from model.convert.reading import _Reader
from model.convert.sources import Place
from model.core.errors import BadInput, Stopped, Unreachable
from model.core.progress import ShouldStop, never_stop
from model.datasets.folder import DataFolder
from tests.media import cut, encoded, moving_clip, moving_frames, texture, write_audio, write_video, write_zip
from tests.model.convert.conversions import convert, digests, errors, samples


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("good")
    return [
        moving_clip(folder / f"good-{k}.mp4", frames=20 + k, size=(48, 64), velocity=(2.0, k))
        for k in range(2)
    ]


def make_odd_files(folder: Path) -> None:
    """Files that look like videos by their names and cannot be used, each by a name that says why."""
    good = moving_clip(folder / "whole.mp4", frames=30, size=(64, 64))
    cut(good, folder / "truncated.mp4", 0.6)
    content = bytearray(good.read_bytes())
    middle = content.index(b"mdat") + 4
    end = middle - 8 + int.from_bytes(content[middle - 8 : middle - 4], "big")
    # All of it: a video of which some pictures can be decoded is converted.
    content[middle:end] = b"\xff" * (end - middle)
    (folder / "scrambled.mp4").write_bytes(content)
    good.unlink()
    write_video(folder / "one frame.mp4", [texture(64, 64)])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("This is no video.\n" * 50)
    (folder / "random.mkv").write_bytes(np.random.default_rng(0).bytes(5000))
    write_audio(folder / "sound.mp4")
    write_zip(folder / "no images.zip", {"notes.txt": b"no image"})
    (folder / "cut off.zip").write_bytes(
        write_zip(folder / "zip", {"1.png": encoded(texture(32, 32))}).read_bytes()[:99]
    )
    (folder / "zip").unlink()
    write_zip(folder / "sizes.zip", {f"{k}.png": encoded(texture(32, 32 + k)) for k in range(3)})
    write_zip(
        folder / "bad png.zip", {"1.png": encoded(texture(32, 32)), "2.png": encoded(texture(32, 32))[:300]}
    )
    write_video(folder / "tiny.mp4", [texture(4, 6)] * 10)
    (folder / "dangling.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(folder / "pipe.mp4")
    (folder / os.fsdecode(b"latin-\xe9.mp4")).write_text("an odd name")


REASONS = {
    "truncated.mp4": "cut short",
    "scrambled.mp4": "damaged",
    "one frame.mp4": "single picture",
    "empty.mp4": "empty",
    "text.mp4": "no video or image",
    "random.mkv": "no video or image",
    "sound.mp4": "no video in it",
    "no images.zip": "holds no images",
    "cut off.zip": "",
    "sizes.zip": "size",
    "bad png.zip": "damaged or cut short",
    "tiny.mp4": "at least 8×8",
    "dangling.mp4": "No such file or directory",
    "pipe.mp4": "pipe",
    os.fsdecode(b"latin-\xe9.mp4"): "no video or image",
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("workers", [1, 2])
def test_odd_files_are_named_and_the_rest_is_converted(
    good: list[Path], tmp_path: Path, workers: int
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    make_odd_files(odd)
    (odd / "folder.mp4").mkdir()
    out = tmp_path / "out"
    convert([odd, *good], out, workers=workers)
    found = errors(out)
    assert {error["file"].removeprefix("odd/") for error in found} == set(REASONS)
    for error in found:
        assert set(error) == {"file", "reason", "traceback"}
        assert REASONS[error["file"].removeprefix("odd/")] in error["reason"]
        assert "inside Stillmotion" not in error["reason"]
        trace = (out / "tracebacks" / f"{error['traceback']}.txt").read_text(errors="backslashreplace")
        assert trace.startswith("Traceback")
        assert error["reason"].split(" (")[0][:30] in trace or "Errno" in trace
    convert(good, tmp_path / "good")
    assert [sample.files() for sample in samples(out)] == [
        sample.files() for sample in samples(tmp_path / "good")
    ]
    summary = json.loads((out / "dataset.json").read_text())
    assert summary["is_complete"]
    assert summary["failures"] == len(REASONS)


def test_nothing_of_use_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BadInput, match=r"None of the videos can be used\. text\.mp4: The file is no video"):
        convert([tmp_path / "text.mp4"], tmp_path / "out")
    clip = moving_clip(tmp_path / "short.mp4", frames=3)
    with pytest.raises(BadInput, match=r"short\.mp4: In steps of 3 its 3 frames hold only one"):
        convert([clip], tmp_path / "out", frame_step=3)


def test_videos_too_short_for_the_frame_step_are_named(good: list[Path], tmp_path: Path) -> None:
    short = moving_clip(tmp_path / "short.mp4", frames=5, size=(48, 64))
    convert([short, *good], tmp_path / "out", frame_step=5)
    assert [error["file"] for error in errors(tmp_path / "out")] == ["short.mp4"]
    assert {sample.facts.source for sample in samples(tmp_path / "out")} == {video.name for video in good}


def while_reading(monkeypatch: pytest.MonkeyPatch, position: int, act: Callable[[Path], object]) -> None:
    """Do something to a video, once, when its n-th frame has been decoded."""
    decoded = _Reader._decoded
    done: list[Path] = []

    def disturbed(self: _Reader, path: Path, sampled: Sequence[int], first: int) -> Iterator[np.ndarray]:
        for number, frame in enumerate(decoded(self, path, sampled, first)):
            if number == position and path.name.startswith("victim") and path not in done:
                done.append(path)
                act(path)
            yield frame

    monkeypatch.setattr(_Reader, "_decoded", disturbed)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (append, "It was changed after the conversion had begun; give the same command again."),
        (truncate, "It was changed after the conversion had begun; give the same command again."),
        (os.utime, "It was changed after the conversion had begun; give the same command again."),
        (Path.unlink, "It cannot be read (No such file or directory)."),
    ],
)
def test_a_video_that_changes_or_goes_while_it_is_read_is_named_and_tried_again(
    good: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[Path], object],
    reason: str,
) -> None:
    victim = moving_clip(tmp_path / "victim.mp4", frames=60, size=(48, 64))
    content = victim.read_bytes()
    convert([victim, *good], tmp_path / "undisturbed", shard_samples=2)
    expected = digests(tmp_path / "undisturbed")

    out = tmp_path / "out"
    while_reading(monkeypatch, 20, act)
    convert([victim, *good], out, shard_samples=2)
    assert {(error["file"], error["reason"]) for error in errors(out)} == {("victim.mp4", reason)}
    there = {sample.facts.source for sample in samples(out)}
    assert {video.name for video in good} <= there
    convert(good, out, shard_samples=2)  # as long as it is not there again, the set is finished
    assert json.loads((out / "dataset.json").read_text())["is_complete"]

    victim.write_bytes(content)
    convert([victim, *good], out, shard_samples=2)
    again = digests(out)
    shutil.rmtree(out / "tracebacks")
    assert digests(out) == expected
    convert([victim, *good], out, shard_samples=2)
    assert set(again) - set(expected) == {name for name in again if name.startswith("tracebacks")}


def test_a_video_that_is_gone_before_its_turn_is_named(good: list[Path], tmp_path: Path) -> None:
    victim = moving_clip(tmp_path / "victim.mp4", frames=30, size=(48, 64))
    asked = 0

    def remove_then_go_on() -> bool:
        nonlocal asked
        asked += 1
        if asked == len(good) + 2:  # all have been looked at
            victim.unlink()
        return False

    convert([*good, victim], tmp_path / "out", should_stop=remove_then_go_on)
    assert [error["file"] for error in errors(tmp_path / "out")] == ["victim.mp4"]
    assert {sample.facts.source for sample in samples(tmp_path / "out")} == {video.name for video in good}


def test_a_video_that_changes_its_size_is_named(good: list[Path], tmp_path: Path) -> None:
    larger = write_video(tmp_path / "b.webm", moving_frames(10, (96, 128)))
    smaller = write_video(tmp_path / "a.webm", moving_frames(10, (48, 64)))
    joined = tmp_path / "joined"
    joined.mkdir()
    for number in range(6):
        (joined / f"{number}.png").write_bytes(encoded(texture(32 + 8 * (number > 3), 32)))
    convert([joined, smaller, larger, *good], tmp_path / "out")
    assert [error["file"] for error in errors(tmp_path / "out")] == ["joined"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("where", ["prepare", "track", "encode", "read", "write", "report"])
def test_a_bug_in_any_thread_is_raised_and_hangs_none(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    long = moving_clip(tmp_path / "long.mp4", frames=200, size=(48, 64))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"broken in {where}")

    target = {
        "prepare": "model.tracking.chunks.PlainChunks.prepare",
        "track": "model.tracking.chunks.PlainChunks.track",
        "encode": "model.tracking.chunks.PlainChunks.encode",
        "read": "model.convert.reading._Reader.events",
        "write": "model.datasets.shards.ShardWriter.add",
        "report": "model.convert.ledger.Ledger.add",
    }[where]
    monkeypatch.setattr(target, broken)
    out = tmp_path / "out"
    if where == "prepare":  # might be this video's fault, so the others have their turn
        convert([long, *good], out)
        assert all("broken in prepare" in error["reason"] for error in errors(out))
        assert len(errors(out)) == 3
    else:
        with pytest.raises(RuntimeError, match=f"broken in {where}"):
            convert([long, *good], out)
    assert not list(out.rglob(".writing-*"))
    assert not [thread for thread in threading.enumerate() if thread.name in ("reading", "writing")]


@pytest.mark.timeout(60)
def test_storage_that_does_not_answer_ends_the_work_and_costs_no_video(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise Unreachable("It does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr("model.convert.reading._Reader._video", unreachable)
        with pytest.raises(Unreachable):
            convert(good, tmp_path / "out")
    assert errors(tmp_path / "out") == []
    convert(good, tmp_path / "out")
    convert(good, tmp_path / "undisturbed")
    assert digests(tmp_path / "out") == digests(tmp_path / "undisturbed")


@pytest.mark.timeout(60)
def test_stopping_does_not_wait_for_a_video_that_does_not_come(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_there = threading.Event()
    fetched = Place.fetched

    def slow(self: Place, should_stop: ShouldStop = never_stop) -> Iterator[Path]:
        if threading.current_thread().name == "reading":
            while not should_stop():
                is_there.wait(0.01)
            raise Stopped("while it was fetched")
        return fetched(self, should_stop)

    monkeypatch.setattr(Place, "fetched", slow)
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    with pytest.raises(Stopped):
        convert(good, tmp_path / "out", should_stop=should_stop)


def test_no_room_to_fetch_a_video_is_told_and_no_video_is_blamed(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DataFolder.open("memory://fetched")
    for video in good:
        folder.write(video.name, video.read_bytes())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(BadInput, match=r"The disk for temporary files .* is full; make room"):
            convert(["memory://fetched"], tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("stillmotion-*"))
    convert(["memory://fetched"], tmp_path / "out")
    assert errors(tmp_path / "out") == []
    assert {sample.facts.source for sample in samples(tmp_path / "out")} == {
        f"fetched/{video.name}" for video in good
    }
