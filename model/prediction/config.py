"""What a predictor network is built of, and what building it refuses."""

from dataclasses import dataclass
from typing import Any

from model.core.errors import BadInput
from model.motion.grid import check_grid


@dataclass(frozen=True)
class PredictorConfig:
    """The size and shape of a predictor.

    backbone: whose features are read, of `model.prediction.backbones`. head: what reads them, of
        `model.prediction.heads`; names are looked up when a network is built.
    grid: query points a side where none are given; the linear head is made for this grid.
    horizon: frames, the first included. trajectory: predict the position in every frame; otherwise in the
        last one alone.
    modes: hypotheses of the mixture head; with one, it learns by L1, as plain heads do. width: its channels.
    pool: the linear head reads features pooled to pool × pool; None is the unpooled form, which is refused.
    camera: predict the camera's motion apart from the points' own.
    strides: where a ResNet's bottlenecks have their stride, "v1" or "v1.5": as its weights were trained.

    Raises BadInput for what is out of range.
    """

    backbone: str = "fcn_resnet50"
    head: str = "mixture"
    grid: int = 16
    horizon: int = 8
    trajectory: bool = False
    modes: int = 6
    width: int = 256
    pool: int | None = 4
    camera: bool = False
    strides: str = "v1.5"

    def __post_init__(self) -> None:
        check_grid(self.grid)
        if not 2 <= self.horizon <= 64:
            raise BadInput(f"The horizon must be 2 to 64 frames, not {self.horizon}.")
        if not 1 <= self.modes <= 32:
            raise BadInput(f"The mixture must have 1 to 32 modes, not {self.modes}.")
        if not 16 <= self.width <= 1024:
            raise BadInput(f"The mixture head must be 16 to 1024 channels wide, not {self.width}.")
        if self.strides not in ("v1", "v1.5"):
            raise BadInput(f"Strides are placed as in v1 or v1.5, not “{self.strides[:20]}”.")
        if self.pool is not None and not 1 <= self.pool <= 16:
            raise BadInput(f"Features must be pooled to 1×1 up to 16×16, not {self.pool}×{self.pool}.")

    @property
    def steps(self) -> int:
        """How many positions after the query are predicted: of all later frames, or of the last."""
        return self.horizon - 1 if self.trajectory else 1

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dict(vars(self))
