"""A real `python -m webapp` to test against: Redis, worker and web server in a temporary instance."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests

from model.motion.tracks import Tracks

ROOT = Path(__file__).resolve().parents[2]
UNFINISHED = ("queued", "running")

Value = TypeVar("Value")


def free_port() -> int:
    """A TCP port that nobody uses at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def is_alive(process: psutil.Process) -> bool:
    """Whether it still does anything; what nobody has collected yet does not count."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_for(look: Callable[[], Value], seconds: float = 60.0, pause: float = 0.02) -> Value:
    """Look until there is something true, and return it; fail when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        assert time.monotonic() < deadline, f"nothing within {seconds} s"
        time.sleep(pause)


class Stack:
    """The app's processes and a program's view of its API."""

    def __init__(
        self,
        instance: Path,
        variables: Mapping[str, str],
        command: Sequence[str | Path] = (sys.executable, "-m", "webapp"),
        folder: Path = ROOT,
    ) -> None:
        self.instance = instance
        self.command = command
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = ""
        self._variables = variables
        self.process: subprocess.Popen[str] | None = None

    def start(self, is_awaited: bool = True) -> None:
        """Start it and wait until it says its address."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("STILLMOTION_")},
            "STILLMOTION_INSTANCE": str(self.instance),
            "STILLMOTION_PORT": str(self.port),
            "STILLMOTION_SHORT_WORKERS": "0",  # one worker, so that who waits for whom is known
            **self._variables,
        }
        self.output = ""
        self.process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()
        if is_awaited:
            wait_for(lambda: "Stillmotion is at" in self.output or self.process.poll() is not None, 120)
            assert "Stillmotion is at" in self.output, self.output

    def _collect(self) -> None:
        for line in self.process.stdout:
            self.output += line

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)
        if self.process is not None:
            self._collector.join(10)
            self.process.stdout.close()

    def children(self) -> list[psutil.Process]:
        """All processes below the supervisor."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def worker(self) -> psutil.Process:
        """The worker's process."""
        return wait_for(lambda: next(iter(self._direct("worker")), None))

    def redis(self) -> psutil.Process:
        """The process of Redis."""
        return wait_for(lambda: next(iter(self._direct("redis-server", "valkey-server")), None))

    def horse(self) -> psutil.Process:
        """The process of the job that is running."""
        return wait_for(lambda: next(iter(self.worker().children()), None))

    def _direct(self, *words: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                # Redis makes one text of its command line, so the parts are split again.
                if any(Path(part).name in words for part in " ".join(child.cmdline()).split()):
                    found.append(child)
        return found

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET an address of the API."""
        return requests.get(f"{self.url}/api/v1{path}", timeout=30, **options)

    def overlay(self, run_id: str, kind: str) -> requests.Response:
        """The answer with a run's overlay, asked for again as long as it is being drawn."""
        return wait_for(
            lambda: (
                answer if (answer := self.get(f"/runs/{run_id}/overlay.{kind}")).status_code != 202 else None
            ),
            60,
        )

    def wait_until_ready(self, seconds: float = 30.0) -> None:
        """Wait until /readyz says that everything is there."""
        wait_for(lambda: requests.get(f"{self.url}/readyz", timeout=10).status_code == 200, seconds)

    def upload(self, path: Path) -> str:
        """Upload a file and return the clip's id."""
        with path.open("rb") as file:
            answer = requests.post(f"{self.url}/api/v1/clips", files={"file": file}, timeout=60)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def start_run(self, clip: str, method: str = "lk", **settings: Any) -> str:
        """Start a run, by a method that is quick and needs no weights, and return its id."""
        wish = {"clip": clip, "method": method, **settings}
        answer = requests.post(f"{self.url}/api/v1/runs", json=wish, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """What the API says about a run."""
        answer: dict[str, Any] = self.get(f"/runs/{run_id}").json()
        return answer

    def wait_for_progress(self, run_id: str) -> None:
        """Wait until a run is at its work, well before its end."""
        found = wait_for(lambda: self.run(run_id) if self.run(run_id)["progress"] > 0 else None)
        assert found["state"] == "running", found

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Cancel a run and return what the API then says of it."""
        answer = requests.delete(f"{self.url}/api/v1/runs/{run_id}", timeout=10)
        assert answer.status_code == 200, answer.text
        cancelled: dict[str, Any] = answer.json()
        return cancelled

    def tracks(self, run_id: str, folder: Path) -> Tracks:
        """Download a run's tracks into a folder and read them."""
        path = folder / f"{run_id}.npz"
        answer = self.get(f"/runs/{run_id}/tracks.npz")
        assert answer.status_code == 200, answer.text
        path.write_bytes(answer.content)
        return Tracks.load(path)

    def wait_for_end(self, run_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a run is neither queued nor running, and return it."""
        wait_for(lambda: self.run(run_id)["state"] not in UNFINISHED, seconds, pause=0.1)
        return self.run(run_id)
