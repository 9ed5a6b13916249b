"""Following points through a clip of any length, chunk after chunk, as in the authors' chaining demo.

There, one point at a time: take 8 frames (the last one repeated if the clip ends), keep the 8 positions, and
go on from the latest frame in which the point was clearly visible, always with the appearance that it had in
the clip's first frame. Here, for all points at once: the points that go on from the same frame share a chunk,
and every frame is encoded exactly once and forgotten when the last point has passed it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch
from model.tracking.engine import State, Trajectories
from model.tracking.pips.multiscale import MultiscaleOutput, encode_at_scales, track_at_scales
from model.tracking.pips.network import Pips
from model.tracking.pips.refinement import RefinementSettings, grey_image, probabilities, refine, seen_logit

EARLIEST_START = 2
"""The next chunk starts at least this many frames after this one."""

POINTS_PER_FRAME = 30
"""Encoding a frame takes about as long as tracking so many points through a chunk; for progress alone."""


class EncodedFrame(NamedTuple):
    """A frame as chunks need it.

    features: `[C, h, w]` of the encoder, one for each size. size: (height, width). image: grey, uint8
    `[H, W]`, or None where nothing is refined.
    """

    features: tuple[Tensor, ...]
    size: tuple[int, int]
    image: NDArray[np.uint8] | None


def encode(
    network: Pips,
    frames: Sequence[Tensor],
    refinement: RefinementSettings | None,
    on_frame: Callable[[int, int], None] | None = None,
) -> list[EncodedFrame]:
    """Encode frames of one size, `[3, H, W]` each, RGB, 0 to 255.

    refinement: as it will be given to `Chain`. on_frame: called with (frames encoded, frames to encode).
    """
    return [
        EncodedFrame(
            features,
            (frame.shape[1], frame.shape[2]),
            None if refinement is None else grey_image(frame),
        )
        for features, frame in zip(
            encode_at_scales(network, frames, _scales(refinement), on_frame), frames, strict=True
        )
    ]


def _scales(refinement: RefinementSettings | None) -> tuple[float, ...]:
    return () if refinement is None else refinement.scales


class _Window:
    """A window on the clip's encoded frames; it only moves forward, and looks one frame ahead.

    The first `skipped` frames are read and never encoded.
    """

    def __init__(
        self,
        network: Pips,
        frames: Iterator[Tensor | EncodedFrame],
        skipped: int,
        refinement: RefinementSettings | None,
    ) -> None:
        self._network = network
        self._refinement = refinement
        self._frames = frames
        self.count = sum(1 for _ in islice(frames, skipped))
        """Frames behind the window's end: encoded, or skipped."""
        self._upcoming = next(frames, None)
        self._encoded: dict[int, EncodedFrame] = {}

    @property
    def is_ended(self) -> bool:
        """Whether the clip has no frames beyond those that were read."""
        return self._upcoming is None

    def read(self, start: int, length: int) -> list[Tensor | EncodedFrame]:
        """Return the frames that the chunk start .. start + length - 1 still needs."""
        fresh: list[Tensor | EncodedFrame] = []
        while self._upcoming is not None and self.count + len(fresh) < start + length:
            fresh.append(self._upcoming)
            self._upcoming = next(self._frames, None)
        return fresh

    def chunk(
        self, start: int, fresh: list[Tensor | EncodedFrame], on_frame: Callable[[int, int], None]
    ) -> list[EncodedFrame]:
        """Encode the frames that `read` gave, if they are not yet, and return all from `start` on.

        Frames before `start` are forgotten. on_frame: called with (frames encoded, frames to encode).
        """
        self._encoded = {index: frame for index, frame in self._encoded.items() if index >= start}
        encoded = [frame for frame in fresh if isinstance(frame, EncodedFrame)]
        raw = [frame for frame in fresh if not isinstance(frame, EncodedFrame)]
        if raw:
            encoded = encode(self._network, raw, self._refinement, on_frame)
        for frame in encoded:
            self._encoded[self.count] = frame
            self.count += 1
        return [self._encoded[index] for index in range(start, self.count)]


