"""How good tracks are: the metrics of TAP-Vid (Doersch et al. 2022), PIPs and PIPs++, in float64.

A *sample* is one query point in one evaluated frame. Evaluated are, where the truth is annotated, with
`first` all frames after the query's, with `strided` all frames but the query's. Thresholds, survival and
median L2 are measured after scaling both axes to 256×256; ATE, the share under 1 px and PCK-T in pixels of
the frames. A metric without any sample is NaN, and averages leave it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.motion.grid import inside_frame

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

QueryMode = Literal["first", "strided"]

THRESHOLDS = (1, 2, 4, 8, 16)
"""In pixels of a 256×256 frame; a point is within one when its distance is strictly less."""

SCALED_SIDE = 256.0
SURVIVAL_LIMIT = 16.0
"""A track ends at its first error over this, in pixels of a 256×256 frame."""

QUERY_STRIDE = 5
"""`strided` asks for the points visible in every 5th frame."""

PCK_SHARE = 0.2
"""PCK-T allows this share of the square root of the object's area (BADJA, Biggs et al. 2018)."""


class Queries(NamedTuple):
    """Which points are asked for where.

    tracks: int64 `[Q]`, the index of the true track; with `strided` a track comes several times.
    frames: int64 `[Q]`, the frame in which its true position is given to the tracker.
    """

    tracks: NDArray[np.int64]
    frames: NDArray[np.int64]


def select_queries(visible: NDArray[np.bool_], mode: QueryMode) -> Queries:
    """Choose the queries as TAP-Vid does.

    visible: bool `[T, N]`, truly visible (and annotated).
    mode: "first": each track in the first frame that shows it. "strided": each track in every 5th frame (0,
        5, 10, ...) that shows it. A track that is never visible is not asked for.
    """
    if mode == "first":
        tracks = np.flatnonzero(visible.any(axis=0))
        return Queries(tracks, visible.argmax(axis=0)[tracks])
    steps, tracks = np.nonzero(visible[::QUERY_STRIDE])
    return Queries(tracks, steps * QUERY_STRIDE)


@dataclass(frozen=True, eq=False)
class Comparison:
    """True and predicted positions of N queries in T frames of one video.

    true_points: `[T, N, 2]`, (x, y) in pixels of the frames; NaN where the position is not known.
    true_visible: bool `[T, N]`. A point that is not visible is hidden behind something when its position
        lies in the frame, and has left the frame otherwise.
    predicted_points: `[T, N, 2]`, as the true ones; finite wherever it is evaluated.
    predicted_visibility: bool, or numbers in [0, 1] of which those above 0.5 read as visible, `[T, N]`.
    query_frames: int `[N]`, the frame in which each query was given.
    size: (height, width) of the frames.
    mode: "first" or "strided": which frames are evaluated.
    annotated: bool `[T, N]`, where the truth says anything; by default where the position is known. True
        without a position means: known to be hidden, nobody knows where.
    object_areas: float `[T]`, the tracked object's area in each frame in square pixels, for PCK-T; NaN where
        unknown.

    Raises ValueError when shapes do not fit, a visible annotated point has no position, or an evaluated
    prediction is not finite.
    """

    true_points: NDArray[np.floating]
    true_visible: NDArray[np.bool_]
    predicted_points: NDArray[np.floating]
    predicted_visibility: NDArray[np.generic]
    query_frames: NDArray[np.integer]
    size: tuple[int, int]
    mode: QueryMode = "first"
    annotated: NDArray[np.bool_] | None = None
    object_areas: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        shape = self.true_visible.shape
        if len(shape) != 2 or self.true_visible.dtype != np.bool_:
            raise ValueError(f"true_visible must be bool [T, N], not {self.true_visible.dtype} {shape}.")
        expected = {
            "true_points": (*shape, 2),
            "predicted_points": (*shape, 2),
            "predicted_visibility": shape,
            "query_frames": shape[1:],
            "annotated": shape,
            "object_areas": shape[:1],
        }
        for name, wanted in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != wanted:
                raise ValueError(f"{name} must have the shape {wanted}, not {array.shape}.")
        if min(self.size) < 1:
            raise ValueError(f"the frames' size must be positive, not {self.size}.")
        if self.mode not in ("first", "strided"):
            raise ValueError(f"the query mode must be first or strided, not {self.mode}.")
        if (self.evaluated & self.true_visible & ~self.known).any():
            raise ValueError("a visible annotated point must have a position.")
        if not np.isfinite(self.predicted_points[self.evaluated]).all():
            raise ValueError("predicted points must be finite.")

    @property
    def known(self) -> NDArray[np.bool_]:
        """Bool `[T, N]`: the true position is known."""
        return np.asarray(np.isfinite(self.true_points).all(axis=2), np.bool_)

    @property
    def evaluated(self) -> NDArray[np.bool_]:
        """Bool `[T, N]`: the samples."""
        frames = np.arange(len(self.true_visible))[:, None]
        chosen = frames > self.query_frames if self.mode == "first" else frames != self.query_frames
        return chosen & (self.known if self.annotated is None else self.annotated)


