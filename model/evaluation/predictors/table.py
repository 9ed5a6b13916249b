"""The results of an evaluation as text and as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.core import files
from model.evaluation.metrics import metrics_to_json
from model.evaluation.prediction_metrics import THRESHOLDS
from model.evaluation.predictors.run import DomainResult, MethodOutcome
from model.evaluation.text import cell, lay_out

FORMAT_VERSION = 1
COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("AP moving", "average_precision", 3),
    ("moving", "moving_share", 3),
    ("its calib. error", "calibration_error", 3),
    ("log lik.", "log_likelihood", 3),
    ("cosine", "direction", 3),
    ("surest tenth", "surest_direction", 3),
    ("EPE moving", "epe_moving", 2),
    ("EPE", "epe", 2),
    ("ADE", "ade", 2),
    ("best-mode ADE", "best_ade", 2),
    ("minADE@K", "min_ade", 2),
    ("K", "hypotheses", 0),
    ("cover 90 %", "coverage", 3),
)
"""Heads of the table, names in `PredictionMetrics` or `BeliefMetrics`, and digits."""


@dataclass(frozen=True)
class Row:
    """A method over its seeds. mean, spread: of each metric; the spread is the standard deviation."""

    name: str
    seeds: int
    mean: Mapping[str, float]
    spread: Mapping[str, float]


def rows(result: DomainResult, group: str | None = None) -> list[Row]:
    """Average each method over its seeds; group: a video, or None for all points."""
    found: dict[str, list[Mapping[str, float]]] = {}
    for method in result.methods:
        metrics = method.metrics if group is None else method.groups[group]
        found_of = {**vars(method.belief), **vars(metrics)} if group is None else vars(metrics)
        values = {name: float(found_of.get(name, math.nan)) for _, name, _ in COLUMNS}
        values |= {f"within {t}": s for t, s in zip(THRESHOLDS, metrics.within, strict=True)}
        values |= {f"{name} by source": value for name, value in method.by_source.items()}
        found.setdefault(method.name, []).append(values)
    return [
        Row(
            name,
            len(seeds),
            {key: float(np.mean([seed[key] for seed in seeds])) for key in seeds[0]},
            {
                key: float(np.std([s[key] for s in seeds], ddof=1)) if len(seeds) > 1 else 0.0
                for key in seeds[0]
            },
        )
        for name, seeds in found.items()
    ]


def cells(row: Row) -> list[str]:
    """Return what stands in a row, behind its name; "–" for what was not measured."""
    shares = [_cell(100 * row.mean[f"within {t}"], 0, 1, 0) for t in THRESHOLDS]
    figures = [_cell(row.mean[name], row.spread[name], row.seeds, digits) for _, name, digits in COLUMNS]
    return [*figures, *shares]


HEADS = (*(head for head, _, _ in COLUMNS), *(f"< {t} px, %" for t in THRESHOLDS))


def table(results: Sequence[DomainResult]) -> str:
    """Lay results out as plain text: for each domain a row for each method, mean ± spread over seeds."""
    parts = []
    for result in results:
        lines = [[f"{result.name} ({result.split})", *HEADS]]
        lines += [[row.name, *cells(row)] for row in rows(result)]
        parts.append(lay_out(lines))
    return "\n\n".join(parts)


def _cell(value: float, spread: float, seeds: int, digits: int) -> str:
    is_varied = seeds > 1 and digits and not math.isnan(value)
    return f"{cell(value, digits)} ± {spread:.{digits}f}" if is_varied else cell(value, digits)


def write_json(path: Path, results: Sequence[DomainResult], settings: Mapping[str, Any]) -> None:
    """Write every metric of every method and seed; the file appears whole or not at all."""
    content = {
        "format": "stillmotion-predictor-evaluation",
        "version": FORMAT_VERSION,
        "settings": dict(settings),
        "domains": [
            {
                "name": result.name,
                "split": result.split,
                "samples": len(result.samples),
                "methods": [_as_json(method) for method in result.methods],
            }
            for result in results
        ],
    }
    files.write_json(path, content)


def _as_json(method: MethodOutcome) -> dict[str, Any]:
    return {
        "name": method.name,
        "seed": method.seed,
        "metrics": method.metrics.to_json(),
        "belief": metrics_to_json(method.belief, ()),
        "by_source": dict(method.by_source),
        "groups": {name: metrics.to_json() for name, metrics in method.groups.items()},
        "calibration": method.calibration,
        "grid_errors": [
            [None if math.isnan(value) else round(value, 4) for value in row]
            for row in method.errors.tolist()
        ],
    }
