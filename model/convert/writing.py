"""The thread that writes: it turns tracked chunks into samples and samples into shards."""

import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from model.convert.plan import Plan, Segment, Shard
from model.convert.profile import Stopwatch
from model.convert.scan import failure
from model.core.errors import Stopped
from model.datasets.folder import DataFolder
from model.datasets.sample import MotionSummary, Sample, SampleFacts, jpeg
from model.datasets.shards import Failure, ShardIndex, ShardWriter, archive_name
from model.motion.tracks import Method, Tracks


@dataclass(frozen=True, eq=False)
class TrackedChunk:
    """A chunk with its trajectories.

    picture: uint8 `[h, w, 3]`, the first frame. start: among the sampled frames.
    tracks: in pixels of the video. backward_error: float32 `[N]` pixels, NaN where unchecked, or None.
    """

    segment: Segment
    start: int
    picture: NDArray[np.uint8]
    tracks: Tracks
    summary: MotionSummary
    backward_error: NDArray[np.float32] | None


@dataclass(frozen=True)
class Skipped:
    """A chunk that does not become a sample."""

    reason: str


@dataclass(frozen=True)
class SegmentDone:
    """A segment's chunks have all been given. error: why they must not be used, or None."""

    segment: Segment
    error: Exception | None


Item = TrackedChunk | Skipped | SegmentDone


class WritingThread:
    """Writes some shards, one after the other, as their chunks come in; a full queue makes the giver wait.

    on_shard: called in the writing thread with the name of each shard that is finished. To be used as a
    context manager: at its end everything is written or, after an error, the unfinished shard thrown away.
    """

    def __init__(
        self,
        plan: Plan,
        shards: list[Shard],
        folder: DataFolder,
        method: Method,
        stopwatch: Stopwatch,
        on_shard: Callable[[str], None],
        ahead: int = 16,
    ) -> None:
        self._queue: queue.Queue[Item | None] = queue.Queue(ahead)
        self._stopwatch = stopwatch
        self._error: Exception | None = None
        self._is_over = threading.Event()
        self._shards = _Shards(plan, shards, folder, method, stopwatch, on_shard)
        self._thread = threading.Thread(target=self._run, name="writing", daemon=True)

    def __enter__(self) -> "WritingThread":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._is_over.set()
        self._put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def give(self, item: Item) -> None:
        """Hand over a chunk or the end of a segment. Raises what went wrong with earlier ones."""
        if self._error is not None:
            raise self._error
        self._put(item)

    def _put(self, item: Item | None) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            with self._stopwatch.stage("wait for writing"):
                self._queue.put(item)

    def _run(self) -> None:
        """Take items to the very end, whatever happens: the giver may be waiting for room in the queue."""
        while (item := self._queue.get()) is not None:
            if self._error is None and not self._is_over.is_set():
                self._error = self._shards.write(item)
        self._shards.discard(Stopped("The shard is not finished."))


