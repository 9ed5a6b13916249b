"""The figures of a training set, drawn by matplotlib: as SVG for the report, as PNG and PDF for papers.

matplotlib needs no browser (Plotly's own export starts a Chrome, which a cluster's machine does not have),
and its PDFs are vectors.
"""

import io
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from model.inspection.inspect import Inspection
from model.inspection.samples import SampleHistogram, VideoCount
from model.inspection.statistics import EDGES, REACHES, SECTORS, MotionStatistics, pixels
from model.overlay.colours import direction_colour

COLUMN = 3.4
"""Inches; the width of a column of a two-column paper."""

MOST_VIDEOS = 30
LONGEST_NAME = 34

TEXT, MUTED, GRID_LINE, BLUE = "#1b2430", "#4a5563", "#d5dae0", "#2f6db0"
SPLIT_COLOURS = {"train": BLUE, "validation": "#d08a1f", "test": "#8e4fb0"}
PAGE_COLOURS = {
    TEXT: "var(--text)",
    MUTED: "var(--muted)",
    GRID_LINE: "var(--grid-line)",
    **{colour: f"var(--{split})" for split, colour in SPLIT_COLOURS.items()},
}
"""What the report's style has, light or dark, for the colours of a paper."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 7,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "text.color": TEXT,
    "axes.titlecolor": TEXT,
    "axes.labelcolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID_LINE,
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # text stays text; journals refuse type 3
    "svg.fonttype": "none",  # text stays text here, too
    "svg.hashsalt": "stillmotion",  # the same figure gives the same bytes
    "savefig.pad_inches": 0.03,
}


def encode(figure: Figure, kind: Literal["svg", "png", "pdf"]) -> bytes:
    """Write a figure; rasters have 300 dpi. No date is in the file: the same set gives the same bytes."""
    content = io.BytesIO()
    dates: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Names of videos may have letters that matplotlib's font lacks; a box in their place will do.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        bounds = None if kind == "svg" else "tight"  # on a page, all figures have one width
        figure.savefig(
            content,
            format=kind,
            dpi=300,
            metadata=dates.get(kind),
            transparent=kind == "svg",
            bbox_inches=bounds,
        )
    return content.getvalue()


def svg(figure: Figure) -> str:
    """Return a figure as an element of an HTML page, in the colours of the page's theme."""
    text = encode(figure, "svg").decode()
    text = text[text.index("<svg") :]
    for colour, replacement in PAGE_COLOURS.items():
        text = text.replace(colour, replacement)
    return text


