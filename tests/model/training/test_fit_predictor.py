"""Training predictors: views against closed forms, losses, learning, and going on to the same bits."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.study_heads import StudyRun, answer, markdown, run_study, with_head
from model.commands.train_predictor import command
from model.core.errors import BadInput
from model.core.progress import ignore_progress, never_stop
from model.prediction.config import PredictorConfig
from model.prediction.heads import HEADS, Head, HeadKind, HeadParts, sample
from model.prediction.mixture import Mixture
from model.prediction.network import Answer, MotionPredictor
from model.prediction.outputs import MixtureOutput, PlainOutput
from model.prediction.predictor import Predictor
from model.synthetic.stills.dataset import StillCueSettings, write_still_cues
from model.training.predictors.data import PredictorSet, batch_indices
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
from model.training.predictors.fit import fit_predictor
from model.training.predictors.losses import predictor_losses
from model.training.predictors.settings import PredictorTraining
from model.training.predictors.validation import coverage, fit_scale_factor

BACKBONE = "lraspp_mobilenet_v3_large"


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


def answer_for(truth: torch.Tensor, log_scale: float = 0.0) -> Answer:
    displacement = truth[:, :, None]
    return Answer(
        Mixture(
            displacement, torch.full(displacement.shape[:-1], log_scale), torch.zeros(displacement.shape[:3])
        )
    )


def test_the_truth_costs_nothing_and_hidden_points_do_not_count():
    batch = stack([example(), example()])
    perfect = predictor_losses(answer_for(batch.motion), batch, True, nearest=1.0)
    assert perfect.nearest == perfect.error == 0
    shifted = answer_for(batch.motion + torch.tensor([2.0, -1.0]))
    losses = predictor_losses(shifted, batch, True, nearest=1.0)
    assert float(losses.nearest) == pytest.approx(3.0, abs=1e-5)
    # Laplace with a scale of 1: 3 px cost 3 nats, and the density at the middle is 1/4.
    assert float(losses.likelihood) == pytest.approx(-3 - np.log(4), abs=1e-5)
    assert float(losses.total) == pytest.approx(6 + np.log(4), abs=1e-4)
    wrong = batch.motion.clone()
    wrong[:, 2] += 1000
    hidden = batch._replace(counts=batch.counts.index_fill(1, torch.tensor([2]), 0.0))
    assert predictor_losses(answer_for(wrong), hidden, False).error == 0


def test_each_sample_counts_the_same_for_the_direction_however_few_points_move():
    """One point moves right in the first sample, three move down in the second; still points do not count."""
    motion = torch.zeros(2, 4, 1, 2)
    motion[0, 0, 0] = torch.tensor([5.0, 0.0])
    motion[1, :3, 0] = torch.tensor([0.0, 2.0])
    nothing = torch.zeros(2, 4, 2)
    batch = Example(torch.zeros(2), nothing, motion, torch.ones(2, 4, 1))
    weights = {"nearest": 0.0, "direction": 1.0}

    def cost(direction: torch.Tensor) -> float:
        return float(
            predictor_losses(answer_for(motion)._replace(direction=direction), batch, True, **weights).total
        )

    right, down = torch.zeros(2, 4, 2), torch.zeros(2, 4, 2)
    right[..., 0] = down[..., 1] = 1.0
    unaided = float(predictor_losses(answer_for(motion), batch, True, **weights).total)
    assert cost(right) - unaided == pytest.approx(1.0, abs=1e-5)  # (0 + 2) / 2
    assert cost(down) - unaided == pytest.approx(1.0, abs=1e-5)
    assert cost(torch.zeros(2, 4, 2)) - unaided == pytest.approx(1.0, abs=1e-5)
    right[1] = down[1]
    assert cost(right) == pytest.approx(unaided, abs=1e-5)


@pytest.mark.parametrize("scale", [0.05, 1.0, 20.0])
def test_a_sure_hypothesis_learns_its_place_no_faster_than_a_vague_one(scale: float):
    """The likelihood is the same; its slope along the displacement is 1 in the network's unit of 8 pixels."""
    place = torch.tensor([3.0, -2.0]).view(1, 1, 1, 1, 2).requires_grad_()
    mixture = Mixture(place, torch.full((1, 1, 1, 1), np.log(scale)), torch.zeros(1, 1, 1))
    batch = Example(torch.zeros(1), torch.zeros(1, 1, 2), torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1))
    losses = predictor_losses(Answer(mixture, None), batch, True, nearest=0.0)
    assert float(losses.likelihood) == pytest.approx(-5 / scale - 2 * np.log(2 * scale), rel=1e-5)
    losses.total.backward()
    assert place.grad.flatten().tolist() == pytest.approx([1 / 8, -1 / 8])


