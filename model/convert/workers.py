"""Several processes of this machine that convert shards; one that is killed loses its unfinished shard."""

import multiprocessing
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from model.convert.plan import Plan, Shard
from model.convert.profile import Profile
from model.convert.work import Report, ShardWorker, WorkerSettings
from model.core.errors import BadInput
from model.core.processes import end_with_parent
from model.core.progress import raise_if_stopped
from model.datasets.folder import DataFolder

MOST_DEATHS = 3
"""A shard at which so many workers die is not tried again, and so many such shards in a row end the work."""

LOOK_SECONDS = 0.2


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    task: tuple[Shard, ...] | None = None


def work_in_processes(
    folder: DataFolder, tasks: Sequence[tuple[Shard, ...]], settings: WorkerSettings, report: Report
) -> None:
    """Have tasks done by processes; a task whose worker dies is given to a new one.

    Raises Stopped when the report says so, and BadInput when a worker says that the disk is full or the
    weights are of no use, or, after the other shards, when workers keep dying at the same shard. A bug that a
    worker meets with is raised as RuntimeError, with the worker's traceback.
    """
    pool = _Pool(folder, settings, report, deque(tasks))
    try:
        while pool.is_busy:
            raise_if_stopped(report.is_ended)
            pool.step()
        pool.check_all_done()
    finally:
        pool.end()


class _Pool:
    def __init__(
        self,
        folder: DataFolder,
        settings: WorkerSettings,
        report: Report,
        tasks: deque[tuple[Shard, ...]],
    ) -> None:
        self._folder, self._settings, self._report = folder, settings, report
        self._tasks = tasks
        self._deaths: Counter[str] = Counter()
        self._given_up: list[str] = []
        self._given_up_in_a_row = 0
        self._workers: list[_Worker] = []
        resource_tracker.ensure_running()  # else the first worker's start does it, and lets SIGINT through

    @property
    def is_busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._tasks) or any(worker.task is not None for worker in self._workers)

    def step(self) -> None:
        """Give idle workers a task, start new ones, and listen to all for a moment."""
        while self._tasks and len(self._workers) < self._settings.count:
            self._workers.append(self._start())
        for worker in self._workers:
            if worker.task is None and self._tasks:
                worker.task = self._tasks.popleft()
                with suppress(BrokenPipeError, ConnectionResetError):  # a dead one is buried below
                    worker.connection.send([shard.name for shard in worker.task])
        ready = set(wait([worker.connection for worker in self._workers], LOOK_SECONDS))
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            self._listen(worker)

    def check_all_done(self) -> None:
        """Raise BadInput when shards were given up."""
        if self._given_up:
            names = ", ".join(self._given_up)
            raise BadInput(
                f"Workers ended {MOST_DEATHS} times each while they converted {names}; the other shards are "
                "done. If the memory ran out, take fewer --workers; the same command tries again."
            )

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
        # Ctrl-C reaches all processes of a terminal; this one ends the new one, which inherits the mask.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        return _Worker(process, ours)

    def _listen(self, worker: _Worker) -> None:
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):  # also in the middle of a message
            self._bury(worker)
            return
        if kind == "chunk":
            self._report.add_chunk()
        elif kind == "shard":
            assert worker.task is not None
            worker.task = tuple(shard for shard in worker.task if shard.name != content)
            self._given_up_in_a_row = 0
            self._report.add_shard(content)
        elif kind == "cost":
            self._report.add_cost(content)
        elif kind == "free":
            worker.task = None
        elif kind == "refused":
            raise BadInput(content)
        else:
            raise RuntimeError(f"An error in a worker:\n{content}")

    def _bury(self, worker: _Worker) -> None:
        """Put a dead worker's task back."""
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        if not worker.task:
            return
        first, *others = worker.task
        self._deaths[first.name] += 1
        if self._deaths[first.name] < MOST_DEATHS:
            self._tasks.appendleft(worker.task)
            return
        self._given_up.append(first.name)
        self._given_up_in_a_row += 1
        if self._given_up_in_a_row == MOST_DEATHS:
            raise BadInput(
                f"Workers keep ending ({_how(worker.process)}), whatever they convert. If the memory ran "
                "out, take fewer --workers."
            )
        if others:
            self._tasks.appendleft(tuple(others))


class _PipeReport:
    """Sends reports to the process that gives out the work; the end of that one ends this one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # the thread that writes reports shards

    def send(self, kind: str, content: Any = None) -> None:
        with self._lock:
            self._connection.send((kind, content))

    def add_chunk(self) -> None:
        self.send("chunk")

    def add_shard(self, name: str) -> None:
        self.send("shard", name)

    def add_cost(self, cost: Profile) -> None:
        self.send("cost", cost)

    def is_ended(self) -> bool:
        return False


def _worker_main(connection: Connection, url: str, settings: WorkerSettings) -> None:
    """Convert the shards that come through the connection, until it closes."""
    end_with_parent()
    report = _PipeReport(connection)
    try:
        folder = DataFolder.open(url)
        plan = Plan.load(folder)
        assert plan is not None
        worker = ShardWorker.load(folder, plan, settings, report)
        while True:
            worker.convert(connection.recv(), report)
            report.send("free")
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is interested any more
    except BadInput as error:
        report.send("refused", str(error))
    except Exception as error:  # noqa: BLE001 - a bug, which would only come again in another worker
        report.send("failed", "".join(traceback.format_exception(error)))


def _how(process: Any) -> str:
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
