"""What every training depends on."""

from dataclasses import dataclass

from model.core.settings import setting


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Kept in the checkpoint. A training ends with `minutes` or `steps`, whichever comes first.

    weight_decay: of AdamW. average: the decay of the weights' exponential moving average, which is exported;
    average_warm_up: with less of it in the first steps, (1 + step) / (10 + step). clip_norm: of gradients.
    """

    minutes: float | None = setting(None, "End after this much training.")
    steps: int | None = setting(None, "End after this many steps.")
    batch: int = setting(8, "Samples a step (and process, under torchrun).")
    learning_rate: float = setting(1e-3, "At its highest.")
    weight_decay: float = 1e-3
    average: float = 0.998
    average_warm_up: bool = False
    clip_norm: float = 1.0
    seed: int = setting(0, "Of the weights to begin with and of all that is chosen at random.")
    patience: int = setting(0, "Validations without a better one that end the training; 0: none do.")
    save_minutes: float = setting(5.0, "Between checkpoints, each with a validation.")
