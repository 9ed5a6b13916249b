"""`Tracks` over one frame as a Plotly figure: axes, and the numbers of which viewer.js makes the traces."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.core.jpeg import SHOWN_SIDE, jpeg
from model.motion.prediction import Prediction
from model.motion.tracks import Tracks
from model.overlay.numbers import viewer_numbers
from model.overlay.truth import TrueMotion


def figure_json(
    tracks: Tracks,
    image: NDArray[np.uint8] | str,
    *,
    position: int = 0,
    truth: TrueMotion | None = None,
    prediction: Prediction | None = None,
    about: Mapping[str, Any] | None = None,
) -> str:
    """Return a Plotly figure as JSON: the frame with its axes, no traces, and in `layout.meta` the numbers.

    viewer.js makes the traces of them: it steps, re-colours and cuts trails without the server.

    image: the frame below, uint8 `[H, W, 3]` RGB, or the URL of one.
    position: the row of `tracks` that the image shows, 0 to T - 1.
    truth: the true motion, for the viewer to draw.
    prediction: whose answer the tracks are; the viewer draws its intervals and hypotheses.
    about: where it all comes from (clip, its sha256, settings, ...), which the viewer writes into pictures
        that it saves; "citation" is a sentence of it that people read.
    Raises ValueError when the position is out of range.
    """
    if not 0 <= position < len(tracks.frames):
        raise ValueError(f"position must be 0 to {len(tracks.frames) - 1}, not {position}.")
    numbers = viewer_numbers(tracks, position, truth, prediction)
    numbers |= {"about": about} if about else {}
    return json.dumps({"data": [], "layout": _layout(image, tracks.size, numbers)}, separators=(",", ":"))


def jpeg_url(image: NDArray[np.uint8], longest_side: int = SHOWN_SIDE) -> str:
    """Encode a frame, uint8 `[H, W, 3]` RGB, as a JPEG `data:` URL with at most that many pixels a side."""
    content = jpeg(image, longest_side=longest_side)
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")


def _layout(image: NDArray[np.uint8] | str, size: tuple[int, int], numbers: dict[str, Any]) -> dict[str, Any]:
    height, width = size
    # Pixel centres are at integers, so the picture reaches half a pixel beyond the first and last.
    axis = {"visible": False, "autorange": False, "constrain": "domain"}
    return {
        "meta": {"stillmotion": numbers},
        "images": [
            {
                "source": image if isinstance(image, str) else jpeg_url(image),
                "xref": "x",
                "yref": "y",
                "x": -0.5,
                "y": -0.5,
                "sizex": width,
                "sizey": height,
                "sizing": "stretch",
                "layer": "below",
            }
        ],
        "xaxis": {**axis, "range": [-0.5, width - 0.5]},
        "yaxis": {**axis, "range": [height - 0.5, -0.5], "scaleanchor": "x", "scaleratio": 1},
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "dragmode": "pan",
        "hovermode": "closest",
        "hoverdistance": 14,
        "showlegend": False,
    }
