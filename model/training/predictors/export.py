"""Exporting a trained predictor."""

from pathlib import Path

import torch

from model.prediction.network import MotionPredictor
from model.prediction.release import PredictorRelease, PredictorUse
from model.training.predictors.settings import PredictorTraining
from model.training.predictors.validation import PredictorScore
from model.weights.checkpoints import write_state_dict


def write_weights(
    target: Path, network: MotionPredictor, settings: PredictorTraining, score: PredictorScore
) -> None:
    """Export a network's weights as float16, with its calibrated use."""
    weights = {
        name: value.detach()
        .to("cpu", torch.float16 if value.is_floating_point() else value.dtype)
        .contiguous()
        for name, value in network.state_dict().items()
    }
    use = PredictorUse(settings.height, settings.width, scale_factor=score.scale_factor)
    metadata = PredictorRelease(settings.config, use).to_metadata()
    write_state_dict(target, weights, metadata)
