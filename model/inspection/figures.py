"""The report's figures for Plotly, as plain JSON values.

Colours are names of CSS variables (`var(--accent)`), which report.js replaces with what they are in the
page's theme; Plotly itself knows no variables.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.inspection.inspect import Inspection
from model.inspection.samples import SampleHistogram, VideoCount
from model.inspection.statistics import EDGES, REACHES, SECTORS, MotionStatistics
from model.overlay.colours import direction_colour

Figure = dict[str, Any]

SPLIT_COLOURS = {"train": "var(--train)", "validation": "var(--validation)", "test": "var(--test)"}
MOST_VIDEOS = 30
LONGEST_NAME = 34
SCALE = "Viridis"
TICKS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
"""Of logarithmic scales, in px."""


def figures(inspection: Inspection) -> dict[str, Figure]:
    """Make all figures of a report, by the ids of their places in the page."""
    histograms = inspection.histograms
    quality = share_figure(histograms["quality"], "share of points that come back")
    return {
        "displacement": displacement_figure(inspection.motion),
        "distance": distance_figure(inspection.motion),
        "directions": direction_figure(inspection.motion),
        "visible-frames": visibility_figure(inspection.motion),
        "grid": grid_figure(inspection.motion, inspection.typical_size),
        "grid-visible": visible_grid_figure(inspection.motion, inspection.typical_size),
        "motion": motion_figure(histograms["motion"]),
        "moving": share_figure(histograms["moving"], "share of moving points"),
        "visible": share_figure(histograms["visible"], "share of points visible at the end"),
        **({"quality": quality} if histograms["quality"].total else {}),
        "videos": video_figure(inspection.videos),
    }


def displacement_figure(motion: MotionStatistics) -> Figure:
    """Draw how far points move, on a logarithmic scale."""
    shares = motion.displacement[1:-1] / max(1, motion.trajectories)
    edges = EDGES[1:]
    used = np.flatnonzero(motion.displacement[1:-1])
    top = edges[used[-1] + 1] if len(used) else edges[-1]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": edges,
                "y": np.append(shares, 0.0),
                "line": {"shape": "hv", "color": "var(--accent)", "width": 1.5},
                "fill": "tozeroy",
                "fillcolor": "var(--accent-fill)",
                "hovertemplate": "from %{x:.2f} px: %{y:.2%} of the points<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {
                "type": "log",
                "range": [-1, float(np.log10(top))],
                "title": {"text": "displacement (px)"},
                "tickvals": TICKS,
            },
            "yaxis": {"title": {"text": "share of the points"}, "tickformat": "~%", "rangemode": "tozero"},
            "shapes": [_mark(motion.quantile(share)) for share in (0.5, 0.95) if motion.trajectories],
        },
    }


def _mark(value: float) -> dict[str, Any]:
    line = {"color": "var(--muted)", "width": 1, "dash": "dash"}
    return {"type": "line", "x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def distance_figure(motion: MotionStatistics) -> Figure:
    """Draw how far points are from their start, frame by frame."""
    return _by_frame(motion.distance, "mean distance from the start (px)", "%{y:.2f} px")


def visibility_figure(motion: MotionStatistics) -> Figure:
    """Draw how many points are visible, frame by frame."""
    figure = _by_frame(motion.visible, "share of visible points", "%{y:.1%}")
    figure["layout"]["yaxis"] |= {"tickformat": ".0%", "range": [0, 1.04]}
    return figure


def _by_frame(values: NDArray[np.float64], title: str, shown: str) -> Figure:
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": np.arange(len(values)),
                "y": values,
                "line": {"color": "var(--accent)", "width": 2},
                "marker": {"size": 6},
                "hovertemplate": f"frame %{{x}}: {shown}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": "frame of the sample"}, "dtick": max(1, len(values) // 8)},
            "yaxis": {"title": {"text": title}, "rangemode": "tozero"},
        },
    }


def direction_figure(motion: MotionStatistics) -> Figure:
    """Draw the direction rose of the moving points, stacked by how far they move."""
    angles = np.arange(SECTORS) * 360 / SECTORS
    radians = np.deg2rad(angles)
    vectors = 1000 * np.stack([np.cos(radians), -np.sin(radians)], axis=1)
    colours = [f"rgb({red},{green},{blue})" for red, green, blue in direction_colour(vectors).tolist()]
    shares = motion.directions / max(1, motion.directions.sum())
    data: list[dict[str, Any]] = []
    for number, (name, opacity) in enumerate(zip(reach_names(), (0.35, 0.65, 1.0), strict=True)):
        data.append(
            {
                "type": "barpolar",
                "theta": angles,
                "r": shares[number],
                "marker": {"color": colours, "opacity": opacity, "line": {"width": 0}},
                "showlegend": False,
                "hovertemplate": f"{name}: %{{r:.1%}} of the moving points<extra></extra>",
            }
        )
        # The bars have many colours; the legend shows their strength in grey.
        grey = {"color": f"var(--reach-{number})", "line": {"width": 0}}
        data.append({"type": "barpolar", "theta": [0], "r": [0], "marker": grey, "name": name})
    return {
        "data": data,
        "layout": {
            "barmode": "stack",
            "showlegend": True,
            "polar": {
                "angularaxis": {
                    "tickvals": [0, 90, 180, 270],
                    "ticktext": ["right", "up", "left", "down"],
                    "rotation": 0,
                    "direction": "counterclockwise",
                },
                "radialaxis": {
                    "tickformat": ".0%",
                    "angle": float(angles[quietest_sector(motion)]),
                    "tickangle": float(angles[quietest_sector(motion)]),  # upright
                    "nticks": 4,
                },
                "bargap": 0.04,
            },
            "legend": {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.1},
        },
    }


def quietest_sector(motion: MotionStatistics) -> int:
    """Return the sector where a scale covers the least of the rose, and none of its names."""
    total = motion.directions.sum(axis=0)
    covered = (total + np.roll(total, 1) + np.roll(total, -1)).astype(np.float64)
    covered[:: SECTORS // 4] = np.inf
    return int(np.argmin(covered))


def reach_names() -> list[str]:
    """Name the classes of the direction rose, in order."""
    between = [f"{low:g} to {high:g} px" for low, high in pairwise(REACHES)]
    return [*between, f"over {REACHES[-1]:g} px"]


def grid_figure(motion: MotionStatistics, size: tuple[float, float]) -> Figure:
    """Draw the mean motion of each cell of the grid: its length as a colour, its mean direction as an arrow.

    size: (height, width) of a typical video, whose shape the grid is drawn in.
    """
    cells = np.arange(motion.grid)
    lines = np.full((motion.grid, motion.grid, 3, 2), np.nan)
    lines[..., 0, :] = np.stack(np.meshgrid(cells, cells), axis=-1)
    lines[..., 1, :] = arrows(motion)
    x, y = lines.reshape(-1, 2).T
    heat = {
        "customdata": motion.cell_motion,
        "hovertemplate": "row %{y}, column %{x}<br>mean distance %{z:.2f} px<br>mean motion "
        "%{customdata[0]:.2f} right, %{customdata[1]:.2f} down<extra></extra>",
    }
    figure = _heat_map(motion.cell_distance, size, "px", heat)
    # Twice, so that white arrows are seen on bright cells.
    for colour, width, head in (("rgba(10, 14, 20, 0.55)", 3.2, 9.5), ("#ffffff", 1.3, 7)):
        figure["data"].append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": x,
                "y": y,
                "line": {"color": colour, "width": width},
                "marker": {
                    "symbol": "arrow",
                    "angleref": "previous",
                    "size": np.tile([0, head, 0], motion.grid**2),
                    "color": colour,
                    "line": {"width": 0},
                },
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    return figure


def visible_grid_figure(motion: MotionStatistics, size: tuple[float, float]) -> Figure:
    """Draw which share of each cell's points is visible in the last frame; see `grid_figure`."""
    heat = {
        "zmax": 1,
        "hovertemplate": "row %{y}, column %{x}<br>%{z:.1%} visible at the end<extra></extra>",
    }
    figure = _heat_map(motion.cell_visible, size, "share", heat)
    figure["data"][0]["colorbar"]["tickformat"] = ".0%"
    return figure


