"""One conversion on many machines: real Redis, workers and kills; the bytes are those of one process."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from model.__main__ import main
from tests.media import moving_clip, write_audio
from tests.webapp.conversion.converting import SETTINGS, Machines, end_of, machines, shards
from tests.webapp.stack import is_alive, wait_for
from tests.webapp.test_faults import OwnRedis
from webapp.jobs.base import Condition


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small videos and a file without a picture."""
    folder = tmp_path_factory.mktemp("sources") / "videos"
    folder.mkdir()
    moving_clip(folder / "a.mp4", frames=72, velocity=(0.4, 0.2))
    moving_clip(folder / "b.mp4", frames=40, velocity=(-0.5, 0.3))
    moving_clip(folder / "c.mp4", frames=24, velocity=(0.2, -0.6))
    write_audio(folder / "d.mp4")
    return folder


@pytest.fixture(scope="module")
def single(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of them."""
    out = tmp_path_factory.mktemp("single") / "set"
    assert main(["convert", str(videos), "--out", str(out), *SETTINGS]) == 0
    return out


@pytest.fixture
def team(redis_url: str) -> Iterator[Machines]:
    with machines(redis_url) as lent:
        yield lent


def check_same(out: Path, single: Path) -> None:
    """The same shards, summary and errors, and nothing half written."""
    assert shards(out) == shards(single)
    for name in ("dataset.json", "errors.jsonl"):
        assert (out / name).read_bytes() == (single / name).read_bytes()
    assert not list(out.glob("**/.writing-*"))


def test_two_workers_one_killed_on_the_way(team: Machines, videos: Path, single: Path, tmp_path: Path):
    out = tmp_path / "set"
    team.add_worker()
    team.add_worker()
    command = team.start("convert", videos, "--out", out, *SETTINGS)
    lost = team.frozen_job()
    lost.worker.kill()
    wait_for(lambda: not is_alive(lost.process), 2)  # a job ends with its worker, also a frozen one
    ended = end_of(command)
    assert ended.returncode == 0, ended.stderr
    check_same(out, single)
    # One profile of both workers; what the killed one had not handed in is not in it.
    stats = json.loads((out / "stats.json").read_text())
    all_chunks = json.loads((single / "stats.json").read_text())["counts"]["chunks"]
    assert all_chunks / 2 <= stats["counts"]["chunks"] <= all_chunks
    assert stats["verdict"] in ended.stdout


def test_a_finished_set_is_left_alone(team: Machines, videos: Path, single: Path, tmp_path: Path):
    out = tmp_path / "set"
    shutil.copytree(single, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"}
    again = team.run("convert", videos, "--out", out, *SETTINGS)
    assert again.returncode == 0, again.stderr
    assert "Everything was there already." in again.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"} == before


def test_queueing_again_changes_nothing_and_the_status_tells(
    team: Machines, videos: Path, single: Path, tmp_path: Path
):
    out = tmp_path / "set"
    for _ in range(2):
        queued = team.run("convert", videos, "--out", out, *SETTINGS, "--no-wait")
        assert queued.returncode == 0, queued.stderr
    jobs = team.queue(out).known_jobs()
    assert queued.stdout.startswith(f"{len(jobs)} jobs wait or run")
    assert len(jobs) == len(set(jobs)) > 1
    # A job carries names alone: a worker finds all else in the set's folder.
    told = team.run("convert-status", "--out", out)
    assert f"0 of {len(list(shards(single))) // 2} shards" in told.stdout
    assert f"{len(jobs)} waiting" in told.stdout
    assert "0 workers" in told.stdout
    team.add_worker()
    watched = team.run("convert-status", "--out", out, "--watch")
    assert watched.returncode == 0, watched.stderr
    assert "the device limits it" in watched.stdout
    check_same(out, single)


def test_a_job_whose_shards_are_there_does_nothing(
    team: Machines, videos: Path, single: Path, tmp_path: Path
):
    out = tmp_path / "set"
    assert team.run("convert", videos, "--out", out, *SETTINGS, "--no-wait").returncode == 0
    shutil.copytree(single / "shards", out / "shards")
    before = {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    team.add_worker()
    queue = team.queue(out)
    wait_for(lambda: not queue.known_jobs())
    assert {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()} == before
    assert queue.take_costs() is None


def test_ctrl_c_ends_the_jobs(team: Machines, tmp_path: Path):
    slow = moving_clip(tmp_path / "slow.mp4", frames=300, velocity=(0.2, 0.1))
    out = tmp_path / "set"
    worker = team.add_worker()
    options = ("--method", "lk", "--grid", "64", "--check", "full", "--shard-samples", "2")
    command = team.start("convert", slow, "--out", out, *options)
    team.frozen_job().process.resume()
    assert len(team.queue(out).known_jobs()) > 1
    command.send_signal(signal.SIGINT)
    began = time.monotonic()
    stopped = end_of(command)
    assert stopped.returncode == 130, stopped.stderr
    assert time.monotonic() - began < 10
    assert not team.queue(out).known_jobs()
    wait_for(lambda: not worker.children(), 2)
    assert not list(out.glob("**/.writing-*"))


def test_the_command_is_stopped_or_killed_and_given_again(
    team: Machines, videos: Path, single: Path, tmp_path: Path
):
    out = tmp_path / "set"
    for number, jobs_stay in ((signal.SIGINT, False), (signal.SIGKILL, True)):
        command = team.start("convert", videos, "--out", out, *SETTINGS)
        wait_for(team.queue(out).known_jobs)
        command.send_signal(number)
        end_of(command)
        assert bool(team.queue(out).known_jobs()) == jobs_stay
    team.add_worker()
    again = team.run("convert", videos, "--out", out, *SETTINGS)
    assert again.returncode == 0, again.stderr
    check_same(out, single)


def test_an_emptied_redis_loses_no_job(team: Machines, videos: Path, single: Path, tmp_path: Path):
    out = tmp_path / "set"
    command = team.start("convert", videos, "--out", out, *SETTINGS)
    wait_for(team.queue(out).known_jobs)
    team.redis.flushall()
    team.add_worker()
    ended = end_of(command)
    assert ended.returncode == 0, ended.stderr
    check_same(out, single)


@pytest.mark.slow
def test_redis_is_away_for_3_s(videos: Path, single: Path, tmp_path: Path):
    server = OwnRedis(tmp_path / "redis")
    server.start()
    out = tmp_path / "set"
    try:
        with machines(server.url) as team:
            team.add_worker()
            command = team.start("convert", videos, "--out", out, *SETTINGS)
            wait_for(team.queue(out).known_jobs)
            server.kill()
            time.sleep(3)
            server.start()
            ended = end_of(command)
    finally:
        server.kill()
    assert ended.returncode == 0, ended.stderr
    check_same(out, single)


def test_a_shard_that_kills_its_job_again_and_again_fails_in_one_sentence(
    team: Machines, videos: Path, single: Path, tmp_path: Path
):
    out = tmp_path / "set"
    queue = team.queue(out)
    command = team.start("convert", videos, "--out", out, *SETTINGS)
    jobs = wait_for(queue.known_jobs)
    team.add_worker()
    poisoned, deaths = None, 0
    while deaths < 3:
        job = team.frozen_job()
        poisoned = poisoned or job.id
        if job.id == poisoned:
            job.process.kill()
            deaths += 1
        else:
            job.process.resume()
        psutil.wait_procs([job.process], 30)
    wait_for(lambda: queue.handles([poisoned])[poisoned].condition is Condition.FAILED)
    ended = end_of(command)
    assert ended.returncode == 2
    sentence = ended.stderr.splitlines()[-1]
    assert "1 jobs failed" in sentence
    assert "3 times, most likely because the memory ran out" in sentence
    # All others are there, and the same command tries this one again.
    there = {job for job in jobs if f"{queue.shard_of(job)}.json" in shards(out)}
    assert there == set(jobs) - {poisoned}
    assert team.run("convert", videos, "--out", out, *SETTINGS).returncode == 0
    check_same(out, single)


def test_a_worker_that_does_not_see_the_videos_makes_no_shard_without_them(
    team: Machines, videos: Path, single: Path, tmp_path: Path
):
    mount = tmp_path / "mount"
    shutil.copytree(videos, mount / "videos")
    out = tmp_path / "set"
    assert team.run("convert", mount / "videos", "--out", out, *SETTINGS, "--no-wait").returncode == 0
    os.rename(mount, tmp_path / "elsewhere")
    team.add_worker()
    queue = team.queue(out)
    wait_for(lambda: queue.ended() and not queue.known_jobs())
    told = team.run("convert-status", "--out", out)
    assert "every machine must reach the videos by the same names" in told.stdout
    assert not (out / "shards").exists()
    os.rename(tmp_path / "elsewhere", mount)
    assert team.run("convert", mount / "videos", "--out", out, *SETTINGS).returncode == 0
    check_same(out, single)


def test_a_worker_that_does_not_see_the_set_ends_the_command_in_one_sentence(
    team: Machines, videos: Path, tmp_path: Path
):
    out = tmp_path / "set"
    command = team.start("convert", videos, "--out", out, *SETTINGS)
    wait_for(team.queue(out).known_jobs)
    (out / "plan.json").rename(out / "hidden")
    team.add_worker()
    ended = end_of(command)
    assert ended.returncode == 2
    assert "every machine must reach the training set by the same name" in ended.stderr.splitlines()[-1]
    assert not team.queue(out).known_jobs()


def test_the_apps_own_worker_takes_conversions_too(
    team: Machines, videos: Path, single: Path, tmp_path: Path
):
    out = tmp_path / "set"
    team.environment["STILLMOTION_INSTANCE"] = str(tmp_path / "instance")
    worker = team.start("worker")
    try:
        assert team.run("convert", videos, "--out", out, *SETTINGS).returncode == 0
    finally:
        worker.kill()
        end_of(worker)
    check_same(out, single)


@pytest.mark.parametrize(
    ("command", "url", "sentence"),
    [
        ("convert", "redis://127.0.0.1:1/0", "No Redis answers"),
        ("convert", "nonsense", "is no URL of a Redis"),
        ("convert-status", "redis://127.0.0.1:1/0", "No Redis answers"),
        ("convert-worker", "redis://127.0.0.1:1/0", "No Redis answers"),
    ],
)
def test_no_redis_is_one_sentence(
    team: Machines, videos: Path, tmp_path: Path, command: str, url: str, sentence: str
):
    arguments = [videos] if command == "convert" else []
    if command != "convert-worker":
        arguments += ["--out", tmp_path / "set"]
    ended = team.run(command, *arguments, "--queue", url)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_folder_without_a_conversion_has_no_status(team: Machines, tmp_path: Path):
    told = team.run("convert-status", "--out", tmp_path / "none")
    assert told.returncode == 2
    assert "No conversion was begun" in told.stderr
