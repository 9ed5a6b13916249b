"""Training a predictor on training sets, for a time or a number of steps, in pieces if need be.

First the backbone is frozen and the head learns from features that were computed once; then, if asked, all
weights learn from fresh views, the backbone at a lower rate.
"""

import csv
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from model.devices import find_device, has_fast_bfloat16
from model.errors import BadInput
from model.predictor.config import PredictorConfig
from model.predictor.network import MotionPredictor, normalise
from model.predictor.published import Initial, begin_with, initial_weights
from model.predictor.release import PredictorRelease, PredictorUse
from model.progress import Progress, ReportProgress, ShouldStop, never_stop
from model.training.examples import Example, stack
from model.training.feature_cache import FeatureCache, open_cache
from model.training.plot import write_plot
from model.training.predictor_data import PredictorSet, chosen
from model.training.predictor_losses import PredictorLosses, PredictorLossWeights, predictor_losses
from model.training.predictor_validation import PredictorScore, score_cached
from model.training.schedule import Schedule

CHECKPOINT, WEIGHTS, LOG, PLOT, RUNS = (
    "checkpoint.pt",
    "weights.safetensors",
    "log.csv",
    "log.html",
    "runs.csv",
)
PANELS = {
    "Training losses": ("likelihood", "nearest", "error"),
    "Held-out error, pixels of a 256-high image": ("epe_moving", "epe", "nearest_epe"),
    "Held-out direction and coverage": ("cosine", "coverage"),
}


@dataclass(frozen=True)
class PredictorTraining:
    """All that a training depends on; it is kept in the checkpoint.

    config: of the network. data: folders of training sets. start_from: see `initial_weights`.
    minutes, steps: the end, whichever comes first. batch: samples a step. height, width: of the pictures.
    frozen: the share of the training with a frozen backbone; after it, the backbone learns at `backbone_rate`
        of the head's rate. views: of each sample whose features are kept.
    average: the decay of the weights' exponential moving average, which is exported.
    patience: validations without a better one after which the training ends; 0: none.
    save_minutes: between checkpoints, each with a validation on at most `validation` samples.
    """

    config: PredictorConfig
    data: tuple[str, ...]
    start_from: str = "imagenet"
    minutes: float | None = None
    steps: int | None = None
    batch: int = 8
    height: int = 256
    width: int = 448
    frozen: float = 1.0
    backbone_rate: float = 0.05
    views: int = 2
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    average: float = 0.998
    clip_norm: float = 1.0
    seed: int = 0
    patience: int = 0
    save_minutes: float = 5.0
    validation: int = 400
    nearest: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.frozen <= 1:
            raise BadInput(f"The frozen share must be 0 to 1, not {self.frozen}.")
        if self.batch < 2:
            raise BadInput(f"A batch must have at least 2 samples, not {self.batch}.")
        if self.views < 1:
            raise BadInput(f"There must be at least 1 view of each sample, not {self.views}.")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return self.height, self.width

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**asdict(self), "data": list(self.data)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PredictorTraining":
        """Take what `to_json` gave."""
        known = {**values, "config": PredictorConfig(**values["config"]), "data": tuple(values["data"])}
        return cls(**known)