@dataclass(frozen=True)
class _ChunkProgress:
    """Turns the work done in a chunk into frames of the clip.

    before: frames done when the chunk begins. sure: frames that it will surely add. most: frames read so far.
    encoding: the share of the chunk's work that is encoding, the rest being tracking.
    """

    watch: Watch
    before: float
    sure: float
    most: int
    encoding: float

    def on_frame(self, done: int, total: int) -> None:
        """Report frames encoded."""
        self._report("encoding", self.encoding * done / total)

    def on_batch(self, done: int, total: int) -> None:
        """Report batches of points tracked."""
        self._report("tracking", self.encoding + (1 - self.encoding) * done / total)

    def _report(self, stage: str, share: float) -> None:
        self.watch.report(stage, min(self.before + self.sure * share, self.most))


class Chain:
    """N points on their way through a clip; each `step` tracks those that are farthest behind.

    It is a `Partial`, in pixels of the frames that it is given.
    """

    def __init__(
        self,
        network: Pips,
        frames: Iterator[Tensor | EncodedFrame],
        queries: NDArray[np.float32],
        iterations: int,
        refinement: RefinementSettings | None = None,
        watch: Watch = UNWATCHED,
        state: State | None = None,
    ) -> None:
        """Put the points at their queries, in the first frame, or where `state` has them.

        frames: `[3, H, W]` each, RGB, 0 to 255, all of one size; at least one. Or as `encode` gave them.
        queries: float32 `[N, 2]`, (x, y) in pixels of the first frame.
        refinement: of the network's answer for each chunk; None leaves the answer as it is.
        watch: is told the frames done, a share within a chunk; what it raises ends the work.
        state: of an earlier chain of the same frames and queries, to go on from.
        """
        self._network = network
        self._iterations = iterations
        self._refinement = refinement
        self._watch = watch
        # The frame from which each point goes on, int64 `[N]`, and where it is there, float32 `[N, 2]`.
        self._current = np.zeros(len(queries), np.int64) if state is None else state["current"].copy()
        self._position = queries.copy() if state is None else state["position"].copy()
        # The points' appearance in the first frame, `[N, C]`, once it is known.
        self._feature = None if state is None else torch.from_numpy(state["feature"])
        # For each frame reached so far, arrays `[N, 2]`, `[N]` and `[N]`.
        self._points, self._visibility, self._handovers = (
            [] if state is None else list(state[name].copy())
            for name in ("points", "visibility", "handovers")
        )
        self._window = _Window(network, frames, int(self._current.min()), refinement)
        self.is_done = False

    def step(self) -> None:
        """Track the points that are farthest behind through a chunk, if there is one left for them.

        Then `is_done` says whether all points have reached the last frame. A clip of up to 8 frames is one
        chunk. Raises BadInput when the weights give numbers that are not finite.
        """
        window, length = self._window, self._network.config.frames
        start = int(self._current.min())
        chosen = np.flatnonzero(self._current == start)
        fresh = window.read(start, length)
        real = window.count + len(fresh) - start
        if start > 0 and real <= 1:  # taken up again where the last point had reached the last frame
            self.is_done = True
            return
        is_whole_clip = start == 0 and window.is_ended
        progress = _ChunkProgress(
            self._watch,
            before=float(self._current.mean()),
            sure=len(chosen) / len(self._current) * (len(fresh) if is_whole_clip else EARLIEST_START),
            most=window.count + len(fresh),
            encoding=len(fresh) / (len(fresh) + len(chosen) / POINTS_PER_FRAME),
        )
        chunk = window.chunk(start, fresh, progress.on_frame)
        chunk += chunk[-1:] * (length - real)
        queries = self._position[chosen]
        output = track_at_scales(
            self._network,
            [frame.features for frame in chunk],
            chunk[0].size,
            _scales(self._refinement),
            queries,
            self._iterations,
            None if self._feature is None else self._feature[torch.from_numpy(chosen)],
            progress.on_batch,
        )
        if self._feature is None:
            self._feature = output.feature
        tracked, visible = _answer(output, queries, chunk, self._refinement)
        self._add_chunk(start, chosen, tracked[:real], visible[:real])
        ahead = next_start(visible)
        self._current[chosen] = start + ahead
        self._position[chosen] = tracked[ahead, np.arange(len(chosen))]
        progress.on_batch(1, 1)  # refined, too
        is_behind = self._current < window.count - 1
        self.is_done = is_whole_clip or (window.is_ended and not is_behind.any())

    def trajectories(self) -> Trajectories:
        """Return the frames that every point has left behind, or all when it is done."""
        done = None if self.is_done else int(self._current.min())
        return Trajectories(
            np.stack(self._points[:done]), np.stack(self._visibility[:done]), np.stack(self._handovers[:done])
        )

    def state(self) -> State:
        """Return everything that another chain goes on from."""
        assert self._feature is not None  # known from the first chunk on
        return {
            "current": self._current.copy(),
            "position": self._position.copy(),
            "feature": self._feature.cpu().numpy(),
            "points": np.stack(self._points),
            "visibility": np.stack(self._visibility),
            "handovers": np.stack(self._handovers),
        }

    def _add_chunk(
        self,
        start: int,
        chosen: NDArray[np.intp],
        tracked: NDArray[np.float32],
        visible: NDArray[np.float32],
    ) -> None:
        """Write down where a chunk's real frames, from `start` on, have the chosen points.

        tracked: float32 `[R, n, 2]`. visible: float32 `[R, n]`.
        """
        for offset in range(len(tracked)):
            if start + offset == len(self._points):
                count = len(self._current)
                self._points.append(np.zeros((count, 2), np.float32))
                self._visibility.append(np.zeros(count, np.float32))
                self._handovers.append(np.zeros(count, bool))
            self._points[start + offset][chosen] = tracked[offset]
            # Where two chunks meet, the first one counts: the second takes its start for visible.
            if offset or start == 0:
                self._visibility[start + offset][chosen] = visible[offset]
        if start > 0:
            self._handovers[start][chosen] = True


