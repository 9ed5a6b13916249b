"""Starting runs: what pages and API share between a request and the queue."""

from dataclasses import dataclass
from typing import cast

from model.clips.video import ClipInfo, Kind
from model.core.errors import BadInput
from model.motion.grid import check_grid
from model.prediction.release import predictor_file, read_release
from model.tracking.methods import DEFAULT_METHOD, PREDICTION, check_method, is_prediction
from model.tracking.run import TrackRequest, frame_indices
from model.weights.registry import find_entry
from webapp.backend import Backend
from webapp.records import Clip, Run
from webapp.settings import Settings


@dataclass(frozen=True)
class RunRequest:
    """A wish for a run, as a person or a program states it; see `model.tracking.run.TrackRequest`.

    A prediction looks at the frame `start` alone: its weights say which frames it speaks of, so `frames` does
    not matter to it.
    """

    clip: Clip
    method: str = DEFAULT_METHOD
    weights: str | None = None
    grid: int = 16
    start: int = 0
    frames: int | None = 8
    frame_step: int = 1


def start_run(backend: Backend, wish: RunRequest) -> Run:
    """Check a wish and queue it.

    Raises BadInput when the method or the clip cannot do that, QueueUnavailable when Redis is away.
    """
    return backend.jobs.submit(prepare_run(backend, wish))


def prepare_run(backend: Backend, wish: RunRequest) -> Run:
    """Check a wish and return the run that would be queued; no row is made.

    Raises BadInput when the method or the clip cannot do that.
    """
    weights = _weights(wish, backend.settings)
    check_method(wish.method, weights)
    if is_prediction(wish.method):
        frames, frame_step = _predicted_frames(wish, weights)
    else:
        request = TrackRequest(wish.grid, wish.start, wish.frames, wish.frame_step)
        frames, frame_step = len(frame_indices(request, clip_info(wish.clip))), wish.frame_step
    return Run(
        clip_id=wish.clip.id,
        clip=wish.clip,
        method=wish.method,
        weights=weights,
        grid=wish.grid,
        start=wish.start,
        frames=frames,
        frame_step=frame_step,
    )


def _predicted_frames(wish: RunRequest, weights: str | None) -> tuple[int, int]:
    """Return how many frames a prediction speaks of, and how far they are apart.

    Raises BadInput for what it cannot do.
    """
    check_grid(wish.grid)
    if wish.frame_step != 1:
        raise BadInput(
            f"The method {wish.method} looks at one frame: its frame step must be 1, not {wish.frame_step}."
        )
    if wish.start >= wish.clip.frames:
        raise BadInput(
            f"The frame must be 0 to {wish.clip.frames - 1}, since the clip has {wish.clip.frames} frames, "
            f"not {wish.start}."
        )
    config = read_release(predictor_file(weights or "predictor")).config
    return (config.horizon, 1) if config.trajectory else (2, config.horizon - 1)


def _weights(wish: RunRequest, settings: Settings) -> str | None:
    """Return the weights to use: registered ones by name, else what the settings say.

    A path would let a stranger have the server open any file, so only the operator may give one.
    """
    # The kind of registered weights that a method takes, and what the settings say.
    kinds = {"pips": ("pips", settings.pips_weights), PREDICTION: ("predictor", settings.predictor_weights)}
    kind, configured = kinds.get(wish.method, (None, None))
    if wish.weights is None or wish.weights == configured:
        return configured
    if kind is None:
        raise BadInput(f"The method {wish.method} takes no weights; leave them out.")
    entry = find_entry(wish.weights)
    if entry is None or entry.kind != kind:
        raise BadInput(
            f"The method {wish.method} has no weights “{wish.weights[:60]}”; leave them out to use the "
            "installed ones."
        )
    return wish.weights


def clip_info(clip: Clip) -> ClipInfo:
    """Return what the upload's probe found."""
    return ClipInfo(cast(Kind, clip.kind), clip.width, clip.height, clip.frames, clip.fps)
