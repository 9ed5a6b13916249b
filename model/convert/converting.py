"""Converting some shards in this process: reading, tracking and writing side by side."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.convert.plan import Plan, Shard
from model.convert.profile import Profile, Stopwatch
from model.convert.reading import Chunk, Frame, ReadingThread, SegmentEnd
from model.convert.settings import ConvertSettings
from model.convert.writing import Skipped, TrackedChunk, WritingThread
from model.core.progress import ShouldStop, never_stop, raise_if_stopped
from model.datasets.folder import DataFolder
from model.datasets.sample import MotionSummary
from model.motion.grid import query_grid
from model.motion.tracks import Tracks
from model.tracking.chunks import ChunkRequest, ChunkTracker, SizedFrame
from model.tracking.engine import Trajectories

POINTS_TOGETHER = {"cpu": 256, "cuda": 4096}
"""So many points are tracked at once, if need be of several chunks and videos; more would not be faster."""

MOST_CHUNKS_TOGETHER = 8
ENCODED_AT_ONCE = 8
MOST_FRAMES = 64
"""So many frames are held for chunks that are tracked at once, and as many are read ahead."""


def convert_shards(
    plan: Plan,
    shards: list[Shard],
    folder: DataFolder,
    tracker: ChunkTracker,
    *,
    on_shard: Callable[[str], None] = lambda _name: None,
    on_chunk: Callable[[], None] = lambda: None,
    should_stop: ShouldStop = never_stop,
) -> Profile:
    """Convert shards, in order, and write them to the folder; each appears when it is whole.

    on_shard: called with the name of each finished shard. on_chunk: called for each chunk that is done.
    Returns where the time went. Raises Stopped when `should_stop` says so: finished shards stay. Raises
    BadInput when the disk is full or the weights are of no use.
    """
    stopwatch = Stopwatch()
    device = str(tracker.method.settings.get("device", "cpu"))
    together = POINTS_TOGETHER["cuda" if device.startswith("cuda") else "cpu"]
    horizon = plan.settings.horizon
    chunks_together = max(
        1, min(MOST_CHUNKS_TOGETHER, together // plan.settings.grid**2, MOST_FRAMES // horizon)
    )
    ahead = min(horizon * (chunks_together + 1), MOST_FRAMES)
    with (
        stopwatch.stage("whole"),
        ReadingThread(plan, shards, tracker, stopwatch, ahead, should_stop) as events,
        WritingThread(plan, shards, folder, tracker.method, stopwatch, on_shard) as writer,
    ):
        work = _Tracking(plan, tracker, writer, stopwatch, should_stop, on_chunk)
        for event in events:
            raise_if_stopped(should_stop)
            work.take(event)
            if work.chunks >= chunks_together or work.has_failure:
                work.flush()
        work.flush()
    seconds = dict(stopwatch.seconds)
    return Profile(seconds, dict(stopwatch.counts), busy=seconds.pop("whole"))


@dataclass(frozen=True)
class _Ready:
    """A frame as it was read, for the sample's picture, and as the tracker encoded it."""

    index: int
    prepared: SizedFrame
    encoded: Any