@dataclass(frozen=True)
class TrackingMetrics:
    """All metrics of one video, or of several together. Shares are 0 to 1, lengths in pixels.

    delta_avg, delta: the share of visible samples within each of `THRESHOLDS`, and its mean over them;
        predicted visibility plays no part.
    average_jaccard, jaccard: TP / (visible + FP), TP being within the threshold, visible and predicted
        visible; FP predicted visible, but not visible or not within.
    occlusion_accuracy: the share of samples whose visibility is predicted right; those outside the frame
        count as not visible.
    visible_recall, occluded_recall: the same share among the visible and among the others.
    balanced_occlusion_accuracy: their mean; NaN when one of them is.
    ate_visible, ate_occluded: mean distance of the visible samples, and of those hidden within the frame.
    median_visible, median_occluded: their median distance.
    under_1px: the share of visible samples less than 1 px off.
    survival: for each track the share of its samples (visible or hidden within the frame) that are reached,
        going away from the query frame, before an error over 16 px; then the mean over tracks.
    median_l2: for each track the median distance of the same samples; then the mean over tracks.
    pck_t: the share of visible samples less than 0.2·sqrt(object's area) off, where the area is known.
    tracks, samples, visible_samples, occluded_samples: how many there are; occluded ones within the frame.
    """

    delta_avg: float
    delta: tuple[float, ...]
    average_jaccard: float
    jaccard: tuple[float, ...]
    occlusion_accuracy: float
    visible_recall: float
    occluded_recall: float
    balanced_occlusion_accuracy: float
    ate_visible: float
    ate_occluded: float
    median_visible: float
    median_occluded: float
    under_1px: float
    survival: float
    median_l2: float
    pck_t: float
    tracks: int
    samples: int
    visible_samples: int
    occluded_samples: int

    def to_json(self) -> dict[str, Any]:
        """Return names and values as JSON has them: None for NaN, per-threshold metrics by threshold."""
        return metrics_to_json(self, THRESHOLDS)


