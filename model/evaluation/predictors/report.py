"""One HTML page that shows an evaluation: figures, error maps, calibration, and pictures, bad ones too."""

import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from model.evaluation.predictors.run import BASELINES, LEVELS, DomainResult, MethodOutcome
from model.evaluation.predictors.samples import Judged
from model.evaluation.predictors.table import HEADS, cells, rows
from model.overlay.figure import jpeg_url
from model.overlay.html import write_page

SHOWN = 6
"""Pictures of each kind."""
_TRUE, _PREDICTED = (60, 220, 90), (255, 140, 0)
_LONGEST = 640
_TITLE = 20
"""Letters in a line above an error map."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 24px auto; max-width: 1440px; padding: 0 16px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 4px 9px; text-align: right; border-bottom: 1px solid #dde2ea; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 12px; }
figure { margin: 0; } figcaption { font-size: 13px; color: #566; } img { width: 100%; display: block; }
"""


def write_report(
    path: Path, results: Sequence[DomainResult], title: str = "How well motion is predicted"
) -> None:
    """Write the page as one file that needs nothing else; it appears whole or not at all.

    Pictures are of each predictor, its first seed: true motion green, predicted orange.
    """
    sections = "\n".join(_section(result) for result in results)
    body = (
        f"<script>{get_plotlyjs()}</script><h1>{escape(title)}</h1>"
        "<p>Lengths are in pixels of a 256-high image; ± is the standard deviation over seeds. EPE: error of "
        "the final position. ADE: mean error over all frames. Moving points: true displacement over 1 px. "
        f"minADE@K: of the best of all K hypotheses.</p>{sections}"
    )
    write_page(path, title, _STYLE, body)


def _section(result: DomainResult) -> str:
    points = result.methods[0].metrics
    groups = sorted(result.methods[0].groups)
    parts = [
        f"<h2>{escape(result.name)} ({escape(result.split)})</h2>",
        f"<p>{len(result.samples):,} samples, {points.points:,} points that are measured, of "
        f"which {points.moving:,} move.</p>",
        _table(["", "seeds", *HEADS], [[row.name, str(row.seeds), *cells(row)] for row in rows(result)]),
    ]
    if 1 < len(groups) <= 24:
        parts.append("<h3>By video: EPE on moving points</h3>" + _group_table(result, groups))
    parts.append("<h3>Error over the grid</h3>" + _maps(result))
    if any(method.calibration for method in result.methods):
        parts.append("<h3>Calibration</h3>" + _calibration(result))
    for method in _first_seeds(result):
        if method.name not in BASELINES:
            parts += _shown(result, method)
    return "\n".join(parts)


def _shown(result: DomainResult, method: MethodOutcome) -> list[str]:
    order = _by_error(method)
    some = [int(k) for k in np.linspace(0, len(order) - 1, min(SHOWN, len(order)))]
    return [
        f"<h3>The worst of {escape(method.name)}</h3>" + _pictures(result, method, order[:SHOWN]),
        "<h3>From the worst to the best, evenly</h3>" + _pictures(result, method, order[some]),
    ]


def _group_table(result: DomainResult, groups: Sequence[str]) -> str:
    columns = [rows(result, group) for group in groups]
    return _table(
        ["", *groups],
        [
            [same[0].name, *(f"{row.mean['epe_moving']:.2f}" for row in same)]
            for same in zip(*columns, strict=True)
        ],
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _first_seeds(result: DomainResult) -> list[MethodOutcome]:
    found: dict[str, MethodOutcome] = {}
    for method in result.methods:
        found.setdefault(method.name, method)
    return list(found.values())


def _maps(result: DomainResult) -> str:
    methods = _first_seeds(result)
    titles = ["<br>".join(textwrap.wrap(method.name, _TITLE)) for method in methods]
    figure = make_subplots(rows=1, cols=len(methods), subplot_titles=titles)
    top = float(np.nanmax([np.nanmax(method.errors) for method in methods]))
    for column, method in enumerate(methods, start=1):
        heat = go.Heatmap(z=method.errors, zmin=0, zmax=top, coloraxis="coloraxis")
        figure.add_trace(heat, row=1, col=column)
    figure.update_yaxes(autorange="reversed", scaleanchor=None, showticklabels=False)
    figure.update_xaxes(showticklabels=False)
    figure.update_layout(
        height=300, margin={"t": 60, "b": 10}, coloraxis={"colorscale": "Viridis", "cmin": 0}
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def _calibration(result: DomainResult) -> str:
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(x=[0, 1], y=[0, 1], name="as it should be", line={"dash": "dot", "color": "#889"})
    )
    for method in result.methods:
        if method.calibration is not None:
            name = f"{method.name} {method.seed}".strip()
            figure.add_trace(
                go.Scatter(x=list(LEVELS), y=list(method.calibration), name=name, mode="lines+markers")
            )
    figure.update_layout(
        height=420, width=640, xaxis_title="probability of the interval", yaxis_title="share in it"
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def _by_error(method: MethodOutcome) -> NDArray[np.int64]:
    """The numbers of the samples with measured points, the worst first."""
    means = np.array(
        [np.nanmean(each.errors) if np.isfinite(each.errors).any() else -1.0 for each in method.judgements]
    )
    order = np.argsort(-means, kind="stable")
    return np.asarray(order[means[order] >= 0], np.int64)


def _pictures(result: DomainResult, method: MethodOutcome, numbers: NDArray[np.int64]) -> str:
    figures = []
    for number in numbers.tolist():
        sample, judgement = result.samples[number], method.judgements[number]
        error = float(np.nanmean(judgement.errors))
        picture = jpeg_url(draw_arrows(sample, judgement.answer), _LONGEST)
        figures.append(
            f'<figure><img alt="true and predicted motion" src="{picture}">'
            f"<figcaption>{escape(sample.source)}: mean EPE {error:.1f} px</figcaption></figure>"
        )
    return f'<div class="pictures">{"".join(figures)}</div>'


def draw_arrows(sample: Judged, answer: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw true motion (green) and predicted motion (orange) on the sample's picture: uint8 `[H, W, 3]`."""
    canvas = (sample.picture * 0.7).astype(np.uint8)
    for paths, colour, width in ((sample.truth, _TRUE, 2), (answer, _PREDICTED, 1)):
        for start, moved, chosen in zip(sample.queries, paths[:, -1], sample.chosen, strict=True):
            if chosen and np.hypot(*moved) > sample.unit:
                a, b = (tuple(int(v) for v in np.round(p)) for p in (start, start + moved))
                cv2.arrowedLine(canvas, a, b, colour, width, cv2.LINE_AA, tipLength=0.25)
    return np.asarray(canvas, np.uint8)
