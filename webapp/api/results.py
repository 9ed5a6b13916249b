"""A run's results, for request handlers; what is not there is an HTTP error in one sentence."""

from flask import abort

from model.core.errors import BadInput
from model.motion.prediction import Prediction
from model.motion.tracks import Tracks
from webapp.actions.backend import app_backend
from webapp.actions.lookups import find
from webapp.rows.records import UNFINISHED, Run


def run_with_tracks(run_id: str, *, is_partial_enough: bool = False) -> Run:
    """Return a run that has tracks, or answer 404 or 409.

    is_partial_enough: one that still runs has those so far.
    """
    found = find(Run, run_id)
    if (found.shown_key if is_partial_enough else found.tracks_key) is None:
        end = "; tracks are there once it is done" if found.state in UNFINISHED else " and has no tracks"
        abort(409, description=f"The run is {found.state}{end}.")
    return found


def tracks_of(run: Run, camera: str = "filmed") -> Tracks:
    """Read the tracks of a run that has some, see `result_of`."""
    return result_of(run, camera)[0]


def result_of(run: Run, camera: str = "filmed") -> tuple[Tracks, Prediction | None]:
    """Read the tracks of a run that has some, and the prediction that they belong to, if it predicted.

    camera: "filmed" or "removed"; a prediction, which speaks of its first frame, is the same either way.
    Raises BadInput when they are gone, or when the camera is to be removed and is not known.
    """
    try:
        with app_backend().storage.local_copy(str(run.shown_key)) as path:
            if not run.is_prediction:
                tracks = Tracks.load(path)
                return tracks.scene_motion() if camera == "removed" else tracks, None
            prediction = Prediction.load(path)
            return prediction.tracks, prediction
    except FileNotFoundError as error:
        raise BadInput("The run's tracks are gone from the storage; start it again.") from error
