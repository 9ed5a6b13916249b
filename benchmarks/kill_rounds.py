"""`kill -9` of web server, workers, jobs and Redis at random moments: is anything stuck, lost or doubled?

python -m benchmarks.kill_rounds [--seconds 3600] [--pause 8] [--clients 8] [--seed 0] [--folder FOLDER]

Some clients ask for runs of one small clip and wait for their ends, all the time; a request without answer is
asked again, as a person would. In the end every run must have ended, those that are done must have the very
tracks of the first one, those that failed a sentence, and neither the storage nor the temporary folder may
hold what no row names, nor lack what a row names. A folder that is given is kept, with the app's log in it.
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import psutil
import requests
from numpy.typing import NDArray

from benchmarks.clips import write_clip

WISH = {"method": "lk", "grid": 4, "frames": None}
FRAMES, SIZE = 16, (96, 128)
UNFINISHED = ("queued", "running")
VICTIMS = ("web", "worker", "job", "redis")
MOST_KILLS_IN_A_ROW = 6
"""Without a run that ends: on a busy machine what is started anew would be killed before it has started."""

LONGEST_STILL = 300.0
"""Seconds after the last kill in which at least one more run must end."""


@dataclass
class Report:
    """What happened. unanswered: requests for runs whose answer a kill took. faults: one sentence each.

    ended: how many runs a client saw the end of.
    """

    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    unanswered: int = 0
    ended: int = 0
    states: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


class App:
    """`python -m webapp` in an instance of its own, as a patient client sees it."""

    def __init__(self, instance: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.instance = instance
        self.api = f"http://127.0.0.1:{port}/api/v1"
        environment = {"STILLMOTION_INSTANCE": str(instance), "STILLMOTION_PORT": str(port)}
        with instance.with_suffix(".log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "webapp"], env={**os.environ, **environment}, stdout=log, stderr=log
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
            found = [child for child, line in words.items() if line[0].endswith("-server")]
        else:
            end = "web" if kind == "web" else "worker"
            found = [child for child, line in words.items() if line[-1] == end]
        if kind == "job":
            found = [job for worker in found for job in worker.children()]
        return random.choice(found) if found else None

    def kill(self, kind: str) -> bool:
        """End a process of a kind as `kill -9` does; False when there is none within 3 seconds."""
        try:
            deadline = time.monotonic() + 3.0
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
        self.process.wait(120)


def kill_rounds(folder: Path, seconds: float, pause: float, clients: int, seed: int) -> Report:
    """Start the app in a folder, ask for runs and kill for some seconds, and report what is there then.

    pause: seconds at most between two kills. clients: how many ask, each for a run after the other.
    """
    random.seed(seed)
    write_clip(folder / "clip.mp4", FRAMES, SIZE)
    app, report = App(folder / "instance"), Report()
    try:
        deadline = time.monotonic() + LONGEST_STILL
        content = (folder / "clip.mp4").read_bytes()
        uploaded = app.ask("POST", "/clips", deadline, files={"file": ("clip.mp4", content)})
        if uploaded is None:
            raise RuntimeError("The app does not start.")
        wish = {"clip": uploaded.json()["id"], **WISH}
        began = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            asking = [pool.submit(_ask_for_runs, app, wish, began + seconds, report) for _ in range(clients)]
            _kill(app, began + seconds, pause, report)
            for client in asking:
                client.result()
        report.seconds = time.monotonic() - began
        _look(app, report)
    finally:
        app.stop()
    return report


def _ask_for_runs(app: App, wish: dict[str, Any], end: float, report: Report) -> None:
    """Be a client until the end."""
    while time.monotonic() < end:
        try:
            answer = requests.post(f"{app.api}/runs", json=wish, timeout=20)
        except requests.RequestException:
            answer = None  # the run may be there, or not
        if answer is None or answer.status_code != 202:
            with report.lock:
                report.unanswered += 1
            time.sleep(0.2)
            continue
        run_id = answer.json()["id"]
        report.accepted.append(run_id)
        while (found := app.ask("GET", f"/runs/{run_id}", end)) is not None:
            if not found.ok or found.json()["state"] not in UNFINISHED:
                with report.lock:
                    report.ended += 1
                break
            time.sleep(0.1)


def _kill(app: App, end: float, pause: float, report: Report) -> None:
    """Kill now and then until the end."""
    ended_before, kills_since = 0, 0
    while (rest := end - time.monotonic()) > 0:
        time.sleep(min(rest, random.uniform(0.5, pause)))
        if report.ended > ended_before:
            ended_before, kills_since = report.ended, 0
        if kills_since == MOST_KILLS_IN_A_ROW:
            continue
        kind = random.choice(VICTIMS)
        is_killed = app.kill(kind)
        report.kills[kind] += is_killed
        kills_since += is_killed


def _look(app: App, report: Report) -> None:
    """Wait for the end of all runs, then compare what is there with what was asked for."""
    found: list[dict[str, Any]] = []
    left, deadline = -1, time.monotonic() + LONGEST_STILL
    while left and time.monotonic() < deadline:
        time.sleep(1.0)
        found = _all_runs(app, deadline)
        unfinished = len([run for run in found if run["state"] in UNFINISHED])
        if unfinished != left:
            left, deadline = unfinished, time.monotonic() + LONGEST_STILL
    report.states = Counter(run["state"] for run in found)
    count = Counter(run["id"] for run in found)
    report.faults += [f"run {run_id} is lost" for run_id in report.accepted if run_id not in count]
    report.faults += [f"run {run_id} is listed twice" for run_id in count if count[run_id] > 1]
    if (unasked := len(count) - len(report.accepted) - report.unanswered) > 0:
        report.faults.append(f"{unasked} runs are there that nobody asked for")
    truth = None
    for run in found:
        name, state = f"run {run['id']}", run["state"]
        if state in UNFINISHED:
            report.faults.append(f"{name} is stuck: {state}")
        if state == "failed" and not run["error"]:
            report.faults.append(f"{name} failed without a word")
        if state != "done":
            continue
        points = _points(app, run["id"])
        if points is None:
            report.faults.append(f"{name} is done and has no tracks")
            continue
        truth = points if truth is None else truth
        if not np.array_equal(points, truth):
            report.faults.append(f"{name} has other tracks than the first")
    kept = {run["id"] for run in found if run["state"] in ("done", "cancelled")}
    stored = [folder for folder in (app.instance / "storage" / "runs").iterdir() if folder.name not in kept]
    report.faults += [f"{path} is left over" for path in [*stored, *(app.instance / "tmp").iterdir()]]


def _points(app: App, run_id: str) -> NDArray[np.float32] | None:
    """Return the tracks of a run that is done; None where there are none."""
    answer = app.ask("GET", f"/runs/{run_id}/tracks.npz", time.monotonic() + LONGEST_STILL)
    if answer is None or not answer.ok:
        return None
    with np.load(io.BytesIO(answer.content)) as tracks:
        points: NDArray[np.float32] = tracks["points"]
    return points


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
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--pause", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with ExitStack() as closing:
        folder = asked.folder or Path(closing.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        report = kill_rounds(folder, asked.seconds, asked.pause, asked.clients, asked.seed)
    print(f"{report.seconds:.0f} s, kills: {dict(report.kills)}, {sum(report.kills.values())} in all")
    print(f"runs accepted: {len(report.accepted)}, requests without an answer: {report.unanswered}")
    print(f"how the runs ended: {dict(report.states)}")
    print("\n".join(report.faults) or "nothing is stuck, lost, doubled, wrong or left over")
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
