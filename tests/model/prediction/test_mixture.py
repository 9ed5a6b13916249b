"""Mixtures of Laplace distributions: medians, quantiles and likelihoods against draws and densities."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.prediction.mixture import Mixture


def two_sided(weight: float = 0.7) -> Mixture:
    """One point that goes 10 px left or right."""
    return Mixture(
        torch.tensor([-10.0, 0.0, 10.0, 0.0]).view(1, 1, 2, 1, 2),
        torch.zeros(1, 1, 2, 1),
        torch.tensor([weight, 1 - weight]).log().view(1, 1, 2),
    )


def test_the_median_of_two_hypotheses_is_the_likelier_one():
    sure = two_sided(0.7)._replace(log_scale=torch.full((1, 1, 2, 1), -6.0))
    assert torch.allclose(sure.median()[0, 0, 0], torch.tensor([-10.0, 0.0]), atol=0.1)
    assert torch.equal(two_sided(0.2).best()[0, 0, 0], torch.tensor([10.0, 0.0]))


def drawn(mixture: Mixture, count: int) -> torch.Tensor:
    """Draw positions of the first point's last frame: `[count, 2]`."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.multinomial(mixture.weight[0, 0], count, replacement=True, generator=generator)
    uniform = torch.rand(count, 2, generator=generator) - 0.5
    noise = -uniform.sign() * (1 - 2 * uniform.abs()).clamp(min=1e-7).log()
    return mixture.displacement[0, 0, chosen, -1] + mixture.log_scale[0, 0, chosen, -1, None].exp() * noise


def lopsided() -> Mixture:
    """Likelier than not to the right, but not sure how far; if not, it stays almost surely."""
    return Mixture(
        torch.tensor([[[[[8.0, 2.0]], [[0.0, 0.0]], [[3.0, -6.0]]]]]),
        torch.tensor([[[[1.6], [-2.0], [1.0]]]]),
        torch.tensor([[[0.5, 0.35, 0.15]]]).log(),
    )


def test_the_expected_distance_is_that_of_draws():
    mixture, truth = lopsided(), drawn(lopsided(), 400_000)
    for answer in ([0.0, 0.0], [8.0, 2.0], [3.0, 1.0], [-20.0, 5.0], [1.5, -2.0]):
        mean = (truth - torch.tensor(answer)).norm(dim=1).mean()
        expected = mixture.expected_distances(torch.tensor(answer)[None, None, None])[0, 0, :, 0]
        assert float(mixture.weight[0, 0] @ expected) == pytest.approx(float(mean), rel=0.02)


def test_the_median_has_the_least_distance_of_draws():
    """Were all hypotheses sure, it would be the first one, (8, 2), which has half of the weight."""
    truth = drawn(lopsided(), 20_000)
    axis = torch.arange(-2, 10, 0.25)
    tried = torch.cartesian_prod(axis, axis)
    means = torch.stack([(truth - each).norm(dim=1).mean() for each in tried])
    median = lopsided().median()[0, 0, 0]
    assert (median - tried[means.argmin()]).norm() < 0.5
    assert (truth - median).norm(dim=1).mean() < 1.01 * means.min()


def test_the_quantiles_of_one_hypothesis_are_laplaces():
    one = Mixture(
        torch.tensor([[[[[3.0, -1.0]]]]]), torch.tensor([[[[math.log(2.0)]]]]), torch.zeros(1, 1, 1)
    )
    # Laplace: F(x) = exp((x - m) / b) / 2 below the middle m.
    assert one.quantile(0.05)[0, 0, 0].tolist() == pytest.approx(
        [3 + 2 * math.log(0.1), -1 + 2 * math.log(0.1)], abs=1e-4
    )
    assert one.widened(3.0).quantile(0.95)[0, 0, 0, 0] == pytest.approx(3 - 6 * math.log(0.1), abs=1e-4)


@given(share=st.floats(0.01, 0.99), weight=st.floats(0.05, 0.95))
@settings(deadline=None)
def test_quantiles_and_the_cumulative_distribution_agree(share, weight):
    mixture = two_sided(weight)
    assert float(mixture.cumulative(mixture.quantile(share))[0, 0, 0, 1]) == pytest.approx(share, abs=1e-3)


def test_the_likelihood_is_the_density():
    """Integrated over the plane, it is 1."""
    mixture = two_sided()
    axis = torch.arange(-40, 40, 0.25)
    x, y = torch.meshgrid(axis, axis, indexing="ij")
    truth = torch.stack([x.flatten(), y.flatten()], dim=1)[None, :, None]
    many = Mixture(*(part.expand(1, truth.shape[1], *part.shape[2:]) for part in mixture))
    density = many.log_likelihood(truth, torch.ones(truth.shape[:3])).exp()
    assert float(density.sum()) * 0.25**2 == pytest.approx(1.0, abs=0.02)
