"""Conversions on a real Redis with real worker processes, for the tests of several files."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
from rq import Worker
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from tests.webapp.stack import ROOT, wait_for
from webapp.conversion.queue import QUEUE, ConversionQueue

SETTINGS = ("--method", "lk", "--grid", "16", "--check", "full", "--shard-samples", "3")
"""Quick, needs no torch, and several shards of a video of 5 chunks."""


@dataclass(frozen=True)
class FrozenJob:
    """A job that is stopped in the middle (SIGSTOP). process: the worker's fork that does it."""

    worker: psutil.Popen
    process: psutil.Process
    id: str


class Machines:
    """Worker processes and commands that share a Redis; environment: variables for all of them."""

    def __init__(self, redis_url: str, environment: Mapping[str, str] | None = None) -> None:
        self.redis_url = redis_url
        self.redis = redis.Redis.from_url(redis_url)
        self.redis.flushall()
        self.environment = {
            **os.environ,
            "REDIS_URL": redis_url,
            "STILLMOTION_PIPS_WEIGHTS": "none",  # so that no worker imports torch before its first job
            **(environment or {}),
        }
        self.workers: list[psutil.Popen] = []

    def add_worker(self) -> psutil.Popen:
        """Start `convert-worker` and wait until it listens."""
        count = len(Worker.all(connection=self.redis, serializer=JSONSerializer))
        worker = psutil.Popen(
            [sys.executable, "-m", "webapp", "convert-worker"], cwd=ROOT, env=self.environment
        )
        self.workers.append(worker)
        wait_for(lambda: len(Worker.all(connection=self.redis, serializer=JSONSerializer)) > count)
        return worker

    def frozen_job(self) -> "FrozenJob":
        """Freeze the first job that is found at its work."""
        return wait_for(self._freeze, pause=0.005)

    def _freeze(self) -> "FrozenJob | None":
        for worker in self.workers:
            for process in worker.children():
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
                    if jobs := self._jobs_of(worker.pid):
                        return FrozenJob(worker, process, jobs[0])
                    process.resume()  # it has not begun, or has just ended
        return None

    def _jobs_of(self, process: int) -> list[str]:
        """The jobs of a worker that their own process says it has begun: by then it ends with its worker."""
        begun = StartedJobRegistry(QUEUE, connection=self.redis, serializer=JSONSerializer).get_job_ids(
            cleanup=False
        )
        workers = Worker.all(connection=self.redis, serializer=JSONSerializer)
        ids = [worker.get_current_job_id() for worker in workers if worker.pid == process]
        return [job_id for job_id in ids if job_id in begun and self._is_started(job_id)]

    def _is_started(self, job_id: str) -> bool:
        job = Job.fetch(job_id, connection=self.redis, serializer=JSONSerializer)
        return job.get_status() is JobStatus.STARTED

    def start(self, command: str, *arguments: object) -> "subprocess.Popen[str]":
        """Start `python -m webapp COMMAND`."""
        return subprocess.Popen(
            [sys.executable, "-m", "webapp", command, *map(str, arguments)],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, command: str, *arguments: object, seconds: float = 60
    ) -> "subprocess.CompletedProcess[str]":
        """Run `python -m webapp COMMAND` to its end."""
        return end_of(self.start(command, *arguments), seconds)

    def queue(self, folder: Path) -> ConversionQueue:
        """The jobs of a training set."""
        return ConversionQueue(self.redis, str(folder))

    def stop(self) -> None:
        """End all workers and their jobs at once."""
        for worker in self.workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait(10)
        self.redis.close()


def end_of(process: "subprocess.Popen[str]", seconds: float = 60) -> "subprocess.CompletedProcess[str]":
    """Wait for a command's end."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def machines(redis_url: str, environment: Mapping[str, str] | None = None) -> Iterator[Machines]:
    """Lend machines without workers, and end them all."""
    lent = Machines(redis_url, environment)
    try:
        yield lent
    finally:
        lent.stop()


def shards(folder: Path) -> dict[str, bytes]:
    """The bytes of all archives and indices of a training set, by name."""
    return {path.name: path.read_bytes() for path in (folder / "shards").iterdir()}
