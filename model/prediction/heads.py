"""Heads: from a backbone's features to numbers at the query points.

A new head is a class here and a line in `HEADS`, at the end; networks, training and commands find it there.

Every head first reduces the backbone's maps by `prepare`, which has no weights that training changes, so
that its result can be kept while the backbone is frozen; `forward` does the rest. Displacements are read at
the points, by bilinear sampling of maps, so a convolutional head answers for any points; the linear head
answers for its own grid, between whose points is interpolated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPPPooling, DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

from model.core.errors import BadInput
from model.motion.grid import query_grid
from model.prediction.backbones import Level
from model.prediction.config import PredictorConfig
from model.prediction.head import Head, projection, sample, start_small, with_coordinates
from model.prediction.outputs import BinsOutput, Output, PlainOutput

ATROUS_RATES = (12, 24, 36)
LOGITS = 21
"""Channels that torchvision's segmentation classifiers end in."""

_DEEP_STRIDE = 16
_PLACES = 16  # cells a side of the maps of where points lie


class LastHead(Head):
    """torchvision's classifier with only its last layer replaced; the rest stays as it was given."""

    published = ("given",)

    def __init__(self, classifier: nn.Module, outputs: int) -> None:
        super().__init__()
        layers = list(cast(nn.Sequential, classifier))
        self.given = nn.Sequential(*layers[:-1])
        self.last = nn.Conv2d(cast(nn.Conv2d, layers[-1]).in_channels + 2, outputs, 1)
        start_small(self.last)

    def take_published(self, classifier: nn.Module) -> None:
        """See `Head`."""
        layers = list(cast(nn.Sequential, classifier))[:-1]
        self.given.load_state_dict(nn.Sequential(*layers).state_dict())

    def train(self, mode: bool = True) -> "LastHead":
        """Leave the batch statistics of the given layers as they are."""
        super().train(mode)
        self.given.eval()
        return self

    def forward(self, features: Sequence[Tensor], points: Tensor) -> Tensor:
        """See `Head`."""
        return sample(self.last(with_coordinates(self.given(features[0]))), points)


