"""The thread that reads: it decodes the videos of some shards in order and says when chunks are complete."""

import itertools
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.clips.video import read_frames
from model.convert.chunker import Chunker, Span
from model.convert.cuts import CutDetector
from model.convert.plan import Plan, Segment, Shard, Source, sampled_frames
from model.convert.profile import Stopwatch
from model.convert.sources import Changed, NoRoom
from model.core.errors import BadInput, Stopped, Unreachable
from model.core.progress import ShouldStop, raise_if_stopped
from model.tracking.chunks import ChunkTracker, SizedFrame


@dataclass(frozen=True)
class Frame:
    """A frame that some chunk needs.

    source: index of its video. position: among the sampled frames. index: among all frames of the video.
    oldest: chunks that are given later need no frame of the video before this one.
    """

    source: int
    position: int
    index: int
    oldest: int
    prepared: SizedFrame


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

LOOK_SECONDS = 0.1
"""How often a thread that waits for the other looks whether the work is over."""


class ReadingThread:
    """Reads ahead of who iterates over it, by a bounded number of events.

    What goes wrong with a video ends its segments; what goes wrong with the thread itself is raised to the
    one who iterates. To be used as a context manager, which ends the thread.
    """

    def __init__(
        self,
        plan: Plan,
        shards: Sequence[Shard],
        tracker: ChunkTracker,
        stopwatch: Stopwatch,
        ahead: int,
        should_stop: ShouldStop,
    ) -> None:
        self._queue: queue.Queue[Event | BaseException | None] = queue.Queue(ahead)
        self._stopwatch = stopwatch
        self._should_stop = should_stop
        self._is_over = threading.Event()
        self._reader = _Reader(plan, tracker, stopwatch, self._is_over.is_set)
        self._segments = [segment for shard in shards for segment in shard.segments]
        self._thread = threading.Thread(target=self._run, name="reading", daemon=True)

    def __enter__(self) -> "ReadingThread":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Event]:
        """Give the events; raises Stopped when `should_stop` says so, also while nothing comes."""
        while (event := self._next()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event

    def _next(self) -> Event | BaseException | None:
        raise_if_stopped(self._should_stop)
        with suppress(queue.Empty):
            return self._queue.get_nowait()
        with self._stopwatch.stage("wait for frames"):
            while True:
                with suppress(queue.Empty):
                    return self._queue.get(timeout=LOOK_SECONDS)
                raise_if_stopped(self._should_stop)

    def _run(self) -> None:
        with suppress(Stopped):  # then nobody iterates any more
            try:
                for event in self._reader.events(self._segments):
                    self._put(event)
                self._put(None)
            except Stopped:
                raise
            except BaseException as error:  # noqa: BLE001 - handed to the thread that iterates
                self._put(error)

    def _put(self, event: Event | BaseException | None) -> None:
        while True:
            if self._is_over.is_set():
                raise Stopped("The reading was stopped.")
            try:
                self._queue.put(event, timeout=LOOK_SECONDS)
                return
            except queue.Full:
                continue


@dataclass(frozen=True)
class _Reader:
    plan: Plan
    tracker: ChunkTracker
    stopwatch: Stopwatch
    should_stop: ShouldStop

    def events(self, segments: Sequence[Segment]) -> Iterator[Event]:
        """Read the videos, each in one go through all of its segments that follow each other."""
        for source, group in itertools.groupby(segments, key=lambda segment: segment.source):
            ended = 0
            parts = list(group)
            try:
                for event in self._video(self.plan.sources[source], parts):
                    ended += isinstance(event, SegmentEnd)
                    yield event
            except (MemoryError, Stopped, Unreachable, NoRoom):
                raise
            except Exception as error:  # noqa: BLE001 - one odd video must not end days of work
                for segment in parts[ended:]:
                    yield SegmentEnd(segment, error)

    def _video(self, source: Source, segments: Sequence[Segment]) -> Iterator[Event]:
        self._check_unchanged(source)
        with source.place.fetched(self.should_stop) as path:
            try:
                yield from self._frames(source, path, segments)
            except Exception:  # whatever it is, it is raised again
                self._check_unchanged(source)  # unless that the file was changed or is gone explains it
                raise

    def _check_unchanged(self, source: Source) -> None:
        if source.place.fingerprint() != source.fingerprint:
            raise Changed("It was changed after the conversion had begun; give the same command again.")

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

        sampled = sampled_frames(path, source, self.plan.settings)
        for frame in self._decoded(path, sampled, position):
            if frame.shape[:2] != source.size:
                raise BadInput(
                    f"It changes its size to {frame.shape[1]}×{frame.shape[0]} pixels on the way; convert it "
                    "to one size."
                )
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
                yield Frame(number, position, sampled[position], min(needed), prepared)
            for chunker in tuple(active):
                yield from given(chunker, chunker.complete(position))
            position += 1
            if not active and not waiting:
                return
        _check_complete(source, sampled, position)
        for chunker in tuple(active):
            yield from given(chunker, chunker.end(position))

    def _chunker(self, segment: Segment) -> Chunker:
        settings = self.plan.settings
        is_cut = CutDetector().is_cut if settings.cuts else None
        return Chunker(segment, settings.horizon, settings.stride, is_cut)

    def _decoded(self, path: Path, sampled: Sequence[int], first: int) -> Iterator[NDArray[np.uint8]]:
        """Decode the sampled frames from number `first` on."""
        if first >= len(sampled):
            return
        step = sampled.step if isinstance(sampled, range) else 1
        wanted = frozenset(sampled)
        frames = read_frames(path, start=sampled[first], step=step)
        stage = "open"
        for index in range(sampled[first], sampled[-1] + 1, step):
            with self.stopwatch.stage(stage):
                frame = next(frames, None)
            if frame is None:
                return
            self.stopwatch.count("frames")
            stage = "decode"
            if index in wanted:
                yield frame


def _check_complete(source: Source, sampled: Sequence[int], position: int) -> None:
    if position < len(sampled):
        raise BadInput(
            f"It ends before frame {sampled[position]} of its {source.frames} frames: it is damaged or was "
            "changed while it was read."
        )