def test_the_scale_factor_makes_intervals_cover_what_they_say():
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(4000, 2, generator=generator) - 0.5
    laplace = -3.0 * uniform.sign() * torch.log1p(-2 * uniform.abs())  # of scale 3
    mixture = Mixture(torch.zeros(1, 4000, 1, 1, 2), torch.zeros(1, 4000, 1, 1), torch.zeros(1, 4000, 1))
    assert fit_scale_factor(mixture, laplace) == pytest.approx(3.0, rel=0.06)
    assert coverage(mixture.widened(3.0), laplace) == pytest.approx(0.9, abs=0.02)


def test_every_epoch_brings_each_sample_once_whatever_the_ranks():
    order = [number for step in range(5) for number in batch_indices(step, 4, 10, seed=1)]
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]
    shared = [n for step in range(5) for rank in (0, 1) for n in batch_indices(step, 2, 10, 1, rank, 2)]
    assert shared == order


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stills")
    made = StillCueSettings(train=8, validation=4, test=2, height=64, width=96, grid=4, procedural=2)
    write_still_cues(folder, made, progress=ignore_progress, should_stop=never_stop)
    return folder


def small(data: Path, head: str = "mixture", **changes) -> PredictorTraining:
    config = PredictorConfig(BACKBONE, head, grid=4, trajectory=True, modes=3, width=32, pool=2)
    base = PredictorTraining(
        config=config,
        data=(str(data),),
        start_from="none",
        steps=2,
        batch=4,
        height=64,
        width=96,
        average=0.9,
    )
    return replace(base, **changes)


def fit(out: Path, training: PredictorTraining, **options):
    options = {"device": "cpu", "progress": ignore_progress, **options}
    return fit_predictor(out, training, **options)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_each_head_trains_for_a_step_and_is_used(data, tmp_path, head):
    fit(tmp_path, small(data, head, steps=1))
    predictor = Predictor.load(tmp_path / "weights.safetensors", "cpu")
    assert predictor.predict(np.zeros((64, 96, 3), np.uint8)).points.shape == (8, 16, 2)
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["head"] == head


class NearestHead(Head):
    """Reads the deepest features at each point, without more layers."""

    def __init__(self, parts: HeadParts) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(parts.levels[-1].channels, parts.outputs)

    def forward(self, features, points):
        return self.layer(sample(features[0], points))


@pytest.mark.parametrize("output", [PlainOutput, MixtureOutput])
def test_a_new_head_is_one_entry(data, tmp_path, monkeypatch, output):
    """It trains frozen and thawed, is studied, and predicts."""
    monkeypatch.setitem(HEADS, "nearest", HeadKind(NearestHead, output))
    fit(tmp_path / "run", small(data, "nearest", frozen=0.5))
    predictor = Predictor.load(tmp_path / "run" / "weights.safetensors", "cpu")
    prediction = predictor.predict_all(np.zeros((64, 96, 3), np.uint8))
    assert len(prediction.hypotheses) == (3 if output is MixtureOutput else 1)
    assert with_head(small(data), "nearest").config.head == "nearest"


