"""The thread that writes: it turns tracked chunks into samples and samples into shards."""

import queue
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from model.convert.plan import Plan, Segment, Shard
from model.convert.profile import Stopwatch
from model.convert.reading import SegmentEnd
from model.convert.scan import failure
from model.core.jpeg import jpeg
from model.datasets.folder import DataFolder
from model.datasets.sample import MotionSummary, Sample, SampleFacts
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


Item = TrackedChunk | Skipped | SegmentEnd


class _Unfinished(Exception):  # noqa: N818 - no error: the giver has ended the work
    """No more items come."""


class WritingThread:
    """Writes some shards, one after the other, as their chunks come in; a full queue makes the giver wait.

    on_shard: called in the writing thread with the name of each shard that is finished. To be used as a
    context manager: at its end everything is written or, after an error, the unfinished shard thrown away.
    """

    def __init__(
        self,
        plan: Plan,
        shards: Sequence[Shard],
        folder: DataFolder,
        method: Method,
        stopwatch: Stopwatch,
        on_shard: Callable[[str], None],
        ahead: int = 16,
    ) -> None:
        self._plan, self._shards, self._folder, self._method = plan, shards, folder, method
        self._stopwatch, self._on_shard = stopwatch, on_shard
        self._queue: queue.Queue[Item | None] = queue.Queue(ahead)
        self._error: Exception | None = None
        self._is_over = threading.Event()
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
        items = self._items()
        try:
            for shard in self._shards:
                self._write_shard(shard, items)
        except _Unfinished:
            return
        except Exception as error:  # noqa: BLE001 - raised in the thread that gives the chunks
            self._error = error
        finally:
            items.close()
        while self._queue.get() is not None:
            pass  # the giver may be waiting for room in the queue

    def _items(self) -> Generator[Item, None, None]:
        """Yield what was given; the time until the next one is asked for is that of writing."""
        while (item := self._queue.get()) is not None:
            if not self._is_over.is_set():
                with self._stopwatch.stage("write"):
                    yield item
        raise _Unfinished

    def _write_shard(self, shard: Shard, items: Iterator[Item]) -> None:
        """Write a shard's archive, then its index, so that an index never lies."""
        failures: list[Failure] = []
        skipped: Counter[str] = Counter()
        with (
            self._folder.new_file(archive_name(shard.name)) as path,
            closing(ShardWriter(path)) as writer,
        ):
            for segment in shard.segments:
                error = self._write_segment(writer, items, skipped)
                if error is not None:
                    name = self._plan.sources[segment.source].place.name
                    failures.append(failure(name, error, self._folder))
            size, entries = writer.finish()
        self._stopwatch.count("bytes", size)
        ShardIndex(
            shard.name,
            size,
            entries,
            tuple(failures),
            dict(skipped),
            {**vars(self._method), "settings": dict(self._method.settings)},
            self._plan.recipe(shard),
        ).save(self._folder)
        self._on_shard(shard.name)

    def _write_segment(
        self, writer: ShardWriter, items: Iterator[Item], skipped: Counter[str]
    ) -> Exception | None:
        """Write the samples of one segment; after an error of its video none, and the error is returned."""
        mark = writer.mark()
        reasons: list[str] = []
        for item in items:
            if isinstance(item, TrackedChunk):
                writer.add(_sample(item, self._plan))
                self._stopwatch.count("samples")
            elif isinstance(item, Skipped):
                reasons.append(item.reason)
            else:
                if item.error is not None:
                    writer.take_back(mark)
                    return item.error
                break
        skipped.update(reasons)
        return None


def _sample(chunk: TrackedChunk, plan: Plan) -> Sample:
    settings, source = plan.settings, plan.sources[chunk.segment.source]
    tracks, summary = chunk.tracks, chunk.summary
    start = int(tracks.frames[0])
    queries = tracks.points[0]
    facts = SampleFacts(
        source=source.place.name,
        source_sha256=source.sha256,
        group=settings.source_of(source.place.name),
        split=settings.split_of(source.place.name, source.sha256),
        start=start,
        frame_step=settings.frame_step,
        interval=settings.interval,
        later_frames=None if settings.interval is None else tuple(tracks.frames[1:].tolist()),
        count=len(tracks.points),
        horizon=settings.horizon,
        fps=source.fps,
        size=source.size,
        image_size=(chunk.picture.shape[0], chunk.picture.shape[1]),
        grid=settings.grid,
        method=settings.method,
        weights_sha256=settings.weights_sha256,
        quality=_quality(chunk),
        camera_share=None if tracks.camera is None else round(float(tracks.camera.share[-1]), 6),
        **asdict(summary),
    )
    error = chunk.backward_error
    return Sample(
        key=f"{source.sha256[:16]}-{settings.digest}-{start:07d}",
        image=jpeg(chunk.picture, settings.jpeg_quality, longest_side=None),
        queries=queries,
        displacement=_half(tracks.points - queries),
        visibility=tracks.visibility.astype(np.float16),
        backward_error=None if error is None else _half(error),
        camera=tracks.camera,
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
