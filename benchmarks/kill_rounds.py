"""`kill -9` of web server, workers, jobs and Redis at random moments: is anything stuck, lost or doubled?

python -m benchmarks.kill_rounds [--seconds 300] [--runs 1000] [--pause 8] [--seed 0]

Runs of one small clip are asked for all the time; a request that gets no answer is asked again, as a person
would. In the end every run must have ended, those that are done must have the very tracks of the first one,
those that failed a sentence, and neither the storage nor the temporary folder may hold what no row names.
"""

import argparse
import io
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from benchmarks.clips import write_clip

WISH = {"method": "lk", "grid": 16, "frames": None}
VICTIMS = ("web", "worker", "job", "redis")
LONGEST_STILL = 120.0
"""Seconds after the last kill in which at least one more run must end."""


@dataclass
class Report:
    """What happened. unasked: runs beyond those answered and those whose answer a kill took."""

    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    unanswered: int = 0
    states: Counter[str] = field(default_factory=Counter)
    stuck: int = 0
    lost: int = 0
    unasked: int = 0
    wrong: int = 0
    silent: int = 0
    orphans: int = 0

    @property
    def is_clean(self) -> bool:
        """Nothing stuck, lost, doubled, wrong, without a reason or left over."""
        return not (self.stuck + self.lost + self.unasked + self.wrong + self.silent + self.orphans)


class App:
    """`python -m webapp` in an instance of its own, as a patient client sees it."""

    def __init__(self, instance: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.instance = instance
        self.api = f"http://127.0.0.1:{port}/api/v1"
        environment = {"STILLMOTION_INSTANCE": str(instance), "STILLMOTION_PORT": str(port)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "webapp"],
            env={**os.environ, **environment, "STILLMOTION_LOG": "ERROR"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, method: str, path: str, deadline: float, **options: Any) -> requests.Response | None:
        """Ask until there is an answer that is no 5xx, or the time is over."""
        while time.monotonic() < deadline:
            try:
                answer = requests.request(method, f"{self.api}{path}", timeout=20, **options)
                if answer.status_code < 500:
                    return answer
            except requests.RequestException:
                pass
            time.sleep(0.2)
        return None

    def victim(self, kind: str) -> psutil.Process | None:
        """Return a process of a kind, if there is one."""
        children = psutil.Process(self.process.pid).children()
        words = {child: " ".join(child.cmdline()).split() for child in children}
        if kind == "redis":
            found = [child for child, line in words.items() if "redis-server" in line[0]]
        else:
            end = "web" if kind == "web" else "worker"
            found = [child for child, line in words.items() if line[-1] == end]
        if kind == "job":
            found = [job for worker in found for job in worker.children()]
        return random.choice(found) if found else None

    def kill(self, kind: str) -> bool:
        """End a process of a kind as `kill -9` does; False when there is none within a second."""
        try:
            deadline = time.monotonic() + 1.0
            while (victim := self.victim(kind)) is None and time.monotonic() < deadline:
                time.sleep(0.01)
            if victim is not None:
                victim.kill()
            return victim is not None
        except (psutil.NoSuchProcess, IndexError):
            return False

    def stop(self) -> None:
        """End it in order."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def kill_rounds(folder: Path, seconds: float, runs: int, pause: float, seed: int) -> Report:
    """Start the app in a folder, ask for runs and kill for some seconds, and report what is there then.

    pause: seconds at most between two kills.
    """
    random.seed(seed)
    write_clip(folder / "clip.mp4", 60, (240, 320))
    app, report = App(folder / "instance"), Report()
    try:
        deadline = time.monotonic() + LONGEST_STILL
        content = (folder / "clip.mp4").read_bytes()
        uploaded = app.ask("POST", "/clips", deadline, files={"file": ("clip.mp4", content)})
        if uploaded is None:
            raise RuntimeError("The app does not start.")
        accepted = _disturb(app, {"clip": uploaded.json()["id"], **WISH}, seconds, runs, pause, report)
        _look(app, accepted, report)
    finally:
        app.stop()
    return report


def _disturb(
    app: App, wish: dict[str, Any], seconds: float, runs: int, pause: float, report: Report
) -> list[str]:
    """Ask for runs and kill until the time is over; return the ids of those that were accepted."""
    accepted: list[str] = []
    began = time.monotonic()
    next_kill = began + 3.0
    while time.monotonic() < began + seconds:
        if len(accepted) < runs:
            try:
                answer = requests.post(f"{app.api}/runs", json=wish, timeout=20)
                if answer.status_code == 202:
                    accepted.append(answer.json()["id"])
                elif answer.status_code != 429:
                    report.unanswered += 1  # its row says that it failed
            except requests.RequestException:
                report.unanswered += 1  # it may be there, or not
        time.sleep(0.1 if len(accepted) < runs else 0.5)
        if time.monotonic() > next_kill:
            kind = random.choice(VICTIMS)
            report.kills[kind] += app.kill(kind)
            next_kill = time.monotonic() + random.uniform(0.5, pause)
    report.seconds = time.monotonic() - began
    report.accepted = len(accepted)
    return accepted


def _look(app: App, accepted: list[str], report: Report) -> None:
    """Wait for the end of all runs, then compare what is there with what was asked for."""
    found: list[dict[str, Any]] = []
    left, deadline = -1, time.monotonic() + LONGEST_STILL
    while left and time.monotonic() < deadline:
        time.sleep(1.0)
        found = _all_runs(app, deadline)
        unfinished = len([run for run in found if run["state"] in ("queued", "running")])
        if unfinished != left:
            left, deadline = unfinished, time.monotonic() + LONGEST_STILL
    report.states = Counter(run["state"] for run in found)
    report.stuck = report.states["queued"] + report.states["running"]
    ids = [run["id"] for run in found]
    report.lost = len(set(accepted) - set(ids))
    report.unasked = max(0, len(ids) - len(accepted) - report.unanswered) + len(ids) - len(set(ids))
    report.silent = len([run for run in found if run["state"] == "failed" and not run["error"]])
    truth = None
    for run in found:
        if run["state"] != "done":
            continue
        answer = app.ask("GET", f"/runs/{run['id']}/tracks.npz", time.monotonic() + LONGEST_STILL)
        with np.load(io.BytesIO(answer.content if answer is not None else b"")) as tracks:
            points = tracks["points"]
        truth = points if truth is None else truth
        report.wrong += not np.array_equal(points, truth)
    stored = {folder.name for folder in (app.instance / "storage" / "runs").iterdir()}
    report.orphans = len(stored - {run["id"] for run in found if run["state"] in ("done", "cancelled")})
    report.orphans += len(list((app.instance / "tmp").iterdir()))


def _all_runs(app: App, deadline: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = app.ask("GET", f"/runs?sort=oldest&limit=500&offset={len(found)}", deadline)
        if answer is None:
            return found
        page = answer.json()
        found += page["items"]
        if not page["items"] or len(found) >= page["total"]:
            return found


def main() -> None:
    """Print what happened; exit with 1 unless it is clean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--pause", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report = kill_rounds(Path(name), arguments.seconds, arguments.runs, arguments.pause, arguments.seed)
    for name, value in vars(report).items():
        print(f"{name}: {dict(value) if isinstance(value, Counter) else value}")
    sys.exit(0 if report.is_clean else 1)


if __name__ == "__main__":
    main()
