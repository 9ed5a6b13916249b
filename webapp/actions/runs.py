"""Starting runs: what pages and API share between a request and the queue."""

from pathlib import Path

from model.core.errors import BadInput
from model.motion.grid import check_grid
from model.prediction.release import predictor_file, read_usable_release
from model.tracking.methods import check_method, find_method, is_prediction
from model.tracking.run import TrackRequest, frame_indices
from model.weights.registry import find_entry
from webapp.core.settings import Settings
from webapp.files.predictors import own_predictors
from webapp.rows.records import Clip, Run


def prepare_run(
    clip: Clip, method: str, weights: str | None, request: TrackRequest, settings: Settings
) -> Run:
    """Check what a person or a program asks for and return the run to submit to the queue; no row is made.

    weights: by name; None for those that the settings say.
    request: a prediction looks at the frame `start` alone: its weights say which frames it speaks of, so
        `frames` does not matter to it, and it takes a grid of points.
    Raises BadInput when the method or the clip cannot do that.
    """
    check_there(clip)
    weights = chosen_weights(method, weights, settings)
    check_method(method, weights)
    if is_prediction(method):
        frames, frame_step = _predicted_frames(clip, method, weights, request)
        start = request.start
    else:
        indices = frame_indices(request, clip.info)
        start, frames, frame_step = int(indices[0]), len(indices), request.frame_step
    return Run(
        clip_id=clip.id,
        clip=clip,
        method=method,
        weights=weights,
        grid=request.grid if request.points is None else None,
        points=None if request.points is None else [list(point) for point in request.points],
        query_frame=request.start if request.start > start else None,
        start=start,
        frames=frames,
        frame_step=frame_step,
    )


def check_there(clip: Clip) -> None:
    """Raise BadInput for a clip that is in the bin."""
    if clip.deleted_at is not None:
        raise BadInput(f"“{clip.name}” is in the bin; take it back first.")


def _predicted_frames(clip: Clip, method: str, weights: str | None, request: TrackRequest) -> tuple[int, int]:
    """Return how many frames a prediction speaks of, and how far they are apart.

    Raises BadInput for what it cannot do.
    """
    check_grid(request.grid)
    if request.points is not None or request.direction != "forward":
        raise BadInput(
            f"The method {method} predicts a grid of points forwards; leave points and direction out."
        )
    if request.frame_step != 1:
        raise BadInput(
            f"The method {method} looks at one frame: its frame step must be 1, not {request.frame_step}."
        )
    if request.start >= clip.frames:
        raise BadInput(
            f"The frame must be 0 to {clip.frames - 1}, since the clip has {clip.frames} frames, "
            f"not {request.start}."
        )
    config = read_usable_release(predictor_file(weights or "predictor")).config
    later = config.later_frames(clip.fps)
    return len(later) + 1, int(later[0])


def chosen_weights(method: str, wanted: str | None, settings: Settings) -> str | None:
    """Return the weights to use: registered or trained here, by name; else what the settings say.

    A path would let a stranger have the server open any file, so only the operator may give one; a run shows
    the name of that file, and one that is started again sends it.
    """
    kind = find_method(method).weights
    configured = settings.weights.get(kind or "")
    if wanted is None or wanted in (configured, Path(configured or "").name):
        return configured
    if kind is None:
        raise BadInput(f"The method {method} takes no weights; leave them out.")
    if kind == "predictor" and (own := own_predictors(settings).get(wanted)):
        return str(own)
    entry = find_entry(wanted)
    if entry is None or entry.kind != kind:
        raise BadInput(
            f"The method {method} has no weights “{wanted[:60]}”; leave them out to use the installed ones."
        )
    return wanted
