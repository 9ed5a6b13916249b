"""PIPs as a tracking engine: weights found and loaded, frames resized to the working size, points mapped."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.core.devices import find_device, find_precision
from model.core.progress import Progress, ReportProgress, ShouldStop, ignore_progress, raise_if_stopped
from model.motion.grid import WORKING_SIZE, rescale_points
from model.motion.tracks import Method
from model.tracking.engine import KeepPartial, Partial, State, Trajectories, keep_nothing
from model.tracking.pips import chain
from model.tracking.pips.chain import EncodedFrame
from model.tracking.pips.network import Pips
from model.tracking.pips.release import PipsUse, read_release, read_weights
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
        release = read_release(path)
        network = Pips.from_state_dict(read_weights(path), config=release.config)
        ready = network.with_precision(chosen_precision).to(place)
        return cls(ready, file_sha256(path), release.use)

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
        total: int | None,
        progress: ReportProgress,
        should_stop: ShouldStop,
        keep: KeepPartial = keep_nothing,
        state: State | None = None,
    ) -> Trajectories:
        """Follow the points, chunk after chunk (see `Engine.follow` and `model.tracking.pips.chain`)."""
        source = iter(frames)
        first = next(source)
        size = (first.shape[0], first.shape[1])

        def resized() -> Iterator[Tensor]:
            for frame in itertools.chain([first], source):
                raise_if_stopped(should_stop)
                yield self.resized(frame)

        return self._chain(resized(), queries, size, total, progress, should_stop, keep, state)

    def resized(self, frame: NDArray[np.uint8]) -> Tensor:
        """Resize a frame, uint8 `[H, W, 3]`, to the working size: float32 `[3, h, w]`."""
        size = self.use.working_size((frame.shape[0], frame.shape[1]))
        return resize(frame, size, antialias=self.use.antialias)

    def encode(self, frames: Sequence[Tensor]) -> list[EncodedFrame]:
        """Encode resized frames of one size, for `follow_encoded`."""
        return chain.encode(self.network, frames, self.use.refinement)

    def follow_encoded(
        self,
        frames: Iterator[EncodedFrame],
        queries: NDArray[np.float32],
        size: tuple[int, int],
        total: int,
        should_stop: ShouldStop,
    ) -> Trajectories:
        """Follow points through frames that were encoded before: the same bits as from `follow`.

        size: (height, width) of the original frames, in whose pixels the points are.
        """
        return self._chain(frames, queries, size, total, ignore_progress, should_stop, keep_nothing, None)

    def _chain(
        self,
        frames: Iterator[Tensor | EncodedFrame],
        queries: NDArray[np.float32],
        size: tuple[int, int],
        total: int | None,
        progress: ReportProgress,
        should_stop: ShouldStop,
        keep: KeepPartial,
        state: State | None,
    ) -> Trajectories:
        working_size = self.use.working_size(size)

        def report(stage: str, done: float) -> None:
            raise_if_stopped(should_stop)
            progress(Progress(stage, done, total))

        def original(followed: Trajectories) -> Trajectories:
            return followed._replace(points=rescale_points(followed.points, working_size, size))

        def original_partial(partial: Callable[[], Partial]) -> Partial:
            done = partial()
            return done._replace(trajectories=original(done.trajectories))

        followed = chain.follow(
            self.network,
            frames,
            torch.from_numpy(rescale_points(queries, size, working_size)),
            self.use.iterations,
            report,
            lambda partial: keep(lambda: original_partial(partial)),
            state,
            self.use.refinement,
        )
        return original(followed)


def resize(
    frame: NDArray[np.uint8], size: tuple[int, int] = WORKING_SIZE, *, antialias: bool = False
) -> Tensor:
    """Resize a frame, uint8 `[H, W, 3]`, to (height, width), bilinearly: float32 `[3, height, width]`.

    antialias: smooth what is made smaller; the authors do not.
    """
    # Colour by colour: all three together torch rounds differently on one thread than on several.
    colours = [
        torch.from_numpy(colour)[None, None].float() for colour in cv2.split(np.ascontiguousarray(frame))
    ]
    return torch.cat(
        [
            F.interpolate(colour, size, mode="bilinear", align_corners=False, antialias=antialias)[0]
            for colour in colours
        ]
    )
