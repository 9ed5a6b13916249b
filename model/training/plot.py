"""The course of a training as one HTML page."""

import csv
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from model.core.files import write_whole


def write_plot(log: Path, out: Path, panels: Mapping[str, tuple[str, ...]]) -> None:
    """Draw a training's log over its steps.

    log: a CSV file with a column `step`, as `TrainingLog` writes it.
    panels: panels of the page, and the columns that each shows.
    out: an HTML file that needs nothing else; written under a temporary name and renamed.
    """
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure = make_subplots(rows=len(panels), cols=1, shared_xaxes=True, subplot_titles=list(panels))
    for panel, names in enumerate(panels.values(), start=1):
        for name in names:
            filled = [row for row in rows if row.get(name)]
            figure.add_trace(
                go.Scatter(
                    x=[int(row["step"]) for row in filled],
                    y=[float(row[name]) for row in filled],
                    name=name.replace("_", " "),
                    mode="lines+markers",
                    legendgroup=str(panel),
                ),
                row=panel,
                col=1,
            )
    figure.update_layout(height=900, title="Training", legend_tracegroupgap=180)
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(title="step", row=len(panels), col=1)
    write_whole(out, figure.to_html(include_plotlyjs=True).encode())
