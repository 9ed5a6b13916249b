"""Doubt: a closed form of when a point moves, and its fit on samples that a network has not seen."""

import math

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from model.__main__ import main
from model.checkpoints import read_state_dict
from model.errors import BadInput, Stopped
from model.evaluate_predictor.run import evaluate_predictors
from model.predictor.mixture import Mixture
from model.predictor.network import build_predictor
from model.predictor.predict import Predictor, point_answer
from model.predictor.release import PredictorRelease, PredictorUse, read_release
from model.progress import ignore_progress, never_stop
from model.training.calibrate_predictor import DOUBTS, calibrate_predictor, chosen_doubt
from tests.model.datasets import FRAMES, GRID, make_dataset


@given(right=st.floats(0.05, 0.95), doubt=st.floats(0.0, 0.8), distance=st.floats(1, 50))
def test_a_point_moves_only_where_those_who_agree_outweigh_doubt(right, doubt, distance):
    """On a line the median is where half of the weight lies on either side."""
    ways = torch.tensor([[distance, 0.0], [-distance, 0.0]])[None, None, :, None]
    weight = torch.tensor([right, 1 - right])[None, None]
    mixture = Mixture(ways, torch.zeros(1, 1, 2, 1), weight.log())
    heavier = max(right, 1 - right) * (1 - doubt)
    assume(abs(heavier - 0.5) > 0.05)
    answer = point_answer(mixture, PredictorUse(doubt=doubt))[0, 0, 0]
    expected = math.copysign(distance, right - 0.5) if heavier > 0.5 else 0.0
    assert answer[0] == pytest.approx(expected, abs=0.02 * distance)
    assert answer[1] == 0


def test_doubt_leaves_the_rest_of_the_mixture_as_it_is():
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand(1, 3, 4, generator=generator)
    mixture = Mixture(
        torch.randn(1, 3, 4, 2, 2, generator=generator),
        torch.zeros(1, 3, 4, 2),
        (weights / weights.sum(2, keepdim=True)).log(),
    )
    assert mixture.doubted(0.0) is mixture
    doubted = mixture.doubted(0.3)
    assert doubted.weight.sum(dim=2) == pytest.approx(1)
    assert doubted.weight[:, :, :-1] == pytest.approx(0.7 * mixture.weight)
    assert torch.equal(doubted.displacement[:, :, :-1], mixture.displacement)
    assert not doubted.displacement[:, :, -1].any()


@pytest.mark.parametrize("doubt", [-0.1, 1.0, math.nan])
def test_doubt_out_of_range_is_refused(doubt):
    with pytest.raises(ValueError, match="doubt"):
        PredictorUse(doubt=doubt)


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


def test_the_doubt_with_the_least_error_is_written(data, weights, tmp_path):
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
    first, second = np.array(calibration.errors)
    assert np.array_equal(first, second)
    # From a half on, "it stays" outweighs everything.
    assert first[[doubt > 0.5 for doubt in DOUBTS]] == pytest.approx(1, abs=1e-3)
    written = read_release(out)
    assert written.use == PredictorUse(64, 112, mirror=True, doubt=chosen_doubt([first]))
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
    expected = first[DOUBTS.index(written.use.doubt)]
    assert ades["net"] / ades["zero"] == pytest.approx(expected, rel=1e-4)
    assert expected <= 1.01 * first.min()


def test_of_doubts_that_do_as_well_the_largest_is_chosen():
    worse = [1.5] * len(DOUBTS)
    worse[2:6] = [1.012, 1.0, 1.009, 1.011]
    assert chosen_doubt([worse]) == DOUBTS[4]
    assert chosen_doubt([worse, [1.0] * len(DOUBTS)]) == DOUBTS[5]  # 2.011 for 2.0


def test_the_command_says_what_it_tried(data, weights, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    arguments = ["calibrate-predictor", str(weights), "--out", str(out), "--samples", "2", "--device", "cpu"]
    assert main([*arguments, "--data", data]) == 0
    said = capsys.readouterr().out
    assert all(f"doubt {doubt:.2f}" in said for doubt in DOUBTS)
    assert out.exists()
    assert main(arguments) == 2
    assert "--data" in capsys.readouterr().err


def test_another_recipes_doubt_can_be_taken(data, weights, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    arguments = ["calibrate-predictor", str(weights), "--out", str(out), "--mirror", "--doubt", "0.15"]
    assert main(arguments) == 0
    assert read_release(out).use == PredictorUse(64, 112, mirror=True, doubt=0.15)
    capsys.readouterr()
    assert main([*arguments, "--data", data]) == 2
    assert "--doubt" in capsys.readouterr().err
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
