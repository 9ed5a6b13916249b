"""A predictor of random weights: small, quick, and with answers that differ from place to place."""

from pathlib import Path

HORIZON = 8


def tiny_predictor(path: Path, *, trajectory: bool = True) -> Path:
    """Write a file of weights as `train-predictor` does; the path ends in .safetensors.

    trajectory: it predicts all `HORIZON` frames; otherwise the first and the last.
    """
    # Here, because torch takes seconds that tests without it need not wait.
    import safetensors.torch
    import torch

    from model.prediction.network import build_predictor
    from model.prediction.release import PredictorRelease, PredictorUse

    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build_predictor(
            "lraspp_mobilenet_v3_large",
            grid=4,
            width=16,
            horizon=HORIZON,
            trajectory=trajectory,
        ).eval()
    with torch.no_grad():
        network.head.answer.weight.mul_(300)
    metadata = PredictorRelease(network.config, PredictorUse(96, 160)).to_metadata()
    safetensors.torch.save_file(network.state_dict(), path, metadata)
    return path
