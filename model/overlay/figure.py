"""`Tracks` over one frame as a Plotly figure: few merged WebGL traces, whatever the number of points."""

import base64
import dataclasses
import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from plotly.graph_objects import Figure, Scattergl  # here, so that threads need not load them at once
from plotly.utils import PlotlyJSONEncoder

from model.motion.prediction import Prediction
from model.motion.tracks import Tracks
from model.overlay.colourings import ColourBins, Colouring, colourings
from model.overlay.motion import speed_at
from model.overlay.numbers import LARGEST_EXACT, viewer_numbers
from model.overlay.truth import TrueMotion

HIDDEN_COLOUR = "rgba(215, 224, 234, 0.2)"
HIDDEN_OPACITY = 0.3
TRAIL_WIDTH = 1.8
HEAD_SIZE = 7
HEAD_OUTLINE = "rgba(8, 12, 18, 0.65)"  # heads stay visible on bright frames
JPEG_QUALITY = 88

HOVER = (
    "<b>point %{customdata[0]}</b>  frame %{customdata[1]}<br>"
    "x %{x:.1f}  y %{y:.1f} px<br>"
    "moved %{customdata[2]:.1f} px so far<br>"
    "speed %{customdata[3]:.2f} px/frame<br>"
    "visibility %{customdata[4]:.0%}<extra></extra>"
)


def figure(
    tracks: Tracks,
    image: NDArray[np.uint8] | str,
    *,
    colour: Colouring = "direction",
    position: int = 0,
    truth: TrueMotion | None = None,
    prediction: Prediction | None = None,
    lines: bool = True,
) -> Figure:
    """Draw whole trajectories over one frame, with a head on each point where it is in that frame.

    Lines are one NaN-separated trace for each colour in use (`meta.role` "trails") and one dim trace for the
    stretches where points are hidden ("hidden"); heads are one trace ("heads") with hover values. The raw
    numbers are in `layout.meta`, so that a viewer can step, re-colour and cut trails without the server.
    Beyond `LARGEST_EXACT` the lines take every k-th frame, and the numbers are rounded (to 1/32 pixel in a
    frame of 640 pixels).

    tracks: T frames of N points.
    image: the frame under the lines, uint8 `[H, W, 3]` RGB, or the URL of one.
    colour: by the direction of each point's total displacement, or by its mean speed.
    position: the row of `tracks` that the image shows and the heads mark, 0 to T - 1.
    truth: the true motion, for the viewer to draw.
    prediction: whose answer the tracks are; the viewer draws its intervals and hypotheses.
    lines: False leaves out lines and heads, for a viewer that draws them itself from the numbers.
    Raises ValueError when the position is out of range.
    """
    if not 0 <= position < len(tracks.frames):
        raise ValueError(f"position must be 0 to {len(tracks.frames) - 1}, not {position}.")
    ways = colourings(tracks)
    chosen = ways[colour]
    traces = []
    if lines:
        drawn = _thinned(tracks)
        traces = [_hidden_trace(drawn)]
        traces += [
            _trail_trace(drawn, np.flatnonzero(chosen.bins == index), chosen.colours[index], index)
            for index in np.unique(chosen.bins)
        ]
        traces.append(_heads_trace(tracks, position, chosen))
    numbers = viewer_numbers(tracks, ways, position, truth, prediction)
    return Figure(data=traces, layout=_layout(image, tracks.size, numbers))


def figure_json(
    tracks: Tracks,
    image: NDArray[np.uint8] | str,
    *,
    colour: Colouring = "direction",
    position: int = 0,
    truth: TrueMotion | None = None,
    prediction: Prediction | None = None,
    lines: bool = True,
) -> str:
    """Write `figure` as JSON with base64 arrays: about 1 MB for 4,096 points over 8 frames.

    Smaller than Plotly's own `to_json`, which spells each "/" of base64 with six characters.
    """
    drawn = figure(
        tracks, image, colour=colour, position=position, truth=truth, prediction=prediction, lines=lines
    )
    content = drawn.to_dict()
    return json.dumps(content, cls=PlotlyJSONEncoder, separators=(",", ":"))