@dataclass
class _Tracking:
    """Gathers chunks until there are enough to track at once.

    Frames are known by their video and position. They are kept while a chunk that was given or one that is
    still to come may need them, and encoded when one does.
    """

    plan: Plan
    tracker: ChunkTracker
    writer: WritingThread
    stopwatch: Stopwatch
    should_stop: ShouldStop
    on_chunk: Callable[[], None]
    chunks: int = 0
    _todo: list[Chunk | SegmentEnd] = field(default_factory=list)
    _fresh: dict[tuple[int, int], Frame] = field(default_factory=dict)
    _ready: dict[tuple[int, int], _Ready] = field(default_factory=dict)
    _oldest: tuple[int, int] = (-1, 0)

    def take(self, event: Frame | Chunk | SegmentEnd) -> None:
        """Take note of what was read."""
        if isinstance(event, Frame):
            self._fresh[event.source, event.position] = event
            self._oldest = (event.source, event.oldest)
            self._forget()
            return
        self._todo.append(event)
        self.chunks += isinstance(event, Chunk)

    @property
    def has_failure(self) -> bool:
        """Whether a segment ended with an error, which holds the frames that were read when it arose."""
        return any(isinstance(event, SegmentEnd) and event.error is not None for event in self._todo)

    def flush(self) -> None:
        """Encode the frames of the gathered chunks, track these, and hand on the results in order."""
        chunks = [event for event in self._todo if isinstance(event, Chunk)]
        self._encode(chunks)
        results = iter(self._track(chunks))
        for event in self._todo:
            if isinstance(event, SegmentEnd):
                self.writer.give(event)
            else:
                self.writer.give(next(results))
                self.stopwatch.count("chunks")
                self.on_chunk()
        self._todo.clear()
        self.chunks = 0
        self._forget()

    def _forget(self) -> None:
        """Forget the frames that no chunk needs any more."""
        source, oldest = self._oldest
        needed = {place for event in self._todo if isinstance(event, Chunk) for place in _places(event)}
        for frames in (self._fresh, self._ready):
            for place in [place for place in frames if place not in needed]:
                if place[0] != source or place[1] < oldest:
                    del frames[place]

    def _encode(self, chunks: list[Chunk]) -> None:
        """Encode those frames of chunks that were not encoded for earlier ones."""
        places = dict.fromkeys(place for chunk in chunks for place in _places(chunk) if place in self._fresh)
        fresh = [self._fresh.pop(place) for place in places]
        prepared = [frame.prepared for frame in fresh]
        encoded: list[Any] = []
        with self.stopwatch.stage("encode"):
            for first in range(0, len(prepared), ENCODED_AT_ONCE):
                raise_if_stopped(self.should_stop)
                encoded += self.tracker.encode(prepared[first : first + ENCODED_AT_ONCE])
        self.stopwatch.count("encoded", len(encoded))
        for place, frame, after in zip(places, fresh, encoded, strict=True):
            self._ready[place] = _Ready(frame.index, frame.prepared, after)

    def _track(self, chunks: list[Chunk]) -> list[TrackedChunk | Skipped]:
        """Track chunks; those that are worth it also backwards."""
        if not chunks:
            return []
        settings = self.plan.settings
        queries = [query_grid(settings.grid, self.plan.sources[c.segment.source].size) for c in chunks]
        frames = [self._frames(chunk) for chunk in chunks]
        with self.stopwatch.stage("track"):
            requests = [
                ChunkRequest([frame.encoded for frame in of_chunk], points)
                for of_chunk, points in zip(frames, queries, strict=True)
            ]
            followed = self.tracker.track(requests, self.should_stop)
        tracks = [self._tracks(*each) for each in zip(chunks, frames, followed, strict=True)]
        summaries = [MotionSummary.of(one) for one in tracks]
        moving = [
            index
            for index, (one, summary) in enumerate(zip(tracks, summaries, strict=True))
            if summary.motion >= settings.min_motion * one.size[0] / 256
        ]
        with self.stopwatch.stage("check"):
            errors = self._check([requests[index] for index in moving], [tracks[index] for index in moving])
        results: list[TrackedChunk | Skipped] = [Skipped("still") for _ in chunks]
        for index, error in zip(moving, errors, strict=True):
            chunk = chunks[index]
            results[index] = TrackedChunk(
                chunk.segment,
                chunk.span.start,
                self.tracker.picture(frames[index][0].prepared),
                tracks[index],
                summaries[index],
                error,
            )
        return results

    def _frames(self, chunk: Chunk) -> list[_Ready]:
        return [self._ready[place] for place in _places(chunk)]

    def _tracks(self, chunk: Chunk, frames: list[_Ready], followed: Trajectories) -> Tracks:
        source, settings = self.plan.sources[chunk.segment.source], self.plan.settings
        tracks = Tracks(
            points=followed.points,
            visibility=followed.visibility,
            frames=np.array([frame.index for frame in frames], np.int32),
            size=source.size,
            fps=source.fps,
            grid=(settings.grid, settings.grid),
            method=self.tracker.method,
        )
        return tracks.with_camera()

    def _check(self, requests: list[ChunkRequest], tracks: list[Tracks]) -> list[NDArray[np.float32] | None]:
        """Track from the last frame back to the first and measure how far from the query each point ends."""
        chosen = checked_points(self.plan.settings)
        if len(chosen) == 0:
            return [None] * len(requests)
        backward = [
            ChunkRequest(request.frames[::-1], np.ascontiguousarray(one.points[-1, chosen]))
            for request, one in zip(requests, tracks, strict=True)
        ]
        errors: list[NDArray[np.float32] | None] = []
        for request, followed in zip(requests, self.tracker.track(backward, self.should_stop), strict=True):
            error = np.full(len(request.queries), np.nan, np.float32)
            error[chosen] = np.linalg.norm(followed.points[-1] - request.queries[chosen], axis=1)
            errors.append(error)
        return errors


def _places(chunk: Chunk) -> list[tuple[int, int]]:
    """The video and position of each frame of a chunk."""
    return [(chunk.segment.source, chunk.span.start + offset) for offset in range(chunk.span.length)]


def checked_points(settings: ConvertSettings) -> NDArray[np.intp]:
    """Return the indices of the grid points that are also tracked backwards."""
    if settings.check == "none":
        return np.zeros(0, np.intp)
    every = 2 if settings.check == "sparse" else 1
    index = np.arange(settings.grid**2).reshape(settings.grid, settings.grid)
    return np.ascontiguousarray(index[::every, ::every]).ravel()
