"""Training predictors: learning, seeds, processes, and going on to the same bits."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks.study_heads import Measured, StudyRun, answer, markdown, run_study
from model.commands.train_predictor import command
from model.core.errors import BadInput
from model.core.progress import Watch
from model.motion.grid import query_grid
from model.prediction.config import PredictorConfig
from model.prediction.head import Head, sample
from model.prediction.heads import HEADS, HeadKind, HeadParts
from model.prediction.network import MotionPredictor
from model.prediction.outputs import BinsOutput, PlainOutput
from model.prediction.predictor import Predictor
from model.training.predictors.examples import Example
from model.training.predictors.fit import fit_predictor
from model.training.predictors.losses import predictor_losses
from model.training.predictors.settings import PredictorTraining
from tests.model.datasets.example_sets import make_dataset

BACKBONE = "lraspp_mobilenet_v3_large"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight samples to train with, two for validation and two for the test."""
    folder = tmp_path_factory.mktemp("set")
    make_dataset(folder, chunks=2, tests=5)
    return folder


def small(data: Path, head: str = "bins", **changes) -> PredictorTraining:
    config = PredictorConfig(BACKBONE, head, grid=4, trajectory=True, width=32, pool=2)
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
    return fit_predictor(out, training, device="cpu", **options)


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


@pytest.mark.slow
@pytest.mark.parametrize("output", [PlainOutput, BinsOutput])
def test_a_new_head_is_one_entry(data, tmp_path, monkeypatch, output):
    """It trains frozen and thawed, is studied, and predicts."""
    monkeypatch.setitem(HEADS, "nearest", HeadKind(NearestHead, output))
    fit(tmp_path / "run", small(data, "nearest", frozen=0.5))
    predictor = Predictor.load(tmp_path / "run" / "weights.safetensors", "cpu")
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    prediction = predictor.predict_all(picture)
    assert (len(prediction.hypotheses) > 1) == (output is BinsOutput)


def test_a_head_that_does_not_exist_is_refused_before_the_work(data, tmp_path):
    with pytest.raises(BadInput, match="There is no head “tail”; choose one of last, fcn"):
        fit(tmp_path, small(data, "tail", start_from="imagenet"))


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_each_head_learns_eight_samples_by_heart(head):
    """To under 1 px, from the features of a backbone that knows nothing; each has a direction of its own."""
    torch.manual_seed(0)
    config = PredictorConfig(BACKBONE, head, grid=4, width=32, pool=2, dropout=0.0)
    angle = 2 * torch.pi / 12 * torch.arange(8)
    motion = 4 * torch.stack([angle.cos(), angle.sin()], dim=1)
    batch = Example(
        torch.randint(0, 256, (8, 3, 8, 12), dtype=torch.uint8)
        .repeat_interleave(8, 2)
        .repeat_interleave(8, 3),
        torch.from_numpy(query_grid(4, (64, 96))).expand(8, -1, -1),
        motion[:, None, None].expand(-1, 16, -1, -1),
        torch.ones(8, 16, 1),
    )
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
        losses = predictor_losses(answer, batch)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        if step % 10 == 9:
            best = answer.best().detach()
            error = float(torch.linalg.vector_norm(best - batch.motion, dim=-1).mean())
        if error < 1:
            break
    assert error < 1


@pytest.mark.slow
@pytest.mark.parametrize("head", ["bins", "last"])
def test_a_training_in_two_pieces_is_the_same_training(data, tmp_path, head):
    training = small(data, head, steps=6, frozen=0.5)
    fit(tmp_path / "whole", training)
    fit(tmp_path / "features", replace(training, steps=1))  # so that the stop comes in the training itself
    answers = iter([False, False, True])
    fit(
        tmp_path / "pieces",
        training,
        features=tmp_path / "features" / "features",
        watch=Watch(should_stop=lambda: next(answers)),
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
    fit(
        tmp_path / "one",
        small(data),
        features=features,
        watch=Watch(lambda report: stages.append(report.stage)),
    )
    assert stages.count("computing features") == 16 + 2
    stages.clear()
    training = small(data, learning_rate=1e-4)
    fit(
        tmp_path / "two", training, features=features, watch=Watch(lambda report: stages.append(report.stage))
    )
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


@pytest.mark.slow
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
            heads=["last", "fcn"],
            device="cpu",
            apart=False,
        )

    runs = study()
    assert [(run.head, run.tuned) for run in runs] == [
        ("last", False),
        ("last", True),
        ("fcn", False),
        ("fcn", True),
    ]
    assert all(run.measured.epe_moving > 0 and run.memory > 50 and run.steps == 1 for run in runs)
    # The baselines do not depend on the head; of what stands still, all points are as likely to move.
    assert len({(run.zero, run.cell_mean) for run in runs}) == 1
    assert runs[0].zero.epe_moving > 0
    assert runs[0].zero.cosine == 0
    assert study() == runs
    page = markdown(runs, base, "python -m benchmarks.study_heads", "a machine")
    assert "| last | frozen |" in page
    assert "classifier[4]?" in page


def test_the_answer_of_the_study_follows_from_its_figures():
    zero = Measured(average_precision=0.2, log_likelihood=-2.4, cosine=0.0, epe_moving=8.0)
    run = StudyRun("last", False, replace(zero, average_precision=0.4), zero, zero, 1000, 5, 0.1, 100.0)

    def like(run: StudyRun, precision: float, **changes: Any) -> StudyRun:
        return replace(run, measured=replace(run.measured, average_precision=precision), **changes)

    assert "whole classifier finds more of what moves (0.500 against 0.400)" in answer(
        [run, like(run, 0.5, head="fcn")]
    )
    assert "no difference" in answer([run, like(run, 0.405, head="fcn")])
    assert "only classifier[4] finds more of what moves (0.400 against 0.300)" in answer(
        [run, like(run, 0.3, head="fcn")]
    )
    assert "The best of all is last (fine-tuned): 0.600" in answer([run, like(run, 0.6, tuned=True)])
