"""The bytes of a finished set: the same for any workers, order, interruptions; nothing is done twice."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model.convert.locking import LOCK, locked
from model.core.errors import BadInput, Stopped
from model.core.processes import is_abandoned
from model.core.progress import ShouldStop
from model.datasets.folder import DataFolder, _our_prefix
from model.datasets.loader import open_dataset
from tests.media import cut, moving_clip
from tests.model.convert.conversions import convert, digests, errors, samples, states


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Videos of different lengths and sizes, one of them damaged, one twice."""
    folder = tmp_path_factory.mktemp("videos")
    made = [
        moving_clip(
            folder / f"{k}.mp4", frames=frames, size=(48 + 8 * (k % 2), 64), velocity=(1.0 + k / 4, k)
        )
        for k, frames in enumerate((10, 50, 17, 33, 8, 26))
    ]
    cut(made[1], folder / "broken.mp4", 0.7)
    shutil.copy(made[2], folder / "twice.mp4")
    return [*made, folder / "broken.mp4", folder / "twice.mp4"]


@pytest.fixture(scope="module")
def finished(videos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set that one worker makes of them in one go."""
    out = tmp_path_factory.mktemp("sets") / "finished"
    convert(videos, out, overlap=3)
    return out


def after(events: int) -> ShouldStop:
    """Ask to stop at the n-th question."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > events

    return should_stop


@pytest.mark.slow
def test_two_workers_give_the_same_bytes(videos: list[Path], finished: Path, tmp_path: Path) -> None:
    convert(videos, tmp_path / "out", workers=2, overlap=3)
    assert digests(tmp_path / "out") == digests(finished)
    mine, theirs = (json.loads((out / "stats.json").read_text()) for out in (tmp_path / "out", finished))
    for name in ("chunks", "samples", "bytes"):  # no worker's account is lost
        assert mine["counts"][name] == theirs["counts"][name]


@pytest.mark.parametrize(
    "turn", [list.reverse, lambda inputs: inputs.sort(key=lambda path: path.stat().st_size)]
)
def test_the_order_of_the_inputs_does_not_matter(
    videos: list[Path], finished: Path, tmp_path: Path, turn: Callable[[list[Path]], None]
) -> None:
    inputs = list(videos)
    turn(inputs)
    assert inputs != videos
    convert(inputs, tmp_path / "out", overlap=3)
    assert digests(tmp_path / "out") == digests(finished)


def test_a_set_that_was_stopped_again_and_again_has_the_same_bytes(
    videos: list[Path], finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    stops = 0
    for events in range(40, 100000, 40):
        try:
            convert(videos, out, should_stop=after(events), overlap=3)
            break
        except Stopped:
            stops += 1
            summary = (
                json.loads((out / "dataset.json").read_text()) if (out / "dataset.json").exists() else None
            )
            assert summary is None or not summary["is_complete"]
            assert not list(out.rglob(".writing-*"))
    assert stops >= 3
    assert digests(out) == digests(finished)


def test_an_unfinished_set_can_be_read_as_far_as_it_is(videos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    for events in range(60, 100000, 20):  # until some shards are finished
        with pytest.raises(Stopped):
            convert(videos, out, should_stop=after(events))
        if (out / "dataset.json").exists() and json.loads((out / "dataset.json").read_text())["shards"]:
            break
    with pytest.raises(BadInput, match="not complete"):
        open_dataset(out)
    some = [sample.key for sample in samples(out)]
    assert len(open_dataset(out, allow_incomplete=True)) == len(some) > 0
    convert(videos, out)
    assert set(some) < {sample.key for sample in samples(out)}
    assert len(open_dataset(out)) == len(list(samples(out)))


def test_a_finished_set_is_left_alone(videos: list[Path], finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    before = states(out)
    convert(videos, out, overlap=3)
    assert states(out) == before
    program = (
        "import sys; from tests.model.convert.conversions import convert; "
        "convert(sys.argv[2:], sys.argv[1], overlap=3, workers=2); assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", program, str(out), *map(str, videos)], check=True, env=environment)
    assert states(out) == before


def test_more_videos_leave_what_is_there_as_it_is(videos: list[Path], finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(videos[:3], out, overlap=3)
    before = {name: state for name, state in states(out).items() if name.startswith("shards/")}
    convert(videos, out, overlap=3)
    now = states(out)
    assert {name: now[name] for name in before} == before
    assert len(now) > len(before)
    contents = [{sample.key: sample.files() for sample in samples(place)} for place in (out, finished)]
    assert contents[0] == contents[1]
    convert(videos[:1], out, overlap=3)  # fewer inputs take nothing away
    assert {sample.key for sample in samples(out)} == set(contents[0])


def test_lost_and_damaged_shards_are_made_anew(videos: list[Path], finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    archives = sorted((out / "shards").glob("*.tar"))
    archives[0].unlink()
    archives[1].write_bytes(archives[1].read_bytes()[:-512])
    archives[2].with_suffix(".json").unlink()
    (out / "dataset.json").write_text("{")
    (out / "errors.jsonl").unlink()
    untouched = states(out)["shards/" + archives[3].name]
    convert(videos, out, overlap=3)
    assert digests(out) == digests(finished)
    assert states(out)["shards/" + archives[3].name] == untouched


def test_a_damaged_index_or_profile_is_one_sentence(
    videos: list[Path], finished: Path, tmp_path: Path
) -> None:
    for name, content in (("shards/train-000001.json", "[]"), ("stats.json", "{"), ("plan.json", "{")):
        out = tmp_path / name.replace("/", "-")
        shutil.copytree(finished, out)
        (out / name).write_text(content)
        with pytest.raises(BadInput, match=f"{name}.* is damaged; delete it"):
            convert(videos, out, overlap=3)
        (out / name).unlink()
        convert(videos, out, overlap=3)
        assert digests(out) == digests(finished)


def test_without_its_plan_a_set_of_the_same_videos_goes_on(
    videos: list[Path], finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / "plan.json").unlink()
    shards = {name: state for name, state in states(out).items() if name.startswith("shards")}
    convert(videos, out, overlap=3)
    assert {name: state for name, state in states(out).items() if name.startswith("shards")} == shards
    (out / "plan.json").unlink()
    before = digests(out)
    for inputs, settings in ((videos[:2], {"overlap": 3}), (videos, {"overlap": 4}), (videos, {"grid": 5})):
        with pytest.raises(BadInput, match="shards of another conversion"):
            convert(inputs, out, **settings)
    assert {name: digest for name, digest in digests(out).items() if name.startswith("shards")} == {
        name: digest for name, digest in before.items() if name.startswith("shards")
    }


def test_other_settings_need_another_folder_once_there_is_something(
    videos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(Stopped):  # after the plan is made
        convert(videos, out, grid=5, should_stop=after(len(videos) + 2))
    assert (out / "plan.json").exists()
    (out / "shards").mkdir(exist_ok=True)
    (out / "shards" / "train-000099.tar").write_bytes(b"of the plan that is given up")
    convert(videos[:3], out, grid=4)
    assert {sample.facts.grid for sample in samples(out)} == {4}
    assert not (out / "shards" / "train-000099.tar").exists()
    with pytest.raises(BadInput, match=r"begun with other settings \(grid 5, not 4; horizon 9, not 8\)"):
        convert(videos, out, grid=5, horizon=9)


def test_one_convert_at_a_time(videos: list[Path], tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "out")
    with locked(folder):
        with pytest.raises(BadInput, match="Another convert is at work"), locked(folder):
            pass
        with locked(DataFolder.open(tmp_path / "elsewhere")):
            pass
    with locked(folder), locked(DataFolder.open("memory://out")), locked(DataFolder.open("memory://out")):
        pass
    assert (tmp_path / "out" / LOCK).stat().st_size == 0
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with (
            pytest.raises(BadInput, match="no folder that can be written to"),
            locked(DataFolder.open(place)),
        ):
            pass


def test_leftovers_of_dead_processes_are_removed(videos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "shards").mkdir(parents=True)
    zombie = subprocess.Popen([sys.executable, "-c", ""])  # until it is waited for
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    prefix, old = _our_prefix(), 1e9
    left = {
        f"{prefix}4194999-dead": (None, False),
        f"{prefix}{zombie.pid}-zombie": (None, False),
        f"{prefix}{os.getpid()}-reused": (old, False),  # written before this process began
        f"{prefix}{os.getpid()}-mine": (None, True),
        ".writing-other-host-4194999-x": (None, True),
    }
    for name, (time, _) in left.items():
        path = out / "shards" / name
        path.write_bytes(b"half a shard")
        if time is not None:
            os.utime(path, (time, time))
    convert(videos[:1], out)
    for name, (_, stays) in left.items():
        assert (out / "shards" / name).exists() == stays, name
    zombie.wait()
    assert is_abandoned(zombie.pid, old)


def test_errors_name_the_broken_video(videos: list[Path], finished: Path) -> None:
    (error,) = errors(finished)
    assert error["file"] == "broken.mp4"
    assert "cut short" in error["reason"]
    assert (finished / "tracebacks" / f"{error['traceback']}.txt").read_text().startswith("Traceback")
