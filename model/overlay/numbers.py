"""The raw numbers of a figure, from which the viewer draws by itself (`layout.meta`, read by viewer.js)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.motion.prediction import Prediction
from model.motion.tracks import Tracks
from model.overlay.colourings import ColourBins, Colouring
from model.overlay.motion import summary
from model.overlay.truth import TrueMotion
from model.tracking.methods import is_prediction

LARGEST_EXACT = 1 << 19
"""Points times frames up to which positions travel as float32 and every step is a vertex of a line."""

_WHOLE = 32_000
"""Positions of more travel as whole numbers of this size at most (int16), in steps of a power of two."""


def shown_first(tracks: Tracks) -> int:
    """Return the position that a viewer begins with: the first frame, or the end of a prediction."""
    return len(tracks.frames) - 1 if is_prediction(tracks.method.name) else 0


def viewer_numbers(
    tracks: Tracks,
    ways: Mapping[Colouring, ColourBins],
    position: int,
    truth: TrueMotion | None,
    prediction: Prediction | None,
) -> dict[str, Any]:
    """Return everything the viewer needs, once; Plotly writes the arrays as base64 typed arrays.

    ways: the colourings that the viewer offers. position: the row of `tracks` that it shows first.
    truth: the true motion, if it is known. prediction: whose answer `tracks` are, if they are one's.
    """
    # Eight bits are enough to show; 128 and above reads as visible, as above 0.5 does.
    visibility = np.round(tracks.visibility * 255)
    visibility = np.where(tracks.visible, np.maximum(visibility, 128), np.minimum(visibility, 127))
    seams = np.zeros(0) if tracks.handovers is None else np.flatnonzero(tracks.handovers)
    return {
        "version": 2,
        "size": list(tracks.size),
        "frames": tracks.frames.tolist(),
        "fps": tracks.fps,
        "grid": None if tracks.grid is None else list(tracks.grid),
        "method": tracks.method.name,
        "is_prediction": is_prediction(tracks.method.name),
        "position": position,
        "summary": summary(tracks),
        **_positions(tracks.points, tracks.size),
        "visibility": visibility.astype(np.uint8),
        # Where points were handed on: frame's row times number of points, plus the point.
        "handovers": seams.astype(np.int32),
        "colourings": {
            name: {"bins": way.bins, "colours": list(way.colours), "top": way.top}
            for name, way in ways.items()
        },
        **_truth_numbers(truth, tracks.size),
        **_prediction_numbers(prediction, tracks.size),
    }


def _truth_numbers(truth: TrueMotion | None, size: tuple[int, int]) -> dict[str, Any]:
    """What the viewer needs of the true motion."""
    if truth is None:
        return {}
    numbers = {
        **_positions(truth.points, size),
        "visible": truth.visible.astype(np.uint8),
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
        "interval": {"low": low, "high": high},
    }
    if len(prediction.hypotheses) > 1:
        # All frames of the likeliest, then all of the next, and so on.
        ways = prediction.hypotheses.reshape(-1, *prediction.hypotheses.shape[2:])
        weights = np.round(prediction.weights * 255).astype(np.uint8)
        numbers["hypotheses"] = {**_positions(ways, size), "weights": weights}
    return numbers


def _positions(points: NDArray[np.float32], size: tuple[int, int]) -> dict[str, Any]:
    """Return positions `[T, N, 2]` as {points, scale}: with a scale, position = origin + step · value.

    Exact for up to `LARGEST_EXACT` positions, rounded to whole steps beyond. What lies more than one frame
    outside the frame, where nobody looks, is then moved to there.
    """
    if points.shape[0] * points.shape[1] <= LARGEST_EXACT:
        return {"points": points, "scale": None}
    extent = np.array([size[1], size[0]])
    origin = (extent - 1) / 2
    offset = np.clip(points - origin, -1.5 * extent, 1.5 * extent)
    step = 2.0 ** max(-5, int(np.ceil(np.log2(max(1.0, np.abs(offset).max()) / _WHOLE))))
    return {
        "points": np.round(offset / step).astype(np.int16),
        "scale": {"step": step, "origin": origin.tolist()},
    }
