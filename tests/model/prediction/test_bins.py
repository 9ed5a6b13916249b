"""Weights of fixed displacements: the distribution, what it says of moving and direction, and its prior."""

import numpy as np
import pytest
import torch

from model.core.errors import BadInput
from model.prediction.config import PredictorConfig
from model.prediction.mixture import Mixture
from model.prediction.network import build_predictor
from model.prediction.outputs import DIRECTIONS, LENGTHS, STAY_SCALES, BinsOutput

FIRST_RING = len(STAY_SCALES)


def mixture_of(log_weight: torch.Tensor) -> Mixture:
    output = BinsOutput(steps=1)
    return output.read(log_weight, torch.zeros(output.hypotheses))


def only(hypothesis: int) -> Mixture:
    raw = torch.full((1, 1, BinsOutput(1).hypotheses), -40.0)
    raw[..., hypothesis] = 0
    return mixture_of(raw)


def drawn(mixture: Mixture, count: int = 200_000) -> np.ndarray:
    """Draw displacements of the first point at random: `[count, 2]`."""
    rng = np.random.default_rng(0)
    weight = mixture.weight[0, 0].numpy().astype(np.float64)
    chosen = rng.choice(len(weight), count, p=weight / weight.sum())
    scale = mixture.log_scale[0, 0, :, -1].exp().numpy()[chosen, None]
    return mixture.displacement[0, 0, :, -1].numpy()[chosen] + rng.laplace(0, 1, (count, 2)) * scale


@pytest.mark.parametrize("seed", range(4))
def test_moving_and_direction_are_those_of_draws(seed: int) -> None:
    torch.manual_seed(seed)
    mixture = mixture_of(3 * torch.randn(1, 1, BinsOutput(1).hypotheses))
    draws = drawn(mixture)
    for length in (1.0, 2.0, 6.0):
        share = (np.linalg.norm(draws, axis=1) > length).mean()
        assert float(mixture.moving(length)) == pytest.approx(share, abs=0.02)
    last = mixture.displacement[0, 0, :, -1].numpy()
    unit = last / np.linalg.norm(last, axis=1, keepdims=True).clip(1e-9)
    assert mixture.direction()[0, 0].numpy() == pytest.approx(mixture.weight[0, 0].numpy() @ unit, abs=1e-5)


def test_the_rings_go_all_around_from_the_right() -> None:
    right, down = only(FIRST_RING), only(FIRST_RING + DIRECTIONS // 4)
    assert right.direction()[0, 0].tolist() == pytest.approx([1, 0], abs=1e-5)
    assert down.direction()[0, 0].tolist() == pytest.approx([0, 1], abs=1e-5)
    assert right.displacement[0, 0, FIRST_RING, -1].tolist() == [LENGTHS[0], 0]
    assert float(only(0).moving(2.0)) < 0.01


def test_a_mirrored_distribution_is_again_one_of_the_bins() -> None:
    """So averaging with the mirrored picture's answer adds nothing that the bins do not have."""
    own = mixture_of(torch.zeros(1, 1, BinsOutput(1).hypotheses)).displacement[0, 0, :, -1]
    mirrored = own * torch.tensor([-1.0, 1.0])
    assert torch.cdist(mirrored, own).amin(dim=1).max() < 1e-4


def test_by_direction_keeps_weights_and_means() -> None:
    torch.manual_seed(3)
    mixture = mixture_of(torch.randn(2, 5, BinsOutput(1).hypotheses))
    told = mixture.by_direction(DIRECTIONS)
    assert told.weight.shape == (2, 5, DIRECTIONS + 1)
    assert told.weight.sum(dim=2).numpy() == pytest.approx(1, abs=1e-5)
    mean = [(m.weight[..., None, None] * m.displacement).sum(dim=2) for m in (mixture, told)]
    assert mean[0].numpy() == pytest.approx(mean[1].numpy(), abs=1e-4)
    assert told.direction().numpy() == pytest.approx(mixture.direction().numpy(), abs=1e-4)
    still = mixture.weight[..., :FIRST_RING].sum(dim=2)
    assert told.weight[..., 0].numpy() == pytest.approx(still.numpy(), abs=1e-5)


def test_the_prior_finds_what_points_do() -> None:
    """Half of the points stay to a fifth of a pixel, half go 16 px to the right."""
    rng = np.random.default_rng(0)
    motion = rng.laplace(0, 0.2, (2000, 1, 2))
    motion[::2, 0] = np.array([16, 0]) + rng.laplace(0, 2, (1000, 2))
    output = BinsOutput(1)
    prior = output.fitted(torch.from_numpy(motion).float(), torch.ones(2000, 1))
    mixture = output.read(torch.zeros(1, 1, output.hypotheses), prior)
    assert float(mixture.moving(2.0)) == pytest.approx(0.5, abs=0.05)
    assert float(mixture.direction()[0, 0, 0]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
def test_the_head_answers_for_any_points_and_learns(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = build_predictor("lraspp_mobilenet_v3_large", "bins", grid=4, width=16)
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        features = network.features(images)
    points = torch.rand(2, 7, 2) * torch.tensor([size[1], size[0]])
    mixture = network.answer(features, points, size)
    assert mixture.displacement.shape == (2, 7, BinsOutput(1).hypotheses, 1, 2)
    loss = -mixture.log_likelihood(torch.ones(2, 7, 1, 2), torch.ones(2, 7, 1)).mean()
    loss.backward()
    learns = {name: value.grad for name, value in network.named_parameters() if value.grad is not None}
    assert {"log_prior", "head.places", "head.answer.weight"} <= set(learns)


@pytest.mark.parametrize(("fps", "later"), [(30, 14), (24, 11), (60, 28), (15, 7), (1, 1), (0, 7)])
def test_the_horizon_is_a_time(fps: float, later: int) -> None:
    config = PredictorConfig(interval=1 / 15)
    assert config.seconds == pytest.approx(7 / 15)
    assert config.later_frames(fps).tolist() == [later]


def test_without_an_interval_the_horizon_is_frames() -> None:
    assert PredictorConfig().later_frames(30).tolist() == [7]
    assert PredictorConfig(trajectory=True).later_frames(30).tolist() == list(range(1, 8))
    with pytest.raises(BadInput, match="dropout"):
        PredictorConfig(dropout=1.0)


def test_a_temperature_makes_surer_or_less_sure_and_keeps_the_order() -> None:
    torch.manual_seed(1)
    mixture = mixture_of(torch.randn(1, 3, BinsOutput(1).hypotheses))
    assert torch.allclose(mixture.tempered(1.0).log_weight, mixture.log_weight, atol=1e-6)
    cool, hot = mixture.tempered(0.5), mixture.tempered(4.0)
    assert (cool.weight.amax(dim=2) > mixture.weight.amax(dim=2)).all()
    assert (hot.weight.amax(dim=2) < mixture.weight.amax(dim=2)).all()
    assert torch.allclose(cool.weight, mixture.weight**2 / (mixture.weight**2).sum(dim=2, keepdim=True))
    assert torch.equal(hot.log_weight.argsort(dim=2), mixture.log_weight.argsort(dim=2))
