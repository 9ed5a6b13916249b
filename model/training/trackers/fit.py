"""Training PIPs on synthetic clips, for a time or a number of steps, in pieces if need be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from model.core.devices import autocast, find_device
from model.core.progress import UNWATCHED, Watch
from model.core.structure import from_json
from model.synthetic.batches import SyntheticClips, synthesize
from model.synthetic.scene import SyntheticSettings
from model.synthetic.textures import TextureBank, load_bank
from model.tracking.pips.network import Pips
from model.tracking.pips.refinement import RefinementSettings
from model.tracking.pips.release import PipsRelease, PipsUse, read_weights
from model.tracking.pips.sizes import find_size
from model.training.loop import CHECKPOINT, Task, TrainingLoop, launch_fabric, open_checkpoint
from model.training.trackers.losses import tracker_losses
from model.training.trackers.pips_forward import forward
from model.training.trackers.settings import TrackerTraining
from model.training.trackers.validation import ValidationScore, validate
from model.weights.checkpoints import as_float16, write_state_dict

VALIDATION_SEED = 2_000_000_000


class NetworkWithLoss(nn.Module):
    """The network with its loss as `forward`, and the temperature of the score loss, which learns too."""

    def __init__(self, network: Pips, iterations: int) -> None:
        super().__init__()
        self.network, self.iterations = network, iterations
        self.temperature = nn.Parameter(torch.tensor(1.0))

    def forward(self, clips: SyntheticClips) -> tuple[Tensor, ...]:
        """Return what is minimised, and what `TrackerTask.losses` names."""
        with autocast(clips.frames.device):
            output = forward(self.network, clips.frames, clips.trajectories[:, 0], self.iterations)
        stride = self.network.config.stride
        losses = tracker_losses(output, clips, stride, self.temperature)
        return losses.total, losses.position, losses.visibility, losses.score


class _Batches(Dataset[SyntheticClips]):
    """Batch number k is made from the seed and k alone, wherever and whenever it is made."""

    def __init__(self, settings: TrackerTraining, bank: TextureBank) -> None:
        self._settings, self._bank = settings, bank
        self._clips = SyntheticSettings(
            settings.height,
            settings.width,
            points=settings.points,
            layers=(2, 6),
            speed=settings.speed,
            motion_blur=0.12,
            favour_hard=True,
        )

    def __getitem__(self, number: int) -> SyntheticClips:
        settings = self._settings
        return synthesize(settings.seed * 10_000_000 + number, settings.batch, self._clips, self._bank)


class TrackerTask(Task[Pips, ValidationScore]):
    """See `model.training.loop.Task`."""

    losses = ("position", "visibility", "score")
    score = ValidationScore
    panels: ClassVar = {
        "Training losses": ("position", "visibility", "score"),
        "Held-out error, pixels": ("visible", "occluded", "still", "still_occluded"),
        "Held-out shares, percent": ("within_1", "delta", "occlusion"),
    }

    def __init__(self, settings: TrackerTraining, device: torch.device) -> None:
        torch.manual_seed(settings.seed)
        network = Pips(find_size(settings.size))
        if settings.start_from is not None:
            weights = read_weights(settings.start_from)
            network = Pips.from_state_dict(weights, config=network.config).requires_grad_(True)
        loss = NetworkWithLoss(network, settings.iterations).to(device)
        super().__init__(settings, network, loss)
        self.training, self._temperature = settings, loss.temperature
        self._device = device
        bank = self._bank(held_out=True).to(device)
        clips = SyntheticSettings(speed=settings.speed)
        numbers = range(VALIDATION_SEED, VALIDATION_SEED + settings.validation_batches)
        self._held_out = [synthesize(number, 2, clips, bank) for number in numbers]

    def begin_phase(self, phase: int) -> list[dict[str, Any]]:
        """See `Task`; there is one phase."""
        del phase
        return [
            {"params": list(self.network.parameters()), "share": 1.0},
            {"params": [self._temperature], "share": 1.0, "weight_decay": 0.0},
        ]

    def batches(self, step: int, rank: int, ranks: int) -> Iterator[SyntheticClips]:
        """Make batches: on a GPU in place, else in one process beside the training."""
        bank = self._bank(held_out=False)
        numbers = range(step * ranks + rank, (step + 10_000_000) * ranks, ranks)
        if self._device.type == "cuda":
            source = _Batches(self.training, bank.to(self._device))
            yield from (source[number] for number in numbers)
        yield from DataLoader(
            _Batches(self.training, bank), batch_size=None, sampler=numbers, num_workers=1, prefetch_factor=4
        )

    def validate(self, network: Pips) -> ValidationScore:
        """See `Task`."""
        return validate(network, self._held_out, self.training.iterations)

    def fitness(self, score: ValidationScore) -> float:
        """Return the negative error of visible points."""
        return -score.visible

    def write_weights(self, path: Path, network: Pips, score: ValidationScore) -> None:
        """Export as float16."""
        del score
        use = PipsUse(resize="area", antialias=True, refinement=RefinementSettings())
        write_state_dict(path, as_float16(network), PipsRelease(network.config, use).to_metadata())

    def _bank(self, *, held_out: bool) -> TextureBank:
        settings = self.training
        textures, cutouts = (Path(name) if name else None for name in (settings.textures, settings.cutouts))
        return load_bank(settings.seed, textures, cutouts, held_out=held_out, procedural=settings.procedural)


def fit_tracker(
    out: Path,
    settings: TrackerTraining,
    *,
    resume: bool = False,
    device: str = "auto",
    watch: Watch = UNWATCHED,
) -> ValidationScore:
    """Train, and leave weights, checkpoint and log in the folder `out`.

    `weights.safetensors` holds the averaged weights of the best validation so far (float16), `checkpoint.pt`
    what is needed to go on, `log.csv` one line for each validation and for every 20 steps, and `log.html` a
    plot of it.
    resume: go on from the checkpoint in `out` as if there had been no break: the same batches in the same
        order, with the settings of the checkpoint.
    watch: told after each step the stage, with loss and speed, and the percentage done. When it asks for the
        end a checkpoint is written and Stopped is not raised: it can go on.
    Returns the last validation.
    Raises BadInput when neither minutes nor steps are given, or `out` holds another training.
    """
    place = find_device(device)
    find_size(settings.size)
    state = open_checkpoint(out, settings, place, resume=resume)
    if state is not None:
        settings = from_json(TrackerTraining, state["settings"], f"the settings in {out / CHECKPOINT}")
    fabric = launch_fabric(place)
    task = TrackerTask(settings, fabric.device)
    return TrainingLoop(out, task, fabric, state).run(watch)
