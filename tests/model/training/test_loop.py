"""The loop of all trainings: what it keeps, when it ends, and that it goes on where it was."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch
from model.training.loop import AveragedWeights, Task, TrainingLoop, launch_fabric, open_checkpoint
from model.training.settings import TrainingSettings

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Error:
    error: float


class Line(nn.Module):
    """y = a x + b, and its mean absolute error."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        loss = (self.a * x + self.b - (2 * x + 1)).abs().mean()
        return loss, loss


class FitsALine(Task[Line, Error]):
    """Learns b first, then both; what validations say can be scripted."""

    losses = ("distance",)
    panels: ClassVar = {"Error": ("error",)}
    score = Error

    def __init__(self, settings: TrainingSettings, script: Iterator[float] | None = None) -> None:
        torch.manual_seed(settings.seed)
        network = Line()
        super().__init__(settings, network, network)
        self.phases = (0.0, 0.5)
        self.script, self.begun = script, []

    def begin_phase(self, phase):
        self.begun.append(phase)
        self.network.a.requires_grad_(phase == 1)
        return [{"params": [self.network.a, self.network.b], "share": 1.0}]

    def batches(self, step, rank, ranks):
        while True:
            yield torch.rand(16, generator=torch.Generator().manual_seed(step))
            step += 1

    def validate(self, network):
        if self.script is not None:
            return Error(next(self.script))
        return Error(float(network(torch.linspace(0, 1, 50))[0]))

    def fitness(self, score):
        return -score.error

    def write_weights(self, path, network, score):
        path.write_text(f"{score.error}")


def train(out: Path, settings: TrainingSettings, script=None, watch=UNWATCHED, resume=False):
    state = open_checkpoint(out, settings, CPU, resume=resume)
    task = FitsALine(settings, script)
    loop = TrainingLoop(out, task, launch_fabric(CPU), state)
    return task, loop, loop.run(watch)


@pytest.mark.slow
def test_a_line_is_learned_in_two_phases(tmp_path):
    settings = TrainingSettings(steps=800, learning_rate=0.1, average=0.9, weight_decay=0.0)
    task, loop, score = train(tmp_path, settings)
    assert task.begun == [0, 1]
    assert score.error < 0.05
    assert (task.network.a.item(), task.network.b.item()) == pytest.approx((2, 1), abs=0.1)
    assert loop.best == -score.error


def test_the_best_is_kept_and_patience_ends_it(tmp_path):
    settings = TrainingSettings(steps=1000, save_minutes=0.0, patience=2)  # a validation after each step
    _, loop, _ = train(tmp_path, settings, iter([5.0, 3.0, 4.0, 3.5, 1.0]))
    assert (loop.step, loop.best_step, loop.best, loop.worse) == (4, 2, -3.0, 2)
    assert (tmp_path / "weights.safetensors").read_text() == "3.0"
    with (tmp_path / "log.csv").open(newline="") as file:
        assert [row["error"] for row in csv.DictReader(file)] == ["5.0000", "3.0000", "4.0000", "3.5000"]


def test_minutes_end_it_as_well(tmp_path):
    _, loop, _ = train(tmp_path, TrainingSettings(minutes=1e-9, steps=1000))
    assert loop.step == 1


@pytest.mark.parametrize("stop", [2, 6])
def test_a_training_in_pieces_is_the_same_training(tmp_path, stop):
    """Also where the break comes after the phase has changed."""
    settings = TrainingSettings(steps=9, learning_rate=0.1)
    whole, *_ = train(tmp_path / "whole", settings)
    answers = iter([False] * stop + [True])
    train(tmp_path / "pieces", settings, watch=Watch(should_stop=lambda: next(answers)))
    pieces, loop, _ = train(tmp_path / "pieces", settings, resume=True)
    assert loop.step == 9
    assert (whole.network.a, whole.network.b) == (pieces.network.a, pieces.network.b)
    first, second = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "pieces")
    )
    assert first["average"] == second["average"]
    _, again, score = train(tmp_path / "pieces", settings, resume=True)  # it is over
    assert again.step == 9
    assert score.error > 0


def test_a_checkpoint_of_another_version_is_one_sentence(tmp_path):
    torch.save({"network": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(BadInput, match="of another version"):
        open_checkpoint(tmp_path, TrainingSettings(steps=1), CPU, resume=True)


@pytest.mark.parametrize(("warm_up", "kept"), [(False, 0.9), (True, 2 / 11)])
def test_the_average_moves_by_its_decay(warm_up, kept):
    network = Line()
    average = AveragedWeights(network, TrainingSettings(average=0.9, average_warm_up=warm_up))
    with torch.no_grad():
        network.a.add_(1.0)
    average.update(network, 1)
    assert average.network.a.item() == pytest.approx(1 - kept)
