"""`Tracks` over one frame as a Plotly figure: few merged WebGL traces, whatever the number of points."""

import base64
import dataclasses
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from plotly.graph_objects import Figure, Scattergl  # here, so that threads need not load them at once
from plotly.utils import PlotlyJSONEncoder

from model.methods import is_prediction
from model.overlay.colours import STILL, direction_colour, speed_colour
from model.overlay.truth import TrueMotion
from model.tracks import Tracks

Colouring = Literal["direction", "speed"]

DIRECTIONS = 16
"""Sectors of the circle; points in one sector share one trace, because a WebGL line has one colour."""

SPEEDS = 16
"""Equal steps of the speed scale, from 0 to its top."""

HIDDEN_COLOUR = "rgba(215, 224, 234, 0.2)"
HIDDEN_OPACITY = 0.3
TRAIL_WIDTH = 1.8
HEAD_SIZE = 7
HEAD_OUTLINE = "rgba(8, 12, 18, 0.65)"  # heads stay visible on bright frames
JPEG_QUALITY = 88

LARGEST_EXACT = 1 << 19
"""Points times frames up to which positions travel as float32 and every step is a vertex of a line."""

_WHOLE = 32_000
"""Positions of more travel as whole numbers of this size at most (int16), in steps of a power of two."""

HOVER = (
    "<b>point %{customdata[0]}</b>  frame %{customdata[1]}<br>"
    "x %{x:.1f}  y %{y:.1f} px<br>"
    "moved %{customdata[2]:.1f} px so far<br>"
    "speed %{customdata[3]:.2f} px/frame<br>"
    "visibility %{customdata[4]:.0%}<extra></extra>"
)


@dataclass(frozen=True)
class ColourBins:
    """One way of colouring points with a handful of colours.

    bins: uint8 `[N]`, the colour's index for each point.
    colours: CSS colours, one for each index.
    top: the value at the upper end of the scale (px/frame), or None for a circular scale.
    """

    bins: NDArray[np.uint8]
    colours: tuple[str, ...]
    top: float | None = None


def total_displacement(tracks: Tracks) -> NDArray[np.float32]:
    """Displacement of each point from the first to the last frame: float32 `[N, 2]`, pixels."""
    return np.asarray(tracks.points[-1] - tracks.points[0], dtype=np.float32)


def mean_speed(tracks: Tracks) -> NDArray[np.float32]:
    """Length of each point's path over the frames it took: float32 `[N]`, pixels per source frame."""
    length = np.linalg.norm(np.diff(tracks.points, axis=0), axis=2).sum(axis=0)
    return np.asarray(length / max(1, int(tracks.frames[-1] - tracks.frames[0])), dtype=np.float32)


def direction_bins(displacements: NDArray[np.float32]) -> ColourBins:
    """Sort displacements `[N, 2]` into sectors of the circle; the last index holds the still points.

    Sector k is centred at k · 360° / DIRECTIONS, measured from +x (right) towards +y (down).
    """
    sector = 2 * np.pi / DIRECTIONS
    angles = np.arctan2(displacements[:, 1], displacements[:, 0])
    bins = np.round(angles / sector).astype(np.int64) % DIRECTIONS
    bins[np.linalg.norm(displacements, axis=1) < STILL] = DIRECTIONS
    centres = np.arange(DIRECTIONS) * sector
    # Long vectors, so that the colours are those of clear motion; a zero vector for the still points.
    samples = np.concatenate([np.stack([np.cos(centres), np.sin(centres)], axis=1) * 1000, np.zeros((1, 2))])
    colours = direction_colour(samples.astype(np.float32))
    return ColourBins(bins.astype(np.uint8), _css(colours))


def speed_bins(speeds: NDArray[np.float32]) -> ColourBins:
    """Sort speeds `[N]` (px/frame) into equal steps from 0 to a round number near the 98th percentile."""
    top = _round_up(float(np.percentile(speeds, 98))) if speeds.size else 1.0
    bins = np.clip(np.floor(speeds / top * SPEEDS), 0, SPEEDS - 1)
    centres = (np.arange(SPEEDS) + 0.5) / SPEEDS * top
    return ColourBins(bins.astype(np.uint8), _css(speed_colour(centres.astype(np.float32), top)), top)


