"""Where a result comes from: what every file that leaves the app says of itself."""

from typing import Any

from model.core.version import VERSION
from model.motion.tracks import Tracks
from model.tracking.methods import method_title
from webapp.rows.records import Run


def about(run: Run, tracks: Tracks) -> dict[str, Any]:
    """Tell clip, method, weights, settings and version of a run with tracks, as JSON values.

    citation: the same in a sentence, to be put under a figure.
    """
    method = tracks.method
    facts = {
        "stillmotion": VERSION,
        "run": run.id,
        "clip": run.clip.name,
        "clip_sha256": run.clip.sha256,
        "frames": [int(tracks.frames[0]), int(tracks.frames[-1])],
        "points": int(tracks.points.shape[1]),
        "method": method.name,
        "weights_sha256": method.weights_sha256,
        "settings": dict(method.settings),
        "made": run.created_at.isoformat(timespec="seconds"),
    }
    return {**facts, "citation": _citation(run, facts)}


def _citation(run: Run, facts: dict[str, Any]) -> str:
    found = "predicted from its frame" if run.is_prediction else "tracked in its frames"
    first, last = facts["frames"]
    span = f"{first}" if run.is_prediction else f"{first} to {last}"
    weights = facts["weights_sha256"]
    with_weights = f" (weights with sha256 {weights[:16]}…)" if weights else ""
    return (
        f"Motion of {facts['points']:,} points of “{facts['clip']}” (sha256 {facts['clip_sha256'][:16]}…), "
        f"{found} {span} with {method_title(run.method)}{with_weights}. "
        f"Stillmotion {VERSION}, run {run.id}, {run.created_at:%Y-%m-%d}."
    )
