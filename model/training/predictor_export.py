"""Exporting a trained predictor."""

from pathlib import Path

import torch

from model.checkpoints import write_state_dict
from model.predictor.network import MotionPredictor
from model.predictor.release import PredictorRelease, PredictorUse
from model.training.predictor_settings import PredictorTraining
from model.training.predictor_validation import PredictorScore


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
    use = PredictorUse(settings.height, settings.width, spread=score.spread)
    metadata = PredictorRelease(settings.config, use).to_metadata()
    write_state_dict(target, weights, metadata)