def summary(tracks: Tracks) -> str:
    """Say in one line what the tracks hold, for people who cannot or need not see the picture."""
    count = tracks.points.shape[1]
    points = "1 point" if count == 1 else f"{count:,} points"
    frames = "1 frame" if len(tracks.frames) == 1 else f"{len(tracks.frames):,} frames"
    if count == 0:
        return f"No points over {frames}."
    displacement = np.linalg.norm(total_displacement(tracks), axis=1)
    visible = float(tracks.visible[-1].mean())
    if is_prediction(tracks.method.name):
        ahead = int(tracks.frames[-1] - tracks.frames[0])
        return (
            f"{points} predicted {ahead} frame{'' if ahead == 1 else 's'} ahead from one image; median "
            f"displacement {np.median(displacement):.1f} px, largest {displacement.max():.1f} px; "
            f"{visible:.0%} expected inside it at the end."
        )
    return (
        f"{points} over {frames}; median displacement {np.median(displacement):.1f} px, "
        f"largest {displacement.max():.1f} px; {visible:.0%} visible at the end."
    )


def shown_first(tracks: Tracks) -> int:
    """Return the position that a viewer begins with: the first frame, or the end of a prediction."""
    return len(tracks.frames) - 1 if is_prediction(tracks.method.name) else 0


def figure(
    tracks: Tracks,
    image: NDArray[np.uint8] | str,
    *,
    colour: Colouring = "direction",
    position: int = 0,
    truth: TrueMotion | None = None,
    interval: NDArray[np.float32] | None = None,
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
    interval: float32 `[2, T, N, 2]`, a prediction's lowest and highest positions, for the viewer to draw.
    lines: False leaves out lines and heads, for a viewer that draws them itself from the numbers.
    Raises ValueError when the position is out of range.
    """
    if not 0 <= position < len(tracks.frames):
        raise ValueError(f"position must be 0 to {len(tracks.frames) - 1}, not {position}.")
    ways: dict[Colouring, ColourBins] = {
        "direction": direction_bins(total_displacement(tracks)),
        "speed": speed_bins(mean_speed(tracks)),
    }
    chosen = ways[colour]
    layout = _layout(tracks, image, ways, position)
    layout["meta"]["stillmotion"] |= _truth_numbers(truth, tracks.size)
    layout["meta"]["stillmotion"] |= _interval_numbers(interval, tracks.size)
    traces = []
    if lines:
        drawn = _thinned(tracks)
        traces = [_hidden_trace(drawn)]
        traces += [
            _trail_trace(drawn, np.flatnonzero(chosen.bins == index), chosen.colours[index], index)
            for index in np.unique(chosen.bins)
        ]
        traces.append(_heads_trace(tracks, position, chosen))
    return Figure(data=traces, layout=layout)


def figure_json(
    tracks: Tracks,
    image: NDArray[np.uint8] | str,
    *,
    colour: Colouring = "direction",
    position: int = 0,
    truth: TrueMotion | None = None,
    interval: NDArray[np.float32] | None = None,
    lines: bool = True,
) -> str:
    """Write `figure` as JSON with base64 arrays: about 1 MB for 4,096 points over 8 frames.

    Smaller than Plotly's own `to_json`, which spells each "/" of base64 with six characters.
    """
    drawn = figure(
        tracks, image, colour=colour, position=position, truth=truth, interval=interval, lines=lines
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


def speed_at(tracks: Tracks, position: int) -> NDArray[np.float32]:
    """Speed of each point on its way into the frame at `position` (out of it, for the first).

    Returns float32 `[N]`, pixels per source frame; 0 where there is only one frame.
    """
    if len(tracks.frames) < 2:
        return np.zeros(tracks.points.shape[1], dtype=np.float32)
    end = max(1, position)
    step = np.linalg.norm(tracks.points[end] - tracks.points[end - 1], axis=1)
    return np.asarray(step / float(tracks.frames[end] - tracks.frames[end - 1]), dtype=np.float32)


def _layout(
    tracks: Tracks, image: NDArray[np.uint8] | str, ways: Mapping[Colouring, ColourBins], position: int
) -> dict[str, Any]:
    height, width = tracks.size
    # Pixel centres are at integers, so the picture reaches half a pixel beyond the first and last.
    hidden_axis: dict[str, Any] = {"visible": False, "fixedrange": False, "autorange": False}
    return {
        "template": "none",
        "meta": {"stillmotion": _numbers(tracks, ways, position)},
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


def _numbers(tracks: Tracks, ways: Mapping[Colouring, ColourBins], position: int) -> dict[str, Any]:
    """Everything the viewer needs, once; arrays travel as base64 typed arrays."""
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


def _interval_numbers(interval: NDArray[np.float32] | None, size: tuple[int, int]) -> dict[str, Any]:
    """What the viewer needs of the interval."""
    if interval is None:
        return {}
    low, high = (_positions(bound, size) for bound in interval)
    return {"interval": {"low": low, "high": high}}


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


def _css(colours: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist())


def _round_up(value: float) -> float:
    """Round up to 1, 1.5, 2, 3, 5 or 7 times a power of ten, and to at least 0.1."""
    value = max(value, 0.1)
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= value * 0.999))
