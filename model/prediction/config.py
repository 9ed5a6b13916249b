"""What a predictor network is built of, and what building it refuses."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from model.core.errors import BadInput
from model.motion.grid import check_grid

BackboneName = Literal["fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large"]
HeadName = Literal["last", "fcn", "deeplab", "linear", "mixture"]
BACKBONES: tuple[str, ...] = get_args(BackboneName)
HEADS: tuple[str, ...] = get_args(HeadName)

LOGITS = 21
"""Channels that torchvision's segmentation classifiers end in."""


@dataclass(frozen=True)
class PredictorConfig:
    """The size and shape of a predictor.

    backbone: torchvision's segmentation network whose features are read. head: what reads them, see
        `model.prediction.heads`.
    grid: query points a side where none are given; the linear head is made for this grid.
    horizon: frames, the first included. trajectory: predict the position in every frame; otherwise in the
        last one alone.
    modes: hypotheses of the mixture head; with one, it learns by L1, as plain heads do. width: its channels.
    pool: the linear head reads features pooled to pool × pool; None is the unpooled form, which is refused.
    camera: predict the camera's motion apart from the points' own.
    strides: where a ResNet's bottlenecks have their stride, "v1" or "v1.5": as its weights were trained.

    Raises BadInput for what does not exist, is out of range, or could not be held by any machine.
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
        if self.backbone not in BACKBONES:
            raise BadInput(
                f"There is no backbone “{self.backbone[:60]}”; choose one of {', '.join(BACKBONES)}."
            )
        if self.head not in HEADS:
            raise BadInput(f"There is no head “{self.head[:60]}”; choose one of {', '.join(HEADS)}.")
        check_grid(self.grid)
        if not 2 <= self.horizon <= 64:
            raise BadInput(f"The horizon must be 2 to 64 frames, not {self.horizon}.")
        if not 1 <= self.modes <= 32:
            raise BadInput(f"The mixture must have 1 to 32 modes, not {self.modes}.")
        if not 16 <= self.width <= 1024:
            raise BadInput(f"The mixture head must be 16 to 1024 channels wide, not {self.width}.")
        if self.head == "linear" and self.pool is None:
            raise BadInput(_unpooled(self.grid))
        if self.strides not in ("v1", "v1.5"):
            raise BadInput(f"Strides are placed as in v1 or v1.5, not “{self.strides[:20]}”.")
        if self.pool is not None and not 1 <= self.pool <= 16:
            raise BadInput(f"Features must be pooled to 1×1 up to 16×16, not {self.pool}×{self.pool}.")

    @property
    def steps(self) -> int:
        """How many positions after the query are predicted: of all later frames, or of the last."""
        return self.horizon - 1 if self.trajectory else 1

    @property
    def hypotheses(self) -> int:
        """K, the number of answers for each point."""
        return self.modes if self.head == "mixture" else 1

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dict(vars(self))


def unpooled_weights(grid: int, size: tuple[int, int] = (850, 1280)) -> int:
    """Count the weights of flatten + Linear on the segmentation network's logits for images of a size."""
    return size[0] * size[1] * LOGITS * grid**2 * 2


def _unpooled(grid: int) -> str:
    weights = unpooled_weights(grid)
    return (
        f"Flatten + Linear on the unpooled 850×1280×{LOGITS} logits would need {weights / 1e9:.1f} billion "
        f"weights ({weights * 4 / 1e9:.0f} GB) for a grid of {grid}×{grid}; give pool=4, say, to read "
        "features pooled to 4×4."
    )