def _heat_map(
    values: NDArray[np.float64], size: tuple[float, float], unit: str, trace: dict[str, Any]
) -> Figure:
    grid = len(values)
    axis = {"showgrid": False, "zeroline": False, "constrain": "domain", "dtick": max(1, grid // 8)}
    bar = {"title": {"text": unit, "side": "top"}, "thickness": 12, "outlinewidth": 0, "x": 1.0, "xpad": 8}
    return {
        "data": [
            {"type": "heatmap", "z": values, "colorscale": SCALE, "zmin": 0, "colorbar": bar, **trace},
        ],
        "layout": {
            "xaxis": {"title": {"text": "column of the grid"}, "range": [-0.5, grid - 0.5], **axis},
            "yaxis": {
                "title": {"text": "row of the grid"},
                "range": [grid - 0.5, -0.5],
                "scaleanchor": "x",
                "scaleratio": size[0] / size[1],
                **axis,
            },
        },
    }


def arrows(motion: MotionStatistics) -> NDArray[np.float64]:
    """Return where the arrows of the cells end, `[grid, grid, 2]`; the longest is nearly a cell long."""
    cells = np.arange(motion.grid)
    starts = np.stack(np.meshgrid(cells, cells), axis=-1)
    lengths = np.linalg.norm(motion.cell_motion, axis=2)
    longest = float(np.nanmax(lengths)) if np.isfinite(lengths).any() else 0.0
    scale = 0.95 / longest if longest > 0 else 0.0
    ends: NDArray[np.float64] = starts + motion.cell_motion * scale
    return ends


def share_figure(histogram: SampleHistogram, title: str) -> Figure:
    """Draw how many samples have which share, stacked by split."""
    figure = _stacked(histogram, histogram.edges, title, "about %{x:.0%}")
    figure["layout"]["xaxis"]["tickformat"] = ".0%"
    return figure


def motion_figure(histogram: SampleHistogram) -> Figure:
    """Draw how many samples have which mean motion, stacked by split, on a logarithmic scale."""
    # Plotly's bars do not know the width of logarithmic bins, so the axis is of the logarithms.
    figure = _stacked(histogram, np.log10(histogram.edges), "mean motion of a sample (px)", "%{customdata}")
    used = np.flatnonzero(np.sum(list(histogram.counts.values()), axis=0))
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, len(histogram.edges) - 1)
    figure["layout"]["xaxis"] |= {
        "range": np.log10(histogram.edges[[first, last]]).tolist(),
        "tickvals": np.log10(TICKS),
        "ticktext": ["≤ 0.1" if tick == TICKS[0] else f"{tick:g}" for tick in TICKS],
    }
    names = [f"{low:.2g} to {high:.2g} px" for low, high in pairwise(histogram.edges)]
    for trace in figure["data"]:
        trace["customdata"] = names
    return figure


def _stacked(histogram: SampleHistogram, edges: NDArray[np.float64], title: str, shown: str) -> Figure:
    return {
        "data": [
            {
                "type": "bar",
                "name": split,
                "x": (edges[:-1] + edges[1:]) / 2,
                "y": counts,
                "width": np.diff(edges),
                "marker": {"color": SPLIT_COLOURS[split], "line": {"width": 1, "color": "var(--surface)"}},
                "hovertemplate": f"{split}, {shown}: %{{y}} samples<extra></extra>",
            }
            for split, counts in histogram.counts.items()
        ],
        "layout": {
            "barmode": "stack",
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
            "xaxis": {"title": {"text": title}, "range": [float(edges[0]), float(edges[-1])]},
            "yaxis": {"title": {"text": "samples"}, "rangemode": "tozero"},
        },
    }


def video_figure(videos: Sequence[VideoCount]) -> Figure:
    """Draw how many samples the videos give, those with the most first."""
    shown = videos[:MOST_VIDEOS]
    order = [video.source for video in reversed(shown)]
    splits = [split for split in SPLIT_COLOURS if any(video.split == split for video in shown)]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": split,
                "y": [video.source for video in shown if video.split == split],
                "x": [video.samples for video in shown if video.split == split],
                "customdata": [video.motion for video in shown if video.split == split],
                "marker": {"color": SPLIT_COLOURS[split]},
                "hovertemplate": "%{y}<br>%{x} samples, mean motion %{customdata:.1f} px<extra></extra>",
            }
            for split in splits
        ],
        "layout": {
            "height": 90 + 20 * len(shown),
            "barmode": "overlay",
            "bargap": 0.25,
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
            "xaxis": {"title": {"text": "samples"}, "rangemode": "tozero"},
            "yaxis": {
                "categoryorder": "array",
                "categoryarray": order,
                "tickvals": order,
                "ticktext": [short_name(name) for name in order],
                "automargin": True,
            },
        },
    }


def short_name(name: str) -> str:
    """Keep the end of a long name, where videos of one folder differ."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
