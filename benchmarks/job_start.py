"""Seconds from asking for a run to its first frame, for each kind of worker.

python -m benchmarks.job_start [--starts 12]

Each kind gets a Redis, an instance and a worker process of its own; runs are asked for one after the other by
POST /api/v1/runs, handled in this process. The end of the span is the moment at which the job handed its
first decoded frame to the tracker: the change time of that frame's stored picture. What was loaded by then is
therefore included (modules, weights), and what follows (encoder, Lucas-Kanade) is the tracking itself.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from flask.testing import FlaskClient
from rq import SpawnWorker
from rq.serializers import JSONSerializer

from benchmarks.clips import write_clip
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.jobs.base import ForkingWorker, connect
from webapp.jobs.queue import QUEUES
from webapp.processes.services import redis_command
from webapp.processes.worker import run_worker

KINDS = ("spawned", "forked", "preloaded")
METHODS = ("lk", "pips")
LONGEST_WAIT = 60.0
PAUSE = 1.5
"""Seconds between two starts."""


def main() -> None:
    """Measure all kinds, or be the worker of one kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--worker", choices=KINDS)
    arguments = parser.parse_args()
    if arguments.worker:
        be_worker(arguments.worker)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clip(folder / "clip.mp4", 8, (360, 640))
        write_checkpoint(folder / "pips.pth")
        print(f"Seconds of {arguments.starts} starts:")
        print(f"{'worker':<10} {'method':<6} {'median':>8} {'least':>8} {'most':>8}", flush=True)
        for kind in KINDS:
            for method, spans in measure(kind, folder, arguments.starts).items():
                figures = (statistics.median(spans), min(spans), max(spans))
                print(
                    f"{kind:<10} {method:<6} " + " ".join(f"{figure:8.3f}" for figure in figures), flush=True
                )


def be_worker(kind: str) -> None:
    """Run jobs: in a fork of everything imported, in a fork of little, or in a fresh process."""
    settings = Settings.from_environment()
    if kind == "preloaded":
        run_worker(settings)
        return
    worker_class = ForkingWorker if kind == "forked" else SpawnWorker
    worker = worker_class(
        list(QUEUES), connection=connect(settings.redis, patience=25), serializer=JSONSerializer
    )
    worker.work(logging_level="ERROR")


def measure(kind: str, folder: Path, starts: int) -> Mapping[str, list[float]]:
    """Return the spans in seconds of each method, after one start that does not count."""
    place = folder / kind
    (place / "redis").mkdir(parents=True)
    socket = place / "redis" / "redis.sock"
    settings = Settings(
        instance=place / "instance", redis_url=f"unix://{socket}", pips_weights=str(folder / "pips.pth")
    )
    environment = {**os.environ, **settings.to_environment()}
    with ExitStack() as ends:
        redis = subprocess.Popen(redis_command(place / "redis", socket))
        ends.callback(_end, redis)
        while not socket.exists():
            time.sleep(0.02)
        client = create_app(settings).test_client()
        command = [sys.executable, "-m", "benchmarks.job_start", "--worker", kind]
        ends.callback(_end, subprocess.Popen(command, env=environment))
        while client.get("/readyz").status_code != 200:
            time.sleep(0.1)
        with (folder / "clip.mp4").open("rb") as file:
            clip = client.post("/api/v1/clips", data={"file": (file, "clip.mp4")}).get_json()["id"]
        return {
            method: [one_start(client, settings, clip, method) for _ in range(starts + 1)][1:]
            for method in METHODS
        }


def one_start(client: FlaskClient, settings: Settings, clip: str, method: str) -> float:
    """Ask for a run, wait for its first frame, cancel it, and return the seconds up to that frame."""
    asked = time.time()
    answer = client.post("/api/v1/runs", json={"clip": clip, "method": method, "grid": 8, "frames": 8})
    if answer.status_code != 202:
        raise RuntimeError(answer.text)
    run = answer.get_json()["id"]
    first = settings.instance / "storage" / "runs" / run / "frames" / "00000.jpg"
    deadline = time.monotonic() + LONGEST_WAIT
    while not first.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(client.get(f"/api/v1/runs/{run}").text)
        time.sleep(0.002)
    span: float = first.stat().st_mtime - asked
    client.delete(f"/api/v1/runs/{run}")
    time.sleep(PAUSE)  # for the worker to be free again
    return span


def write_checkpoint(path: Path) -> None:
    """Write weights of the authors' size in the authors' layout; their values do not matter here."""
    import torch  # noqa: PLC0415 - the spawned and forked workers import this file and must not have torch

    from model.tracking.pips.network import Pips  # noqa: PLC0415 - it imports torch, see above

    torch.manual_seed(0)
    torch.save({"model_state_dict": Pips().state_dict()}, path)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
