"""Measuring predictors: metrics against slow loops, baselines against closed forms, one report."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from model.commands.evaluate import command
from model.core.errors import BadInput, Stopped
from model.core.progress import Watch
from model.evaluation.prediction_metrics import Outcome, PointScores, average_scores, prediction_metrics
from model.evaluation.predictors.baselines import CellPrior, Neighbours
from model.evaluation.predictors.run import LEVELS, evaluate_predictors
from model.evaluation.predictors.samples import Domain, spaced
from model.prediction.network import build_predictor
from model.prediction.predictor import Predictor
from model.prediction.release import PredictorRelease, PredictorUse
from tests.model.datasets.example_sets import FRAMES, GRID, SIZE, make_dataset


def slow_metrics(outcome: Outcome) -> dict[str, float]:
    """Straight from the definitions (science.md, section 2), point by point."""
    rows = []
    for p in range(len(outcome.truth)):
        path, answer = outcome.truth[p], outcome.answer[p]
        distances = [math.dist(a, b) for a, b in zip(path, answer, strict=True)]
        each = [
            [math.dist(a, b) for a, b in zip(path, hypothesis, strict=True)]
            for hypothesis in outcome.hypotheses[p]
        ]
        best = max(range(len(each)), key=lambda k: outcome.weights[p, k])
        length, guess = math.hypot(*path[-1]), math.hypot(*answer[-1])
        dot = path[-1][0] * answer[-1][0] + path[-1][1] * answer[-1][1]
        inside = []
        for axis in range(2):
            low, high = outcome.interval[0, p, -1, axis], outcome.interval[1, p, -1, axis]
            inside.append(low <= path[-1][axis] <= high)
        rows.append(
            {
                "epe": distances[-1],
                "ade": sum(distances) / len(distances),
                "best_ade": sum(each[best]) / len(each[best]),
                "best": each[best][-1],
                "min_ade": min(sum(one) / len(one) for one in each),
                "min_epe": min(one[-1] for one in each),
                "moving": length > 1,
                "cosine": dot / length / guess if length * guess else 0.0,
                "coverage": sum(inside) / 2,
            }
        )

    def mean(name: str, only_moving: bool = False, change=lambda value: value) -> float:
        values = [change(row[name]) for row in rows if row["moving"] or not only_moving]
        return sum(values) / len(values) if values else math.nan

    return {
        "epe": mean("epe"),
        "ade": mean("ade"),
        "epe_moving": mean("epe", True),
        "ade_moving": mean("ade", True),
        "cosine": mean("cosine", True),
        "orientation": mean("cosine", True, abs),
        "best_ade": mean("best_ade"),
        "best_epe_moving": mean("best", True),
        "min_ade": mean("min_ade"),
        "min_epe_moving": mean("min_epe", True),
        "coverage": mean("coverage"),
        "within_2": mean("epe", change=lambda value: float(value < 2)),
    }


@given(
    seed=st.integers(0, 10**6),
    points=st.integers(0, 12),
    hypotheses=st.integers(1, 4),
    steps=st.integers(1, 5),
)
@settings(deadline=None, max_examples=150)
def test_metrics_are_their_definitions(seed, points, hypotheses, steps):
    dice = np.random.default_rng(seed)
    truth = dice.normal(0, 2, (points, steps, 2)) * dice.integers(0, 2, (points, 1, 1))
    answer = dice.normal(0, 2, (points, steps, 2)) * dice.integers(0, 2, (points, 1, 1))
    middle, reach = dice.normal(0, 1, (points, steps, 2)), dice.uniform(0, 3, (points, steps, 2))
    outcome = Outcome(
        truth,
        answer,
        dice.normal(0, 2, (points, hypotheses, steps, 2)),
        dice.dirichlet(np.ones(hypotheses), points),
        np.stack([middle - reach, middle + reach]),
    )
    fast, slow = prediction_metrics(outcome), slow_metrics(outcome)
    slow_within = slow.pop("within_2")
    for name, value in slow.items():
        assert getattr(fast, name) == pytest.approx(value, abs=1e-9, nan_ok=True), name
    assert fast.within[1] == pytest.approx(slow_within, abs=1e-9, nan_ok=True)
    assert json.loads(json.dumps(fast.to_json()))["points"] == points


def test_pooling_is_measuring_together():
    dice = np.random.default_rng(1)
    parts = [Outcome.of_answer(dice.normal(0, 3, (n, 4, 2)), dice.normal(0, 3, (n, 4, 2))) for n in (3, 5)]
    together = average_scores(PointScores.together([PointScores.of(part) for part in parts]))
    each = [prediction_metrics(part) for part in parts]
    assert together.epe == pytest.approx((3 * each[0].epe + 5 * each[1].epe) / 8)
    assert math.isnan(together.coverage)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="answer must have the shape"):
        Outcome.of_answer(np.zeros((3, 2, 2)), np.zeros((3, 1, 2)))
    with pytest.raises(ValueError, match="finite"):
        Outcome.of_answer(np.full((3, 2, 2), np.nan), np.zeros((3, 2, 2)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video k moves by (k, -k/2) px a frame; videos 2 and 5 are for validation."""
    folder = tmp_path_factory.mktemp("moving")
    make_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    network = build_predictor(
        "lraspp_mobilenet_v3_large", grid=GRID, horizon=FRAMES, trajectory=True, width=16
    )
    return Predictor.of(network, PredictorRelease(network.config, PredictorUse(64, 112)))


