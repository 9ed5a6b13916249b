"""One tracker on one clip: its predictions for the queries, beside the truth."""

from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.core.progress import UNWATCHED, Progress, Watch
from model.evaluation.annotations import AnnotatedClip
from model.evaluation.metrics import Comparison, QueryMode, select_queries
from model.tracking.tracker import Tracker

EvaluationProtocol = Literal["first", "strided", "chained"]
"""`first` and `strided` as in TAP-Vid; `chained` for sparse annotations: from each annotated frame to the
next annotated one, with a fresh query each time."""


def compare(
    tracker: Tracker,
    clip: AnnotatedClip,
    frames: NDArray[np.uint8],
    protocol: EvaluationProtocol,
    watch: Watch = UNWATCHED,
) -> list[Comparison]:
    """Track a clip's queries and lay the predictions beside the truth.

    frames: uint8 `[T, H, W, 3]`, all frames of the clip.
    protocol: with "first" and "strided" the tracker gets, for each query frame, all frames from there on, and
        with "strided" also those before, in reverse order. With "chained" it gets the frames from one
        annotated frame to the next one, and the points that are visible in the first and annotated in both.
    watch: told the stage "tracking" and how many of the clip's trackings are done.
    Returns one comparison, or with "chained" one of 2 frames for each pair of annotated frames.
    Raises Stopped on request.
    """
    if protocol == "chained":
        return _compare_chained(tracker, clip, frames, watch)
    return [_compare_from_queries(tracker, clip, frames, protocol, watch)]


def _compare_from_queries(
    tracker: Tracker,
    clip: AnnotatedClip,
    frames: NDArray[np.uint8],
    mode: QueryMode,
    watch: Watch,
) -> Comparison:
    queries = select_queries(clip.visible, mode)
    points = np.full((len(frames), len(queries.tracks), 2), np.nan, np.float32)
    visibility = np.zeros(points.shape[:2], np.float32)
    ways = [
        (start, way)
        for start in np.unique(queries.frames)
        for way in (slice(start, None), slice(start, None, -1))[: 1 if mode == "first" else 2]
        if len(frames[way]) > 1  # else there is nothing but the query itself
    ]
    for count, (start, way) in enumerate(ways):
        chosen = np.flatnonzero(queries.frames == start)
        tracks = tracker.track(
            frames[way],
            clip.points[start, queries.tracks[chosen]],
            part_of(watch, "tracking", count, len(ways)),
        )
        points[way, chosen] = tracks.points
        visibility[way, chosen] = tracks.visibility
    return Comparison(
        true_points=clip.points[:, queries.tracks],
        true_visible=clip.visible[:, queries.tracks],
        predicted_points=points,
        predicted_visibility=visibility,
        query_frames=queries.frames,
        size=clip.size,
        mode=mode,
        annotated=clip.annotated[:, queries.tracks],
        object_areas=clip.object_areas,
    )


def _compare_chained(
    tracker: Tracker,
    clip: AnnotatedClip,
    frames: NDArray[np.uint8],
    watch: Watch,
) -> list[Comparison]:
    annotated_frames = np.flatnonzero(clip.annotated.any(axis=1))
    pairs = list(pairwise(annotated_frames))
    comparisons = []
    for count, (first, second) in enumerate(pairs):
        chosen = np.flatnonzero(clip.visible[first] & clip.annotated[second])
        if len(chosen):
            tracks = tracker.track(
                frames[first : second + 1],
                clip.points[first, chosen],
                part_of(watch, "tracking", count, len(pairs)),
            )
            rows = np.ix_([first, second], chosen)
            comparisons.append(
                Comparison(
                    true_points=clip.points[rows],
                    true_visible=clip.visible[rows],
                    predicted_points=tracks.points[[0, -1]],
                    predicted_visibility=tracks.visibility[[0, -1]],
                    query_frames=np.zeros(len(chosen), np.int64),
                    size=clip.size,
                    annotated=clip.annotated[rows],
                    object_areas=None if clip.object_areas is None else clip.object_areas[[first, second]],
                )
            )
    return comparisons


def part_of(watch: Watch, stage: str, done: int, total: int) -> Watch:
    """Turn the reports of the piece that follows `done` pieces of `total` into reports of the whole."""

    def report(inner: Progress) -> None:
        watch.progress(Progress(stage, done + (inner.fraction or 0.0), total))

    return Watch(report, watch.should_stop)
