"""Several trackers on several clips."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Progress, Watch
from model.evaluation.annotations import AnnotatedClip
from model.evaluation.metrics import Comparison, TrackingMetrics, mean_metrics, pooled_metrics
from model.evaluation.trackers.compare import EvaluationProtocol, compare, part_of
from model.motion.tracks import Method
from model.tracking.tracker import Tracker

LARGEST_CLIP_BYTES = 8 * 1024**3
"""A clip's frames are held in memory, since backward tracking reads them in reverse."""


@dataclass(frozen=True, eq=False)
class ClipResult:
    """One tracker on one clip. metrics: None where there was nothing to evaluate. seconds: of tracking."""

    name: str
    comparisons: tuple[Comparison, ...]
    metrics: TrackingMetrics | None
    seconds: float


@dataclass(frozen=True, eq=False)
class MethodResult:
    """One tracker on all clips.

    mean: the average over clips, each of equal weight. pooled: all samples together.
    """

    name: str
    method: Method
    clips: tuple[ClipResult, ...]
    mean: TrackingMetrics
    pooled: TrackingMetrics

    @property
    def seconds(self) -> float:
        """Of tracking, on all clips."""
        return sum(clip.seconds for clip in self.clips)


def evaluate(
    clips: Sequence[AnnotatedClip],
    trackers: Mapping[str, Tracker],
    protocol: EvaluationProtocol,
    watch: Watch = UNWATCHED,
) -> list[MethodResult]:
    """Run every tracker on every clip and measure it, in the order of `trackers`.

    clips: read one at a time, whole into memory.
    protocol: see `model.evaluation.trackers.compare.compare`.
    watch: told the stage "evaluating", counted in clips × trackers.
    Raises BadInput when a clip cannot be read, is too large for the memory, or no clip has anything to
    evaluate; Stopped on request.
    """
    results: dict[str, list[ClipResult]] = {name: [] for name in trackers}
    total = len(clips) * len(trackers)
    for clip in clips:
        watch.check()
        frames = _read(clip)
        for name, tracker in trackers.items():
            done = sum(len(finished) for finished in results.values())
            start = time.perf_counter()
            comparisons = compare(tracker, clip, frames, protocol, part_of(watch, "evaluating", done, total))
            seconds = time.perf_counter() - start
            metrics = pooled_metrics(comparisons) if comparisons else None
            results[name].append(ClipResult(clip.name, tuple(comparisons), metrics, seconds))
            watch.progress(Progress("evaluating", done + 1, total))
    return [_summed_up(name, tracker.engine.method, results[name]) for name, tracker in trackers.items()]


def _read(clip: AnnotatedClip) -> NDArray[np.uint8]:
    """All frames, uint8 `[T, H, W, 3]`."""
    shape = (clip.frame_count, *clip.size, 3)
    if np.prod(shape, dtype=np.int64) > LARGEST_CLIP_BYTES:
        raise BadInput(
            f"The clip {clip.name} has {shape[0]} frames of {clip.size[1]}×{clip.size[0]}, more than fit "
            "into memory; reduce them with --max-side."
        )
    frames = np.empty(shape, np.uint8)
    count = 0
    for count, frame in enumerate(clip.read(), 1):
        if count > len(frames) or frame.shape != shape[1:]:
            raise _misfit(clip)
        frames[count - 1] = frame
    if count < len(frames):
        raise _misfit(clip)
    return frames


def _misfit(clip: AnnotatedClip) -> BadInput:
    return BadInput(
        f"The frames of the clip {clip.name} do not fit its true tracks, which expect {clip.frame_count} of "
        f"{clip.size[1]}×{clip.size[0]}: its file is damaged or was changed."
    )


def _summed_up(name: str, method: Method, clips: list[ClipResult]) -> MethodResult:
    measured = [clip.metrics for clip in clips if clip.metrics is not None]
    if not any(metrics.samples for metrics in measured):
        raise BadInput(
            "The true tracks leave nothing to evaluate: no point is visible before the last frame."
        )
    pooled = pooled_metrics([comparison for clip in clips for comparison in clip.comparisons])
    return MethodResult(name, method, tuple(clips), mean_metrics(measured), pooled)