class _Loss(nn.Module):
    """The network with its loss as `forward`, for several devices to share."""

    def __init__(self, network: MotionPredictor, settings: PredictorTraining) -> None:
        super().__init__()
        self.network = network
        self.is_mixture = settings.config.head == "mixture"
        self.size = settings.size
        self.weights = PredictorLossWeights(nearest=settings.nearest)

    def forward(self, batch: Example, features: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        if features is None:
            features = self.network.features(normalise(batch.picture))
        answer = self.network.answer(features, batch.points, self.size)
        losses = predictor_losses(answer, batch, self.is_mixture, self.weights)
        return losses.total, losses.likelihood, losses.nearest, losses.error


class _Average:
    """The exponential moving average of the weights that learn."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in network.named_parameters()}

    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the network's weights; faster at first."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in network.named_parameters():
                if value.requires_grad:
                    self.values[name].lerp_(value, share)

    def exchange(self, network: nn.Module) -> None:
        """Swap the average with the network's weights; a second call swaps back."""
        with torch.no_grad():
            for name, value in network.named_parameters():
                kept = value.detach().clone()
                value.copy_(self.values[name])
                self.values[name] = kept


class _Learner:
    """The network in training with all that its next step depends on."""

    def __init__(self, settings: PredictorTraining, initial: Initial | None, fabric: Fabric) -> None:
        torch.manual_seed(settings.seed)
        network = MotionPredictor(settings.config)
        if initial is not None:
            begin_with(network, initial)
        self.settings, self.fabric = settings, fabric
        self.network = network.to(fabric.device)
        self.schedule = Schedule(settings.minutes, settings.steps, settings.learning_rate)
        self.average = _Average(self.network, settings.average)
        self.step, self.seconds = 0, 0.0
        self.best, self.best_step, self.worse = float("inf"), 0, 0
        self.is_frozen = settings.frozen > 0
        self._set_up()

    @property
    def share(self) -> float:
        """The finished share of the training."""
        return self.schedule.share(self.step, self.seconds)

    def _set_up(self) -> None:
        """Choose what learns: the head alone, or all weights. Begins the optimizer anew."""
        given = "given" if self.settings.config.head == "last" else None
        for name, value in self.network.named_parameters():
            is_given = name.startswith("backbone.") or (given is not None and _is_given(name))
            value.requires_grad_(not (self.is_frozen and is_given))
        learning = [(n, p) for n, p in self.network.named_parameters() if p.requires_grad]
        backbone = [p for n, p in learning if n.startswith("backbone.") or _is_given(n)]
        head = [p for n, p in learning if not (n.startswith("backbone.") or _is_given(n))]
        groups = [dict[str, Any](params=head, share=1.0)]
        if backbone:
            groups.append(dict[str, Any](params=backbone, share=self.settings.backbone_rate))
        optimizer = torch.optim.AdamW(
            groups, lr=self.settings.learning_rate, betas=(0.9, 0.98), weight_decay=self.settings.weight_decay
        )
        loss = _Loss(self.network, self.settings)
        if self.fabric.world_size > 1:
            self.loss, self.optimizer = self.fabric.setup(loss, optimizer)
        else:
            self.loss, self.optimizer = loss, optimizer

    def unfreeze(self) -> None:
        """Let all weights learn from now on."""
        self.is_frozen = False
        self._set_up()

    def learn(self, batch: Example, features: tuple[Tensor, ...] | None) -> PredictorLosses:
        """Take one step."""
        rate = self.schedule.rate(self.share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.loss.train()
        torch.manual_seed(
            self.settings.seed * 1_000_003 + self.step
        )  # of dropout: the same when gone on with
        device = self.fabric.device
        with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
            losses = PredictorLosses(*self.loss(batch, features))
        self.optimizer.zero_grad(set_to_none=True)
        if self.fabric.world_size > 1:
            self.fabric.backward(losses.total)
        else:
            losses.total.backward()  # type: ignore[no-untyped-call]
        learning = [value for value in self.network.parameters() if value.requires_grad]
        norm = nn.utils.clip_grad_norm_(learning, self.settings.clip_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self.average.update(self.network, self.step)
        return losses

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {
            "settings": self.settings.to_json(),
            "network": self.network.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "progress": {
                "step": self.step,
                "seconds": self.seconds,
                "best": self.best,
                "best_step": self.best_step,
                "worse": self.worse,
                "is_frozen": self.is_frozen,
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up training where `state` was made."""
        self.network.load_state_dict(state["network"])
        self.average.values = {n: v.to(self.fabric.device) for n, v in state["average"].items()}
        for name, value in state["progress"].items():
            setattr(self, name, value)
        self._set_up()
        self.optimizer.load_state_dict(state["optimizer"])


def _is_given(name: str) -> bool:
    """Whether a weight of a `last` head came with torchvision's classifier."""
    return name.startswith(("head.given.", "head.cbr.", "head.scale."))


def fit_predictor(
    out: Path,
    settings: PredictorTraining,
    *,
    resume: bool = False,
    device: str = "auto",
    features: Path | None = None,
    progress: ReportProgress,
    should_stop: ShouldStop = never_stop,
) -> PredictorScore:
    """Train, and leave weights, checkpoint, log and plot in the folder `out`.

    `weights.safetensors` holds the averaged weights of the best validation so far (float16), `checkpoint.pt`
    what is needed to go on, `log.csv` a line for each validation and for every 20 steps, `log.html` its plot,
    `runs.csv` one line that sums the run up.
    resume: go on from the checkpoint in `out`, with the settings of the checkpoint, as if there had been no
        break.
    features: where the backbone's features are kept, for other runs with the same backbone and data too; by
        default `out/features`.
    progress: called with the stage and the share of the work done.
    should_stop: polled after each step; then a checkpoint is written, from which `resume` goes on.
    Returns the best validation. Several processes under torchrun share the work.
    Raises BadInput for settings or data that cannot be used, or when `out` holds another training.
    """
    if not resume and settings.minutes is None and settings.steps is None:
        raise BadInput("Say when the training ends: --minutes M, --steps S, or both.")
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise BadInput(f"{out} holds a training already; go on with --resume, or give another folder.")
    if resume and not checkpoint.exists():
        raise BadInput(f"{out} holds no checkpoint to go on from; leave --resume out.")
    out.mkdir(parents=True, exist_ok=True)
    fabric = _fabric(find_device(device))
    state = torch.load(checkpoint, map_location=fabric.device, weights_only=True) if resume else None
    if state is not None:
        settings = PredictorTraining.from_json(state["settings"])
    initial = initial_weights(settings.start_from, settings.config.backbone, progress=progress)
    if initial is not None:
        settings = replace(settings, config=replace(settings.config, strides=initial.strides))
    learner = _Learner(settings, initial, fabric)
    if state is not None:
        learner.restore(state)
    return _train(out, learner, initial, features or out / "features", progress, should_stop)


def _train(
    out: Path,
    learner: _Learner,
    initial: Initial | None,
    features: Path,
    progress: ReportProgress,
    should_stop: ShouldStop,
) -> PredictorScore:
    settings, fabric = learner.settings, learner.fabric
    train = PredictorSet.open(
        settings.data, "train", settings.config, settings.size, views=settings.views, seed=0
    )
    unseen = PredictorSet.open(settings.data, "validation", settings.config, settings.size)

    def cache(examples: PredictorSet, count: int) -> FeatureCache:
        description = {
            "config": settings.config.to_json(),
            "weights": "random" if initial is None else initial.sha256,
            "seed": settings.seed if initial is None or settings.config.head == "last" else 0,
            "size": settings.size,
            "views": examples.views,
            "keys": examples.keys()[: count // examples.views],
        }
        description["config"] = _what_features_depend_on(settings.config)
        return open_cache(
            features,
            learner.network,
            description,
            count,
            examples.view,
            progress=progress,
            should_stop=should_stop,
        )

    kept = cache(train, len(train)) if learner.is_frozen else None
    targets: dict[int, Example] = {}
    held_out = [unseen.view(number) for number in range(min(settings.validation, len(unseen)))]
    held_features = cache(unseen, len(held_out)) if settings.frozen == 1 else None
    log = _Log(out / LOG, learner.step) if fabric.is_global_zero else None
    last_score = PredictorScore.unknown()

    def check() -> PredictorScore:
        learner.average.exchange(learner.network)
        score = score_cached(learner.network, held_out, held_features, settings.size)
        if score.epe_moving < learner.best:
            learner.best, learner.best_step, learner.worse = score.epe_moving, learner.step, 0
            if fabric.is_global_zero:
                write_weights(out / WEIGHTS, learner.network, settings, score)
        else:
            learner.worse += 1
        learner.average.exchange(learner.network)
        if log is not None:
            log.validation(learner, score)
            write_plot(out / LOG, out / PLOT, PANELS)
            _write(out / CHECKPOINT, lambda target: torch.save(learner.state(), target))
        return score

    saved_at, last = learner.seconds, time.perf_counter()
    is_over = learner.share >= 1
    while not is_over:
        if learner.is_frozen and learner.share >= settings.frozen:
            learner.unfreeze()
        numbers = chosen(
            learner.step, settings.batch, train.samples, settings.seed, fabric.global_rank, fabric.world_size
        )
        batch, maps = _batch(learner, train, kept, targets, numbers)
        losses = learner.learn(batch, maps)
        now = time.perf_counter()
        learner.seconds += now - last
        speed = (now - last) / settings.batch
        last = now
        if log is not None:
            log.step(learner, losses)
        progress(
            Progress(
                f"step {learner.step}, error {float(losses.error):.2f} px, {speed:.2f} s/sample",
                100 * learner.share,
                100,
            )
        )
        is_over = _any(fabric, learner.share >= 1 or should_stop())
        if is_over or learner.seconds - saved_at >= 60 * settings.save_minutes:
            saved_at = learner.seconds
            last_score = check()
            last = time.perf_counter()
            is_over = is_over or bool(settings.patience and learner.worse >= settings.patience)
    if log is not None:
        _write_run(out / RUNS, learner, last_score)
    return last_score


def _batch(
    learner: _Learner,
    train: PredictorSet,
    kept: FeatureCache | None,
    targets: dict[int, Example],
    numbers: list[int],
) -> tuple[Example, tuple[Tensor, ...] | None]:
    """Make a batch: of kept views while the backbone is frozen, of fresh ones afterwards."""
    device = learner.fabric.device
    if not learner.is_frozen or kept is None:
        fresh = stack([train.fresh_view(number, learner.step) for number in numbers])
        return Example(*(part.to(device) for part in fresh)), None
    views = np.random.default_rng((learner.settings.seed, 1, learner.step)).integers(
        train.views, size=len(numbers)
    )
    rows = [number * train.views + int(view) for number, view in zip(numbers, views, strict=True)]
    for row in rows:
        if row not in targets:
            # Pictures are not needed any more, and would not fit into memory.
            targets[row] = train.view(row)._replace(picture=torch.zeros(0))
    batch = stack([targets[row] for row in rows])
    return Example(*(part.to(device) for part in batch)), kept.read(rows, device)


def _what_features_depend_on(config: PredictorConfig) -> dict[str, Any]:
    """The part of a config that decides which features are kept, so that runs can share them."""
    named = {"backbone": config.backbone, "strides": config.strides, "camera": config.camera}
    # The fcn and deeplab heads read the same maps.
    kind = {"fcn": "deep", "deeplab": "deep", "last": "deep"}.get(config.head, config.head)
    if config.backbone.startswith("lraspp") and config.head == "last":
        kind = "last"
    return {**named, "kind": kind, "pool": config.pool if config.head == "linear" else None}


def _fabric(device: torch.device) -> Fabric:
    """One process, or as many as torchrun started."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    devices: Any = local if local > 1 or device.index is None else [device.index]
    fabric = Fabric(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=devices if local > 1 or device.type == "cpu" else [device.index or 0],
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
    )
    fabric.launch()
    return fabric


def _any(fabric: Fabric, wish: bool) -> bool:
    """Whether any process wants it: all must end at the same step."""
    if fabric.world_size == 1:
        return wish
    total = fabric.all_reduce(torch.tensor(float(wish), device=fabric.device), reduce_op="sum")
    return bool(torch.as_tensor(total) > 0)


class _Log:
    """The training's log: one CSV file, to which a resumed training is appended."""

    def __init__(self, path: Path, step: int) -> None:
        names = ["step", "seconds", "rate", "likelihood", "nearest", "error"]
        names += [field.name for field in fields(PredictorScore)]
        kept: list[dict[str, str]] = []
        if step and path.exists():
            with path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        _write(path, lambda temporary: _write_rows(temporary, names, kept))
        self._path, self._names = path, names
        self._sums, self._count = torch.zeros(3), 0

    def step(self, learner: _Learner, losses: PredictorLosses) -> None:
        """Note the mean losses of every 20 steps."""
        self._sums += torch.stack([losses.likelihood, losses.nearest, losses.error]).float().cpu()
        self._count += 1
        if learner.step % 20 == 0:
            likelihood, nearest, error = (f"{value:.4f}" for value in (self._sums / self._count).tolist())
            self._sums, self._count = torch.zeros(3), 0
            self._row(learner, {"likelihood": likelihood, "nearest": nearest, "error": error})

    def validation(self, learner: _Learner, score: PredictorScore) -> None:
        """Note a validation."""
        self._row(learner, {name: f"{value:.4f}" for name, value in asdict(score).items()})

    def _row(self, learner: _Learner, values: dict[str, str]) -> None:
        rate = learner.schedule.rate(learner.share)
        row = {"step": learner.step, "seconds": f"{learner.seconds:.1f}", "rate": f"{rate:.3g}", **values}
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._names, restval="").writerow(row)


def _write_rows(path: Path, names: list[str], rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _write_run(path: Path, learner: _Learner, score: PredictorScore) -> None:
    """Sum the run up in one line, for a table of runs."""
    settings, config = learner.settings, learner.settings.config
    row = {
        "backbone": config.backbone,
        "head": config.head,
        "seed": settings.seed,
        "frozen": settings.frozen,
        "head_weights": sum(value.numel() for value in learner.network.head.parameters()),
        "weights": sum(value.numel() for value in learner.network.parameters()),
        "steps": learner.step,
        "seconds": round(learner.seconds, 1),
        "seconds_a_step": round(learner.seconds / max(1, learner.step), 4),
        "best_step": learner.best_step,
        "best_epe_moving": round(learner.best, 4),
        **{name: round(value, 4) for name, value in asdict(score).items()},
    }
    _write(path, lambda target: _write_rows(target, list(row), [row]))


def write_weights(
    target: Path, network: MotionPredictor, settings: PredictorTraining, score: PredictorScore
) -> None:
    """Export a network's weights as float16, with its calibrated use."""
    weights = {
        name: value.detach()
        .to("cpu", torch.float16 if value.is_floating_point() else value.dtype)
        .contiguous()
        for name, value in network.state_dict().items()
    }
    use = PredictorUse(settings.height, settings.width, spread=score.spread)
    metadata = PredictorRelease(settings.config, use).to_metadata()
    _write(target, lambda path: safetensors.torch.save_file(weights, path, metadata))


def _write(target: Path, save: Callable[[Path], object]) -> None:
    """Save to a temporary name, then rename."""
    temporary = target.with_name(f".{target.name}.part")
    save(temporary)
    temporary.chmod(0o644)  # safetensors' files are private
    os.replace(temporary, target)