def draw_figures(inspection: Inspection, width: float = COLUMN) -> dict[str, Figure]:
    """Draw all figures, by their names.

    width: of each in inches; letters have the same size in all.
    """
    motion, histograms = inspection.motion, inspection.histograms
    ratio = inspection.typical_size[0] / inspection.typical_size[1]
    with mpl.rc_context(STYLE):
        drawn = {
            "displacement": _displacement(width, motion),
            "directions": _directions(width, motion),
            "distance": _by_frame(width, motion.distance, "mean distance from the start (px)"),
            "visibility": _visibility(width, motion),
            "grid-motion": _grid_motion(width, motion, ratio),
            "grid-visible": _grid(width, motion.cell_visible, ratio, "share visible at the end", top=1),
            "motion": _motion(width, histograms["motion"]),
            "moving": _shares(width, histograms["moving"], "share of moving points"),
            "visible": _shares(width, histograms["visible"], "share of points visible at the end"),
            "videos": _videos(width, inspection.videos[:MOST_VIDEOS]),
        }
        if histograms["quality"].total:
            drawn["quality"] = _shares(width, histograms["quality"], "share of points that come back")
    return drawn


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _displacement(width: float, motion: MotionStatistics) -> Figure:
    """How far points move, on a logarithmic scale."""
    figure, axes = _figure(width, 0.6 * width)
    shares = motion.displacement[1:-1] / max(1, motion.trajectories)
    edges = EDGES[1:]
    axes.stairs(shares, edges, fill=True, color=BLUE, alpha=0.3)
    axes.stairs(shares, edges, color=BLUE, linewidth=1)
    used = np.flatnonzero(shares)
    axes.set(
        xscale="log",
        xlim=(edges[0], edges[used[-1] + 1] if len(used) else edges[-1]),
        ylim=(0, 1.15 * shares.max() if len(used) else 1),
        xlabel="displacement (px of a 256-high image)",
        ylabel="share of the points",
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    median, most = motion.quantile(0.5), motion.quantile(0.95)
    for value in (median, most) if motion.trajectories else ():
        axes.axvline(value, color=MUTED, linewidth=0.8, linestyle="--")
    axes.set_title(f"dashed: median {pixels(median)}, 95 % {pixels(most)}")
    return figure


def _by_frame(width: float, values: NDArray[np.float64], title: str) -> Figure:
    figure, axes = _figure(width, 0.6 * width)
    axes.plot(np.arange(len(values)), values, color=BLUE, linewidth=1.3, marker="o", markersize=3)
    axes.set(xlabel="frame of the sample", ylabel=title)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _visibility(width: float, motion: MotionStatistics) -> Figure:
    figure = _by_frame(width, motion.visible, "share of visible points")
    (axes,) = figure.axes
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    return figure


def _directions(width: float, motion: MotionStatistics) -> Figure:
    """The direction rose of the moving points, stacked by how far they move."""
    figure = Figure(figsize=(width, min(width, 3.2)), layout="constrained")
    axes = figure.add_subplot(projection="polar")
    if not isinstance(axes, PolarAxes):
        raise TypeError("matplotlib gave no polar axes")
    angles = np.arange(SECTORS) * 2 * np.pi / SECTORS
    vectors = 1000 * np.stack([np.cos(angles), -np.sin(angles)], axis=1)
    colours = direction_colour(vectors) / 255
    names = [*(f"{low:g} to {high:g} px" for low, high in pairwise(REACHES)), f"over {REACHES[-1]:g} px"]
    shares = motion.directions / max(1, motion.directions.sum())
    base = np.zeros(SECTORS)
    for share, name, strength in zip(shares, names, (0.4, 0.7, 1.0), strict=True):
        axes.bar(angles, share, 2 * np.pi / SECTORS * 0.94, base, color=colours, alpha=strength, linewidth=0)
        # The bars have many colours; the legend shows their strength.
        axes.bar([0], [0], color=MUTED, alpha=strength, linewidth=0, label=name)
        base += share
    axes.set_xticks(np.deg2rad([0, 90, 180, 270]), ["right", "up", "left", "down"])
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_rlabel_position(np.rad2deg(angles[_quietest_sector(motion)]))
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _quietest_sector(motion: MotionStatistics) -> int:
    """Return the sector where a scale covers the least of the rose, and none of its names."""
    total = motion.directions.sum(axis=0)
    covered = (total + np.roll(total, 1) + np.roll(total, -1)).astype(np.float64)
    covered[:: SECTORS // 4] = np.inf
    return int(np.argmin(covered))


def _grid(
    width: float, values: NDArray[np.float64], ratio: float, label: str, top: float | None = None
) -> Figure:
    """A value for each cell of the grid as a colour; ratio: height by width of a video."""
    figure, axes = _figure(width, 0.75 + 0.76 * width * ratio)
    heat = axes.imshow(values, cmap="viridis", vmin=0, vmax=top, aspect=ratio, interpolation="nearest")
    axes.grid(visible=False)
    axes.set(xlabel="column of the grid", ylabel="row of the grid")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(8, integer=True))
    axes.spines[:].set_visible(False)
    form = PercentFormatter(1, 0) if top == 1 else None
    bar = figure.colorbar(heat, cax=axes.inset_axes((1.03, 0, 0.035, 1)), label=label, format=form)
    bar.outline.set_visible(False)
    return figure


def _grid_motion(width: float, motion: MotionStatistics, ratio: float) -> Figure:
    """The mean distance of each cell as a colour, its mean motion as an arrow, the longest nearly a cell."""
    figure = _grid(width, motion.cell_distance, ratio, "mean distance (px)")
    lengths = np.linalg.norm(motion.cell_motion, axis=2)
    longest = float(np.nanmax(lengths)) if np.isfinite(lengths).any() else 0.0
    figure.axes[0].quiver(
        *np.moveaxis(motion.cell_motion, 2, 0),
        angles="xy",
        scale_units="xy",
        scale=longest / 0.95 or 1,
        color="white",
        edgecolor="#10141a",
        linewidth=0.2,
        width=0.005,
        headwidth=3,
        headlength=3,
        headaxislength=2.7,
        minlength=0.3,
        pivot="mid",
    )
    return figure


def _shares(width: float, histogram: SampleHistogram, title: str) -> Figure:
    figure, axes = _stacked(width, histogram, title)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    return figure


def _motion(width: float, histogram: SampleHistogram) -> Figure:
    figure, axes = _stacked(width, histogram, "mean motion of a sample (px of a 256-high image)")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    used = np.flatnonzero(np.sum(list(histogram.counts.values()), axis=0))
    if len(used):
        axes.set_xlim(histogram.edges[used[0]], histogram.edges[used[-1] + 1])
    return figure


def _stacked(width: float, histogram: SampleHistogram, title: str) -> tuple[Figure, Axes]:
    """How many samples have which value, stacked by split."""
    figure, axes = _figure(width, 0.6 * width)
    edges = histogram.edges
    base = np.zeros(len(edges) - 1)
    for split, counts in histogram.counts.items():
        colour = SPLIT_COLOURS[split]
        axes.bar(edges[:-1], counts, np.diff(edges), base, align="edge", color=colour, label=split)
        base += counts
    axes.set(xlabel=title, ylabel="samples", xlim=(edges[0], edges[-1]))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(visible=False, axis="x")
    _legend_above(axes)
    return figure, axes


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, handlelength=1)


def _videos(width: float, videos: Sequence[VideoCount]) -> Figure:
    """How many samples the videos give, and their mean motion."""
    figure, axes = _figure(width, 0.8 + 0.16 * len(videos))
    for split, colour in SPLIT_COLOURS.items():
        chosen = [place for place, video in enumerate(videos) if video.split == split]
        if chosen:
            samples = [videos[place].samples for place in chosen]
            bars = axes.barh(chosen, samples, color=colour, label=split)
            axes.bar_label(
                bars, [f"{videos[place].motion:.1f} px" for place in chosen], padding=2, fontsize=6
            )
    # Not read as formulas, which a dollar in a file's name would begin.
    axes.set_yticks(range(len(videos)), [_short(video.source) for video in videos], parse_math=False)
    axes.set(xlabel="samples; beside the bars their mean motion", ylim=(len(videos) - 0.4, -0.6))
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(visible=False, axis="y")
    _legend_above(axes)
    return figure


def _short(name: str) -> str:
    """Keep the end of a long name, where videos of one folder differ."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
