"""The loop of all trainings: steps, averaged weights, validations, checkpoints, log and plot."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from model.core.errors import BadInput
from model.core.files import atomic_path
from model.core.progress import Progress, Watch
from model.training.log import TrainingLog
from model.training.plot import write_plot
from model.training.schedule import Schedule
from model.training.settings import TrainingSettings
from model.weights.checkpoints import load_torch

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CHECKPOINT, WEIGHTS, LOG, PLOT = "checkpoint.pt", "weights.safetensors", "log.csv", "log.html"

_FORMAT = 2  # of checkpoints

Network = TypeVar("Network", bound=nn.Module)
Score = TypeVar("Score", bound="DataclassInstance")


class Task(ABC, Generic[Network, Score]):
    """What is trained, on what, and how good it is.

    network: of which the averaged weights are validated and exported.
    loss: called with a batch it returns scalars: what is minimised, then those that `losses` names, the first
        of them in pixels. It holds the network and all else that learns.
    score: the dataclass of a validation. panels: of the plot, by their titles: the log's columns.
    phases: shares of the training at which what learns changes; the first is 0.
    """

    losses: ClassVar[tuple[str, ...]]
    panels: ClassVar[Mapping[str, tuple[str, ...]]]
    score: type[Score]
    phases: tuple[float, ...] = (0.0,)

    def __init__(self, settings: TrainingSettings, network: Network, loss: nn.Module) -> None:
        self.settings, self.network, self.loss = settings, network, loss

    @abstractmethod
    def begin_phase(self, phase: int) -> list[dict[str, Any]]:
        """Set which parameters learn; return AdamW's groups, each with its `share` of the learning rate."""

    @abstractmethod
    def batches(self, step: int, rank: int, ranks: int) -> Iterator[Any]:
        """Yield the batches from a step on, which depend on the step, rank and phase alone."""

    @abstractmethod
    def validate(self, network: Network) -> Score:
        """Measure a network on what no training sees."""

    @abstractmethod
    def fitness(self, score: Score) -> float:
        """Return the number by which validations are compared; larger is better."""

    @abstractmethod
    def write_weights(self, path: Path, network: Network, score: Score) -> None:
        """Export a network with what its validation said."""


class AveragedWeights(Generic[Network]):
    """The exponential moving average of the weights that learn, as a network; its buffers are the latest."""

    def __init__(self, network: Network, settings: TrainingSettings) -> None:
        self.network = deepcopy(network).requires_grad_(False)
        self._settings = settings

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        """Move towards the network's weights after a step."""
        decay = self._settings.average
        if self._settings.average_warm_up:
            decay = min(decay, (1 + step) / (10 + step))
        for mean, value in zip(self.network.parameters(), network.parameters(), strict=True):
            if value.requires_grad:
                mean.lerp_(value, 1 - decay)
        for kept, latest in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(latest)


