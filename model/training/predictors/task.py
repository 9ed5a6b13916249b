"""A predictor in training: its loss, its batches, its validation."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from model.core.devices import autocast
from model.core.progress import Watch
from model.prediction.network import MotionPredictor, normalise
from model.prediction.outputs import BinsOutput
from model.prediction.pretrained import Initial, begin_with
from model.prediction.release import PredictorRelease, PredictorUse
from model.training.loop import Task
from model.training.predictors.data import PredictorSet, batch_indices
from model.training.predictors.examples import Example, stack
from model.training.predictors.feature_cache import FeatureCache, open_features
from model.training.predictors.losses import predictor_losses
from model.training.predictors.settings import PredictorTraining
from model.training.predictors.validation import PredictorScore, score_cached
from model.weights.checkpoints import as_float16, write_state_dict

_PRIOR_SAMPLES = 400
_HIDDEN_WHEN_JUDGED = 0.65
"""What a hidden position counts in the calibration.

Fewer of the visible points move than of all; so probabilities are about as far from right for either.
"""

Batch = list[tuple[Example, tuple[Tensor, ...] | None]]
"""Examples of each shape, and their features where those are kept."""


class NetworkWithLoss(nn.Module):
    """The network with its loss as `forward`, for several devices to share."""

    def __init__(self, network: MotionPredictor) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return what is minimised, and what `PredictorTask.losses` names."""
        importance = torch.stack([example.counts.sum() for example, _ in batch])
        each = torch.stack([self._losses(*part) for part in batch])
        together = (each * importance[:, None]).sum(dim=0) / importance.sum().clamp(min=1e-6)
        return tuple(together)

    def _losses(self, example: Example, features: tuple[Tensor, ...] | None) -> Tensor:
        with autocast(example.points.device):
            if features is None:
                features = self.network.features(normalise(example.picture))
            answer = self.network.answer(features, example.points, example.shape)
            return torch.stack(predictor_losses(answer, example))


