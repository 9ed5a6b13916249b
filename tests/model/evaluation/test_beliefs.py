"""Whether, which way and how likely: the metrics against slow loops, and what is known without a picture."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.beliefs import Belief, average_precision, belief_metrics
from model.evaluation.predictors.baselines import SCALES, StillMixture


def slow_precision(scores: list[float], wanted: list[bool]) -> float:
    """Of each wanted point: the share of wanted ones among all that score as high or higher."""
    found = []
    for score, is_wanted in zip(scores, wanted, strict=True):
        if is_wanted:
            above = [other for other, value in zip(wanted, scores, strict=True) if value >= score]
            found.append(sum(above) / len(above))
    return sum(found) / len(found)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_average_precision_is_its_definition(points: list[tuple[int, bool]]) -> None:
    scores, wanted = [float(score) for score, _ in points], [is_wanted for _, is_wanted in points]
    wanted[0] = True
    found = average_precision(np.array(scores), np.array(wanted))
    assert found == pytest.approx(slow_precision(scores, wanted))


def belief(truth: list[list[float]], moving: list[float], direction: list[list[float]]) -> Belief:
    count = len(truth)
    return Belief(np.array(truth), np.array(moving), np.array(direction), np.full(count, -1.0))


def test_metrics_of_a_known_case() -> None:
    right = belief([[10, 0], [0, 0], [0, -10], [0.5, 0]], [0.95, 0.05, 0.85, 0.05], [[1, 0]] * 4)
    metrics = belief_metrics([right])
    assert metrics.average_precision == 1
    assert metrics.moving_share == 0.5
    assert metrics.direction == pytest.approx(0.5)  # of two moving points, one as said and one square to it
    assert metrics.calibration_error == pytest.approx((0.05 + 0.15 + 2 * 0.05) / 4)
    assert metrics.log_likelihood == -1


def test_the_surest_tenth_counts_by_the_length_of_the_direction() -> None:
    truth = [[10.0, 0.0]] * 20
    direction = [[0.9, 0.0]] * 2 + [[-0.1, 0.0]] * 18
    metrics = belief_metrics([belief(truth, [1.0] * 20, direction)])
    assert metrics.surest_direction == pytest.approx(1)
    assert metrics.direction == pytest.approx((2 - 18) / 20)


def test_nothing_to_measure_is_no_number() -> None:
    metrics = belief_metrics([Belief(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 2)))])
    assert all(math.isnan(value) for value in vars(metrics).values())


def test_an_answer_without_probabilities_is_not_called_calibrated() -> None:
    metrics = belief_metrics([Belief(np.array([[9.0, 0.0]]), np.array([40.0]), np.array([[1.0, 0.0]]))])
    assert math.isnan(metrics.calibration_error)
    assert math.isnan(metrics.log_likelihood)


def test_what_is_known_without_a_picture_is_fitted_to_its_likelihood() -> None:
    rng = np.random.default_rng(0)
    scale = np.where(rng.random((4000, 1)) < 0.7, SCALES[2], SCALES[9])
    motion = rng.laplace(0, 1, (4000, 2)) * scale
    fitted = StillMixture.of(motion)
    assert fitted.weights[2] == pytest.approx(0.7, abs=0.1)
    assert fitted.weights[9] == pytest.approx(0.3, abs=0.1)
    best = fitted.log_density(motion).mean()
    for _ in range(20):
        other = StillMixture(rng.dirichlet(np.ones(len(SCALES))))
        assert other.log_density(motion).mean() < best


def test_the_density_is_one_in_all() -> None:
    mixture = StillMixture(np.eye(len(SCALES))[6] * 0.999 + 0.001 / len(SCALES))
    step = SCALES[6] / 10
    axis = np.arange(-150, 151) * step
    places = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert np.exp(mixture.log_density(places)).sum() * step**2 == pytest.approx(1, abs=0.02)
