"""A prediction, or other tracks, measured against tracks of the same points of the same clip."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.datasets.index import REFERENCE_HEIGHT
from model.evaluation.prediction_metrics import Outcome, PredictionMetrics, prediction_metrics
from model.motion.prediction import Prediction
from model.motion.tracks import Tracks

SAME_POINT = 0.05
"""Pixels within which two query points are one."""

Errors = NDArray[np.float64]


@dataclass(frozen=True)
class ClipErrors:
    """Distances from the reference over the counted points, in pixels of the clip; NaN without any point.

    Final: in the last common frame. Path: averaged over the common frames after the first.
    """

    mean_final: float
    median_final: float
    mean_path: float
    median_path: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """How far a candidate is from a reference.

    frames: int32 `[T]`, the frames in which both say where the points are; the first is the query's.
    counted: bool `[N]`, the points that are measured: the reference is visible in the last common frame.
    final_error, path_error: float64 `[N]`, pixels of the clip; NaN where not counted. See `ClipErrors`.
    displacement, true_displacement: float64 `[N]`, pixels of the clip that the candidate and the reference go
        from the first to the last common frame; NaN where not counted.
    pixels, metrics: of the candidate. zero_pixels, zero_metrics: of points that stay where they begin.
    """

    frames: NDArray[np.int32]
    counted: NDArray[np.bool_]
    final_error: Errors
    path_error: Errors
    displacement: Errors
    true_displacement: Errors
    pixels: ClipErrors
    metrics: PredictionMetrics
    zero_pixels: ClipErrors
    zero_metrics: PredictionMetrics


def compare(reference: Tracks, candidate: Tracks, prediction: Prediction | None = None) -> Comparison:
    """Measure a candidate against a reference, in the frames that both have.

    prediction: the candidate's, if it is one; its hypotheses and interval are then measured too.
    Raises BadInput unless both belong to frames of one size, begin in the same frame with the same points
    (within 0.05 pixels), and share a later frame.
    """
    _check_comparable(reference, candidate)
    frames, rows, own = np.intersect1d(reference.frames, candidate.frames, return_indices=True)
    if len(frames) < 2:
        raise BadInput(_no_common_frame(reference, candidate))
    start = reference.points[0].astype(np.float64)
    truth = reference.points[rows] - start  # [T, N, 2], as are all below
    answer = candidate.points[own] - start
    counted = reference.visible[rows[-1]]
    unit = reference.size[0] / REFERENCE_HEIGHT

    def chosen(positions: NDArray[np.floating]) -> Errors:
        """Take `[..., T, N, 2]` in pixels of the clip to `[..., P, T - 1, 2]`, as `Outcome` has them."""
        later = positions[..., 1:, :, :][..., counted, :]
        return np.asarray(np.swapaxes(later, -2, -3) / unit, np.float64)

    zero = np.zeros_like(truth)
    outcome = Outcome.of_answer(chosen(truth), chosen(answer))
    if prediction is not None:
        outcome = Outcome(
            chosen(truth),
            chosen(answer),
            np.moveaxis(chosen(prediction.hypotheses[:, own] - start), 0, 1),
            prediction.weights[:, counted].T.astype(np.float64),
            chosen(prediction.interval[:, own] - start),
        )
    final_error, path_error = _errors(truth, answer, counted)
    return Comparison(
        frames=frames.astype(np.int32),
        counted=counted,
        final_error=final_error,
        path_error=path_error,
        displacement=np.where(counted, np.linalg.norm(answer[-1], axis=1), np.nan),
        true_displacement=np.where(counted, np.linalg.norm(truth[-1], axis=1), np.nan),
        pixels=_summed_up(final_error[counted], path_error[counted]),
        metrics=prediction_metrics(outcome),
        zero_pixels=_summed_up(*(each[counted] for each in _errors(truth, zero, counted))),
        zero_metrics=prediction_metrics(Outcome.of_answer(chosen(truth), chosen(zero))),
    )


def _check_comparable(reference: Tracks, candidate: Tracks) -> None:
    if reference.size != candidate.size:
        raise BadInput(
            f"The frames must have one size, but they have {_size(reference)} and {_size(candidate)} pixels; "
            "compare two runs of the same clip."
        )
    for tracks in (reference, candidate):
        if tracks.query_frame not in (None, int(tracks.frames[0])):
            raise BadInput(
                "Only motion from the query points on can be compared, but one of both was followed "
                "backwards; track forwards."
            )
    if reference.frames[0] != candidate.frames[0]:
        raise BadInput(
            f"Both must begin in the same frame, but they begin in frames {reference.frames[0]} and "
            f"{candidate.frames[0]}; track from frame {candidate.frames[0]}."
        )
    ours, theirs = reference.points[0], candidate.points[0]
    if len(ours) != len(theirs):
        raise BadInput(
            f"Both must have the same points, but they have {len(ours)} and {len(theirs)}; track the "
            "candidate's grid."
        )
    if (np.abs(ours - theirs) > SAME_POINT).any():
        raise BadInput("Both must begin at the same points, but they do not; track the candidate's grid.")


def _no_common_frame(reference: Tracks, candidate: Tracks) -> str:
    later = ", ".join(str(frame) for frame in candidate.frames[1:5])
    wanted = f"one of the frames {later}" if len(candidate.frames) > 2 else f"frame {later}"
    if not later:
        return "The candidate has one frame only, so it says nothing of any motion; give it more frames."
    return f"Both share no frame after frame {reference.frames[0]}; track up to {wanted} of the candidate."


def _errors(truth: Errors, answer: Errors, counted: NDArray[np.bool_]) -> tuple[Errors, Errors]:
    """Return final and path error of each point, `[N]`; NaN where it is not counted."""
    distance = np.where(counted, np.linalg.norm(answer - truth, axis=2)[1:], np.nan)
    return distance[-1], distance.mean(axis=0)


def _summed_up(final: Errors, path: Errors) -> ClipErrors:
    if not len(final):
        return ClipErrors(np.nan, np.nan, np.nan, np.nan)
    return ClipErrors(*(float(value) for each in (final, path) for value in (each.mean(), np.median(each))))


def _size(tracks: Tracks) -> str:
    return f"{tracks.size[1]}×{tracks.size[0]}"
