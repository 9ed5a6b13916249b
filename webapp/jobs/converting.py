"""Clips of the library as a training set: what a worker does, as `python -m model convert` does it."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from model.convert.estimating import estimate_conversion
from model.convert.locking import locked
from model.convert.run import Conversion, run
from model.convert.settings import ConvertSettings
from model.convert.work import WorkerSettings
from model.core.errors import BadInput
from model.core.progress import Progress, Watch
from model.core.structure import from_json
from model.datasets.folder import DataFolder
from webapp.files.datasets import REPORT, named_folder
from webapp.jobs.execution import JobContext
from webapp.rows.records import Clip, Job

MOST_INSPECTED = 2000
"""Samples that are read for the report."""


def convert(context: JobContext[Job]) -> None:
    """Make or go on with a training set in the instance's folder, then write its report."""
    folder = named_folder(context.settings.datasets, context.work.name)
    workers = WorkerSettings(device=context.settings.device)
    with locked(folder), _clips(context) as paths:
        conversion = Conversion.prepare(paths, folder, _settings(context), _watch(context, 0.0))

        def report(progress: Progress) -> None:
            shards = conversion.plan.shards
            finished = sum(conversion.ledger.is_finished(shard.name) for shard in shards)
            stage = f"{finished} of {len(shards)} shards, chunk {progress.done} of {progress.total}"
            context.report(Progress(stage, progress.done, progress.total))
            context.storage.require_free()

        run(conversion, workers, Watch(report, context.is_over))
    _write_report(context, folder)


def _watch(context: JobContext[Job], done: float) -> Watch:
    """Watch a stage that is short beside the tracking."""
    return Watch(lambda inner: context.report(Progress(inner.stage, done, 1)), context.is_over)


def estimate(context: JobContext[Job]) -> None:
    """Convert a few chunks of the clips, and say what all would cost."""
    workers = WorkerSettings(device=context.settings.device)
    with _clips(context) as paths:
        watch = Watch(context.report, context.is_over)
        found = estimate_conversion(paths, _settings(context), workers, watch)
    context.database.update_running(context.work, result=dataclasses.asdict(found))


def _settings(context: JobContext[Job]) -> ConvertSettings:
    return from_json(ConvertSettings, context.work.settings["convert"], "the settings")


@contextmanager
def _clips(context: JobContext[Job]) -> Iterator[Sequence[str]]:
    """Lend paths to the clips that have their names; the same ones at each attempt.

    Raises BadInput when a clip is not there any more.
    """
    with ExitStack() as stack:
        paths = []
        for clip_id in context.work.settings["clips"]:
            clip = context.database.find(Clip, clip_id)
            if clip is None:
                raise BadInput("One of the clips was deleted; make the set of those that are there.")
            stored = stack.enter_context(context.storage.local_copy(clip.key))
            path = context.scratch / clip.id / _file_name(clip)
            path.parent.mkdir()
            path.symlink_to(stored)
            paths.append(str(path))
        yield paths


def _file_name(clip: Clip) -> str:
    """Return a clip's name as a file name with the ending of what it is."""
    name = re.sub(r"[/\\\x00-\x1f]", "_", clip.name).removesuffix(clip.suffix)
    return f"{name.encode()[:200].decode(errors='ignore').lstrip('.') or clip.id}{clip.suffix}"


def _write_report(context: JobContext[Job], folder: DataFolder) -> None:
    # Here, not above: they import matplotlib, which the work need not wait for.
    from model.inspection.inspect import inspect  # noqa: PLC0415 - see above
    from model.inspection.report import write_report  # noqa: PLC0415 - see above

    found = inspect(folder, most_samples=MOST_INSPECTED, watch=_watch(context, 0.99))
    write_report(folder.path(REPORT), found)
