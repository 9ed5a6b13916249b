"""What an address names, for request handlers; what is not there is a 404 in one sentence."""

from flask import abort

from webapp.actions.backend import app_backend
from webapp.actions.samples import Sample, list_samples
from webapp.rows.records import Record


def find(kind: type[Record], identifier: str) -> Record:
    """Return a clip or a run, or answer 404."""
    found = app_backend().database.find(kind, identifier)
    if found is None:
        abort(404, description=f"There is no {kind.__name__.lower()} “{identifier[:60]}”, or it was deleted.")
    return found


def find_sample(name: str) -> Sample:
    """Return a sample clip, or answer 404."""
    for sample in list_samples(app_backend().settings.samples):
        if sample.name == name:
            return sample
    abort(404, description=f"There is no sample “{name[:60]}”.")
