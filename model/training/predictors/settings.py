"""What a predictor's training depends on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from model.core.errors import BadInput
from model.prediction.config import PredictorConfig


@dataclass(frozen=True)
class PredictorTraining:
    """All that a training depends on; it is kept in the checkpoint.

    config: of the network. data: folders of training sets. start_from: see `initial_weights`.
    minutes, steps: the end, whichever comes first. batch: samples a step. height, width: of the pictures.
    frozen: the share of the training with a frozen backbone; after it, the backbone learns at `backbone_rate`
        of the head's rate. views: of each sample whose features are kept, for all sets or set by
        set; a set with more views counts more.
    average: the decay of the weights' exponential moving average, which is exported.
    patience: validations without a better one after which the training ends; 0: none.
    nearest, direction: weights of two parts of the loss, see `PredictorLossWeights`.
    save_minutes: between checkpoints, each with a validation on at most `validation` samples.
    """

    config: PredictorConfig
    data: tuple[str, ...]
    start_from: str = "imagenet"
    minutes: float | None = None
    steps: int | None = None
    batch: int = 8
    height: int = 256
    width: int = 448
    frozen: float = 1.0
    backbone_rate: float = 0.05
    views: tuple[int, ...] = (2,)
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    average: float = 0.998
    clip_norm: float = 1.0
    seed: int = 0
    patience: int = 0
    save_minutes: float = 5.0
    validation: int = 400
    nearest: float = 0.1
    direction: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.frozen <= 1:
            raise BadInput(f"The frozen share must be 0 to 1, not {self.frozen}.")
        if self.batch < 2:
            raise BadInput(f"A batch must have at least 2 samples, not {self.batch}.")
        if min(self.views, default=0) < 1:
            raise BadInput(f"There must be at least 1 view of each sample, not {min(self.views, default=0)}.")
        if len(self.views) not in (1, len(self.data)):
            raise BadInput(
                f"Give one number of views for all sets, or one for each of the {len(self.data)} sets, "
                f"not {len(self.views)}."
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return self.height, self.width

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**asdict(self), "data": list(self.data), "views": list(self.views)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PredictorTraining":
        """Take what `to_json` gave."""
        sequences = {name: tuple(values[name]) for name in ("data", "views")}
        return cls(**{**values, **sequences, "config": PredictorConfig(**values["config"])})
