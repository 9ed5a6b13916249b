"""Starting runs: what pages and API share between a request and the queue."""

from dataclasses import dataclass
from typing import cast

from model.errors import BadInput
from model.methods import DEFAULT_METHOD, check_method
from model.track import TrackRequest, frame_indices
from model.video import ClipInfo, Kind
from model.weights import find_entry
from webapp.backend import Backend
from webapp.records import Clip, Run


@dataclass(frozen=True)
class RunRequest:
    """A wish for a run, as a person or a program states it; see `model.track.TrackRequest`."""

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
    weights = _weights(wish, backend.settings.pips_weights)
    check_method(wish.method, weights)
    indices = frame_indices(
        TrackRequest(wish.grid, wish.start, wish.frames, wish.frame_step), clip_info(wish.clip)
    )
    return Run(
        clip_id=wish.clip.id,
        clip=wish.clip,
        method=wish.method,
        weights=weights,
        grid=wish.grid,
        start=wish.start,
        frames=len(indices),
        frame_step=wish.frame_step,
    )


def _weights(wish: RunRequest, configured: str | None) -> str | None:
    """Return the weights to use: registered ones by name, else what the settings say.

    A path would let a stranger have the server open any file, so only the operator may give one.
    """
    if wish.weights is None or wish.weights == configured:
        return configured if wish.method == "pips" else None
    if wish.method != "pips":
        raise BadInput(f"The method {wish.method} takes no weights; leave them out.")
    if find_entry(wish.weights) is None:
        raise BadInput(
            f"There are no weights “{wish.weights[:60]}”; leave them out to use the installed ones."
        )
    return wish.weights


def clip_info(clip: Clip) -> ClipInfo:
    """Return what the upload's probe found."""
    return ClipInfo(cast(Kind, clip.kind), clip.width, clip.height, clip.frames, clip.fps)
