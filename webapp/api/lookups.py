"""What an address names, for request handlers; what is not there is a 404 in one sentence."""

from typing import TypeVar

from flask import abort

from webapp.backend import backend
from webapp.records import Clip, Run
from webapp.samples import Sample, list_samples

Found = TypeVar("Found")


def find_clip(clip_id: str) -> Clip:
    """Return a clip, or answer 404."""
    return _there(backend().database.find(Clip, clip_id), "clip", clip_id)


def find_run(run_id: str) -> Run:
    """Return a run, or answer 404."""
    return _there(backend().database.find(Run, run_id), "run", run_id)


def find_sample(name: str) -> Sample:
    """Return a sample clip, or answer 404."""
    samples = list_samples(backend().settings.samples)
    return _there(next((sample for sample in samples if sample.name == name), None), "sample", name)


def _there(found: Found | None, kind: str, name: str) -> Found:
    if found is None:
        abort(404, description=f"There is no {kind} “{name[:60]}”.")
    return found
