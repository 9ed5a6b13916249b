"""A run's results, for request handlers; what is not there is an HTTP error in one sentence."""

from flask import abort

from model.core.errors import BadInput
from model.motion.prediction import Prediction
from model.motion.tracks import Tracks
from webapp.api.lookups import find_run
from webapp.backend import backend
from webapp.records import UNFINISHED, Run

GONE = "The run's tracks are gone from the storage; start it again."


def run_with_tracks(run_id: str) -> Run:
    """Return a run that has tracks, or answer 404 or 409."""
    found = find_run(run_id)
    if found.tracks_key is None:
        end = "; tracks are there once it is done" if found.state in UNFINISHED else " and has no tracks"
        abort(409, description=f"The run is {found.state}{end}.")
    return found


def tracks_of(run: Run) -> Tracks:
    """Read the tracks of a run that has some. Raises BadInput when they are gone."""
    try:
        with backend().storage.local_copy(str(run.tracks_key)) as path:
            return Tracks.load(path)
    except FileNotFoundError as error:
        raise BadInput(GONE) from error


def prediction_of(run: Run) -> Prediction | None:
    """Read the prediction of a run that has one; None where a run tracked. Raises BadInput as `tracks_of`."""
    if not run.is_prediction:
        return None
    try:
        with backend().storage.local_copy(str(run.tracks_key)) as path:
            return Prediction.load(path)
    except FileNotFoundError as error:
        raise BadInput(GONE) from error
