"""Several processes of this machine that convert shards; one that is killed loses its unfinished shard."""

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

import psutil

from model.chunks import ChunkTracker
from model.convert.converting import convert_shards
from model.convert.plan import Plan, Shard
from model.convert.profile import Profile, Stopwatch
from model.convert.settings import ConvertSettings
from model.dataset.folder import DataFolder
from model.errors import BadInput
from model.methods import tracker_name
from model.processes import end_with_parent
from model.progress import ShouldStop, raise_if_stopped
from model.whole_chunks import load_chunk_tracker

MOST_DEATHS = 3
"""A shard at which so many workers in a row die is not tried again."""

LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class WorkerSettings:
    """How the work is done; the results do not depend on it.

    count: processes; 1 works in this one. threads: of each process, or None for a fair share of the cores.
    device: "auto", "cpu", "cuda" or "cuda:K".
    """

    count: int = 1
    threads: int | None = None
    device: str = "auto"

    def load_tracker(self, settings: ConvertSettings) -> ChunkTracker:
        """Load what the settings track with, for this process, with its share of the threads."""
        import cv2  # noqa: PLC0415 - with torch below: seconds that a finished conversion need not wait

        threads = self.threads or max(1, len(psutil.Process().cpu_affinity()) // self.count)
        cv2.setNumThreads(threads)
        if settings.method in ("pips", "raft"):
            import torch  # noqa: PLC0415

            torch.set_num_threads(threads)
        name = tracker_name(settings.method, settings.weights)
        return load_chunk_tracker(name, self.device, settings.precision)


class Report(Protocol):
    """Who is told what is done."""

    def add_chunk(self) -> None:
        """Take note of one more chunk."""

    def add_shard(self, name: str) -> None:
        """Take note of a finished shard."""


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    task: tuple[Shard, ...] | None = None


def work_in_processes(
    folder: DataFolder,
    tasks: Sequence[tuple[Shard, ...]],
    settings: WorkerSettings,
    report: Report,
    add_cost: Callable[[Profile], None],
    should_stop: ShouldStop,
) -> None:
    """Have tasks done by processes; a task whose worker dies is given to a new one.

    Raises Stopped when `should_stop` says so, and BadInput when a worker says that the disk is full or the
    weights are of no use, or when workers keep dying at the same shard.
    """
    pool = _Pool(folder, settings, report, add_cost, deque(tasks))
    try:
        while pool.is_busy:
            raise_if_stopped(should_stop)
            pool.step()
    finally:
        pool.end()


class _Pool:
    def __init__(
        self,
        folder: DataFolder,
        settings: WorkerSettings,
        report: Report,
        add_cost: Callable[[Profile], None],
        tasks: deque[tuple[Shard, ...]],
    ) -> None:
        self._folder, self._settings, self._report, self._add_cost = folder, settings, report, add_cost
        self._tasks = tasks
        self._deaths: dict[str, int] = {}
        self._workers: list[_Worker] = []

    @property
    def is_busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._tasks) or any(worker.task for worker in self._workers)

    def step(self) -> None:
        """Give idle workers a task, start new ones, and listen to all for a moment."""
        while self._tasks and len(self._workers) < self._settings.count:
            self._workers.append(self._start())
        for worker in self._workers:
            if worker.task is None and self._tasks:
                worker.task = self._tasks.popleft()
                worker.connection.send([shard.name for shard in worker.task])
        ready = set(wait([worker.connection for worker in self._workers], LOOK_SECONDS))
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            self._listen(worker)

    def end(self) -> None:
        """End all workers at once: what they had not finished they can do again."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_worker_main, args=(theirs, self._folder.url, self._settings), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _listen(self, worker: _Worker) -> None:
        try:
            kind, content = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            self._bury(worker)
            return
        if kind == "chunk":
            self._report.add_chunk()
        elif kind == "shard":
            assert worker.task is not None
            worker.task = tuple(shard for shard in worker.task if shard.name != content)
            self._report.add_shard(content)
        elif kind == "cost":
            self._add_cost(content)
        elif kind == "free":
            worker.task = None
        else:
            raise BadInput(content)

    def _bury(self, worker: _Worker) -> None:
        """Put a dead worker's task back."""
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        if not worker.task:
            return
        name = worker.task[0].name
        self._deaths[name] = self._deaths.get(name, 0) + 1
        if self._deaths[name] >= MOST_DEATHS:
            raise BadInput(
                f"Workers ended {MOST_DEATHS} times while they converted {name} ({_how(worker.process)}); "
                "if the memory ran out, take fewer --workers."
            )
        self._tasks.appendleft(worker.task)


def _worker_main(connection: Connection, url: str, settings: WorkerSettings) -> None:
    """Convert the shards that come through the connection, until it closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    lock = threading.Lock()  # the thread that writes reports shards

    def tell(kind: str, content: Any = None) -> None:
        with lock:
            connection.send((kind, content))

    try:
        folder = DataFolder.open(url)
        plan = Plan.load(folder)
        assert plan is not None
        shards = {shard.name: shard for shard in plan.shards}
        stopwatch = Stopwatch()
        with stopwatch.stage("load"):
            tracker = settings.load_tracker(plan.settings)
        tell("cost", Profile(dict(stopwatch.seconds), {}, stopwatch.seconds["load"]))
        while True:
            names: list[str] = connection.recv()
            cost = convert_shards(
                plan,
                [shards[name] for name in names],
                folder,
                tracker,
                on_shard=lambda name: tell("shard", name),
                on_chunk=lambda: tell("chunk"),
            )
            tell("cost", cost)
            tell("free")
    except BadInput as error:
        tell("error", str(error))
    except (EOFError, BrokenPipeError):
        return


def _how(process: Any) -> str:
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
