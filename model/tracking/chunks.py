"""Tracking many chunks whose frames overlap: each frame is prepared and encoded once, whatever uses it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model.core.progress import ShouldStop
from model.motion.tracks import Method
from model.tracking.engine import Trajectories


class Prepared(NamedTuple):
    """A frame on its way to the device.

    image: the frame as the method works with it (resized). size: (height, width) of the original frame.
    """

    image: Any
    size: tuple[int, int]


class ChunkRequest(NamedTuple):
    """Points to follow through a chunk.

    frames: as `encode` gave them, at least 2, all of one clip.
    queries: float32 `[N, 2]`, (x, y) in pixels of the original first frame.
    """

    frames: Sequence[Any]
    queries: NDArray[np.float32]


class ChunkTracker(Protocol):
    """A tracking method that takes a clip's frames one by one and tracks chunks of them.

    The trajectories are the same bits as those of `Tracker.track` on the chunk's frames, whatever chunks are
    tracked together.
    """

    @property
    def method(self) -> Method:
        """The method's name, its weights' sha256 and its settings."""

    def image_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) at which frames of a size are kept as pictures."""

    def prepare(self, frame: NDArray[np.uint8]) -> Prepared:
        """Resize a frame, uint8 `[H, W, 3]` RGB; called in the thread that reads, beside the others."""

    def picture(self, prepared: Prepared) -> NDArray[np.uint8]:
        """Return a prepared frame as uint8 `[h, w, 3]` RGB, of `image_size`."""

    def encode(self, prepared: Sequence[Prepared]) -> list[Any]:
        """Encode frames for `track`; called once for each frame."""

    def track(self, requests: Sequence[ChunkRequest], should_stop: ShouldStop) -> list[Trajectories]:
        """Follow each request's points through its frames; positions in pixels of the original frame.

        Raises Stopped when `should_stop` says so.
        """