def jpeg_url(image: NDArray[np.uint8], largest_side: int = 1280) -> str:
    """Encode a frame, uint8 `[H, W, 3]` RGB, as a JPEG `data:` URL with at most that many pixels a side."""
    picture = Image.fromarray(image)
    picture.thumbnail((largest_side, largest_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _thinned(tracks: Tracks) -> Tracks:
    """Return every k-th frame and the last one, so that lines have at most some `LARGEST_EXACT` vertices."""
    frames, count, _ = tracks.points.shape
    step = -(-frames * count // LARGEST_EXACT) or 1
    if step == 1:
        return tracks
    rows = np.unique(np.append(np.arange(0, frames, step), frames - 1))
    return dataclasses.replace(
        tracks,
        points=tracks.points[rows],
        visibility=tracks.visibility[rows],
        frames=tracks.frames[rows],
        handovers=None,
    )


def _trail_trace(tracks: Tracks, chosen: NDArray[np.intp], colour: str, index: int) -> Scattergl:
    """Draw the visible stretches of the chosen points: both ends of a drawn segment are visible."""
    drawn = tracks.visible[:, chosen]
    x, y = _merged(tracks.points[:, chosen], drawn)
    return Scattergl(
        x=x,
        y=y,
        mode="lines",
        line={"color": colour, "width": TRAIL_WIDTH},
        hoverinfo="skip",
        showlegend=False,
        meta={"role": "trails", "bin": int(index)},
    )


def _hidden_trace(tracks: Tracks) -> Scattergl:
    """Draw what has a hidden end; it lies under the trails, which cover what they share."""
    hidden = ~tracks.visible
    drawn = hidden.copy()
    drawn[1:] |= hidden[:-1]
    drawn[:-1] |= hidden[1:]
    chosen = np.flatnonzero(hidden.any(axis=0))
    x, y = _merged(tracks.points[:, chosen], drawn[:, chosen])
    return Scattergl(
        x=x,
        y=y,
        mode="lines",
        line={"color": HIDDEN_COLOUR, "width": 1},
        hoverinfo="skip",
        showlegend=False,
        meta={"role": "hidden"},
    )


def _heads_trace(tracks: Tracks, position: int, chosen: ColourBins) -> Scattergl:
    points = tracks.points[position]
    visibility = tracks.visibility[position]
    moved = np.linalg.norm(points - tracks.points[0], axis=1)
    values = np.stack(
        [
            np.arange(len(points), dtype=np.float32),
            np.full(len(points), tracks.frames[position], dtype=np.float32),
            moved,
            speed_at(tracks, position),
            visibility,
        ],
        axis=1,
    )
    return Scattergl(
        x=points[:, 0],
        y=points[:, 1],
        mode="markers",
        marker={
            "size": HEAD_SIZE,
            # The colours' indices, with a scale that has each colour at its index.
            "color": chosen.bins,
            "cmin": 0,
            "cmax": len(chosen.colours) - 1,
            "colorscale": [
                [index / (len(chosen.colours) - 1), name] for index, name in enumerate(chosen.colours)
            ],
            "opacity": np.where(visibility > 0.5, 1.0, HIDDEN_OPACITY).astype(np.float32),
            "line": {"width": 1, "color": HEAD_OUTLINE},
        },
        customdata=values.astype(np.float32),
        hovertemplate=HOVER,
        showlegend=False,
        meta={"role": "heads"},
    )


def _layout(image: NDArray[np.uint8] | str, size: tuple[int, int], numbers: dict[str, Any]) -> dict[str, Any]:
    height, width = size
    # Pixel centres are at integers, so the picture reaches half a pixel beyond the first and last.
    hidden_axis: dict[str, Any] = {"visible": False, "fixedrange": False, "autorange": False}
    return {
        "template": "none",
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
        "xaxis": {**hidden_axis, "range": [-0.5, width - 0.5], "constrain": "domain"},
        "yaxis": {
            **hidden_axis,
            "range": [height - 0.5, -0.5],
            "constrain": "domain",
            "scaleanchor": "x",
            "scaleratio": 1,
        },
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "dragmode": "pan",
        "hovermode": "closest",
        "hoverdistance": 14,
        "showlegend": False,
    }


def _merged(
    points: NDArray[np.float32], drawn: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Join trajectories `[T, n, 2]` into one line each for x and y, broken by NaN where not drawn.

    Returns two float32 arrays of length n · (T + 1).
    """
    frames, count, _ = points.shape
    line = np.full((count, frames + 1, 2), np.nan, dtype=np.float32)
    line[:, :frames] = np.where(drawn[:, :, None], points, np.nan).transpose(1, 0, 2)
    return line[:, :, 0].ravel(), line[:, :, 1].ravel()
