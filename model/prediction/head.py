"""What all heads have in common, and the layers that several of them are made of."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Head(nn.Module, ABC):
    """What all heads have in common.

    published: submodules that the weights of a segmentation network fill (`take_published`). They learn as
        the backbone does: not while it is frozen, then at its rate.
    reads: names what `prepare` returns; heads with the same name share features that are kept.
    """

    published: ClassVar[tuple[str, ...]] = ()
    reads: str = "deep"

    def take_published(self, classifier: nn.Module) -> None:
        """Copy the weights of torchvision's classifier into the `published` submodules."""
        for name in self.published:
            self.get_submodule(name).load_state_dict(classifier.get_submodule(name).state_dict())

    def prepare(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Reduce the backbone's maps, fine to deep, to what `forward` reads."""
        return (levels[-1],)

    @abstractmethod
    def forward(self, features: Sequence[Tensor], points: Tensor) -> Tensor:
        """Answer for points.

        features: from `prepare`, `[B, C, h, w]` each.
        points: float32 `[B, P, 2]`, (x, y) as shares of the image: 0 is its left or top border.
        Returns `[B, P, numbers]`, without a unit.
        """


def projection(channels: int, width: int) -> nn.Sequential:
    """A 1×1 convolution to another number of channels."""
    return nn.Sequential(nn.Conv2d(channels, width, 1), nn.GroupNorm(8, width), nn.GELU())


def start_small(layer: nn.Module) -> None:
    """Begin with answers near zero motion."""
    weight, bias = cast(Tensor, layer.weight), cast(Tensor, layer.bias)
    with torch.no_grad():
        weight.mul_(0.1)
        bias.zero_()


def with_coordinates(maps: Tensor) -> Tensor:
    """Append x and y, -1 to 1 over the image, as two channels (CoordConv, Liu et al. 2018)."""
    height, width = maps.shape[-2:]
    y = (torch.arange(height, device=maps.device, dtype=maps.dtype) + 0.5) * (2 / height) - 1
    x = (torch.arange(width, device=maps.device, dtype=maps.dtype) + 0.5) * (2 / width) - 1
    both = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
    return torch.cat([maps, both.expand(len(maps), -1, -1, -1)], dim=1)


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Read maps `[B, C, h, w]` bilinearly at points `[B, P, 2]`, shares of the image: `[B, P, C]`."""
    places = (2 * points - 1)[:, None].to(maps.dtype)
    read = F.grid_sample(maps, places, padding_mode="border", align_corners=False)
    return read[:, :, 0].transpose(1, 2)
