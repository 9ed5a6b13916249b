"""The tracking methods as `ChunkTracker`s, for those who track many chunks rather than one clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.core.progress import ShouldStop, Watch
from model.motion.grid import WORKING_SIZE
from model.motion.tracks import Method
from model.tracking.chunks import ChunkRequest, ChunkTracker, Prepared
from model.tracking.engine import Engine, Trajectories, follow_to_the_end
from model.tracking.tracker import Tracker

if TYPE_CHECKING:
    from model.tracking.pips.tracker import PipsEngine


def load_chunk_tracker(name_or_path: str, device: str = "auto", precision: str = "auto") -> ChunkTracker:
    """Make a method ready to track chunks; see `Tracker.load`, which also says what it raises."""
    engine = Tracker.load(name_or_path, device, precision).engine
    if engine.method.name == "pips":
        return PipsChunks(engine)  # type: ignore[arg-type]  # by its name it is a PipsEngine
    return PlainChunks(engine)


@dataclass(frozen=True)
class PlainChunks:
    """A method that works from frame to frame and has nothing to encode: Lucas-Kanade, RAFT, zero motion.

    The frames are kept as they are; pictures are reduced to at most as many pixels as 360×640 has.
    """

    engine: Engine

    @property
    def method(self) -> Method:
        """See `ChunkTracker.method`."""
        return self.engine.method

    def image_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """See `ChunkTracker.image_size`."""
        scale = min(1.0, (WORKING_SIZE[0] * WORKING_SIZE[1] / (size[0] * size[1])) ** 0.5)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def prepare(self, frame: NDArray[np.uint8]) -> Prepared:
        """Keep the frame."""
        return Prepared(frame, (frame.shape[0], frame.shape[1]))

    def picture(self, prepared: Prepared) -> NDArray[np.uint8]:
        """Reduce the frame by averaging."""
        height, width = self.image_size(prepared.size)
        return np.asarray(cv2.resize(prepared.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def encode(self, prepared: Sequence[Prepared]) -> list[Any]:
        """Return the frames."""
        return [one.image for one in prepared]

    def track(self, requests: Sequence[ChunkRequest], should_stop: ShouldStop) -> list[Trajectories]:
        """See `ChunkTracker.track`."""
        return [
            follow_to_the_end(
                self.engine.follow(request.frames, request.queries, Watch(should_stop=should_stop))
            )
            for request in requests
        ]


@dataclass(frozen=True)
class PipsChunks:
    """PIPs: frames are resized where they are read, and encoded once, whatever chunks they are in."""

    engine: "PipsEngine"

    @property
    def method(self) -> Method:
        """See `ChunkTracker.method`."""
        return self.engine.method

    def image_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size at which the network works."""
        return self.engine.use.working_size(size)

    def prepare(self, frame: NDArray[np.uint8]) -> Prepared:
        """Resize the frame: float32 `[3, h, w]`."""
        return Prepared(self.engine.resized(frame), (frame.shape[0], frame.shape[1]))

    def picture(self, prepared: Prepared) -> NDArray[np.uint8]:
        """Round the resized frame."""
        picture: NDArray[np.uint8] = prepared.image.permute(1, 2, 0).round().byte().numpy()
        return picture

    def encode(self, prepared: Sequence[Prepared]) -> list[Any]:
        """Encode frames, those of one size together."""
        encoded: list[Any] = []
        for _, group in groupby(prepared, key=lambda one: one.size):
            chosen = list(group)
            size = chosen[0].size
            encoded += [_SizedFrame(one, size) for one in self.engine.encode([one.image for one in chosen])]
        return encoded

    def track(self, requests: Sequence[ChunkRequest], should_stop: ShouldStop) -> list[Trajectories]:
        """See `ChunkTracker.track`."""
        return [
            follow_to_the_end(
                self.engine.follow_encoded(
                    (frame.encoded for frame in request.frames),
                    request.queries,
                    request.frames[0].size,
                    Watch(should_stop=should_stop),
                )
            )
            for request in requests
        ]


@dataclass(frozen=True)
class _SizedFrame:
    """An encoded frame and the (height, width) of the original."""

    encoded: Any
    size: tuple[int, int]
