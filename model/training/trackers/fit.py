"""Training PIPs on synthetic clips, for a time or a number of steps, in pieces if need be."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from model.core.devices import find_device
from model.core.errors import BadInput
from model.core.files import atomic_path
from model.core.progress import Progress, ReportProgress, ShouldStop
from model.synthetic.clips.batches import SyntheticClips, synthesize
from model.synthetic.clips.scene import SyntheticSettings
from model.synthetic.clips.textures import TextureBank, load_bank
from model.tracking.pips.network import Pips
from model.tracking.pips.refinement import RefinementSettings
from model.tracking.pips.release import PipsRelease, PipsUse, read_weights
from model.tracking.pips.sizes import find_size
from model.training.log import TrainingLog
from model.training.plot import write_plot
from model.training.schedule import Schedule
from model.training.trackers.losses import Losses, LossWeights, tracker_losses
from model.training.trackers.pips_forward import autocast, forward
from model.training.trackers.validation import ValidationScore, validate
from model.weights.checkpoints import write_state_dict

CHECKPOINT, WEIGHTS, LOG, PLOT = "checkpoint.pt", "weights.safetensors", "log.csv", "log.html"
VALIDATION_SEED = 2_000_000_000


@dataclass(frozen=True)
class TrackerTraining:
    """All that a training depends on; it is kept in the checkpoint and on the weights' card.

    size: of the network, a name of `model.tracking.pips.sizes`.
    minutes, steps: the end, whichever comes first. batch: clips a step. iterations: of the network.
    height, width: of the clips in pixels. points: query points a clip. speed: see SyntheticSettings.
    textures, cutouts: folders of pictures to use beside the procedural ones, of which there are `procedural`.
    start_from: weights to begin with, as an exported file, or None for random ones.
    average: the decay of the weights' exponential moving average, which is what is exported.
    save_minutes: between checkpoints, each with a validation on `validation_batches` pairs of clips.
    """

    size: str = "small"
    minutes: float | None = None
    steps: int | None = None
    batch: int = 2
    iterations: int = 4
    height: int = 160
    width: int = 224
    points: int = 64
    speed: float = 1.3
    learning_rate: float = 8e-4
    weight_decay: float = 1e-3
    average: float = 0.998
    clip_norm: float = 1.0
    seed: int = 0
    textures: str | None = None
    cutouts: str | None = None
    procedural: int = 96
    start_from: str | None = None
    save_minutes: float = 6.0
    validation_batches: int = 12

    @property
    def clips(self) -> SyntheticSettings:
        """The clips to train with."""
        return SyntheticSettings(
            self.height,
            self.width,
            points=self.points,
            layers=(2, 6),
            speed=self.speed,
            motion_blur=0.12,
            favour_hard=True,
        )


class _Batches(Dataset[SyntheticClips]):
    """Batch number k is made from the seed and k alone, wherever and whenever it is made."""

    def __init__(self, settings: TrackerTraining, bank: TextureBank) -> None:
        self._settings, self._bank = settings, bank

    def __getitem__(self, step: int) -> SyntheticClips:
        settings = self._settings
        return synthesize(settings.seed * 10_000_000 + step, settings.batch, settings.clips, self._bank)


class _Learner:
    """The network in training with all that its next step depends on."""

    def __init__(self, settings: TrackerTraining, device: torch.device) -> None:
        torch.manual_seed(settings.seed)
        network = Pips(find_size(settings.size))
        if settings.start_from is not None:
            weights = read_weights(settings.start_from)
            network = Pips.from_state_dict(weights, config=network.config).requires_grad_(True)
        self.settings = settings
        self.schedule = Schedule(settings.minutes, settings.steps, settings.learning_rate)
        self.network = network.to(device)
        self.temperature = nn.Parameter(torch.tensor(1.0, device=device))
        self.average = AveragedModel(
            self.network,
            multi_avg_fn=get_ema_multi_avg_fn(settings.average),  # type: ignore[no-untyped-call]  # torch has not typed it
        )
        self.optimizer = torch.optim.AdamW(
            [
                dict[str, Any](params=list(self.network.parameters())),
                dict[str, Any](params=[self.temperature], weight_decay=0.0),
            ],
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=settings.weight_decay,
        )
        self.step = 0
        self.seconds = 0.0
        self.best = float("inf")
        self.loss_weights = LossWeights()

    @property
    def averaged(self) -> Pips:
        """The network with the averaged weights."""
        return cast(Pips, self.average.module)

    @property
    def share(self) -> float:
        """The finished share of the training."""
        return self.schedule.share(self.step, self.seconds)

    def learn(self, clips: SyntheticClips) -> Losses:
        """Take one step."""
        rate = self.schedule.rate(self.share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        settings = self.settings
        with autocast(clips.frames.device):
            output = forward(self.network, clips.frames, clips.trajectories[:, 0], settings.iterations)
        losses = tracker_losses(
            output, clips, self.network.config.stride, self.temperature, self.loss_weights
        )
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]  # torch has not typed it
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return losses

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {
            "settings": asdict(self.settings),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "temperature": self.temperature.detach(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up training where `state` was made."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.temperature.data.copy_(state["temperature"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]


def fit_tracker(
    out: Path,
    settings: TrackerTraining,
    *,
    resume: bool = False,
    device: str = "auto",
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> ValidationScore:
    """Train, and leave weights, checkpoint and log in the folder `out`.

    `weights.safetensors` holds the averaged weights of the best validation so far (float16), `checkpoint.pt`
    what is needed to go on, `log.csv` one line for each validation and for every 50 steps, and `log.html` a
    plot of it.
    resume: go on from the checkpoint in `out` as if there had been no break: the same batches in the same
        order, with the settings of the checkpoint.
    progress: called after each step with the stage, which tells loss and speed, and the seconds of work done.
    should_stop: polled after each step; a checkpoint is written and Stopped is not raised: it can go on.
    Returns the last validation.
    Raises BadInput when neither minutes nor steps are given, or `out` holds another training.
    """
    if not resume and settings.minutes is None and settings.steps is None:
        raise BadInput("Say when the training ends: --minutes M, --steps S, or both.")
    place = find_device(device)
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise BadInput(f"{out} holds a training already; go on with --resume, or give another folder.")
    if resume and not checkpoint.exists():
        raise BadInput(f"{out} holds no checkpoint to go on from; leave --resume out.")
    out.mkdir(parents=True, exist_ok=True)

    state = torch.load(checkpoint, map_location=place, weights_only=True) if resume else None
    if state is not None:
        settings = TrackerTraining(**state["settings"])
    learner = _Learner(settings, place)
    if state is not None:
        learner.restore(state)
    log = TrainingLog(
        out / LOG,
        learner.step,
        ("position", "visibility", "score"),
        ValidationScore,
        every=50,
        digits=3,
    )
    unseen = _validation_set(settings, place)

    def check() -> ValidationScore:
        score = validate(learner.averaged, unseen, settings.iterations)
        log.validation(learner, score)
        write_plot(out / LOG, out / PLOT)
        if score.visible < learner.best:
            learner.best = score.visible
            _write_weights(out / WEIGHTS, learner.averaged)
        with atomic_path(checkpoint) as temporary:
            torch.save(learner.state(), temporary)
        return score

    saved_at = learner.seconds
    last = time.perf_counter()
    for clips in _batches(settings, place, learner.step):
        losses = learner.learn(clips)
        now = time.perf_counter()
        learner.seconds += now - last
        speed = settings.batch / (now - last)
        last = now
        log.step(learner, (losses.position, losses.visibility, losses.score))
        progress(Progress(_stage(learner, losses, speed), *_work(learner)))
        is_over = learner.share >= 1 or should_stop()
        if is_over or learner.seconds - saved_at >= 60 * settings.save_minutes:
            saved_at = learner.seconds
            score = check()
            last = time.perf_counter()
        if is_over:
            break
    return score


def _stage(learner: _Learner, losses: Losses, speed: float) -> str:
    return f"step {learner.step}, L1 {float(losses.position):.2f} px, {speed:.1f} clips/s"


def _work(learner: _Learner) -> tuple[float, int]:
    """Done and total in percent."""
    return 100 * learner.share, 100


def _batches(settings: TrackerTraining, device: torch.device, first: int) -> Iterator[SyntheticClips]:
    """Make batches from number `first` on: on a GPU in place, else in one process beside the training."""
    bank = _bank(settings, held_out=False)
    if device.type == "cuda":
        source = _Batches(settings, bank.to(device))
        step = first
        while True:
            yield source[step]
            step += 1
    forever = range(first, first + 10_000_000)
    yield from DataLoader(
        _Batches(settings, bank), batch_size=None, sampler=forever, num_workers=1, prefetch_factor=4
    )


def _bank(settings: TrackerTraining, *, held_out: bool) -> TextureBank:
    textures, cutouts = (Path(name) if name else None for name in (settings.textures, settings.cutouts))
    return load_bank(settings.seed, textures, cutouts, held_out=held_out, procedural=settings.procedural)


def _validation_set(settings: TrackerTraining, device: torch.device) -> list[SyntheticClips]:
    bank = _bank(settings, held_out=True).to(device)
    clips = SyntheticSettings(speed=settings.speed)
    return [synthesize(VALIDATION_SEED + k, 2, clips, bank) for k in range(settings.validation_batches)]


def _write_weights(target: Path, network: Pips) -> None:
    """Export a network's weights as float16."""
    weights: dict[str, Tensor] = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in network.state_dict().items()
    }
    release = PipsRelease(
        network.config, PipsUse(resize="area", antialias=True, refinement=RefinementSettings())
    )
    write_state_dict(target, weights, release.to_metadata())
