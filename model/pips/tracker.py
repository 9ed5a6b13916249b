"""PIPs as a tracking engine: weights found and loaded, frames resized to the working size, points mapped."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoints import read_state_dict
from model.devices import find_device, find_precision
from model.engine import KeepPartial, Partial, State, Trajectories, keep_nothing
from model.grid import WORKING_SIZE, rescale_points
from model.pips import chain
from model.pips.network import Pips, PipsConfig
from model.progress import Progress, ReportProgress, ShouldStop, raise_if_stopped
from model.tracks import Method
from model.weights import file_sha256, find_weights, weights_file

ITERATIONS = 6


@dataclass(frozen=True)
class PipsEngine:
    """PIPs with its weights, on a device.

    Frames are resized bilinearly to 360×640, whatever their shape, as in the authors' demos.
    """

    network: Pips
    weights_sha256: str
    iterations: int = ITERATIONS

    @classmethod
    def load(cls, name_or_path: str, device: str = "auto", precision: str = "auto") -> "PipsEngine":
        """Load weights by registered name ("pips": the installed ones) or by path; see `Tracker.load`."""
        place = find_device(device)
        chosen_precision = find_precision(precision, place)
        found = find_weights(name_or_path)
        path = found if isinstance(found, Path) else weights_file(found)
        config = PipsConfig() if isinstance(found, Path) else PipsConfig(**found.architecture)
        network = Pips.from_state_dict(read_state_dict(path), config=config)
        return cls(network.with_precision(chosen_precision).to(place), file_sha256(path))

    @property
    def method(self) -> Method:
        """The name `pips`, the weights and the settings that the numbers depend on."""
        return Method(
            "pips",
            weights_sha256=self.weights_sha256,
            settings={
                "iterations": self.iterations,
                "stride": self.network.config.stride,
                "working_size": list(WORKING_SIZE),
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
        """Follow the points, chunk after chunk (see `Engine.follow` and `model.pips.chain`)."""
        size = (0, 0)

        def resized() -> Iterator[Tensor]:
            nonlocal size
            for frame in frames:
                raise_if_stopped(should_stop)
                size = (frame.shape[0], frame.shape[1])
                yield resize(frame)

        def report(stage: str, done: float) -> None:
            raise_if_stopped(should_stop)
            progress(Progress(stage, done, total))

        def original(followed: Trajectories) -> Trajectories:
            return followed._replace(points=rescale_points(followed.points, WORKING_SIZE, size))

        def original_partial(partial: Callable[[], Partial]) -> Partial:
            done = partial()
            return done._replace(trajectories=original(done.trajectories))

        source = resized()
        first = next(source)
        followed = chain.follow(
            self.network,
            itertools.chain([first], source),
            torch.from_numpy(rescale_points(queries, size, WORKING_SIZE)),
            self.iterations,
            report,
            lambda partial: keep(lambda: original_partial(partial)),
            state,
        )
        return original(followed)


def resize(frame: NDArray[np.uint8]) -> Tensor:
    """Resize a frame, uint8 `[H, W, 3]`, to the working size, bilinearly: float32 `[3, 360, 640]`."""
    image = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
    return F.interpolate(image, WORKING_SIZE, mode="bilinear", align_corners=False)[0]
