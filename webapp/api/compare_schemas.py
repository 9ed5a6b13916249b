"""The JSON of comparisons."""

from dataclasses import asdict
from typing import Any

import numpy as np
from marshmallow import Schema, fields
from numpy.typing import NDArray

from model.evaluation.comparison import ClipErrors, Comparison
from model.motion.tracks import Tracks
from webapp.api.schemas import text_field
from webapp.records import Run

OF_256 = "pixels of a 256-high image"
UNCOUNTED = "null where a point is not counted"


class CompareQuery(Schema):
    """Which runs are compared."""

    reference = text_field("reference", required=True, metadata={"description": "id of a run, held for true"})
    candidate = text_field("candidate", required=True, metadata={"description": "id of the run to measure"})

    class Meta:
        """As in the other queries."""

        unknown = "exclude"


def _number(description: str) -> fields.Float:
    return fields.Float(allow_none=True, metadata={"description": description})


class ClipErrorsSchema(Schema):
    """Distances from the reference over the counted points, in pixels of the clip; null without any."""

    mean_final = _number("mean error in the last common frame")
    median_final = _number("its median")
    mean_path = _number("mean error over the common frames after the first")
    median_path = _number("its median over the points")


class PredictionMetricsSchema(Schema):
    """The metrics of docs/compare.md; null where no point was measured."""

    epe = _number(f"mean final error, {OF_256}")
    ade = _number(f"mean error over the common frames, {OF_256}")
    epe_moving = _number("epe of the points that truly move by more than 1 pixel")
    ade_moving = _number("ade of those points")
    cosine = _number("mean cosine between the directions, of moving points")
    orientation = _number("mean of its absolute value")
    within = fields.Dict(
        keys=fields.String(),
        values=fields.Float(allow_none=True),
        metadata={"description": "the share of points whose final error is less than so many pixels"},
    )
    best_ade = _number("ade of the hypothesis with the largest weight")
    best_epe_moving = _number("its epe of moving points")
    min_ade = _number("ade of each point's nearest hypothesis")
    min_epe_moving = _number("epe of moving points, of the nearest hypothesis")
    hypotheses = fields.Integer(metadata={"description": "how many each point has; 1 for tracks"})
    coverage = _number("the share of final coordinates in the 90 % interval; null for tracks")
    points = fields.Integer(metadata={"description": "how many are counted"})
    moving = fields.Integer(metadata={"description": "how many of those truly move"})


class ComparisonSchema(Schema):
    """How far a candidate is from a reference."""

    reference = fields.String()
    candidate = fields.String()
    frames = fields.List(fields.Integer(), metadata={"description": "that both have, in the clip"})
    size = fields.List(fields.Integer(), metadata={"description": "height and width of the clip's frames"})
    grid = fields.Integer(metadata={"description": "points a side"})
    points = fields.Integer()
    pixels = fields.Nested(ClipErrorsSchema)
    metrics = fields.Nested(PredictionMetricsSchema)
    zero_pixels = fields.Nested(ClipErrorsSchema, metadata={"description": "of points that stay"})
    zero_metrics = fields.Nested(PredictionMetricsSchema, metadata={"description": "of points that stay"})
    starts = fields.List(
        fields.List(fields.Float()), metadata={"description": "x and y of each point in the first frame"}
    )
    final_error = fields.List(fields.Float(allow_none=True), metadata={"description": f"pixels; {UNCOUNTED}"})
    path_error = fields.List(fields.Float(allow_none=True), metadata={"description": f"pixels; {UNCOUNTED}"})


def comparison_json(reference: Run, candidate: Run, tracks: Tracks, found: Comparison) -> dict[str, Any]:
    """Return a comparison as the API shows it; tracks: of the reference."""
    return {
        "reference": reference.id,
        "candidate": candidate.id,
        "frames": found.frames.tolist(),
        "size": list(tracks.size),
        "grid": candidate.grid,
        "points": len(found.counted),
        "pixels": _errors_json(found.pixels),
        "metrics": found.metrics.to_json(),
        "zero_pixels": _errors_json(found.zero_pixels),
        "zero_metrics": found.zero_metrics.to_json(),
        "starts": np.round(tracks.points[0].astype(np.float64), 3).tolist(),
        "final_error": _numbers(found.final_error),
        "path_error": _numbers(found.path_error),
    }


def _errors_json(errors: ClipErrors) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in asdict(errors).items()}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
