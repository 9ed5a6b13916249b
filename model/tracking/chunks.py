"""Tracking many chunks whose frames overlap: each frame is prepared and encoded once, whatever uses it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from model.core.progress import ShouldStop, Watch
from model.motion.grid import WORKING_SIZE
from model.motion.tracks import Method
from model.tracking.engine import Engine, Partial, Trajectories, follow_to_the_end
from model.tracking.methods import find_method
from model.tracking.tracker import Tracker

if TYPE_CHECKING:
    from model.tracking.pips.tracker import PipsEngine


class SizedFrame(NamedTuple):
    """A frame for `ChunkTracker`.

    image: as the method works with it (resized), or encoded from that, as `track` takes it.
    size: (height, width) of the original frame.
    """

    image: Any
    size: tuple[int, int]


class ChunkRequest(NamedTuple):
    """Points to follow through a chunk.

    frames: as `encode` gave them, at least 2, all of one clip.
    queries: float32 `[N, 2]`, (x, y) in pixels of the original first frame.
    """

    frames: Sequence[SizedFrame]
    queries: NDArray[np.float32]


def load_chunk_tracker(name_or_path: str, device: str = "auto", precision: str = "auto") -> "ChunkTracker":
    """Make a method ready to track chunks; see `Tracker.load`, which also says what it raises."""
    engine = Tracker.load(name_or_path, device, precision).engine
    if find_method(engine.method.name).encodes_frames:
        return PipsChunks(engine)  # type: ignore[arg-type]  # or one like it
    return PlainChunks(engine)


class ChunkTracker(ABC):
    """A tracking method that takes a clip's frames one by one and tracks chunks of them.

    The trajectories are the same bits as those of `Tracker.track` on the chunk's frames, whatever chunks are
    tracked together.
    """

    engine: Engine

    @property
    def method(self) -> Method:
        """The method's name, its weights' sha256 and its settings."""
        return self.engine.method

    @abstractmethod
    def prepare(self, frame: NDArray[np.uint8]) -> SizedFrame:
        """Resize a frame, uint8 `[H, W, 3]` RGB; called in the thread that reads, beside the others."""

    @abstractmethod
    def picture(self, prepared: SizedFrame) -> NDArray[np.uint8]:
        """Return a prepared frame as uint8 `[h, w, 3]` RGB, as it is kept in a training set."""

    @abstractmethod
    def encode(self, prepared: Sequence[SizedFrame]) -> list[SizedFrame]:
        """Encode frames for `track`; called once for each frame."""

    def track(self, requests: Sequence[ChunkRequest], should_stop: ShouldStop) -> list[Trajectories]:
        """Follow each request's points through its frames; positions in pixels of the original frame.

        Raises Stopped when `should_stop` says so.
        """
        watch = Watch(should_stop=should_stop)
        return [follow_to_the_end(self._follow(request, watch)) for request in requests]

    @abstractmethod
    def _follow(self, request: ChunkRequest, watch: Watch) -> Iterator[Partial]:
        """Follow one request's points."""


@dataclass(frozen=True)
class PlainChunks(ChunkTracker):
    """A method that works from frame to frame and has nothing to encode: Lucas-Kanade, RAFT, zero motion.

    The frames are kept as they are; pictures are reduced, by averaging, to at most as many pixels as 360×640
    has.
    """

    engine: Engine

    def prepare(self, frame: NDArray[np.uint8]) -> SizedFrame:
        """Keep the frame."""
        return SizedFrame(frame, (frame.shape[0], frame.shape[1]))

    def picture(self, prepared: SizedFrame) -> NDArray[np.uint8]:
        """See `ChunkTracker.picture`."""
        scale = min(1.0, (WORKING_SIZE[0] * WORKING_SIZE[1] / (prepared.size[0] * prepared.size[1])) ** 0.5)
        height, width = (max(1, round(side * scale)) for side in prepared.size)
        return np.asarray(cv2.resize(prepared.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def encode(self, prepared: Sequence[SizedFrame]) -> list[SizedFrame]:
        """Return the frames."""
        return list(prepared)

    def _follow(self, request: ChunkRequest, watch: Watch) -> Iterator[Partial]:
        return self.engine.follow((one.image for one in request.frames), request.queries, watch)


@dataclass(frozen=True)
class PipsChunks(ChunkTracker):
    """PIPs: frames are resized where they are read, and encoded once, whatever chunks they are in."""

    engine: "PipsEngine"

    def prepare(self, frame: NDArray[np.uint8]) -> SizedFrame:
        """Resize the frame: float32 `[3, h, w]`."""
        return SizedFrame(self.engine.resized(frame), (frame.shape[0], frame.shape[1]))

    def picture(self, prepared: SizedFrame) -> NDArray[np.uint8]:
        """Round the resized frame."""
        picture: NDArray[np.uint8] = prepared.image.permute(1, 2, 0).round().byte().numpy()
        return picture

    def encode(self, prepared: Sequence[SizedFrame]) -> list[SizedFrame]:
        """Encode frames, those of one size together."""
        encoded: list[SizedFrame] = []
        for size, group in groupby(prepared, key=lambda one: one.size):
            encoded += [SizedFrame(one, size) for one in self.engine.encode([one.image for one in group])]
        return encoded

    def _follow(self, request: ChunkRequest, watch: Watch) -> Iterator[Partial]:
        frames = (one.image for one in request.frames)
        return self.engine.follow_encoded(frames, request.queries, request.frames[0].size, watch)