def test_a_head_that_does_not_exist_is_refused_before_the_work(data, tmp_path):
    with pytest.raises(BadInput, match="There is no head “tail”; choose one of last, fcn"):
        fit(tmp_path, small(data, "tail", start_from="imagenet"))


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_each_head_learns_eight_samples_by_heart(data, head):
    """To under 1 px, from the features of a backbone that knows nothing."""
    torch.manual_seed(0)
    config = PredictorConfig(BACKBONE, head, grid=4, modes=3, width=32, pool=2)
    examples = PredictorSet.open((str(data),), "train", config, (64, 96))
    batch = stack([examples.view(number) for number in range(8)])
    network = MotionPredictor(config)
    with torch.no_grad():
        features = network.features(batch.picture / 127.5 - 1)
        # So that random weights' features, which hardly differ, can be told apart.
        features = tuple((each - each.mean(0)) / each.std(0).clamp(min=1e-6) for each in features)
    optimizer = torch.optim.Adam(network.head.parameters(), 3e-3)
    error = float("inf")
    for step in range(800):
        network.train()
        answer = network.answer(features, batch.points, (64, 96))
        losses = predictor_losses(answer, batch, head == "mixture")
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        if step % 10 == 9:
            best = answer.mixture.best().detach()
            error = float(torch.linalg.vector_norm(best - batch.motion, dim=-1)[batch.counts > 0].mean())
        if error < 1:
            break
    assert error < 1


@pytest.mark.slow
@pytest.mark.parametrize("head", ["mixture", "last"])
def test_a_training_in_two_pieces_is_the_same_training(data, tmp_path, head):
    training = small(data, head, steps=6, frozen=0.5)
    fit(tmp_path / "whole", training)
    fit(tmp_path / "features", replace(training, steps=1))  # so that the stop comes in the training itself
    answers = iter([False, False, True])
    fit(
        tmp_path / "pieces",
        training,
        features=tmp_path / "features" / "features",
        should_stop=lambda: next(answers),
    )
    fit(tmp_path / "pieces", training, resume=True, features=tmp_path / "features" / "features")
    whole, pieces = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "pieces")
    )
    assert whole["progress"]["step"] == pieces["progress"]["step"] == 6
    for part in ("learned", "average"):
        for name, value in whole[part].items():
            assert torch.equal(value, pieces[part][name]), name
    with (tmp_path / "pieces" / "log.csv").open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == [3, 6]
    assert "Held-out direction" in (tmp_path / "pieces" / "log.html").read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
def test_a_frozen_backbone_stays_and_a_thawed_one_moves(data, tmp_path):
    fit(tmp_path / "frozen", small(data))
    fit(tmp_path / "thawed", small(data, frozen=0.0, learning_rate=0.1, backbone_rate=1.0))
    torch.manual_seed(0)
    fresh = MotionPredictor(small(data).config).state_dict()
    name = "backbone.body.16.0.weight"
    frozen, thawed = (
        torch.load(tmp_path / run / "checkpoint.pt", weights_only=True)["average"]
        for run in ("frozen", "thawed")
    )
    assert torch.equal(frozen[name], fresh[name])
    assert not torch.equal(thawed[name], fresh[name])


@pytest.mark.slow
def test_features_are_computed_once(data, tmp_path):
    stages = []
    features = tmp_path / "features"
    fit(tmp_path / "one", small(data), features=features, progress=lambda report: stages.append(report.stage))
    assert stages.count("computing features") == 16 + 4
    stages.clear()
    training = small(data, learning_rate=1e-4)
    fit(tmp_path / "two", training, features=features, progress=lambda report: stages.append(report.stage))
    assert stages.count("computing features") == 0


