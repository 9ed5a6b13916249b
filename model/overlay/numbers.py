"""The numbers of a figure, from which viewer.js draws its traces (`layout.meta`), ready for JSON."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.motion.prediction import Prediction
from model.motion.tracks import NO_CAMERA, Tracks
from model.overlay.expectation import describe
from model.overlay.motion import summary
from model.overlay.palettes import palettes
from model.overlay.truth import TrueMotion
from model.tracking.methods import is_prediction
from model.weights.registry import entry_with_sha256

LARGEST_EXACT = 1 << 19
"""Points times frames up to which positions travel as float32."""

_COVERAGES = {
    "real_coverage_of_90": "of the points of held-out real clips",
    "davis_coverage_of_90": "of those of DAVIS",
}
"""A card's figures of how much the intervals held, and of what."""

_WHOLE = 32_000
"""Positions of more travel as whole numbers of this size at most (int16), in steps of a power of two."""


def shown_first(tracks: Tracks) -> int:
    """Return the position that a viewer begins with: the query points' frame, or the end of a prediction."""
    if is_prediction(tracks.method.name):
        return len(tracks.frames) - 1
    query = tracks.frames[0] if tracks.query_frame is None else tracks.query_frame
    return int(np.searchsorted(tracks.frames[:-1], query))


def viewer_numbers(
    tracks: Tracks, position: int, truth: TrueMotion | None, prediction: Prediction | None
) -> dict[str, Any]:
    """Return everything that the viewer needs, as JSON values; arrays as in `_coded`.

    position: the row of `tracks` that it shows first.
    truth: the true motion, if it is known. prediction: whose answer `tracks` are, if they are one's.
    """
    # Eight bits are enough to show; 128 and above reads as visible, as above 0.5 does.
    visibility = np.round(tracks.visibility * 255)
    visibility = np.where(tracks.visible, np.maximum(visibility, 128), np.minimum(visibility, 127))
    seams = np.zeros(0) if tracks.handovers is None else np.flatnonzero(tracks.handovers)
    return {
        "size": tracks.size,
        "frames": tracks.frames.tolist(),
        "fps": tracks.fps,
        "is_prediction": is_prediction(tracks.method.name),
        "position": position,
        "summary": summary(tracks) if prediction is None else describe(prediction),
        "camera": _camera_numbers(tracks),
        **_positions(tracks.points, tracks.size),
        "visibility": _coded(visibility.astype(np.uint8)),
        # Where points were handed on: frame's row times number of points, plus the point.
        "handovers": _coded(seams.astype(np.int32)),
        "palettes": palettes(),
        "grid": tracks.grid,
        **_truth_numbers(truth, tracks.size),
        **_prediction_numbers(prediction, tracks.size),
    }


def _camera_numbers(tracks: Tracks) -> dict[str, Any]:
    """How the camera moves, so that the viewer can take it out, or why it cannot.

    homographies: as in `Camera`, row by row; NaN for frames whose camera is not known.
    summary: what the tracks do without it.
    """
    if tracks.camera is None:
        is_removed = tracks.is_scene_motion
        return {"is_removed": is_removed, "share": None, "reason": None if is_removed else NO_CAMERA}
    share = tracks.camera.share[1:]
    return {
        "is_removed": False,
        "share": round(float(share[share > 0].mean()), 4),
        "reason": None,
        "homographies": _coded(tracks.camera.homographies),
        "summary": summary(tracks.scene_motion()),
    }


def _truth_numbers(truth: TrueMotion | None, size: tuple[int, int]) -> dict[str, Any]:
    """What the viewer needs of the true motion."""
    if truth is None:
        return {}
    numbers = {
        **_positions(truth.points, size),
        "visible": _coded(truth.visible.astype(np.uint8)),
        "summary": truth.summary,
    }
    return {"truth": numbers}


def _prediction_numbers(prediction: Prediction | None, size: tuple[int, int]) -> dict[str, Any]:
    """What the viewer needs of a prediction beside its answer; a single hypothesis is the answer itself."""
    if prediction is None:
        return {}
    low, high = (_positions(bound, size) for bound in prediction.interval)
    numbers: dict[str, Any] = {
        "withheld": prediction.withheld,
        "measured": _measured(prediction),
        "interval": {"low": low, "high": high},
        "moving": _coded(np.round(prediction.moving * 255).astype(np.uint8)),
    }
    if len(prediction.hypotheses) > 1:
        # All frames of the likeliest, then all of the next, and so on.
        ways = prediction.hypotheses.reshape(-1, *prediction.hypotheses.shape[2:])
        weights = np.round(prediction.weights * 255).astype(np.uint8)
        numbers["hypotheses"] = {**_positions(ways, size), "weights": _coded(weights)}
    return numbers


def _measured(prediction: Prediction) -> str:
    """Say on what, and how often, the intervals of the weights held what they should, if their card tells."""
    entry = entry_with_sha256(prediction.tracks.method.weights_sha256)
    held = {} if entry is None else entry.metrics
    told = [f"{100 * held[name]:.1f} % {on}" for name, on in _COVERAGES.items() if name in held]
    if entry is None or not told:
        return "How often these weights' 90 % intervals hold is not known."
    return f"The 90 % intervals of {entry.name} held {' and '.join(told)}."


def _positions(points: NDArray[np.float32], size: tuple[int, int]) -> dict[str, Any]:
    """Return positions `[T, N, 2]` as {points, scale}: with a scale, position = origin + step · value.

    Exact for up to `LARGEST_EXACT` positions, rounded to whole steps beyond. What lies more than one frame
    outside the frame, where nobody looks, is then moved to there.
    """
    if points.shape[0] * points.shape[1] <= LARGEST_EXACT:
        return {"points": _coded(points), "scale": None}
    extent = np.array([size[1], size[0]])
    origin = (extent - 1) / 2
    offset = np.clip(points - origin, -1.5 * extent, 1.5 * extent)
    step = 2.0 ** max(-5, int(np.ceil(np.log2(max(1.0, np.abs(offset).max()) / _WHOLE))))
    return {
        "points": _coded(np.round(offset / step).astype(np.int16)),
        "scale": {"step": step, "origin": origin.tolist()},
    }


def _coded(array: NDArray[Any]) -> dict[str, str]:
    """Write an array as a type ("f4", "i2", "u1", ...) and base64, row by row, as Plotly does."""
    return {"dtype": array.dtype.str[1:], "bdata": base64.b64encode(array.tobytes()).decode("ascii")}
