"""The report's figures as PNG and PDF, for a paper.

Drawn by matplotlib: it needs no browser (Plotly's own export starts a Chrome, which a cluster's machine does
not have), and its PDFs are vectors.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from PIL import Image

from model.core.errors import BadInput
from model.inspection.figures import MOST_VIDEOS, arrows, quietest_sector, reach_names, short_name
from model.inspection.files import write_whole
from model.inspection.inspect import DrawnSample, Inspection
from model.inspection.samples import SampleHistogram
from model.inspection.statistics import EDGES, SECTORS, MotionStatistics, pixels
from model.overlay.colours import direction_colour

COLUMN = 3.4
"""Inches; the width of a column of a two-column paper."""

DPI = 300
BLUE = "#2f6db0"
SPLIT_COLOURS = {"train": BLUE, "validation": "#d08a1f", "test": "#8e4fb0"}
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#d5dae0",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # text stays text; journals refuse type 3
    "savefig.facecolor": "white",
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.03,
}
SHEET_WIDTH = 2000
SHEET_ROW = 4 * 16 / 9
"""A row of the contact sheet is this many times as wide as high, or a little more: four pictures of 16:9."""

SHEET_GAP = 10


def write_pictures(folder: Path, inspection: Inspection) -> list[Path]:
    """Write every figure as NAME.png (300 dpi) and NAME.pdf, and the contact sheet as PNG.

    Returns the files. Raises BadInput when the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be made ({error.strerror}).") from error
    written = []
    with mpl.rc_context(STYLE):
        for name, figure in paper_figures(inspection).items():
            for ending in ("png", "pdf"):
                path = folder / f"{name}.{ending}"
                write_whole(path, _encoded(figure, ending))
                written.append(path)
    for name, samples in (("contact-sheet", inspection.sheet), ("worst-quality", inspection.worst)):
        if samples:
            path = folder / f"{name}.png"
            write_whole(path, contact_sheet(samples))
            written.append(path)
    return written


def paper_figures(inspection: Inspection) -> dict[str, Figure]:
    """Draw all figures, by their names."""
    motion, histograms = inspection.motion, inspection.histograms
    shares: dict[Any, str] = {
        "moving": "share of moving points",
        "visible": "share of points visible at the end",
        "quality": "share of points that come back",
    }
    height, width = inspection.typical_size
    drawn = {
        "displacement": _drawn(lambda axes: _displacement(axes, motion)),
        "directions": _directions(motion),
        "distance": _drawn(
            lambda axes: _by_frame(axes, motion.distance, "mean distance from the start (px)")
        ),
        "visibility": _drawn(lambda axes: _visibility(axes, motion)),
        "grid-motion": _grid_motion(motion, height / width),
        "motion": _drawn(lambda axes: _motion(axes, histograms["motion"])),
        "videos": _videos(inspection),
    }
    for column, title in shares.items():
        if histograms[column].total:
            drawn[column] = _share_figure(histograms[column], title)
    return drawn


def _drawn(draw: Callable[[Axes], None], height: float = 2.3) -> Figure:
    figure = Figure(figsize=(COLUMN, height), layout="constrained")
    draw(figure.add_subplot())
    return figure


def _displacement(axes: Axes, motion: MotionStatistics) -> None:
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    median, most = motion.quantile(0.5), motion.quantile(0.95)
    for value in (median, most) if motion.trajectories else ():
        axes.axvline(value, color="#4a5563", linewidth=0.8, linestyle="--")
    axes.set_title(f"dashed: median {pixels(median)}, 95 % {pixels(most)}", loc="left", fontsize=7)


def _by_frame(axes: Axes, values: NDArray[np.float64], title: str) -> None:
    axes.plot(np.arange(len(values)), values, color=BLUE, linewidth=1.3, marker="o", markersize=3)
    axes.set(xlabel="frame of the sample", ylabel=title)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _visibility(axes: Axes, motion: MotionStatistics) -> None:
    _by_frame(axes, motion.visible, "share of visible points")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))


