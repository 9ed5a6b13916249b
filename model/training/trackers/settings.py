"""What a tracker's training depends on."""

from dataclasses import dataclass

from model.core.settings import setting
from model.training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class TrackerTraining(TrainingSettings):
    """All that a training depends on; samples are clips.

    iterations: of the network. speed: see SyntheticSettings. procedural: made pictures beside the folders'.
    validation_batches: pairs of clips.
    """

    size: str = setting("small", "Of the network: small or authors.")
    batch: int = setting(2, "Clips a step (and process, under torchrun).")
    points: int = setting(64, "Query points a clip.")
    height: int = setting(160, "Of the clips, in pixels.")
    width: int = setting(224, "Of the clips, in pixels.")
    learning_rate: float = setting(8e-4, "At its highest.")
    save_minutes: float = setting(6.0, "Between checkpoints, each with a validation.")
    textures: str | None = setting(None, "A folder of photos for the layers.")
    cutouts: str | None = setting(None, "A folder of images with alpha for the layers.")
    start_from: str | None = setting(None, "A file of weights to begin with; otherwise random ones.")
    iterations: int = 4
    speed: float = 1.3
    procedural: int = 96
    validation_batches: int = 12
