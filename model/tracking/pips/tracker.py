"""PIPs as a tracking engine: weights found and loaded, frames resized to the working size, points mapped."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.core.devices import find_device, find_precision
from model.core.progress import UNWATCHED, Watch
from model.motion.grid import WORKING_SIZE, rescale_points
from model.motion.tracks import Method
from model.tracking.engine import Partial, State, Trajectories
from model.tracking.pips.chain import Chain, EncodedFrame, encode
from model.tracking.pips.multiscale import resize_colours
from model.tracking.pips.network import Pips
from model.tracking.pips.release import PipsUse, read_network
from model.weights.registry import file_sha256, find_weights, weights_file


@dataclass(frozen=True)
class PipsEngine:
    """PIPs with its weights, on a device; `use` says how frames go in and what is made of the answers."""

    network: Pips
    weights_sha256: str
    use: PipsUse = field(default_factory=PipsUse)

    @classmethod
    def load(cls, name_or_path: str, device: str = "auto", precision: str = "auto") -> "PipsEngine":
        """Load weights by registered name ("pips": the installed ones) or by path; see `Tracker.load`.

        A file that this project's training wrote says itself how large the network is and how it is used;
        any other is taken for the authors'.
        """
        place = find_device(device)
        chosen_precision = find_precision(precision, place)
        found = find_weights(name_or_path)
        path = found if isinstance(found, Path) else weights_file(found)
        network, use = read_network(path)
        ready = network.with_precision(chosen_precision).to(place)
        return cls(ready, file_sha256(path), use)

    @property
    def method(self) -> Method:
        """The name `pips`, the weights and the settings that the numbers depend on."""
        return Method(
            "pips",
            weights_sha256=self.weights_sha256,
            settings={
                **json.loads(json.dumps(asdict(self.use))),  # lists, as they come back from a file
                "stride": self.network.config.stride,
                "precision": self.network.precision,
                "device": self.network.device.type,
                "tf32": False,
            },
        )

    def follow(
        self,
        frames: Iterable[NDArray[np.uint8]],
        queries: NDArray[np.float32],
        watch: Watch = UNWATCHED,
        state: State | None = None,
    ) -> Iterator[Partial]:
        """Follow the points, chunk after chunk (see `Engine.follow` and `model.tracking.pips.chain`)."""
        source = iter(frames)
        first = next(source)

        def resized() -> Iterator[Tensor]:
            for frame in itertools.chain([first], source):
                watch.check()
                yield self.resized(frame)

        yield from self._chain(resized(), queries, (first.shape[0], first.shape[1]), watch, state)

    def resized(self, frame: NDArray[np.uint8]) -> Tensor:
        """Resize a frame, uint8 `[H, W, 3]`, to the working size: float32 `[3, h, w]`."""
        size = self.use.working_size((frame.shape[0], frame.shape[1]))
        return resize(frame, size, antialias=self.use.antialias)

    def encode(self, frames: Sequence[Tensor]) -> list[EncodedFrame]:
        """Encode resized frames of one size, for `follow_encoded`."""
        return encode(self.network, frames, self.use.refinement)

    def follow_encoded(
        self,
        frames: Iterable[EncodedFrame],
        queries: NDArray[np.float32],
        size: tuple[int, int],
        watch: Watch = UNWATCHED,
    ) -> Iterator[Partial]:
        """Follow points through frames that were encoded before: the same bits as from `follow`.

        size: (height, width) of the original frames, in whose pixels the points are.
        """
        return self._chain(iter(frames), queries, size, watch)

    def _chain(
        self,
        frames: Iterator[Tensor | EncodedFrame],
        queries: NDArray[np.float32],
        size: tuple[int, int],
        watch: Watch,
        state: State | None = None,
    ) -> Iterator[Partial]:
        working_size = self.use.working_size(size)
        queries = rescale_points(queries, size, working_size)
        chain = Chain(self.network, frames, queries, self.use.iterations, self.use.refinement, watch, state)
        while not chain.is_done:
            chain.step()
            yield _OriginalSize(chain, working_size, size)


@dataclass(frozen=True)
class _OriginalSize:
    """A chain as a `Partial` in pixels of the original frames."""

    chain: Chain
    working_size: tuple[int, int]
    size: tuple[int, int]

    def trajectories(self) -> Trajectories:
        """See `Partial.trajectories`."""
        followed = self.chain.trajectories()
        return followed._replace(points=rescale_points(followed.points, self.working_size, self.size))

    def state(self) -> State:
        """See `Partial.state`."""
        return self.chain.state()


def resize(
    frame: NDArray[np.uint8], size: tuple[int, int] = WORKING_SIZE, *, antialias: bool = False
) -> Tensor:
    """Resize a frame, uint8 `[H, W, 3]`, to (height, width), bilinearly: float32 `[3, height, width]`.

    antialias: smooth what is made smaller; the authors do not.
    """
    colours = map(torch.from_numpy, cv2.split(np.ascontiguousarray(frame)))
    return resize_colours(colours, size, antialias=antialias)
