"""Stay prior and informativeness: closed forms of when a point moves, and their fit on unseen samples."""

import math

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from model.__main__ import main
from model.core.errors import BadInput, Stopped
from model.core.progress import ignore_progress, never_stop
from model.evaluation.predictors.run import evaluate_predictors
from model.prediction.mixture import Mixture
from model.prediction.network import build_predictor
from model.prediction.predictor import Expectation, Predictor, informativeness, point_answer
from model.prediction.release import PredictorRelease, PredictorUse, read_release
from model.training.predictors.calibrate import (
    ABSTAIN_THRESHOLDS,
    STAY_PRIORS,
    calibrate_predictor,
    least_error,
)
from model.weights.checkpoints import read_state_dict
from tests.model.datasets.example_sets import FRAMES, GRID, make_dataset


@given(right=st.floats(0.05, 0.95), prior=st.floats(0.0, 0.8), distance=st.floats(1, 50))
def test_a_point_moves_only_where_those_who_agree_outweigh_the_stay_prior(right, prior, distance):
    """On a line the median is where half of the weight lies on either side."""
    ways = torch.tensor([[distance, 0.0], [-distance, 0.0]])[None, None, :, None]
    weight = torch.tensor([right, 1 - right])[None, None]
    mixture = Mixture(ways, torch.full((1, 1, 2, 1), -6.0), weight.log())  # hardly wider than points
    heavier = max(right, 1 - right) * (1 - prior)
    assume(abs(heavier - 0.5) > 0.05)
    answer = point_answer(mixture, PredictorUse(stay_prior=prior))[0, 0, 0]
    expected = math.copysign(distance, right - 0.5) if heavier > 0.5 else 0.0
    assert answer[0] == pytest.approx(expected, abs=0.02 * distance)
    assert answer[1] == 0


def test_the_stay_prior_leaves_the_rest_of_the_mixture_as_it_is():
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand(1, 3, 4, generator=generator)
    mixture = Mixture(
        torch.randn(1, 3, 4, 2, 2, generator=generator),
        torch.randn(1, 3, 4, 2, generator=generator),
        (weights / weights.sum(2, keepdim=True)).log(),
    )
    assert mixture.with_stay_prior(0.0) is mixture
    with_prior = mixture.with_stay_prior(0.3)
    assert with_prior.weight.sum(dim=2) == pytest.approx(1)
    assert with_prior.weight[:, :, :-1] == pytest.approx(0.7 * mixture.weight)
    assert torch.equal(with_prior.displacement[:, :, :-1], mixture.displacement)
    assert not with_prior.displacement[:, :, -1].any()
    assert torch.equal(with_prior.log_scale[:, :, -1], mixture.log_scale.min(dim=2).values)


def one_hypothesis(distance: float, scale: float) -> Expectation:
    """All points are expected at a distance, give or take a scale."""
    mixture = Mixture(
        torch.tensor([distance, 0.0]).expand(1, 5, 1, 1, 2),
        torch.full((1, 5, 1, 1), math.log(scale)),
        torch.zeros(1, 5, 1),
    )
    return Expectation(mixture, (64, 112), informativeness(mixture))


@given(distance=st.floats(0, 40), scale=st.floats(0.1, 20))
def test_informativeness_is_the_share_of_the_error_that_moving_saves(distance, scale):
    """One hypothesis: its mean error is 1.623 scales, that of staying about the root of the squares' sum."""
    left = 1.6232 * scale
    expected = 1 - left / math.hypot(distance, left)
    assert one_hypothesis(distance, scale).informativeness == pytest.approx(expected, abs=1e-4)


def test_an_answer_with_too_little_information_is_that_nothing_moves():
    unsure = one_hypothesis(3.0, 2.0)  # saves 1 - 3.25 / 4.42 = 0.266
    assert unsure.answer(PredictorUse(abstain_below=0.26))[0, 0, 0].tolist() == [3.0, 0.0]
    assert not unsure.is_withheld(PredictorUse(abstain_below=0.26))
    assert not unsure.answer(PredictorUse(abstain_below=0.27)).any()
    assert unsure.is_withheld(PredictorUse(abstain_below=0.27))


