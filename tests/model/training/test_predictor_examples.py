"""Views of samples against closed forms, and what answers cost."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.prediction.mixture import Mixture
from model.training.predictors.data import batch_indices
from model.training.predictors.examples import (
    Example,
    Window,
    cropped,
    jittered,
    mirrored,
    plain_view,
    random_view,
    stack,
)
from model.training.predictors.losses import predictor_losses
from model.training.predictors.validation import calibrated, coverage, fit_scale_factor


def example(height: int = 48, width: int = 80, points: int = 5, steps: int = 3) -> Example:
    """A picture whose colours tell the place: red is x, green is y."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    picture = torch.stack([2 * x, 2 * y, torch.full_like(x, 90)]).byte()
    generator = torch.Generator().manual_seed(4)
    places = torch.rand(points, 2, generator=generator) * torch.tensor([width - 1.0, height - 1.0])
    motion = torch.randn(points, steps, 2, generator=generator) * 5
    return Example(picture, places, motion, torch.ones(points, steps))


def colours_at(view: Example) -> torch.Tensor:
    """The colours under the points, bilinear: `[N, 3]`."""
    size = torch.tensor([view.picture.shape[2], view.picture.shape[1]])
    places = (2 * view.points + 1) / size - 1
    read = torch.nn.functional.grid_sample(
        view.picture[None].float(), places[None, None], padding_mode="border", align_corners=False
    )
    return read[0, :, 0].T


def test_a_mirrored_view_shows_the_same_colours_and_moves_the_other_way():
    straight, back = example(), mirrored(example())
    assert torch.allclose(colours_at(straight), colours_at(back), atol=0.01)
    assert torch.equal(back.motion[..., 0], -straight.motion[..., 0])
    assert torch.equal(back.motion[..., 1], straight.motion[..., 1])
    again = mirrored(back)
    assert torch.equal(again.picture, straight.picture)
    assert torch.allclose(again.points, straight.points)


@given(share=st.floats(0.3, 1.0), x=st.floats(0, 1), y=st.floats(0, 1), height=st.integers(24, 90))
@settings(deadline=None, max_examples=40)
def test_a_crop_shows_the_same_colours_and_scales_the_motion(share, x, y, height):
    before = example()
    size = (height, round(height * 5 / 3))
    window = Window.widest((48, 80), size).shrunk(share, x, y, (48, 80))
    view = cropped(before, window, size)
    assert view.picture.shape == (3, *size)
    # Away from the border, where the edge is repeated.
    inner = ((view.points > 2) & (view.points < torch.tensor([size[1] - 3.0, size[0] - 3.0]))).all(dim=1)
    assert torch.allclose(colours_at(view)[inner], colours_at(before)[inner], atol=3)
    zoom = size[1] / window.width
    assert torch.allclose(view.motion, before.motion * torch.tensor([zoom, size[0] / window.height]))
    inside = ((view.points >= -0.5) & (view.points <= torch.tensor([size[1] - 0.5, size[0] - 0.5]))).all(
        dim=1
    )
    assert torch.equal(view.counts, inside[:, None].float().expand(-1, 3))


def test_a_view_of_the_same_size_is_the_picture_itself():
    assert torch.equal(plain_view(example(), (48, 80)).picture, example().picture)


def test_jitter_leaves_places_alone():
    changed = jittered(example(), np.random.default_rng(1))
    assert torch.equal(changed.points, example().points)
    assert not torch.equal(changed.picture, example().picture)


def test_random_views_are_as_random_as_their_generator():
    first, again, other = (
        random_view(example(), (24, 40), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.picture, again.picture)
    assert not torch.equal(first.picture, other.picture)


def answer_for(truth: torch.Tensor, log_scale: float = 0.0) -> Mixture:
    displacement = truth[:, :, None]
    return Mixture(
        displacement, torch.full(displacement.shape[:-1], log_scale), torch.zeros(displacement.shape[:3])
    )


def test_the_truth_costs_nothing_and_hidden_points_do_not_count():
    batch = stack([example(), example()])
    assert predictor_losses(answer_for(batch.motion), batch).error == 0
    shifted = answer_for(batch.motion + torch.tensor([2.0, -1.0]))
    one = predictor_losses(shifted, batch)
    assert float(one.error) == pytest.approx(3.0, abs=1e-5)
    # Laplace with a scale of 1: 3 px cost 3 nats, and the density at the middle is 1/4.
    assert float(one.likelihood) == pytest.approx(-3 - np.log(4), abs=1e-5)
    assert float(one.total) == pytest.approx(3 + 0.1 * (3 + np.log(4)), abs=1e-4)
    twice = Mixture(*(torch.cat([part, part], dim=2) for part in shifted))
    several = predictor_losses(twice._replace(log_weight=twice.log_weight - np.log(2)), batch)
    assert float(several.total) == pytest.approx(3 + np.log(4), abs=1e-4)
    wrong = batch.motion.clone()
    wrong[:, 2] += 1000
    hidden = batch._replace(counts=batch.counts.index_fill(1, torch.tensor([2]), 0.0))
    assert predictor_losses(answer_for(wrong), hidden).error == 0


def test_the_scale_factor_makes_intervals_cover_what_they_say():
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(4000, 2, generator=generator) - 0.5
    laplace = -3.0 * uniform.sign() * torch.log1p(-2 * uniform.abs())  # of scale 3
    mixture = Mixture(torch.zeros(1, 4000, 1, 1, 2), torch.zeros(1, 4000, 1, 1), torch.zeros(1, 4000, 1))
    assert fit_scale_factor(mixture, laplace) == pytest.approx(3.0, rel=0.06)
    assert coverage(mixture.widened(3.0), laplace) == pytest.approx(0.9, abs=0.02)


def test_calibration_finds_the_temperature_and_the_bias_that_the_truth_was_drawn_with():
    torch.manual_seed(0)
    ring = 8.0 * torch.tensor([[0.0, 0.0], [1, 0], [0, 1], [-1, 0], [0, -1]])
    points = 20000
    said = Mixture(
        ring[None, None, :, None].expand(1, points, -1, -1, -1),
        torch.zeros(1, points, 5, 1),
        (2 * torch.randn(1, points, 5)).log_softmax(dim=2),
    )
    drawn = torch.distributions.Categorical(logits=said.tempered(1.8, -0.7).log_weight[0]).sample()
    truth = ring[drawn] + torch.distributions.Laplace(0.0, 1.0).sample((points, 2))
    counts = torch.rand(points)  # whatever each is worth
    temperature, moving_bias = calibrated(said, truth, counts)
    assert temperature == pytest.approx(1.8, rel=0.05)
    assert moving_bias == pytest.approx(-0.7, abs=0.07)


def test_every_epoch_brings_each_sample_once_whatever_the_ranks():
    order = [number for step in range(5) for number in batch_indices(step, 4, 10, seed=1)]
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]
    shared = [n for step in range(5) for rank in (0, 1) for n in batch_indices(step, 2, 10, 1, rank, 2)]
    assert shared == order
