"""torchvision's segmentation backbones, read at several depths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights, ResNet50_Weights, WeightsEnum
from torchvision.models.segmentation import (
    DeepLabV3_ResNet50_Weights,
    FCN_ResNet50_Weights,
    LRASPP_MobileNet_V3_Large_Weights,
    deeplabv3_resnet50,
    fcn_resnet50,
    lraspp_mobilenet_v3_large,
)

from model.core.errors import BadInput


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
    segmentation, imagenet: published weights of the whole network, and of its backbone as a classifier.
    """

    build: Callable[..., nn.Module]
    levels: tuple[Level, Level, Level]
    segmentation: WeightsEnum
    imagenet: WeightsEnum


_RESNET = (Level("layer1", 256, 4), Level("layer2", 512, 8), Level("layer4", 2048, 8))
BACKBONES: Mapping[str, BackboneSpec] = {
    "fcn_resnet50": BackboneSpec(
        fcn_resnet50,
        _RESNET,
        FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
        ResNet50_Weights.IMAGENET1K_V1,
    ),
    "deeplabv3_resnet50": BackboneSpec(
        deeplabv3_resnet50,
        _RESNET,
        DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
        ResNet50_Weights.IMAGENET1K_V1,
    ),
    "lraspp_mobilenet_v3_large": BackboneSpec(
        lraspp_mobilenet_v3_large,
        (Level("3", 24, 4), Level("4", 40, 8), Level("16", 960, 16)),
        LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
        MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    ),
}


def find_backbone(name: str) -> BackboneSpec:
    """Return the backbone of that name. Raises BadInput for another one."""
    if name not in BACKBONES:
        raise BadInput(f"There is no network “{name[:60]}”; choose one of {', '.join(BACKBONES)}.")
    return BACKBONES[name]


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
    network = find_backbone(name).build(weights=None, weights_backbone=None, num_classes=21)
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
