"""Following points through a clip of any length, chunk after chunk, as in the authors' chaining demo.

There, one point at a time: take 8 frames (the last one repeated if the clip ends), keep the 8 positions, and
go on from the latest frame in which the point was clearly visible, always with the appearance that it had in
the clip's first frame. Here, for all points at once: the points that go on from the same frame share a chunk,
and every frame is encoded exactly once and forgotten when the last point has passed it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.core.errors import BadInput
from model.tracking.engine import KeepPartial, Partial, State, Trajectories, keep_nothing
from model.tracking.pips.network import Pips, PipsOutput
from model.tracking.pips.refinement import RefinementSettings, grey_image, probabilities, refine, seen_logit
from model.tracking.pips.work import PipsWork

EARLIEST_START = 2
"""The next chunk starts at least this many frames after this one."""

Report = Callable[[str, float], None]


class EncodedFrame(NamedTuple):
    """A frame as chunks need it.

    features: `[C, h, w]`, of the encoder. image: grey, uint8 `[H, W]`, or None where nothing is refined.
    """

    features: Tensor
    image: NDArray[np.uint8] | None


def encode(
    network: Pips,
    frames: Sequence[Tensor],
    refinement: RefinementSettings | None,
    on_frame: Callable[[int, int], None] | None = None,
) -> list[EncodedFrame]:
    """Encode frames of one size, `[3, H, W]` each, RGB, 0 to 255.

    refinement: as it will be given to `follow`. on_frame: called with (frames encoded, frames to encode).
    """
    features = network.encode(torch.stack(list(frames)), on_frame)
    images = [None if refinement is None else grey_image(frame) for frame in frames]
    return [EncodedFrame(*both) for both in zip(features, images, strict=True)]


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

    report: Report
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
        self.report(stage, min(self.before + self.sure * share, self.most))


@dataclass
class _Paths:
    """What is known of the points; `follow` fills it, chunk after chunk.

    points, visibility, handovers: for each frame reached so far, arrays `[N, 2]`, `[N]` and `[N]`.
    current: int64 `[N]`, the frame from which each point goes on.
    position: float32 `[N, 2]`, where it is there.
    feature: float32 `[N, C]`, the points' appearance in the first frame, once it is known.
    """

    current: NDArray[np.int64]
    position: NDArray[np.float32]
    feature: Tensor | None = None
    points: list[NDArray[np.float32]] = field(default_factory=list)
    visibility: list[NDArray[np.float32]] = field(default_factory=list)
    handovers: list[NDArray[np.bool_]] = field(default_factory=list)

    @classmethod
    def begin(cls, queries: Tensor) -> "_Paths":
        """All points are at their queries, in the first frame."""
        return cls(np.zeros(len(queries), np.int64), queries.numpy().astype(np.float32))

    @classmethod
    def restore(cls, state: State) -> "_Paths":
        """Take up what `state` gave."""
        return cls(
            state["current"].copy(),
            state["position"].copy(),
            torch.from_numpy(state["feature"]),
            list(state["points"].copy()),
            list(state["visibility"].copy()),
            list(state["handovers"].copy()),
        )

    def state(self) -> State:
        """Return everything as arrays."""
        assert self.feature is not None  # known from the first chunk on
        return {
            "current": self.current.copy(),
            "position": self.position.copy(),
            "feature": self.feature.cpu().numpy(),
            "points": np.stack(self.points),
            "visibility": np.stack(self.visibility),
            "handovers": np.stack(self.handovers),
        }

    def trajectories(self, count: int | None = None) -> Trajectories:
        """Return the first frames, or all."""
        return Trajectories(
            np.stack(self.points[:count]), np.stack(self.visibility[:count]), np.stack(self.handovers[:count])
        )

    def partial(self) -> Partial:
        """Return the frames that every point has left behind."""
        return Partial(self.trajectories(int(self.current.min())), self.state())

    def add_chunk(
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
            if start + offset == len(self.points):
                count = len(self.current)
                self.points.append(np.zeros((count, 2), np.float32))
                self.visibility.append(np.zeros(count, np.float32))
                self.handovers.append(np.zeros(count, bool))
            self.points[start + offset][chosen] = tracked[offset]
            # Where two chunks meet, the first one's word counts: the second takes its start for visible.
            if offset or start == 0:
                self.visibility[start + offset][chosen] = visible[offset]
        if start > 0:
            self.handovers[start][chosen] = True


def follow(
    network: Pips,
    frames: Iterator[Tensor | EncodedFrame],
    queries: Tensor,
    iterations: int,
    report: Report,
    keep: KeepPartial = keep_nothing,
    state: State | None = None,
    refinement: RefinementSettings | None = None,
) -> Trajectories:
    """Follow points through a clip.

    frames: `[3, H, W]` each, RGB, 0 to 255, all of one size; at least one. Or as `encode` gave them.
    queries: float32 `[N, 2]`, (x, y) in pixels of the first frame.
    report: called with the stage ("encoding", "tracking") and the number of frames done, a share within a
        chunk; what it raises ends the work.
    keep: called after each chunk but the last; see `Engine.follow`.
    state: to go on from, as in a `Partial` that `keep` was given.
    refinement: of the network's answer for each chunk; None leaves the answer as it is.
    Returns positions in pixels of the given frames, probabilities of being visible, and handovers: the frames
    in which a later chunk took a point over. A clip of up to 8 frames is one chunk. Raises BadInput when the
    weights give numbers that are not finite.
    """
    length = network.config.frames
    paths = _Paths.begin(queries) if state is None else _Paths.restore(state)
    encoded = _Window(network, frames, int(paths.current.min()), refinement)
    count = len(queries)
    work = PipsWork.of(asdict(network.config), iterations)

    while True:
        is_active = paths.current < encoded.count - 1 if encoded.is_ended else np.ones(count, bool)
        if not is_active.any():
            return paths.trajectories()
        start = int(paths.current[is_active].min())
        chosen = np.flatnonzero(is_active & (paths.current == start))
        fresh = encoded.read(start, length)
        is_whole_clip = start == 0 and encoded.is_ended
        encoding = len(fresh) * work.frame
        progress = _ChunkProgress(
            report,
            before=float(paths.current.mean()),
            sure=len(chosen) / count * (len(fresh) if is_whole_clip else EARLIEST_START),
            most=encoded.count + len(fresh),
            encoding=encoding / (encoding + len(chosen) * work.point),
        )
        chunk = encoded.chunk(start, fresh, progress.on_frame)
        real = len(chunk)
        if start > 0 and real == 1:  # taken up again where the last point had reached the last frame
            return paths.trajectories()
        chunk += chunk[-1:] * (length - real)
        positions = paths.position[chosen]
        output = network.track_features(
            torch.stack([frame.features for frame in chunk]),
            torch.from_numpy(positions),
            iterations,
            None if paths.feature is None else paths.feature[torch.from_numpy(chosen)],
            progress.on_batch,
        )
        if paths.feature is None:
            paths.feature = output.feature
        tracked, visible = _answer(output, positions, chunk, refinement)
        paths.add_chunk(start, chosen, tracked[:real], visible[:real])
        if is_whole_clip:
            return paths.trajectories()
        step = next_start(visible)
        paths.current[chosen] = start + step
        paths.position[chosen] = tracked[step, np.arange(len(chosen))]
        keep(paths.partial)


def _answer(
    output: PipsOutput,
    queries: NDArray[np.float32],
    chunk: Sequence[EncodedFrame],
    refinement: RefinementSettings | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a chunk's positions, float32 `[S, n, 2]`, and visibility, float32 `[S, n]` in [0, 1]."""
    points = output.trajectories[-1].cpu().numpy()
    logits = output.visibility_logits.double().cpu().numpy()
    if not (np.isfinite(points).all() and np.isfinite(logits).all()):
        raise BadInput(
            "PIPs computed positions that are not finite numbers, so its weights are damaged or diverged "
            "in training; use others."
        )
    if refinement is None:
        return points, probabilities(logits)
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