def pooled_metrics(comparisons: Sequence[Comparison]) -> TrackingMetrics:
    """Measure the samples and tracks of several videos as if they were of one: long ones weigh more.

    Raises ValueError when there are no comparisons.
    """
    if not comparisons:
        raise ValueError("there is nothing to compare.")
    parts = [_samples(comparison) for comparison in comparisons]
    together = _Samples(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return _measure(together)


def mean_metrics(metrics: Sequence[TrackingMetrics]) -> TrackingMetrics:
    """Average over videos, each of equal weight, as published figures are; counts are summed.

    A metric that is NaN in a video is left out there; where it is NaN in all it stays NaN.
    """
    values: dict[str, Any] = {}
    for field in fields(TrackingMetrics):
        column = [getattr(one, field.name) for one in metrics]
        if field.type is int:
            values[field.name] = sum(column)
        elif field.type is float:
            values[field.name] = mean_of(column)
        else:
            values[field.name] = tuple(map(mean_of, zip(*column, strict=True)))
    return TrackingMetrics(**values)


class _Samples(NamedTuple):
    """Columns of K samples, and of M tracks in the last two.

    distance: pixels of the frames. scaled: squared distance in 256×256. Both NaN where the truth has no
    position. hidden: not visible, position known and in the frame. pck_limit: NaN where unknown.
    """

    distance: NDArray[np.float64]
    scaled: NDArray[np.float64]
    visible: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    pck_limit: NDArray[np.float64]
    survival: NDArray[np.float64]
    median_l2: NDArray[np.float64]


def _samples(comparison: Comparison) -> _Samples:
    height, width = comparison.size
    true = comparison.true_points.astype(np.float64)
    # Predictions outside the evaluated frames may be anything, NaN too.
    offset = np.where(comparison.evaluated[..., None], comparison.predicted_points - true, np.nan)
    squared = (offset**2).sum(axis=2)
    scaled = (offset[..., 0] * SCALED_SIDE / width) ** 2 + (offset[..., 1] * SCALED_SIDE / height) ** 2

    visible = comparison.true_visible
    hidden = ~visible & inside_frame(true, comparison.size)
    areas = comparison.object_areas
    limits = np.full(len(true), np.nan) if areas is None else PCK_SHARE * np.sqrt(areas.astype(np.float64))

    chosen = comparison.evaluated
    followed = chosen & (visible | hidden)
    return _Samples(
        distance=np.sqrt(squared[chosen]),
        scaled=scaled[chosen],
        visible=visible[chosen],
        hidden=hidden[chosen],
        predicted=np.greater(comparison.predicted_visibility, 0.5)[chosen],
        pck_limit=np.broadcast_to(limits[:, None], chosen.shape)[chosen],
        survival=_survival(scaled, followed, comparison.query_frames),
        median_l2=np.array(
            [
                np.median(np.sqrt(scaled[rows, track])) if rows.any() else np.nan
                for track, rows in enumerate(followed.T)
            ],
            np.float64,
        ),
    )


def _survival(
    scaled: NDArray[np.float64], followed: NDArray[np.bool_], query_frames: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Float64 `[N]`: each track's share of samples before an error over the limit; NaN without samples."""
    frames = np.arange(len(scaled))[:, None]
    lost = followed & (scaled > SURVIVAL_LIMIT**2)
    lost_forward = np.logical_or.accumulate(lost & (frames > query_frames), axis=0)
    lost_backward = np.logical_or.accumulate((lost & (frames < query_frames))[::-1], axis=0)[::-1]
    alive = (followed & ~lost_forward & ~lost_backward).sum(axis=0)
    count = followed.sum(axis=0)
    return np.where(count > 0, alive / np.maximum(count, 1), np.nan)


def _measure(samples: _Samples) -> TrackingMetrics:
    visible, predicted = samples.visible, samples.predicted
    delta, jaccard = [], []
    for threshold in THRESHOLDS:
        within = samples.scaled < threshold**2
        delta.append(_share(within[visible]))
        true_positives = int((within & visible & predicted).sum())
        false_positives = int((predicted & ~(visible & within)).sum())
        positives = int(visible.sum()) + false_positives
        jaccard.append(true_positives / positives if positives else np.nan)
    recalls = _share(predicted[visible]), _share(~predicted[~visible])
    seen, hidden = samples.distance[visible], samples.distance[samples.hidden]
    with_area = visible & np.isfinite(samples.pck_limit)
    return TrackingMetrics(
        delta_avg=float(np.mean(delta)),
        delta=tuple(delta),
        average_jaccard=float(np.mean(jaccard)),
        jaccard=tuple(jaccard),
        occlusion_accuracy=_share(predicted == visible),
        visible_recall=recalls[0],
        occluded_recall=recalls[1],
        balanced_occlusion_accuracy=float(np.mean(recalls)),
        ate_visible=mean_of(seen),
        ate_occluded=mean_of(hidden),
        median_visible=float(np.median(seen)) if seen.size else np.nan,
        median_occluded=float(np.median(hidden)) if hidden.size else np.nan,
        under_1px=_share(seen < 1),
        survival=mean_of(samples.survival),
        median_l2=mean_of(samples.median_l2),
        pck_t=_share(samples.distance[with_area] < samples.pck_limit[with_area]),
        tracks=int(np.isfinite(samples.survival).sum()),
        samples=len(visible),
        visible_samples=int(visible.sum()),
        occluded_samples=int(samples.hidden.sum()),
    )


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if hits.size else np.nan


def mean_of(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the mean of those that are not NaN; NaN when there are none."""
    kept = np.asarray(values, np.float64)
    kept = kept[~np.isnan(kept)]
    return float(kept.mean()) if kept.size else np.nan


def metrics_to_json(metrics: "DataclassInstance", thresholds: Sequence[int]) -> dict[str, Any]:
    """Return the names and values of metrics as JSON has them.

    metrics: a dataclass of numbers and of tuples with a number for each threshold. NaN becomes None.
    """
    result: dict[str, Any] = {}
    for field in fields(metrics):
        value = getattr(metrics, field.name)
        if isinstance(value, tuple):
            shares = zip(thresholds, value, strict=True)
            result[field.name] = {str(threshold): _number(share) for threshold, share in shares}
        else:
            result[field.name] = _number(value)
    return result


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
