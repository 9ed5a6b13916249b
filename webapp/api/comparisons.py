"""/api/v1/compare: a prediction, or other tracks, measured against another run of the same clip."""

from collections.abc import Mapping
from typing import Any

from flask_smorest import Blueprint

from model.core.errors import BadInput
from model.evaluation.comparison import compare
from webapp.api.compare_schemas import CompareQuery, ComparisonSchema, comparison_json
from webapp.api.problems import can_fail
from webapp.api.results import result_of, run_with_tracks, tracks_of

comparisons = Blueprint(
    "comparisons", __name__, url_prefix="/api/v1/compare", description="One run measured against another"
)


@comparisons.route("", methods=["GET"])
@comparisons.arguments(CompareQuery, location="query")
@comparisons.response(200, ComparisonSchema)
@can_fail(404, 409, 422)
def compare_runs(query: Mapping[str, str]) -> dict[str, Any]:
    """Measure a run against another one that begins in the same frame with the same points."""
    reference, candidate = (run_with_tracks(query[name]) for name in ("reference", "candidate"))
    if reference.clip_id != candidate.clip_id:
        raise BadInput("The runs are of different clips; compare two runs of one clip.")
    tracks = tracks_of(reference, query["camera"])
    found = compare(tracks, *result_of(candidate, query["camera"]))
    return comparison_json(reference, candidate, tracks, found)