def test_the_baselines_are_what_their_names_say(data, predictor):
    domain = Domain.open(str(data), "validation", FRAMES - 1)
    known = [domain.known]
    prior = CellPrior.of(known, FRAMES - 1, GRID)
    means = prior.means
    # The training videos 0, 1, 3 and 4 move by 2 px a frame in the mean, in frames 90 high. Points of the
    # third row stay in the frame; the last point is hidden in the last frame.
    expected = 2 * np.arange(1, FRAMES) * 256 / SIZE[0]
    assert means.motion[2, 0, :, 0] == pytest.approx(expected, rel=0.01)
    assert means.motion[-1, -1, -1, 0] == 0
    # Of the four videos three move, all to the right and up; the last point is never seen at the end.
    assert prior.moving[2, 0] == pytest.approx(3 / 4)
    assert prior.moving[-1, -1] == 0
    assert prior.direction[2, 0] == pytest.approx(np.array([1, -0.5]) / 1.25**0.5 * 3 / 4, abs=0.01)
    sample = domain.judged_at(0)
    assert sample.picture.shape == (72, 128, 3)
    assert not sample.chosen[-1]
    assert sample.chosen[0] == (sample.queries[0, 1] + sample.truth[0, -1, 1] >= -0.5)
    answer = means.answer(sample)
    assert answer.shape == (GRID**2, FRAMES - 1, 2)
    assert answer[2 * GRID, -1, 0] == pytest.approx(expected[-1] * 72 / 256, rel=0.01)
    pairs = [(domain.known, number) for number in range(len(domain.known))]
    lookup = Neighbours.of(predictor.network, predictor.use, pairs, FRAMES - 1, GRID)
    # A known image is nearest to itself. All of a video move alike, so it may be another of the video.
    for number in (0, 9, 17):
        own = domain.known[number]
        judged = type(sample).of(own, FRAMES - 1)
        assert lookup.answer(judged)[0] == pytest.approx(judged.truth[0], rel=0.01, abs=0.01)


def test_everything_is_measured_side_by_side(data, predictor):
    results = evaluate_predictors(
        [str(data)],
        {("net", "a"): predictor, ("net", "b"): predictor},
        split="validation",
        neighbours=8,
    )
    (result,) = results
    assert [method.name for method in result.methods] == [
        "zero",
        "cell mean",
        "nearest neighbour",
        "net",
        "net",
    ]
    zero = result.methods[0].metrics
    # Videos 2 and 5 after 7 frames, in pixels of a 256-high image, over the points that stay.
    lengths = []
    for sample in result.samples:
        video = int(sample.source.split("-")[1].split(".")[0])
        lengths += [7 * math.hypot(video, video / 2) * 256 / SIZE[0]] * int(sample.chosen.sum())
    assert zero.epe == pytest.approx(np.mean(lengths), rel=0.01)
    assert zero.cosine == 0
    assert set(result.methods[0].groups) == {"video-02.mp4", "video-05.mp4"}
    assert result.methods[3].metrics == result.methods[4].metrics
    assert len(result.methods[3].calibration) == len(LEVELS)
    assert (np.diff(result.methods[3].calibration) >= 0).all()
    assert result.methods[3].calibration[LEVELS.index(0.9)] == pytest.approx(
        result.methods[3].metrics.coverage
    )
    assert result.methods[0].errors.shape == (GRID, GRID)
    assert np.isnan(result.methods[0].errors[-1, -1])


def test_one_command_writes_figures_and_a_report(data, predictor, tmp_path):
    for seed in ("seed-0", "seed-1"):
        (tmp_path / seed).mkdir()
        safetensors.torch.save_file(
            predictor.network.state_dict(),
            tmp_path / seed / "weights.safetensors",
            PredictorRelease(predictor.network.config, predictor.use).to_metadata(),
        )
    arguments = ["predictor", str(data), "--split", "validation", "--samples", "4", "--neighbours", "3"]
    for seed in ("seed-0", "seed-1"):
        arguments += ["--weights", str(tmp_path / seed / "weights.safetensors")]
    arguments += ["--out", str(tmp_path / "r.json"), "--report", str(tmp_path / "r.html"), "--device", "cpu"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "lraspp_mobilenet_v3_large bins" in result.output
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [method["seed"] for method in content["domains"][0]["methods"][-2:]] == ["seed-0", "seed-1"]
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    for words in ("The worst of", "Calibration", "Error over the grid", "video-02.mp4", "±"):
        assert words in page


def test_what_cannot_be_measured_is_one_sentence(data, predictor):
    with pytest.raises(BadInput, match="no samples for test"):
        evaluate_predictors([str(data)], {("net", ""): predictor})
    with pytest.raises(BadInput, match="--weights"):
        evaluate_predictors([str(data)], {}, split="validation")
    longer = build_predictor("lraspp_mobilenet_v3_large", horizon=12, width=16)
    other = Predictor.of(longer, PredictorRelease(longer.config))
    with pytest.raises(BadInput, match=r"horizon of 8 frames; 12"):
        evaluate_predictors([str(data)], {("net", ""): other}, split="validation")
    with pytest.raises(BadInput, match=r"\[8, 12\]"):
        evaluate_predictors([str(data)], {("net", ""): predictor, ("other", ""): other}, split="validation")
    with pytest.raises(Stopped):
        evaluate_predictors(
            [str(data)],
            {("net", ""): predictor},
            split="validation",
            neighbours=0,
            watch=Watch(should_stop=lambda: True),
        )


def test_samples_are_chosen_evenly():
    assert list(spaced(5, None)) == [0, 1, 2, 3, 4]
    assert list(spaced(101, 3)) == [0, 50, 100]
