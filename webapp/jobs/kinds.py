"""The kinds of jobs besides runs: one table for the queue, the workers, the API and the pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model.tracking.methods import find_method
from webapp.rows.records import Job


@dataclass(frozen=True)
class JobKind:
    """A kind of job.

    title: for people. length: of the queue that it waits in. task: "module:function" of what a worker does,
    with a `JobContext`. keeps: it ends by itself when it is cancelled, and keeps what it has done.
    """

    title: str
    length: Literal["short", "long"]
    task: str
    keeps: bool = False


KINDS: Mapping[str, JobKind] = {
    "estimate": JobKind("Estimate", "short", "webapp.jobs.converting:estimate"),
    "convert": JobKind("Conversion", "long", "webapp.jobs.converting:convert", keeps=True),
    "train": JobKind("Fine-tuning", "long", "webapp.jobs.training:train", keeps=True),
    "segment": JobKind("Segmentation", "short", "webapp.jobs.segmenting:segment"),
}


def needs_torch(job: Job) -> bool:
    """Tell whether a job's network would do well to have a GPU."""
    method = job.settings.get("convert", {}).get("method")
    return method is None or find_method(method).uses_torch
