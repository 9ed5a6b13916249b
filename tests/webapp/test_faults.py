"""`kill -9` on the real stack: a run ends with its reason or is done again, and nothing done is lost."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from tests.webapp.own_redis import OwnRedis
from tests.webapp.stack import Stack, is_alive, wait_for

StartStack = Callable[..., Stack]

NOTICED = 20.0
"""Seconds within which a lost worker must be noticed: heartbeats live 10 s, and someone must look."""


class Disturbed:
    """A stack with a result from before and a run at its work."""

    def __init__(self, stack: Stack, small_clip: Path, long_clip: Path) -> None:
        self.stack = stack
        self.small = stack.upload(small_clip)
        self.earlier = stack.start_run(self.small)
        assert stack.wait_for_end(self.earlier)["state"] == "done"
        self.earlier_tracks = stack.get(f"/runs/{self.earlier}/tracks.npz").content
        self.run = stack.start_run(stack.upload(long_clip), grid=24, frames=None)
        stack.wait_for_progress(self.run)

    def check_recovery(self, seconds: float) -> dict[str, Any]:
        """Check that the run ends, the next one works, and the earlier result is there; return the run."""
        ended = self.stack.wait_for_end(self.run, seconds)
        assert ended["state"] in ("done", "failed"), ended
        assert ended["state"] == "done" or ended["error"], ended
        if ended["state"] == "done":
            assert self.stack.get(f"/runs/{self.run}/tracks.npz").status_code == 200
            assert self.stack.get(f"/runs/{self.run}/frames/{ended['frames'] - 1}.jpg").status_code == 200
        else:
            assert not (self.stack.instance / "storage" / "runs" / self.run).exists()
        assert self.stack.get(f"/runs/{self.earlier}/tracks.npz").content == self.earlier_tracks
        following = self.stack.start_run(self.small, grid=4)
        assert self.stack.wait_for_end(following)["state"] == "done"
        runs = self.stack.get("/runs").json()["items"]
        assert {run["id"] for run in runs} == {self.earlier, self.run, following}
        assert not [run for run in runs if run["state"] in ("queued", "running")]
        assert not list((self.stack.instance / "tmp").iterdir())
        return ended


@pytest.fixture
def disturbed(start_stack: StartStack, small_clip: Path, long_clip: Path) -> Disturbed:
    """A stack of its own, at work."""
    return Disturbed(start_stack(), small_clip, long_clip)


def kill(process: psutil.Process) -> None:
    """End a process as `kill -9` does, and wait until it is gone."""
    process.kill()
    with suppress(psutil.TimeoutExpired):
        process.wait(5)


def test_kill_9_of_the_job_starts_the_run_once_more_then_fails_it_with_its_reason(
    disturbed: Disturbed,
) -> None:
    first_start = disturbed.stack.run(disturbed.run)["started_at"]
    kill(disturbed.stack.horse())
    wait_for(lambda: disturbed.stack.run(disturbed.run)["started_at"] not in (None, first_start), NOTICED)
    disturbed.stack.wait_for_progress(disturbed.run)
    kill(disturbed.stack.horse())
    ended = disturbed.check_recovery(seconds=15)
    assert ended["state"] == "failed"
    assert "SIGKILL" in ended["error"]
    assert "memory" in ended["error"]


def test_kill_9_of_the_worker_ends_its_job_and_starts_the_run_again(disturbed: Disturbed) -> None:
    horse = disturbed.stack.horse()
    kill(disturbed.stack.worker())
    wait_for(lambda: not is_alive(horse), 2)
    first_start = disturbed.stack.run(disturbed.run)["started_at"]
    wait_for(lambda: disturbed.stack.run(disturbed.run)["started_at"] not in (None, first_start), NOTICED)
    ended = disturbed.check_recovery(seconds=60)
    assert ended["state"] == "done", ended


def test_kill_9_of_redis(disturbed: Disturbed) -> None:
    kill(disturbed.stack.redis())
    ended = disturbed.check_recovery(seconds=60)
    assert ended["state"] == "done", ended


def test_kill_9_of_everything_then_a_start(disturbed: Disturbed) -> None:
    stack = disturbed.stack
    children = stack.children()
    assert len(children) >= 4  # Redis, the web server, the worker and its job
    stack.stop(signal.SIGKILL)
    wait_for(lambda: not [child for child in children if is_alive(child)], 5)
    stack.start()
    ended = disturbed.check_recovery(seconds=60)
    assert ended["state"] == "done", ended


def test_stop_and_start_keeps_clips_and_runs_and_goes_on(disturbed: Disturbed) -> None:
    stack = disturbed.stack
    children = stack.children()
    began = time.monotonic()
    stack.stop(signal.SIGINT)
    assert time.monotonic() - began < 10
    assert stack.process.returncode == 0, stack.output
    assert not [child for child in children if is_alive(child)]
    stack.start()
    assert len(stack.get("/clips").json()["items"]) == 2
    ended = disturbed.check_recovery(seconds=60)
    assert ended["state"] == "done", ended


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis outside the stack."""
    server = OwnRedis(tmp_path / "own-redis")
    server.start()
    yield server
    server.kill()


def test_redis_is_away_for_5_s(
    start_stack: StartStack, own_redis: OwnRedis, small_clip: Path, long_clip: Path
) -> None:
    stack = start_stack(REDIS_URL=own_redis.url)
    disturbed = Disturbed(stack, small_clip, long_clip)
    own_redis.kill()
    deadline = time.monotonic() + 5
    # What needs no queue goes on; what needs it says so at once, and leaves nothing that waits for ever.
    assert stack.get(f"/runs/{disturbed.earlier}").json()["state"] == "done"
    import requests

    answer = requests.post(f"{stack.url}/api/v1/runs", json={"clip": disturbed.small}, timeout=10)
    assert answer.status_code == 503, answer.text
    assert "Redis" in answer.json()["detail"]
    refused = next(run for run in stack.get("/runs").json()["items"] if run["state"] == "failed")
    assert "Redis" in refused["error"]
    assert requests.get(f"{stack.url}/readyz", timeout=10).status_code == 503
    time.sleep(max(0.0, deadline - time.monotonic()))
    own_redis.start()
    ended = stack.wait_for_end(disturbed.run, 60)
    assert ended["state"] == "done", ended
    following = stack.start_run(disturbed.small)
    assert stack.wait_for_end(following)["state"] == "done"
    assert stack.get(f"/runs/{disturbed.earlier}/tracks.npz").content == disturbed.earlier_tracks
    assert not [run for run in stack.get("/runs").json()["items"] if run["state"] in ("queued", "running")]


def test_an_emptied_redis_loses_no_run(
    start_stack: StartStack, own_redis: OwnRedis, small_clip: Path, long_clip: Path
) -> None:
    stack = start_stack(REDIS_URL=own_redis.url)
    disturbed = Disturbed(stack, small_clip, long_clip)
    waiting = stack.start_run(disturbed.small)
    redis.Redis.from_url(own_redis.url).flushall()
    assert stack.wait_for_end(waiting)["state"] == "done"
    assert stack.wait_for_end(disturbed.run)["state"] == "done"
