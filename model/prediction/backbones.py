"""torchvision's segmentation backbones, read at several depths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torchvision.models.segmentation import (
    deeplabv3_resnet50,
    fcn_resnet50,
    lraspp_mobilenet_v3_large,
)


@dataclass(frozen=True)
class Level:
    """A depth at which features are read. layer: its name in torchvision's backbone."""

    layer: str
    channels: int
    stride: int


@dataclass(frozen=True)
class BackboneSpec:
    """A segmentation network of torchvision.

    levels: fine, middle and deep; the classifier reads the deep one.
    """

    build: Callable[..., nn.Module]
    levels: tuple[Level, Level, Level]


_RESNET = (Level("layer1", 256, 4), Level("layer2", 512, 8), Level("layer4", 2048, 8))
SPECS: Mapping[str, BackboneSpec] = {
    "fcn_resnet50": BackboneSpec(fcn_resnet50, _RESNET),
    "deeplabv3_resnet50": BackboneSpec(deeplabv3_resnet50, _RESNET),
    "lraspp_mobilenet_v3_large": BackboneSpec(
        lraspp_mobilenet_v3_large, (Level("3", 24, 4), Level("4", 40, 8), Level("16", 960, 16))
    ),
}


class Backbone(nn.Module):
    """Features at three depths. Batch statistics are never updated: batches here are too small for them."""

    def __init__(self, body: nn.Module, levels: tuple[Level, Level, Level]) -> None:
        super().__init__()
        self.body = body
        self.levels = levels
        self.eval()

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode, so that batch normalisation uses the statistics of the given weights."""
        del mode
        super().train(False)
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map normalised images `[B, 3, H, W]` to one map `[B, C, h, w]` for each level."""
        wanted = {level.layer for level in self.levels}
        read: list[Tensor] = []
        for name, layer in self.body.named_children():
            images = layer(images)
            if name in wanted:
                read.append(images)
        return tuple(read)


def build_segmentation(name: str, strides: str = "v1.5") -> nn.Module:
    """Build a network of torchvision with random weights; nothing is downloaded.

    It has the parts `backbone` and `classifier`.
    strides: "v1" has a ResNet's strides in the bottlenecks' 1×1 convolutions (He et al. 2016), "v1.5" in the
        3×3 ones, as torchvision's own weights expect.
    """
    network = SPECS[name].build(weights=None, weights_backbone=None, num_classes=21)
    if strides == "v1":
        _move_strides(network.get_submodule("backbone"))
    return network


def _move_strides(body: nn.Module) -> None:
    """Move the strides of a ResNet's stages from the 3×3 to the first 1×1 convolution.

    Stages whose stride torchvision replaced by dilation have none to move.
    """
    for stage in ("layer2", "layer3", "layer4"):
        convolutions = (body.get_submodule(f"{stage}.0.{name}") for name in ("conv1", "conv2"))
        reducing, spatial = (cast(nn.Conv2d, convolution) for convolution in convolutions)
        reducing.stride, spatial.stride = spatial.stride, reducing.stride