def _directions(motion: MotionStatistics) -> Figure:
    figure = Figure(figsize=(COLUMN, 3.2), layout="constrained")
    axes = figure.add_subplot(projection="polar")
    if not isinstance(axes, PolarAxes):
        raise TypeError("matplotlib gave no polar axes")
    angles = np.arange(SECTORS) * 2 * np.pi / SECTORS
    vectors = 1000 * np.stack([np.cos(angles), -np.sin(angles)], axis=1)
    colours = direction_colour(vectors) / 255
    shares = motion.directions / max(1, motion.directions.sum())
    base = np.zeros(SECTORS)
    for share, name, strength in zip(shares, reach_names(), (0.4, 0.7, 1.0), strict=True):
        mixed = 1 - strength * (1 - colours)
        axes.bar(angles, share, 2 * np.pi / SECTORS * 0.94, base, color=mixed, linewidth=0)
        axes.bar([0], [0], color=str(1 - 0.75 * strength), label=name)
        base += share
    axes.set_xticks(np.deg2rad([0, 90, 180, 270]), ["right", "up", "left", "down"])
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_rlabel_position(np.rad2deg(angles[quietest_sector(motion)]))
    axes.spines["polar"].set_color("#b5bdc7")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _grid_motion(motion: MotionStatistics, ratio: float) -> Figure:
    figure = Figure(figsize=(COLUMN, 0.75 + 2.6 * ratio), layout="constrained")
    axes = figure.add_subplot()
    heat = axes.imshow(motion.cell_distance, cmap="viridis", vmin=0, aspect=ratio)
    cells = np.stack(np.meshgrid(np.arange(motion.grid), np.arange(motion.grid)), axis=-1)
    steps = arrows(motion) - cells
    axes.quiver(
        cells[..., 0],
        cells[..., 1],
        steps[..., 0],
        steps[..., 1],
        angles="xy",
        scale_units="xy",
        scale=1,
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
    axes.grid(visible=False)
    axes.set(xlabel="column of the grid", ylabel="row of the grid")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(8, integer=True))
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(heat, cax=axes.inset_axes((1.03, 0, 0.035, 1)), label="mean distance (px)")
    bar.outline.set_visible(False)
    return figure


def _share_figure(histogram: SampleHistogram, title: str) -> Figure:
    def draw(axes: Axes) -> None:
        _stacked(axes, histogram, title)
        axes.xaxis.set_major_formatter(PercentFormatter(1, 0))

    return _drawn(draw)


def _motion(axes: Axes, histogram: SampleHistogram) -> None:
    _stacked(axes, histogram, "mean motion of a sample (px of a 256-high image)")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    used = np.flatnonzero(np.sum(list(histogram.counts.values()), axis=0))
    if len(used):
        axes.set_xlim(histogram.edges[used[0]], histogram.edges[used[-1] + 1])


def _stacked(axes: Axes, histogram: SampleHistogram, title: str) -> None:
    base = np.zeros(len(histogram.edges) - 1)
    for split, counts in histogram.counts.items():
        axes.bar(
            histogram.edges[:-1],
            counts,
            np.diff(histogram.edges),
            base,
            align="edge",
            color=SPLIT_COLOURS[split],
            edgecolor="white",
            linewidth=0.4,
            label=split,
        )
        base += counts
    axes.set(xlabel=title, ylabel="samples", xlim=(histogram.edges[0], histogram.edges[-1]))
    axes.grid(visible=False, axis="x")
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, handlelength=1)


def _videos(inspection: Inspection) -> Figure:
    videos = inspection.videos[:MOST_VIDEOS]

    def draw(axes: Axes) -> None:
        for split, colour in SPLIT_COLOURS.items():
            chosen = [place for place, video in enumerate(videos) if video.split == split]
            if chosen:
                axes.barh(chosen, [videos[place].samples for place in chosen], color=colour, label=split)
        axes.set_yticks(range(len(videos)), [short_name(video.source) for video in videos])
        axes.set(xlabel="samples", ylim=(len(videos) - 0.4, -0.6))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(visible=False, axis="y")
        _legend_above(axes)

    return _drawn(draw, 0.8 + 0.16 * len(videos))


def _encoded(figure: Figure, ending: str) -> bytes:
    content = io.BytesIO()
    # No date in the file: the same set gives the same bytes.
    figure.savefig(
        content, format=ending, dpi=DPI, metadata={"CreationDate": None} if ending == "pdf" else None
    )
    return content.getvalue()


def contact_sheet(samples: Sequence[DrawnSample]) -> bytes:
    """Lay pictures side by side on white, in rows that are all as wide; returns a PNG."""
    rows = [_row(part) for part in _rows([Image.fromarray(sample.picture) for sample in samples])]
    height = sum(row.height + SHEET_GAP for row in rows) - SHEET_GAP
    sheet = Image.new("RGB", (SHEET_WIDTH, height), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + SHEET_GAP
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()


def _rows(pictures: Sequence[Image.Image]) -> Iterator[list[Image.Image]]:
    """Cut a sequence of pictures into rows of about one shape."""
    row: list[Image.Image] = []
    for picture in pictures:
        row.append(picture)
        if _shape(row) >= SHEET_ROW:
            yield row
            row = []
    if row:
        yield row


def _shape(row: Sequence[Image.Image]) -> float:
    """Width by height of pictures of the same height, side by side."""
    return sum(picture.width / picture.height for picture in row)


def _row(pictures: Sequence[Image.Image]) -> Image.Image:
    # A last row that is not full keeps the height of a full one.
    free = SHEET_WIDTH - SHEET_GAP * (len(pictures) - 1)
    height = round(free / max(_shape(pictures), SHEET_ROW))
    row, left = Image.new("RGB", (SHEET_WIDTH, height), "white"), 0
    for picture in pictures:
        width = round(height * picture.width / picture.height)
        row.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, 0))
        left += width + SHEET_GAP
    return row
