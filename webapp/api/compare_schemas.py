"""The JSON of comparisons."""

from typing import Any

import numpy as np
from marshmallow import Schema, fields

from model.evaluation.comparison import Comparison
from model.motion.tracks import Tracks
from webapp.api.fields import asked_text, integer, number, shown, text
from webapp.api.schemas import CameraQuery
from webapp.rows.records import Run

OF_256 = "pixels of a 256-high image"
OF_POINTS = "pixels; null where a point is not counted"


class CompareQuery(CameraQuery):
    """Which runs are compared."""

    reference = asked_text("reference", "id of a run, held for true", required=True)
    candidate = asked_text("candidate", "id of the run to measure", required=True)


class ClipErrorsSchema(Schema):
    """Distances from the reference over the counted points, in pixels of the clip; null without any."""

    mean_final = number("mean error in the last common frame", null=True)
    median_final = number("its median", null=True)
    mean_path = number("mean error over the common frames after the first", null=True)
    median_path = number("its median over the points", null=True)


class PredictionMetricsSchema(Schema):
    """The metrics of docs/compare.md; null where no point was measured."""

    epe = number(f"mean final error, {OF_256}", null=True)
    ade = number(f"mean error over the common frames, {OF_256}", null=True)
    epe_moving = number("epe of the points that truly move by more than 1 pixel", null=True)
    ade_moving = number("ade of those points", null=True)
    cosine = number("mean cosine between the directions, of moving points", null=True)
    orientation = number("mean of its absolute value", null=True)
    within = shown(
        fields.Dict,
        "the share of points whose final error is less than so many pixels",
        keys=fields.String(),
        values=number(null=True),
    )
    best_ade = number("ade of the hypothesis with the largest weight", null=True)
    best_epe_moving = number("its epe of moving points", null=True)
    min_ade = number("ade of each point's nearest hypothesis", null=True)
    min_epe_moving = number("epe of moving points, of the nearest hypothesis", null=True)
    hypotheses = integer("how many each point has; 1 for tracks")
    coverage = number("the share of final coordinates in the 90 % interval; null for tracks", null=True)
    points = integer("how many are counted")
    moving = integer("how many of those truly move")


class ComparisonSchema(Schema):
    """How far a candidate is from a reference."""

    reference = text()
    candidate = text()
    frames = fields.List(fields.Integer(), metadata={"description": "that both have, in the clip"})
    size = fields.List(fields.Integer(), metadata={"description": "height and width of the clip's frames"})
    grid = integer("points a side; null: points of one's own", null=True)
    points = integer()
    pixels = fields.Nested(ClipErrorsSchema)
    metrics = fields.Nested(PredictionMetricsSchema)
    zero_pixels = fields.Nested(ClipErrorsSchema, metadata={"description": "of points that stay"})
    zero_metrics = fields.Nested(PredictionMetricsSchema, metadata={"description": "of points that stay"})
    starts = fields.List(
        fields.List(fields.Float()), metadata={"description": "x and y of each point in the first frame"}
    )
    final_error = fields.List(number(null=True), metadata={"description": OF_POINTS})
    path_error = fields.List(number(null=True), metadata={"description": OF_POINTS})
    displacement = fields.List(number(null=True), metadata={"description": f"at the end; {OF_POINTS}"})
    true_displacement = fields.List(
        number(null=True), metadata={"description": f"that of the reference; {OF_POINTS}"}
    )


def comparison_json(reference: Run, candidate: Run, tracks: Tracks, found: Comparison) -> dict[str, Any]:
    """Return a comparison as `ComparisonSchema` shows it; tracks: of the reference."""
    return {
        **vars(found),
        "reference": reference.id,
        "candidate": candidate.id,
        "size": tracks.size,
        "grid": candidate.grid,
        "points": len(found.counted),
        "metrics": found.metrics.to_json(),
        "zero_metrics": found.zero_metrics.to_json(),
        "starts": np.round(tracks.points[0].astype(np.float64), 3),
        "final_error": np.round(found.final_error, 4),
        "path_error": np.round(found.path_error, 4),
        "displacement": np.round(found.displacement, 4),
        "true_displacement": np.round(found.true_displacement, 4),
    }
