"""`convert` killed with -9 for real, and continued; benchmarks/convert_kills.py does it many times over."""

import os
import random
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.convert_kills import Command, content, keys, killed_and_continued
from model.convert.run import Conversion, RunReport
from model.convert.settings import with_weights
from model.convert.work import WorkerSettings
from model.convert.workers import _Pool, work_in_processes
from model.core.errors import BadInput
from model.datasets.folder import TEMPORARY_PREFIX, DataFolder
from tests.media import moving_clip
from tests.model.convert.conversions import convert

SETTINGS = {"method": "zero", "grid": 4, "shard_samples": 4, "overlap": 4, "validation": 0.0, "test": 0.0}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    return [
        moving_clip(folder / f"{k}.mp4", frames=frames, size=(90, 120), velocity=(1.5, k / 2))
        for k, frames in enumerate((90, 30, 20, 30, 40))
    ]


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("workers", "victims"), [(1, ["parent", "writer"]), (2, ["parent", "worker", "writer"])]
)
def test_a_killed_and_continued_set_has_the_same_bytes(
    videos: list[Path], tmp_path: Path, workers: int, victims: list[str]
) -> None:
    options = [
        text
        for name, value in {**SETTINGS, "workers": workers, "threads": 1, "device": "cpu"}.items()
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    command = Command(videos, options)
    usual = command.finish(tmp_path / "undisturbed")
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    for attempt in range(8):  # a run may end before its victim's time has come
        out = tmp_path / f"out-{attempt}"
        kills = killed_and_continued(command, out, victims, chance, usual)
        assert content(out) == content(tmp_path / "undisturbed"), f"seed {seed}: {kills}"
        assert keys(out) == keys(tmp_path / "undisturbed")
        assert not list(out.rglob(f"{TEMPORARY_PREFIX}*"))
        if kills:
            return
    pytest.fail(f"Nothing was killed in 8 runs; seed {seed}.")


def prepare(videos: list[Path], out: Path) -> Conversion:
    return Conversion.prepare([str(video) for video in videos], DataFolder.open(out), with_weights(SETTINGS))


def work(conversion: Conversion) -> None:
    """Have one worker process do all there is to do."""
    report = RunReport(conversion)
    work_in_processes(conversion.folder, conversion.tasks(), WorkerSettings(1, 1, "cpu"), report)


@contextmanager
def killing_writers(out: Path, most: int) -> Iterator[list[int]]:
    """Kill every process that begins to write a shard, up to so many."""
    killed: list[int] = []
    is_over = threading.Event()

    def kill() -> None:
        while not is_over.is_set() and len(killed) < most:
            for path in out.glob(f"shards/{TEMPORARY_PREFIX}*"):
                process = int(path.name.rsplit("-", 2)[1])
                if process not in (*killed, os.getpid()):
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
                    break
            time.sleep(0.001)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        is_over.set()
        thread.join()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_shard_that_kills_its_workers_is_left_out_and_the_others_are_done(
    videos: list[Path], tmp_path: Path
) -> None:
    conversion = prepare(videos, tmp_path / "out")
    first = conversion.tasks()[0][0].name
    with (
        killing_writers(tmp_path / "out", 3) as killed,
        pytest.raises(BadInput, match=f"Workers ended 3 times each while they converted {first}; the other"),
    ):
        work(conversion)
    assert len(set(killed)) == 3
    unfinished = [
        shard.name for shard in conversion.plan.shards if not conversion.ledger.is_finished(shard.name)
    ]
    assert unfinished == [first]
    convert(videos, tmp_path / "out", **SETTINGS)
    convert(videos, tmp_path / "undisturbed", **SETTINGS)
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_workers_that_always_die_end_the_work(videos: list[Path], tmp_path: Path) -> None:
    conversion = prepare(videos, tmp_path / "out")
    with (
        killing_writers(tmp_path / "out", 100) as killed,
        pytest.raises(BadInput, match=r"Workers keep ending \(signal 9\)"),
    ):
        work(conversion)
    assert len(killed) == 9


@pytest.mark.timeout(60)
def test_a_worker_that_is_dead_before_its_task_comes_is_replaced(videos: list[Path], tmp_path: Path) -> None:
    conversion = prepare(videos[1:3], tmp_path / "out")
    report = RunReport(conversion)
    tasks = deque(conversion.tasks())
    pool = _Pool(conversion.folder, WorkerSettings(1, 1, "cpu"), report, tasks)
    try:
        worker = pool._start()
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
        pool._workers.append(worker)
        while pool.is_busy:
            pool.step()
    finally:
        pool.end()
    assert all(conversion.ledger.is_finished(shard.name) for shard in conversion.plan.shards)
    made = report.cost.counts["samples"]
    assert made == conversion.ledger.summary(0).samples() > 0  # the last account has come, too


@pytest.mark.timeout(60)
def test_a_worker_says_what_is_wrong_with_it(videos: list[Path], tmp_path: Path) -> None:
    conversion = prepare(videos, tmp_path / "out")
    (tmp_path / "out" / "plan.json").write_text("{")
    with pytest.raises(BadInput, match=r"plan\.json of .* is damaged"):
        work(conversion)
    (tmp_path / "out" / "plan.json").unlink()
    with pytest.raises(RuntimeError, match=r"(?s)An error in a worker:.*Traceback.*AssertionError"):
        work(conversion)