def _answer(
    output: MultiscaleOutput,
    queries: NDArray[np.float32],
    chunk: Sequence[EncodedFrame],
    refinement: RefinementSettings | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a chunk's positions, float32 `[S, n, 2]`, and visibility, float32 `[S, n]` in [0, 1]."""
    points, logits = output.points, output.logits
    if not (np.isfinite(points).all() and np.isfinite(logits).all()):
        raise BadInput(
            "PIPs computed positions that are not finite numbers, so its weights are damaged or diverged "
            "in training; use others."
        )
    if refinement is None:
        return points[0], probabilities(logits)
    images = [frame.image for frame in chunk if frame.image is not None]
    refined = refine(images, queries, points, logits < 0, refinement)
    if refinement.visibility is not None:
        height, width = images[0].shape
        logits = seen_logit(logits, refined, (height, width), refinement.visibility)
    return refined.points, probabilities(logits)


def next_start(visible: NDArray[np.float32]) -> NDArray[np.int64]:
    """Choose the frame of a chunk from which each point goes on.

    visible: float32 `[S, N]`, probabilities. Returns int64 `[N]`: the latest frame, from the last down to
    the 2nd after the start, whose probability is above 0.9; where there is none the threshold is lowered by
    0.02 until there is (the authors' rule).
    """
    last = len(visible) - 1
    step: NDArray[np.int64] = np.zeros(visible.shape[1], np.int64)
    threshold = 0.9
    while (step == 0).any():
        for frame in range(last, EARLIEST_START - 1, -1):
            step[(step == 0) & (visible[frame] > threshold)] = frame
        threshold -= 0.02
    return step