class _Shards:
    """The shards that are written, the first one open."""

    def __init__(
        self,
        plan: Plan,
        shards: list[Shard],
        folder: DataFolder,
        method: Method,
        stopwatch: Stopwatch,
        on_shard: Callable[[str], None],
    ) -> None:
        self._plan, self._folder, self._method = plan, folder, method
        self._stopwatch, self._on_shard = stopwatch, on_shard
        self._waiting = list(shards)
        self._stack = ExitStack()
        self._writer: ShardWriter | None = None
        self._mark = (0, 0)
        self._segments_left = 0
        self._failures: list[Failure] = []
        self._skipped: dict[str, int] = {}
        self._skipped_in_segment: list[str] = []

    def write(self, item: Item) -> Exception | None:
        """Write a sample, or end a segment and perhaps its shard.

        What goes wrong throws the shard away, and is returned.
        """
        try:
            with self._stopwatch.stage("write"):
                self._take(item)
        except Exception as error:  # noqa: BLE001 - raised in the thread that gives the chunks
            return self.discard(error)
        return None

    def discard(self, error: Exception) -> Exception:
        """Throw the unfinished shard away because of an error; return it, a full disk in a sentence."""
        if self._writer is not None:
            self._stack.callback(self._writer.close)  # comes before the file's removal
            self._writer = None
        try:
            self._stack.__exit__(type(error), error, error.__traceback__)
        except Exception as explained:  # noqa: BLE001 - likewise
            return explained
        return error

    def _take(self, item: Item) -> None:
        writer = self._writer or self._open()
        if isinstance(item, TrackedChunk):
            writer.add(_sample(item, self._plan))
            self._stopwatch.count("samples")
        elif isinstance(item, Skipped):
            self._skipped_in_segment.append(item.reason)
        else:
            self._end_segment(writer, item)

    def _open(self) -> ShardWriter:
        self._stack = ExitStack()
        path = self._stack.enter_context(self._folder.new_file(archive_name(self._waiting[0].name)))
        self._writer = ShardWriter(path)
        self._mark = self._writer.mark()
        self._segments_left = len(self._waiting[0].segments)
        self._failures, self._skipped, self._skipped_in_segment = [], {}, []
        return self._writer

    def _end_segment(self, writer: ShardWriter, done: SegmentDone) -> None:
        if done.error is None:
            for reason in self._skipped_in_segment:
                self._skipped[reason] = self._skipped.get(reason, 0) + 1
        else:
            writer.take_back(self._mark)
            source = self._plan.sources[done.segment.source]
            self._failures.append(failure(source.place.name, done.error, self._folder))
        self._mark = writer.mark()
        self._skipped_in_segment = []
        self._segments_left -= 1
        if self._segments_left == 0:
            self._finish(writer)

    def _finish(self, writer: ShardWriter) -> None:
        shard = self._waiting.pop(0)
        size, entries = writer.finish()
        self._writer = None
        self._stack.close()  # brings the archive to its place; the index follows, so that it never lies
        self._stopwatch.count("bytes", size)
        method = {
            "name": self._method.name,
            "weights_sha256": self._method.weights_sha256,
            "settings": dict(self._method.settings),
        }
        index = ShardIndex(
            shard.name,
            size,
            entries,
            tuple(self._failures),
            self._skipped,
            method,
            self._plan.recipe(shard),
        )
        index.save(self._folder)
        self._on_shard(shard.name)


def _sample(chunk: TrackedChunk, plan: Plan) -> Sample:
    settings, source = plan.settings, plan.sources[chunk.segment.source]
    tracks, summary = chunk.tracks, chunk.summary
    start = chunk.start * settings.frame_step
    queries = tracks.points[0]
    facts = SampleFacts(
        source=source.place.name,
        source_sha256=source.sha256,
        split=settings.split_of(source.sha256),
        start=start,
        frame_step=settings.frame_step,
        count=len(tracks.points),
        horizon=settings.horizon,
        fps=source.fps,
        size=source.size,
        image_size=(chunk.picture.shape[0], chunk.picture.shape[1]),
        grid=settings.grid,
        method=settings.method,
        weights_sha256=settings.weights_sha256,
        quality=_quality(chunk),
        **asdict(summary),
    )
    error = chunk.backward_error
    return Sample(
        key=f"{source.sha256[:16]}-{settings.digest}-{start:07d}",
        image=jpeg(chunk.picture, settings.jpeg_quality),
        queries=queries,
        displacement=_half(tracks.points - queries),
        visibility=tracks.visibility.astype(np.float16),
        backward_error=None if error is None else _half(error),
        facts=facts,
    )


NEAR = 2.0
"""Pixels of an image with as many pixels as 360×640 has; see `SampleFacts.quality`."""


def _quality(chunk: TrackedChunk) -> float | None:
    """The share of the checked points still visible in the end that come back; 0 where none is."""
    error = chunk.backward_error
    if error is None:
        return None
    checked = error[np.isfinite(error) & chunk.tracks.visible[-1]]
    height, width = chunk.tracks.size
    near = NEAR * (height * width / (360 * 640)) ** 0.5
    return round(float((checked < near).mean()), 6) if len(checked) else 0.0


def _half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round to float16; what is beyond its range becomes its largest number."""
    largest = float(np.finfo(np.float16).max)
    return values.clip(-largest, largest).astype(np.float16)
