"""The thread that reads: it decodes the videos of some shards in order and says when chunks are complete."""

import itertools
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.chunks import ChunkTracker, Prepared
from model.convert.chunker import Chunker, Span
from model.convert.cuts import CutDetector
from model.convert.plan import Plan, Segment, Shard, Source
from model.convert.profile import Stopwatch
from model.errors import BadInput, Stopped, Unreachable
from model.video import read_frames


@dataclass(frozen=True)
class Frame:
    """A frame that some chunk needs.

    source: index of its video. position: among the sampled frames. oldest: chunks that are given later need
    no frame of the video before this one.
    """

    source: int
    position: int
    oldest: int
    prepared: Prepared


@dataclass(frozen=True)
class Chunk:
    """A chunk whose frames have all been given."""

    segment: Segment
    span: Span


@dataclass(frozen=True)
class SegmentEnd:
    """All chunks of a segment have been given. error: why they must not be used, or None."""

    segment: Segment
    error: Exception | None


Event = Frame | Chunk | SegmentEnd


class ReadingThread:
    """Reads ahead of who iterates over it, by a bounded number of events.

    What goes wrong with a video ends its segments; what goes wrong with the thread itself is raised to the
    one who iterates. To be used as a context manager, which ends the thread.
    """

    def __init__(
        self, plan: Plan, shards: Sequence[Shard], tracker: ChunkTracker, stopwatch: Stopwatch, ahead: int
    ) -> None:
        self._queue: queue.Queue[Event | BaseException | None] = queue.Queue(ahead)
        self._stopwatch = stopwatch
        self._is_over = threading.Event()
        self._reader = _Reader(plan, tracker, stopwatch)
        self._segments = [segment for shard in shards for segment in shard.segments]
        self._thread = threading.Thread(target=self._run, name="reading", daemon=True)

    def __enter__(self) -> "ReadingThread":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                event = self._queue.get_nowait()
            except queue.Empty:
                with self._stopwatch.stage("wait for frames"):
                    event = self._queue.get()
            if event is None:
                return
            if isinstance(event, BaseException):
                raise event
            yield event

    def _run(self) -> None:
        try:
            for event in self._reader.events(self._segments):
                self._put(event)
            self._put(None)
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the thread that iterates
            self._put(error)

    def _put(self, event: Event | BaseException | None) -> None:
        while True:
            if self._is_over.is_set():
                raise Stopped("The reading was stopped.")
            try:
                self._queue.put(event, timeout=0.1)
                return
            except queue.Full:
                continue


@dataclass(frozen=True)
class _Reader:
    plan: Plan
    tracker: ChunkTracker
    stopwatch: Stopwatch

    def events(self, segments: Sequence[Segment]) -> Iterator[Event]:
        """Read the videos, each in one go through all of its segments that follow each other."""
        for source, group in itertools.groupby(segments, key=lambda segment: segment.source):
            ended = 0
            parts = list(group)
            try:
                for event in self._video(self.plan.sources[source], parts):
                    ended += isinstance(event, SegmentEnd)
                    yield event
            except (MemoryError, Stopped, Unreachable):
                raise
            except Exception as error:  # noqa: BLE001 - one odd video must not end days of work
                for segment in parts[ended:]:
                    yield SegmentEnd(segment, error)

    def _video(self, source: Source, segments: Sequence[Segment]) -> Iterator[Event]:
        self._check_unchanged(source)
        with source.place.fetched() as path:
            yield from self._frames(source, path, segments)

    def _check_unchanged(self, source: Source) -> None:
        if source.place.fingerprint() != source.fingerprint:
            raise BadInput("It was changed after the conversion had begun; give the same command again.")

    def _frames(self, source: Source, path: Path, segments: Sequence[Segment]) -> Iterator[Event]:
        waiting = list(segments)
        active: list[Chunker] = []
        number = segments[0].source
        position = segments[0].first

        def given(chunker: Chunker, spans: list[Span]) -> Iterator[Event]:
            yield from (Chunk(chunker.segment, span) for span in spans)
            if chunker.is_done:
                self._check_unchanged(source)
                active.remove(chunker)
                yield SegmentEnd(chunker.segment, None)

        for frame in self._decoded(path, position):
            if waiting and position == waiting[0].first:
                active.append(self._chunker(waiting.pop(0)))
            with self.stopwatch.stage("cuts"):
                ended = [(chunker, chunker.take(position, frame)) for chunker in active]
            for chunker, spans in ended:
                yield from given(chunker, spans)
            needed = [chunker.oldest for chunker in active if chunker.oldest is not None]
            if needed:
                with self.stopwatch.stage("resize"):
                    prepared = self.tracker.prepare(frame)
                yield Frame(number, position, min(needed), prepared)
            for chunker in tuple(active):
                yield from given(chunker, chunker.complete(position))
            position += 1
            if not active and not waiting:
                return
        self._check_complete(source, position)
        for chunker in tuple(active):
            yield from given(chunker, chunker.end(position))

    def _chunker(self, segment: Segment) -> Chunker:
        settings = self.plan.settings
        is_cut = CutDetector().is_cut if settings.cuts else None
        return Chunker(segment, settings.horizon, settings.stride, is_cut)

    def _check_complete(self, source: Source, position: int) -> None:
        expected = -(-source.frames // self.plan.settings.frame_step)
        if position < expected:
            raise BadInput(
                f"It ends after {position * self.plan.settings.frame_step} of its {source.frames} frames: it "
                "is damaged or was changed while it was read."
            )

    def _decoded(self, path: Path, first: int) -> Iterator[NDArray[np.uint8]]:
        """Decode the sampled frames from number `first` on."""
        step = self.plan.settings.frame_step
        frames = read_frames(path, start=first * step, step=step)
        stage = "open"
        while True:
            with self.stopwatch.stage(stage):
                frame = next(frames, None)
            if frame is None:
                return
            self.stopwatch.count("frames")
            stage = "decode"
            yield frame