class LastLrasppHead(Head):
    """The same for the small network, whose last layer consists of two."""

    published = ("cbr", "scale")
    reads = "last"

    def __init__(self, classifier: nn.Module, outputs: int) -> None:
        super().__init__()
        self.cbr, self.scale = (classifier.get_submodule(name) for name in ("cbr", "scale"))
        low, high = cast(nn.Conv2d, classifier.low_classifier), cast(nn.Conv2d, classifier.high_classifier)
        self.low_classifier = nn.Conv2d(low.in_channels + 2, outputs, 1)
        self.high_classifier = nn.Conv2d(high.in_channels + 2, outputs, 1)
        start_small(self.low_classifier)
        start_small(self.high_classifier)

    def train(self, mode: bool = True) -> "LastLrasppHead":
        """Leave the batch statistics of the given layers as they are."""
        super().train(mode)
        self.cbr.eval()
        return self

    def prepare(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """See `Head`."""
        return levels[-2], levels[-1]

    def forward(self, features: Sequence[Tensor], points: Tensor) -> Tensor:
        """See `Head`."""
        low, high = features
        squeezed = self.cbr(high) * self.scale(high)
        return sample(self.low_classifier(with_coordinates(low)), points) + sample(
            self.high_classifier(with_coordinates(squeezed)), points
        )


class DeepHead(Head):
    """New layers of torchvision's on the deepest features and two coordinate channels."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        start_small(layers[-1])

    def train(self, mode: bool = True) -> "DeepHead":
        """Leave the statistics of what is pooled to one value a picture: of one picture there are none."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, ASPPPooling):
                layer.eval()
        return self

    def forward(self, features: Sequence[Tensor], points: Tensor) -> Tensor:
        """See `Head`."""
        return sample(self.layers(with_coordinates(features[0])), points)


class LinearHead(Head):
    """Flatten and one linear layer, on features pooled to a few cells; made for one grid, else interpolated.

    It reads tens of thousands of features, for each of which Adam takes as long a step as it would for one of
    few: answers would jump by 100 pixels a step. So features are normalised to a length of 1.
    """

    def __init__(self, levels: Sequence[Level], outputs: int, pool: int, grid: int) -> None:
        super().__init__()
        self.reads = f"pooled to {pool}"
        self.pool, self.grid, self.outputs = pool, grid, outputs
        self.linear = nn.Linear(levels[-1].channels * pool**2, grid**2 * outputs)
        start_small(self.linear)

    def prepare(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """See `Head`."""
        return (F.adaptive_avg_pool2d(levels[-1], self.pool),)

    def forward(self, features: Sequence[Tensor], points: Tensor) -> Tensor:
        """See `Head`."""
        flat = features[0].flatten(1)
        flat = F.normalize(flat - flat.mean(dim=1, keepdim=True))
        flat = cast(Tensor, self.linear(flat))
        maps = flat.view(len(points), self.grid, self.grid, self.outputs).permute(0, 3, 1, 2)
        first, last = points.new_tensor(query_grid(2, (1, 1))[[0, -1]] + 0.5)
        cells = (points - first) / (last - first) * (self.grid - 1)
        return sample(maps, (cells + 0.5) / self.grid)


class BinsHead(Head):
    """Few layers with much dropout at a stride of 16, for training sets of a thousand real pictures.

    What a point does is told by what lies there and around it (middle and deep features), by the picture as a
    whole, and by where in the picture it is: for that each hypothesis has a map of its own.
    """

    reads = "bins"

    def __init__(self, levels: Sequence[Level], outputs: int, width: int, dropout: float) -> None:
        super().__init__()
        _, middle, deep = levels
        self.pools = (_DEEP_STRIDE // middle.stride, _DEEP_STRIDE // deep.stride)
        self.merge = nn.Sequential(
            nn.Dropout2d(dropout), *projection(middle.channels + deep.channels + 2, width)
        )
        self.around = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.GroupNorm(8, width),
                nn.GELU(),
                nn.Dropout2d(dropout),
            )
            for _ in range(2)
        )
        self.globally = nn.Linear(width, width)
        self.answer = nn.Conv2d(width, outputs, 1)
        self.places = nn.Parameter(torch.zeros(outputs, _PLACES, _PLACES))
        start_small(self.answer)

    def prepare(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """See `Head`."""
        _, middle, deep = levels
        middle, deep = (
            F.avg_pool2d(each, size) for each, size in zip((middle, deep), self.pools, strict=True)
        )
        deep = F.interpolate(deep, middle.shape[-2:], mode="bilinear", align_corners=False)
        # Features of the two depths differ tenfold in size; without this the larger would be all that counts.
        return (torch.cat([F.layer_norm(each, each.shape[1:]) for each in (middle, deep)], dim=1),)

    def forward(self, features: Sequence[Tensor], points: Tensor) -> Tensor:
        """See `Head`."""
        maps = self.merge(with_coordinates(features[0]))
        for block in self.around:
            maps = maps + block(maps)
        maps = maps + self.globally(maps.mean(dim=(2, 3)))[:, :, None, None]
        places = self.places[None].expand(len(maps), -1, -1, -1)
        return sample(self.answer(F.gelu(maps)), points) + sample(places, points)


@dataclass(frozen=True)
class HeadParts:
    """What a head is built of.

    config: the network's. levels: of the backbone, fine to deep. classifier: torchvision's. outputs: numbers
    for each point.
    """

    config: PredictorConfig
    levels: Sequence[Level]
    classifier: nn.Module
    outputs: int

    @property
    def deep_channels(self) -> int:
        """Channels of the deepest features and of the coordinates."""
        return self.levels[-1].channels + 2


@dataclass(frozen=True)
class HeadKind:
    """A head that a config can name.

    build: raises BadInput for parts that cannot be built of.
    output: what the numbers mean; several hypotheses learn by their likelihood, one displacement by L1.
    """

    build: Callable[[HeadParts], Head]
    output: type[Output] = PlainOutput


def _last(parts: HeadParts) -> Head:
    kind = LastLrasppHead if hasattr(parts.classifier, "cbr") else LastHead
    return kind(parts.classifier, parts.outputs)


def _fcn(parts: HeadParts) -> Head:
    """3×3 convolution to a quarter of the channels, then 1×1 (Long et al. 2015)."""
    return DeepHead(FCNHead(parts.deep_channels, parts.outputs))


def _deeplab(parts: HeadParts) -> Head:
    """Atrous spatial pyramid pooling at 12, 24 and 36 (Chen et al. 2017)."""
    return DeepHead(DeepLabHead(parts.deep_channels, parts.outputs, ATROUS_RATES))


def _linear(parts: HeadParts) -> Head:
    config = parts.config
    if config.pool is None:
        weights = unpooled_weights(config.grid)
        raise BadInput(
            f"Flatten + Linear on the unpooled 850×1280×{LOGITS} logits would need {weights / 1e9:.1f} "
            f"billion weights ({weights * 4 / 1e9:.0f} GB) for a grid of {config.grid}×{config.grid}; give "
            "pool=4, say, to read features pooled to 4×4."
        )
    return LinearHead(parts.levels, parts.outputs, config.pool, config.grid)


def unpooled_weights(grid: int, size: tuple[int, int] = (850, 1280)) -> int:
    """Count the weights of flatten + Linear on the segmentation network's logits for images of a size."""
    return size[0] * size[1] * LOGITS * grid**2 * 2


def _bins(parts: HeadParts) -> Head:
    return BinsHead(parts.levels, parts.outputs, parts.config.width, parts.config.dropout)


HEADS: dict[str, HeadKind] = {
    "last": HeadKind(_last),
    "fcn": HeadKind(_fcn),
    "deeplab": HeadKind(_deeplab),
    "linear": HeadKind(_linear),
    "bins": HeadKind(_bins, BinsOutput),
}


def find_head(name: str) -> HeadKind:
    """Return the head of that name. Raises BadInput for another one."""
    if name not in HEADS:
        raise BadInput(f"There is no head “{name[:60]}”; choose one of {', '.join(HEADS)}.")
    return HEADS[name]