@pytest.mark.slow
def test_one_command_trains_several_seeds(data, tmp_path):
    arguments = ["--data", str(data), "--out", str(tmp_path), "--steps", "1", "--seeds", "2"]
    arguments += ["--backbone", BACKBONE, "--start-from", "none", "--height", "64", "--width", "96"]
    result = CliRunner().invoke(command, [*arguments, "--batch", "4", "--head-width", "16"])
    assert result.exit_code == 0, result.output
    assert "over 2 seeds" in result.output
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1"]


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_two_processes_of_torchrun_train_one_network(data, tmp_path):
    """They share the kept features, agree on when to stop, and one of them speaks for both."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "model", "train-predictor", "--data", str(data), "--out", str(tmp_path)]
    command += ["--backbone", BACKBONE, "--start-from", "none", "--height", "64", "--width", "96"]
    command += ["--batch", "2", "--head-width", "16", "--frozen", "0.5", "--patience", "2"]
    command += ["--save-minutes", "0.001", "--device", "cpu", "--steps", "12"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("Wrote ") == 1
    with (tmp_path / "log.csv").open(newline="") as file:
        validations = [row for row in csv.DictReader(file) if row["held_out_likelihood"]]
    steps = [int(row["step"]) for row in validations]
    assert steps == sorted(set(steps))
    assert 1 <= steps[-1] <= 12
    Predictor.load(tmp_path / "weights.safetensors", "cpu")


def test_what_cannot_be_trained_is_one_sentence(data, tmp_path):
    with pytest.raises(BadInput, match="--minutes M"):
        fit(tmp_path / "new", small(data, steps=None))
    with pytest.raises(BadInput, match="holds no checkpoint"):
        fit(tmp_path / "new", small(data), resume=True)
    fit(tmp_path / "old", small(data, steps=1))
    with pytest.raises(BadInput, match="holds a training already"):
        fit(tmp_path / "old", small(data))
    for wrong in (
        {"frozen": 2.0},
        {"batch": 1},
        {"height": 8},
        {"views": (0,)},
        {"views": (1, 1, 1)},
    ):
        with pytest.raises(BadInput):
            small(data, **wrong)
    with pytest.raises(BadInput, match="with --data"):
        replace(small(data), data=())
    with pytest.raises(BadInput, match="holds no training set"):
        fit(tmp_path / "none", small(tmp_path))


@pytest.mark.slow
def test_the_study_trains_measures_and_answers(data, tmp_path):
    base = small(data, steps=1)

    def study():
        return run_study(
            tmp_path,
            base,
            heads=["last", "fcn", "mixture-l1"],
            device="cpu",
            apart=False,
        )

    runs = study()
    assert [(run.head, run.tuned) for run in runs] == [
        ("last", False),
        ("last", True),
        ("fcn", False),
        ("fcn", True),
        ("mixture-l1", False),
    ]
    assert all(run.epe_moving > 0 and run.memory > 50 and run.steps == 1 for run in runs)
    # The baselines do not depend on the head.
    assert len({(run.zero_moving, run.cell_mean_moving) for run in runs}) == 1
    assert runs[0].zero_moving > 0
    assert study() == runs
    page = markdown(runs, base, "python -m benchmarks.study_heads", "a machine")
    assert "| last | frozen |" in page
    assert "classifier[4]?" in page


def test_the_answer_of_the_study_follows_from_its_figures():
    run = StudyRun("last", False, 12.0, 11.0, 10.0, 5.0, 0.5, 8.0, 1000, 2000, 5, 0.1, 100.0)
    assert "whole classifier is 20 % better" in answer([run, replace(run, head="fcn", epe_moving=8.0)])
    assert "no difference" in answer([run, replace(run, head="fcn", epe_moving=10.1)])
    assert "only classifier[4] is 33 % better" in answer([run, replace(run, head="fcn", epe_moving=15.0)])
    mixture = replace(run, head="mixture", epe_moving=9.0)
    assert "the mixture with its likelihood is 25 % better" in answer(
        [mixture, replace(run, head="mixture-l1", epe_moving=12.0)]
    )
    tuned = replace(run, tuned=True, epe_moving=3.0)
    assert "The best of all is last (fine-tuned): 3.00 px" in answer([run, tuned])
