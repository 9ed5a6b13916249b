"""What an evaluation says: one table for people, one JSON for programs."""

import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from model.core import files
from model.evaluation.metrics import TrackingMetrics
from model.evaluation.objects import ObjectResult, ObjectShares
from model.evaluation.text import cell, lay_out
from model.evaluation.trackers.run import MethodResult

FORMAT_VERSION = 1

REFERENCE = "zero"
"""The method that the ratios compare with."""

_PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless")

_HEADS = (
    *("ATE visible", "median", "÷ zero", "δ_avg", "AJ", "OA", "balanced OA", "< 1 px"),
    *("ATE occluded", "survival", "seconds"),
)


def table(results: Sequence[MethodResult], each_clip: bool = False) -> str:
    """Lay results out as plain text: a row for each method, with the mean over clips.

    ATE and median are in pixels of the frames, shares in per cent; "÷ zero" is the visible ATE divided by
    that of zero motion; "–" stands for what no sample measured.

    each_clip: rows for each clip and for all samples pooled, in place of the mean.
    """
    reference = next((result for result in results if result.name == REFERENCE), None)
    rows = [["", *_HEADS]]
    for result in results:
        for number, entry in enumerate(_entries(result, each_clip)):
            still = None if reference is None else _entries(reference, each_clip)[number].metrics
            rows.append([entry.label, *_cells(entry, still)])
    return lay_out(rows)


def pck_table(results: Sequence[MethodResult]) -> str:
    """Lay out PCK-T, in per cent: a row for each clip and the mean, a column for each method."""
    rows = [["PCK-T, from the first frame to the end", *(result.name for result in results)]]
    for number, clip in enumerate(results[0].clips):
        found = [result.clips[number].metrics for result in results]
        rows.append([clip.name, *("–" if one is None else cell(100 * one.pck_t, 1) for one in found)])
    rows.append(["mean", *(cell(100 * result.mean.pck_t, 1) for result in results)])
    return lay_out(rows)


def object_table(results: Sequence[ObjectResult]) -> str:
    """Lay out the shares of points, in per cent: a row for each sequence and the mean, columns by method."""
    rows = [["inside the object, there and back", *(result.name for result in results)]]
    for number, sequence in enumerate(results[0].sequences):
        rows.append([sequence.name, *(_shares(result.sequences[number].shares) for result in results)])
    rows.append(["mean", *(_shares(result.mean) for result in results)])
    rows.append(["seconds", *(f"{result.seconds:.1f}" for result in results)])
    return lay_out(rows)


def _shares(shares: ObjectShares) -> str:
    return f"{100 * shares.inside:5.1f} {100 * shares.there_and_back:5.1f}"


def write_json(
    path: Path,
    settings: Mapping[str, Any],
    methods: Sequence[Mapping[str, Any]],
    followed: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write what was measured; the file appears whole or not at all.

    settings: what was asked for; JSON values only. methods: of `results_to_json` or `objects_to_json`.
    followed: the same of BADJA's joints, followed from the first frame to the end.
    """
    content = {
        "format": "stillmotion-evaluation",
        "version": FORMAT_VERSION,
        "settings": settings,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "methods": methods,
        **({"followed": followed} if followed else {}),
    }
    files.write_json(path, content)


def objects_to_json(results: Sequence[ObjectResult]) -> list[dict[str, Any]]:
    """Return the shares of each sequence and their mean."""
    return [
        {
            **_method_to_json(result),
            "mean": result.mean._asdict(),
            "sequences": [
                {"name": one.name, "points": one.points, "seconds": round(one.seconds, 3)}
                | one.shares._asdict()
                for one in result.sequences
            ],
        }
        for result in results
    ]


def results_to_json(results: Sequence[MethodResult]) -> list[dict[str, Any]]:
    """Return every metric, per clip, in the mean and pooled."""
    reference = next((result for result in results if result.name == REFERENCE), None)
    return [_as_json(result, reference) for result in results]


class _Entry(NamedTuple):
    label: str
    metrics: TrackingMetrics | None
    seconds: float


def _entries(result: MethodResult, each_clip: bool) -> list[_Entry]:
    if not each_clip:
        return [_Entry(result.name, result.mean, result.seconds)]
    clips = [_Entry(f"{result.name}  {clip.name}", clip.metrics, clip.seconds) for clip in result.clips]
    return [*clips, _Entry(f"{result.name}  pooled", result.pooled, result.seconds)]


def _cells(entry: _Entry, still: TrackingMetrics | None) -> list[str]:
    seconds = f"{entry.seconds:.1f}"
    metrics = entry.metrics
    if metrics is None:
        return [*["–"] * (len(_HEADS) - 1), seconds]
    return [
        cell(metrics.ate_visible, 2),
        cell(metrics.median_visible, 2),
        cell(_ratio(metrics, still), 3),
        *(
            cell(100 * share, 1)
            for share in (
                metrics.delta_avg,
                metrics.average_jaccard,
                metrics.occlusion_accuracy,
                metrics.balanced_occlusion_accuracy,
                metrics.under_1px,
            )
        ),
        cell(metrics.ate_occluded, 2),
        cell(100 * metrics.survival, 1),
        seconds,
    ]


def _ratio(metrics: TrackingMetrics, still: TrackingMetrics | None) -> float:
    """Visible ATE beside that of zero motion; NaN where there is none, or nothing moved."""
    return math.nan if still is None or not still.ate_visible else metrics.ate_visible / still.ate_visible


def _method_to_json(result: MethodResult | ObjectResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "method": result.method.name,
        "weights_sha256": result.method.weights_sha256,
        "settings": dict(result.method.settings),
        "seconds": round(result.seconds, 3),
    }


def _as_json(result: MethodResult, reference: MethodResult | None) -> dict[str, Any]:
    ratio = _ratio(result.mean, None if reference is None else reference.mean)
    return {
        **_method_to_json(result),
        "ratio_to_zero": None if math.isnan(ratio) else ratio,
        "mean": result.mean.to_json(),
        "pooled": result.pooled.to_json(),
        "clips": [
            {
                "name": clip.name,
                "seconds": round(clip.seconds, 3),
                "metrics": None if clip.metrics is None else clip.metrics.to_json(),
            }
            for clip in result.clips
        ],
    }
