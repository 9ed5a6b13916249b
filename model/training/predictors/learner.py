"""A predictor in training: its loss, the average of its weights, and one step."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from model.core.devices import has_fast_bfloat16
from model.prediction.network import MotionPredictor, normalise
from model.prediction.pretrained import Initial, begin_with
from model.training.predictors.examples import Example
from model.training.predictors.losses import PredictorLosses, PredictorLossWeights, predictor_losses
from model.training.predictors.settings import PredictorTraining
from model.training.schedule import Schedule


class NetworkWithLoss(nn.Module):
    """The network with its loss as `forward`, for several devices to share."""

    def __init__(self, network: MotionPredictor, settings: PredictorTraining) -> None:
        super().__init__()
        self.network = network
        self.is_mixture = network.hypotheses > 1
        self.size = settings.size
        self.weights = PredictorLossWeights(nearest=settings.nearest, direction=settings.direction)

    def forward(self, batch: Example, features: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        """Return the fields of PredictorLosses; without features, of the batch's pictures."""
        if features is None:
            features = self.network.features(normalise(batch.picture))
        answer = self.network.answer(features, batch.points, self.size)
        losses = predictor_losses(answer, batch, self.is_mixture, self.weights)
        return losses.total, losses.likelihood, losses.nearest, losses.error


class WeightAverage:
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


class PredictorLearner:
    """The network in training with all that its next step depends on."""

    def __init__(self, settings: PredictorTraining, initial: Initial | None, fabric: Fabric) -> None:
        torch.manual_seed(settings.seed)
        network = MotionPredictor(settings.config)
        if initial is not None:
            begin_with(network, initial)
        self.settings, self.fabric = settings, fabric
        self.network = network.to(fabric.device)
        self.schedule = Schedule(settings.minutes, settings.steps, settings.learning_rate)
        self.average = WeightAverage(self.network, settings.average)
        self.step, self.seconds = 0, 0.0
        self.best, self.best_step, self.worse = float("-inf"), 0, 0
        self.is_frozen = settings.frozen > 0
        self._set_up()

    @property
    def share(self) -> float:
        """The finished share of the training."""
        return self.schedule.share(self.step, self.seconds)

    def _set_up(self) -> None:
        """Choose what learns: the head alone, or all weights. Begins the optimizer anew."""
        published = self.network.is_published
        for name, value in self.network.named_parameters():
            value.requires_grad_(not (self.is_frozen and published(name)))
        learning = [(n, p) for n, p in self.network.named_parameters() if p.requires_grad]
        backbone = [p for n, p in learning if published(n)]
        head = [p for n, p in learning if not published(n)]
        groups = [dict[str, Any](params=head, share=1.0)]
        if backbone:
            groups.append(dict[str, Any](params=backbone, share=self.settings.backbone_rate))
        optimizer = torch.optim.AdamW(
            groups, lr=self.settings.learning_rate, betas=(0.9, 0.98), weight_decay=self.settings.weight_decay
        )
        loss = NetworkWithLoss(self.network, self.settings)
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
            losses.total.backward()  # type: ignore[no-untyped-call]  # torch has not typed it
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
