"""What a worker does for a conversion. Shards that are there already are left alone."""

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from model.convert.plan import PLAN, Plan, Shard
from model.convert.sources import Place
from model.convert.work import ShardWorker, WorkerSettings
from model.core.errors import BadInput, Stopped, Unreachable
from model.datasets.folder import DataFolder
from model.datasets.shards import index_name
from webapp.conversion.queue import JobReport, fair_share_of_threads
from webapp.core.settings import Settings

PAUSES = (10.0, 60.0, 300.0, 900.0)
"""Seconds after which a job tries again to reach storage that does not answer."""


def convert(address: str, names: Sequence[str], device: str, threads: int | None) -> None:
    """Convert shards of a training set and write them to its folder (RQ calls this in a process of its own).

    address: of the set's folder. device: "auto" is what this machine's STILLMOTION_DEVICE says.
    threads: None for a fair share of this machine's cores.
    What a person has to put right ends the set's other jobs, too. Raises Unreachable when storage does not
    answer for too long.
    """
    report = JobReport.of_current_job(address, {})
    try:
        for pause in (*PAUSES, None):
            try:
                _convert(report, names, device, threads)
                return
            except Unreachable:
                if pause is None:
                    raise
                _wait(pause, report.is_ended)
    except Unreachable:
        raise
    except BadInput as error:
        report.queue.end(f"On {socket.gethostname()}: {error}")
    except Stopped:
        return  # the finished shards are there


def _convert(report: JobReport, names: Sequence[str], device: str, threads: int | None) -> None:
    if report.is_ended():
        return
    folder = DataFolder.open(report.queue.address)
    plan = Plan.load(folder)
    if plan is None:
        raise BadInput(
            f"There is no {PLAN} in {folder.url}; every machine must reach the training set by the same name."
        )
    by_name = {shard.name: shard for shard in plan.shards}
    shards = [by_name[name] for name in names if not folder.exists(index_name(name))]
    if not shards:
        return
    _check_videos(plan, shards)
    folder.remove_leftovers()
    report.shards, report.chunks = by_name, 0
    settings = WorkerSettings(
        threads=threads or fair_share_of_threads(report.queue.redis),
        device=Settings.from_environment().device if device == "auto" else device,
    )
    worker = ShardWorker.load(folder, plan, settings, report)
    worker.convert([shard.name for shard in shards], report)


def _check_videos(plan: Plan, shards: Sequence[Shard]) -> None:
    """Raise BadInput when this machine does not see the videos: its shards would lack them."""
    for number in sorted({segment.source for shard in shards for segment in shard.segments}):
        place = plan.sources[number].place
        try:
            place.fingerprint()
        except FileNotFoundError:
            # Where its neighbours are, the video itself is gone, which is no fault of this machine.
            if place.is_remote or _has_neighbours(place):
                continue
            raise BadInput(_not_seen(place, "it is not there")) from None
        except OSError as error:
            raise BadInput(_not_seen(place, error.strerror or str(error))) from error


def _has_neighbours(place: Place) -> bool:
    folder = Path(place.path).parent
    return folder.is_dir() and any(folder.iterdir())


def _not_seen(place: Place, reason: str) -> str:
    return f"{place.path} cannot be read ({reason}); every machine must reach the videos by the same names."


def _wait(seconds: float, is_ended: Callable[[], bool]) -> None:
    """Wait, unless the job has to end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_ended():
            raise Stopped("The conversion was ended.")
        time.sleep(0.5)