class PredictorTask(Task[MotionPredictor, PredictorScore]):
    """See `model.training.loop.Task`.

    First the backbone is frozen and the head learns from features that were computed once; then all weights
    learn from fresh views, the backbone at a lower rate.
    """

    losses = ("error", "likelihood")
    score = PredictorScore
    panels: ClassVar = {
        "Training loss, pixels": ("error",),
        "Log likelihood": ("likelihood", "held_out_likelihood"),
        "Held-out error, pixels of a 256-high image": ("epe_moving", "epe", "nearest_epe"),
        "Held-out direction and coverage": ("cosine", "coverage"),
    }

    def __init__(
        self,
        settings: PredictorTraining,
        initial: Initial | None,
        fabric: Fabric,
        features: Path,
        watch: Watch,
    ) -> None:
        """Read the data and compute the features that are missing in the folder `features`.

        Raises BadInput for data that cannot be used, Stopped on request.
        """
        torch.manual_seed(settings.seed)
        network = MotionPredictor(settings.config)
        if initial is not None:
            begin_with(network, initial)
        network = network.to(fabric.device)
        super().__init__(settings, network, NetworkWithLoss(network))
        self.training = settings
        self.phases = (0.0, settings.frozen) if settings.frozen < 1 else (0.0,)
        self._device = fabric.device
        self._weights = initial.sha256 if initial is not None else f"random, seed {settings.seed}"
        sets, config, size = settings.data, settings.config, settings.size
        self._train = PredictorSet.open(sets, "train", config, size, views=settings.views)
        unseen = PredictorSet.open(
            sets, "validation", config, size, most=settings.validation, hidden=_HIDDEN_WHEN_JUDGED
        )

        def keep(examples: PredictorSet) -> FeatureCache:
            with fabric.rank_zero_first():  # the others find them computed
                return self._keep_features(examples, features, watch)

        self._kept = keep(self._train) if settings.frozen > 0 else None
        self._held_out = [unseen.view(number) for number in range(len(unseen))]
        self._held_features = keep(unseen) if settings.frozen == 1 else None
        self._is_frozen = False
        self._targets: dict[int, Example] = {}
        if isinstance(network.output, BinsOutput):
            self._begin_with_prior(network, network.output)

    def _begin_with_prior(self, network: MotionPredictor, output: BinsOutput) -> None:
        """Let the network begin with what points in general do."""
        every = max(1, len(self._train) // _PRIOR_SAMPLES)
        targets = [self._train.view(number) for number in range(0, len(self._train), every)]
        motion, counts = (torch.cat([each[part] for each in targets]) for part in (2, 3))
        is_known = counts.sum(dim=1) > 0
        with torch.no_grad():
            network.get_parameter(output.parameter).copy_(output.fitted(motion[is_known], counts[is_known]))

    def begin_phase(self, phase: int) -> list[dict[str, Any]]:
        """See `Task`."""
        self._is_frozen = phase == 0 and self._kept is not None
        published, head = list[nn.Parameter](), list[nn.Parameter]()
        for name, value in self.network.named_parameters():
            is_published = self.network.is_published(name)
            value.requires_grad_(not (self._is_frozen and is_published))
            (published if is_published else head).append(value)
        groups = [dict[str, Any](params=head, share=1.0)]
        if not self._is_frozen:
            groups.append(dict[str, Any](params=published, share=self.training.backbone_rate))
        return groups

    def batches(self, step: int, rank: int, ranks: int) -> Iterator[Batch]:
        """Yield kept views while the backbone is frozen, fresh ones of their samples afterwards."""
        settings = self.training
        while True:
            numbers = batch_indices(step, settings.batch, len(self._train), settings.seed, rank, ranks)
            yield [self._examples(alike, step) for alike in self._train.by_shape(numbers)]
            step += 1

    def _examples(self, numbers: list[int], step: int) -> tuple[Example, tuple[Tensor, ...] | None]:
        if self._kept is not None and self._is_frozen:
            maps = self._kept.read(numbers, self._device)
            return self._on_device([self._target(number) for number in numbers]), maps
        return self._on_device([self._train.fresh_view(number, step) for number in numbers]), None

    def validate(self, network: MotionPredictor) -> PredictorScore:
        """See `Task`."""
        return score_cached(network, self._held_out, self._held_features)

    def fitness(self, score: PredictorScore) -> float:
        """Return the likelihood of a mixture, the negative EPE of a plain head.

        Not the error of the single answer: "nothing moves" is hard to beat while little is learned.
        """
        return score.held_out_likelihood if self.network.hypotheses > 1 else -score.epe

    def write_weights(self, path: Path, network: MotionPredictor, score: PredictorScore) -> None:
        """Export as float16, with the calibrated use."""
        settings = self.training
        use = PredictorUse(
            settings.height,
            settings.width,
            score.scale_factor,
            mirror=settings.mirror,
            temperature=score.temperature,
            moving_bias=score.moving_bias,
        )
        write_state_dict(path, as_float16(network), PredictorRelease(settings.config, use).to_metadata())

    def _on_device(self, examples: list[Example]) -> Example:
        return Example(*(part.to(self._device) for part in stack(examples)))

    def _target(self, number: int) -> Example:
        """Return a view whose picture holds no pixels: they are not needed and would not fit into memory."""
        if number not in self._targets:
            view = self._train.view(number)
            self._targets[number] = view._replace(picture=view.picture[:0].clone())
        return self._targets[number]

    def _keep_features(self, examples: PredictorSet, folder: Path, watch: Watch) -> FeatureCache:
        """Compute the features that are missing, set by set: with another set beside them they stay."""
        config = self.training.config
        parts = []
        for part, views in enumerate(examples.views):
            description = {
                "network": [config.backbone, config.strides, self.network.head.reads],
                "weights": self._weights,
                "size": examples.shapes[part],
                "views": views,
                "keys": examples.keys(part),
            }
            makers = [partial(examples.view, number) for number in examples.numbers(part)]
            parts.append(open_features(folder, self.network, description, makers, watch))
        return FeatureCache(tuple(parts))
