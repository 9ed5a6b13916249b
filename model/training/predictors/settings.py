"""What a predictor's training depends on."""

from dataclasses import dataclass

from model.core.errors import BadInput
from model.core.settings import setting
from model.prediction.config import PredictorConfig
from model.training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class PredictorTraining(TrainingSettings):
    """All that a training depends on.

    backbone_rate: of the head's learning rate, once the backbone learns. validation: samples at most.
    """

    config: PredictorConfig
    data: tuple[str, ...] = setting((), "A training set (of convert); give it once for each.")
    start_from: str = setting(
        "imagenet",
        "imagenet or segmentation (torchvision's, downloaded), none, a registered name, or a file; of a "
        "predictor its backbone.",
    )
    height: int = setting(256, "Of the images, in pixels.")
    width: int = setting(448, "Of the images, in pixels.")
    frozen: float = setting(1.0, "The share of the training after which the backbone learns too.")
    views: tuple[int, ...] = setting(
        (2,), "Of each sample whose features are kept; once, or once for each --data: more views count more."
    )
    mirror: bool = setting(False, "The weights are to look at the mirrored picture, too.")
    backbone_rate: float = 0.05
    weight_decay: float = 0.05
    average_warm_up: bool = True
    validation: int = 400

    def __post_init__(self) -> None:
        if not self.data:
            raise BadInput("Name at least one training set with --data; convert makes one.")
        if not 0 <= self.frozen <= 1:
            raise BadInput(f"The frozen share must be 0 to 1, not {self.frozen}.")
        if self.batch < 2:
            raise BadInput(f"A batch must have at least 2 samples, not {self.batch}.")
        if not 64 <= min(self.size) <= max(self.size) <= 2048:
            raise BadInput(f"Images must be 64 to 2048 pixels high and wide, not {self.height}×{self.width}.")
        if min(self.views, default=0) < 1:
            raise BadInput(f"There must be at least 1 view of each sample, not {min(self.views, default=0)}.")
        if len(self.views) not in (1, len(self.data)):
            raise BadInput(
                f"Give one number of views for all sets, or one for each of the {len(self.data)} sets, "
                f"not {len(self.views)}."
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images."""
        return self.height, self.width