class TrainingLoop(Generic[Network, Score]):
    """A training in a folder: all that its next step depends on, and the files that it leaves.

    step, seconds: done so far. best, best_step: fitness of the best validation. worse: validations since.
    """

    def __init__(
        self, out: Path, task: Task[Network, Score], fabric: Fabric, state: Mapping[str, Any] | None
    ) -> None:
        """Begin, or go on from the state of a checkpoint (see `open_checkpoint`)."""
        self._out, self._task, self._fabric = out, task, fabric
        settings = task.settings
        self.schedule = Schedule(settings.minutes, settings.steps, settings.learning_rate)
        self.step, self.seconds = 0, 0.0
        self.best, self.best_step, self.worse = float("-inf"), 0, 0
        self._average = AveragedWeights(task.network, settings)
        self._phase = -1
        if state is None:
            self._enter_phase()
        else:
            task.loss.load_state_dict(state["learned"])
            self._average.network.load_state_dict(state["average"])
            self._begin_phase(state["phase"])
            self._optimizer.load_state_dict(state["optimizer"])
            for name, value in state["progress"].items():
                setattr(self, name, value)
        self._log = None
        if fabric.is_global_zero:
            self._log = TrainingLog(out / LOG, self.step, task.losses, task.score)

    @property
    def share(self) -> float:
        """The finished share of the training."""
        return self.schedule.share(self.step, self.seconds)

    def run(self, watch: Watch) -> Score:
        """Train to the end, or until asked to stop, and return the last validation.

        watch: told by one process after each step, with the stage and percent. When it asks for the end a
        checkpoint is written, from which another loop goes on; Stopped is not raised.
        """
        task, fabric = self._task, self._fabric
        batches = task.batches(self.step, fabric.global_rank, fabric.world_size)
        score: Score | None = None
        saved_at, last = self.seconds, time.perf_counter()
        is_over = self.share >= 1
        while not is_over:
            self._enter_phase()
            losses = self._learn(next(batches))
            taken, last = time.perf_counter() - last, time.perf_counter()
            self.seconds, asked = self._largest(self.seconds + taken, float(watch.should_stop()))
            if self._log is not None:
                self._log.step(self, losses)
                speed = task.settings.batch * fabric.world_size / taken
                stage = f"step {self.step}, {task.losses[0]} {float(losses[0]):.2f} px, {speed:.1f} samples/s"
                watch.progress(Progress(stage, 100 * self.share, 100))
            is_over = self.share >= 1 or asked > 0
            if is_over or self.seconds - saved_at >= 60 * task.settings.save_minutes:
                saved_at = self.seconds
                score = self._check()
                last = time.perf_counter()
                is_over = is_over or bool(task.settings.patience and self.worse >= task.settings.patience)
        return self._validate() if score is None else score

    def _enter_phase(self) -> None:
        phase = sum(begin <= self.share for begin in self._task.phases) - 1
        if phase != self._phase:
            self._begin_phase(phase)

    def _begin_phase(self, phase: int) -> None:
        """Begin the optimizer anew, with what learns in a phase."""
        self._phase = phase
        settings = self._task.settings
        optimizer = torch.optim.AdamW(
            self._task.begin_phase(phase),
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=settings.weight_decay,
        )
        self._loss: nn.Module = self._task.loss
        self._optimizer: Any = optimizer
        if self._fabric.world_size > 1:
            self._loss, self._optimizer = self._fabric.setup(self._task.loss, optimizer)

    def _learn(self, batch: Any) -> tuple[Tensor, ...]:
        """Take one step; return the losses that are named."""
        settings, network = self._task.settings, self._task.network
        rate = self.schedule.rate(self.share)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self._loss.train()
        torch.manual_seed(settings.seed * 1_000_003 + self.step)  # of dropout: the same when gone on with
        total, *named = self._loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        if self._fabric.world_size > 1:
            self._fabric.backward(total)
        else:
            total.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        if torch.isfinite(norm):
            self._optimizer.step()
        self.step += 1
        self._average.update(network, self.step)
        return tuple(loss.detach() for loss in named)

    def _validate(self) -> Score:
        """One process measures for all, so that they agree: each has its own statistics of batch norm."""
        measured: Score | None = None
        if self._fabric.is_global_zero:
            measured = self._task.validate(self._average.network)
        agreed = self._fabric.broadcast(measured)
        assert agreed is not None  # the first process measured
        return agreed

    def _check(self) -> Score:
        """Validate, keep the weights if they are the best so far, and write the checkpoint."""
        score = self._validate()
        fitness = self._task.fitness(score)
        is_better = fitness > self.best
        if is_better:
            self.best, self.best_step = fitness, self.step
        self.worse = 0 if is_better else self.worse + 1
        if self._log is not None:
            if is_better:
                self._task.write_weights(self._out / WEIGHTS, self._average.network, score)
            self._log.validation(self, score)
            write_plot(self._out / LOG, self._out / PLOT, self._task.panels)
            with atomic_path(self._out / CHECKPOINT) as temporary:
                torch.save(self._state(), temporary)
        return score

    def _state(self) -> dict[str, Any]:
        names = ("step", "seconds", "best", "best_step", "worse")
        return {
            "format": _FORMAT,
            "settings": asdict(self._task.settings),
            "learned": self._task.loss.state_dict(),
            "average": self._average.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "phase": self._phase,
            "progress": {name: getattr(self, name) for name in names},
        }

    def _largest(self, *values: float) -> list[float]:
        """Return the largest of each value over all processes, which must do the same after the same step."""
        if self._fabric.world_size == 1:
            return list(values)
        mine = torch.tensor(values, dtype=torch.float64, device=self._fabric.device)
        return [float(value) for value in torch.as_tensor(self._fabric.all_reduce(mine, reduce_op="max"))]


def open_checkpoint(
    out: Path, settings: TrainingSettings, device: torch.device, *, resume: bool
) -> Mapping[str, Any] | None:
    """Make the folder of a training; return its checkpoint's state where it is to be gone on with.

    Raises BadInput when a new training has no end or `out` holds one, and when there is nothing to resume.
    """
    checkpoint = out / CHECKPOINT
    if not resume and settings.minutes is None and settings.steps is None:
        raise BadInput("Say when the training ends: --minutes M, --steps S, or both.")
    if checkpoint.exists() and not resume:
        raise BadInput(f"{out} holds a training already; go on with --resume, or give another folder.")
    if resume and not checkpoint.exists():
        raise BadInput(f"{out} holds no checkpoint to go on from; leave --resume out.")
    out.mkdir(parents=True, exist_ok=True)
    if not resume:
        return None
    state: Mapping[str, Any] = load_torch(checkpoint, device)
    if state.get("format") != _FORMAT:
        raise BadInput(f"{checkpoint} is of another version of Stillmotion; go on with that, or begin anew.")
    return state


def launch_fabric(device: torch.device) -> Fabric:
    """Join as many processes as torchrun started, or be the only one."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    is_cpu = device.type == "cpu"
    devices: Any = local if local > 1 or is_cpu else [device.index or 0]
    fabric = Fabric(
        accelerator="cpu" if is_cpu else "gpu",
        devices=devices,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
    )
    fabric.launch()
    return fabric
