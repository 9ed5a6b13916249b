"""What a predictor network is built of, and what building it refuses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.settings import setting
from model.motion.grid import check_grid


@dataclass(frozen=True)
class PredictorConfig:
    """The size and shape of a predictor.

    horizon: frames, the first included. trajectory: predict the position in every frame; otherwise in the
        last one alone.
    pool: the linear head reads features pooled to pool × pool; None is the unpooled form, which is refused.
    scene_motion: learn motion with the camera's taken out, in pixels of the first frame; else as filmed.
    interval: seconds from one frame to the next, as in the training sets; None: frames, however fast.
    dropout: of bins' features, in training.
    strides: where a ResNet's bottlenecks have their stride, "v1" or "v1.5": as its weights were trained.

    The names of the backbone and the head are looked up when a network is built.
    Raises BadInput for what is out of range.
    """

    backbone: str = setting("fcn_resnet50", "The network whose features are read, as in torchvision.")
    head: str = setting("bins", "What reads them; docs/predictor.md lists them.")
    grid: int = setting(16, "Query points a side where none are given; linear answers for this grid.")
    horizon: int = setting(8, "Frames, the first included.")
    trajectory: bool = False
    width: int = setting(128, "Channels of bins.", option="head_width")
    pool: int | None = setting(4, "Cells a side that linear reads.")
    scene_motion: bool = setting(False, "Learn motion with the camera's taken out.")
    interval: float | None = None
    dropout: float = setting(0.5, "Of what bins reads, in training.")
    strides: str = "v1.5"

    def __post_init__(self) -> None:
        check_grid(self.grid)
        if not 2 <= self.horizon <= 64:
            raise BadInput(f"The horizon must be 2 to 64 frames, not {self.horizon}.")
        if not 16 <= self.width <= 1024:
            raise BadInput(f"The head must be 16 to 1024 channels wide, not {self.width}.")
        if self.strides not in ("v1", "v1.5"):
            raise BadInput(f"Strides are placed as in v1 or v1.5, not “{self.strides[:20]}”.")
        if not 0 <= self.dropout < 1:
            raise BadInput(f"The dropout must be at least 0 and below 1, not {self.dropout}.")
        if self.pool is not None and not 1 <= self.pool <= 16:
            raise BadInput(f"Features must be pooled to 1×1 up to 16×16, not {self.pool}×{self.pool}.")

    @property
    def steps(self) -> int:
        """How many positions after the query are predicted: of all later frames, or of the last."""
        return self.horizon - 1 if self.trajectory else 1

    @property
    def seconds(self) -> float | None:
        """How far ahead the last position is, in seconds; None where that depends on the frame rate."""
        return None if self.interval is None else (self.horizon - 1) * self.interval

    def later_frames(self, fps: float) -> NDArray[np.int32]:
        """Return after how many frames of a clip the predicted positions come: int32 `[steps]`, at least 1.

        fps: of the clip; 0 for a still, whose frames to come are `interval` apart.
        """
        later = np.arange(1, self.horizon)[-self.steps :]
        if self.interval is None or fps <= 0:
            return later.astype(np.int32)
        if self.trajectory:  # evenly, as a run's frames are
            return (later * max(1, round(self.interval * fps))).astype(np.int32)
        return np.array([max(1, round((self.horizon - 1) * self.interval * fps))], np.int32)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dict(vars(self))