@pytest.mark.parametrize("prior", [-0.1, 1.0, math.nan])
def test_a_stay_prior_out_of_range_is_refused(prior):
    with pytest.raises(ValueError, match="stay_prior"):
        PredictorUse(stay_prior=prior)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="abstain_below"):
        PredictorUse(abstain_below=threshold)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moving")
    make_dataset(folder)
    return str(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    network = build_predictor(
        "lraspp_mobilenet_v3_large", grid=GRID, horizon=FRAMES, trajectory=True, modes=3, width=16
    )
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    metadata = PredictorRelease(network.config, PredictorUse(64, 112)).to_metadata()
    safetensors.torch.save_file(network.state_dict(), path, metadata)
    return path


@pytest.mark.slow
def test_the_pair_with_the_least_error_is_written(data, weights, tmp_path):
    out = tmp_path / "out.safetensors"
    calibration = calibrate_predictor(
        weights,
        out,
        [data, data],
        splits=["validation"],
        most=6,
        mirror=True,
        progress=ignore_progress,
        should_stop=never_stop,
    )
    first, second = calibration.errors
    assert np.array_equal(first, second)
    # Random weights are less informative than that: everything is withheld.
    assert (first[:, -1] == 1).all()
    written = read_release(out)
    prior, threshold = least_error(calibration.errors)
    assert written.use == PredictorUse(64, 112, mirror=True, stay_prior=prior, abstain_below=threshold)
    before, after = read_state_dict(weights), read_state_dict(out)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)

    (result,) = evaluate_predictors(
        [data],
        {("net", ""): Predictor.load(out, "cpu")},
        split="validation",
        most=6,
        neighbours=0,
        progress=ignore_progress,
        should_stop=never_stop,
    )
    ades = {method.name: method.metrics.ade for method in result.methods}
    assert ades["net"] / ades["zero"] == pytest.approx(first.min(), rel=1e-4)


def test_of_pairs_that_do_as_well_the_most_careful_is_chosen():
    errors = np.full((2, len(STAY_PRIORS), len(ABSTAIN_THRESHOLDS)), 1.5)
    errors[0, 2, 3] = 1.0
    assert least_error(errors) == (STAY_PRIORS[2], ABSTAIN_THRESHOLDS[3])
    errors[1, 1, 5] = errors[1, 3, 5] = 1.0
    assert least_error(errors) == (STAY_PRIORS[3], ABSTAIN_THRESHOLDS[5])
    errors[1, 3, 5] = 1.1
    assert least_error(errors) == (STAY_PRIORS[1], ABSTAIN_THRESHOLDS[5])


def test_the_command_says_what_it_tried(data, weights, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    arguments = ["calibrate-predictor", str(weights), "--out", str(out), "--samples", "2", "--device", "cpu"]
    assert main([*arguments, "--data", data]) == 0
    said = capsys.readouterr().out
    assert all(f"stay prior {prior:.2f}" in said for prior in STAY_PRIORS)
    assert all(f"abstain below {threshold:.2f}" in said for threshold in ABSTAIN_THRESHOLDS)
    assert out.exists()
    assert main(arguments) == 2
    assert "--data" in capsys.readouterr().err


def test_another_recipes_stay_prior_can_be_taken(data, weights, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    arguments = ["calibrate-predictor", str(weights), "--out", str(out), "--mirror", "--stay-prior", "0.15"]
    assert main(arguments) == 0
    assert read_release(out).use == PredictorUse(64, 112, mirror=True, stay_prior=0.15)
    assert main([*arguments, "--abstain-below", "0.3"]) == 0
    assert read_release(out).use == PredictorUse(64, 112, mirror=True, stay_prior=0.15, abstain_below=0.3)
    old = ["--doubt", "0.2", "--least-gain", "0.4"]  # as the options were called
    assert main([*arguments[:-2], *old]) == 0
    assert read_release(out).use == PredictorUse(64, 112, mirror=True, stay_prior=0.2, abstain_below=0.4)
    assert main([*arguments[:-2], "--data", data, "--abstain-below", "0.3"]) == 2
    capsys.readouterr()
    assert main([*arguments, "--data", data]) == 2
    assert "--stay-prior" in capsys.readouterr().err
    assert main([*arguments[:-1], "1"]) == 2


def test_what_cannot_be_fitted_is_one_sentence(data, weights, tmp_path):
    options = {"splits": ["validation"], "progress": ignore_progress, "should_stop": never_stop}
    with pytest.raises(BadInput, match="safetensors"):
        calibrate_predictor(weights, tmp_path / "out.pt", [data], **options)
    with pytest.raises(BadInput, match="no samples for test"):
        calibrate_predictor(weights, tmp_path / "out.safetensors", [data], **{**options, "splits": ["test"]})
    with pytest.raises(BadInput, match="each of the 1 sets, not 2"):
        calibrate_predictor(
            weights, tmp_path / "out.safetensors", [data], **{**options, "splits": ["test", "train"]}
        )
    with pytest.raises(Stopped):
        calibrate_predictor(
            weights, tmp_path / "out.safetensors", [data], **{**options, "should_stop": lambda: True}
        )
    assert not list(tmp_path.iterdir())
