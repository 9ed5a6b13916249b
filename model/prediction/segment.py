"""torchvision's segmentation networks as they were published: the 21 classes of Pascal VOC.

The researcher's first experiment: what does the network see before it is taught motion?
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from model.core.devices import find_device
from model.core.progress import ReportProgress, ignore_progress
from model.prediction.backbones import find_backbone
from model.prediction.network import normalise
from model.prediction.predictor import resized
from model.prediction.pretrained import published_entry
from model.weights.checkpoints import load_strictly, read_state_dict
from model.weights.registry import WeightsEntry, weights_file

SHORT_SIDE = 520
"""Pixels of the shorter side, as in torchvision's own preprocessing."""

MOST_PIXELS = 1_200_000
"""Of the working image: a long and narrow one would otherwise need all memory."""

CLASSES: tuple[str, ...] = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus"),
    *("car", "cat", "chair", "cow", "diningtable", "dog", "horse"),
    *("motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Of Pascal VOC, in the order of the networks' outputs."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """labels: uint8 `[H, W]`, the index into `CLASSES` of each pixel of the image."""

    labels: NDArray[np.uint8]

    @property
    def shares(self) -> Mapping[str, float]:
        """The share of the image of each class that is there, the largest first."""
        numbers, counts = np.unique(self.labels, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {CLASSES[numbers[k]]: float(counts[k] / self.labels.size) for k in order}


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A published segmentation network, ready to use."""

    network: nn.Module

    @classmethod
    def load(
        cls,
        name: str = "fcn_resnet50",
        device: str = "auto",
        *,
        entry: WeightsEntry | None = None,
        progress: ReportProgress = ignore_progress,
    ) -> "Segmenter":
        """Download (once, verified) and load torchvision's weights.

        name: fcn_resnet50, deeplabv3_resnet50 or lraspp_mobilenet_v3_large. entry: the same weights from
        elsewhere. progress: told the stage "downloading".
        Raises BadInput for another name, or when the weights cannot be had.
        """
        spec, place = find_backbone(name), find_device(device)
        path = weights_file(entry or published_entry(spec.segmentation), progress=progress)
        tensors = read_state_dict(path)
        options = {"aux_loss": True} if any(key.startswith("aux_classifier.") for key in tensors) else {}
        network = spec.build(weights=None, weights_backbone=None, num_classes=len(CLASSES), **options)
        load_strictly(network, tensors, f"{path.name} does not fit this network")
        return cls(network.requires_grad_(False).eval().to(place))

    @torch.inference_mode()
    def segment(self, image: NDArray[np.uint8]) -> Segmentation:
        """Tell the class of each pixel of an image, uint8 `[H, W, 3]` RGB."""
        height, width = image.shape[:2]
        scale = min(SHORT_SIDE / min(height, width), math.sqrt(MOST_PIXELS / (height * width)))
        size = max(32, round(height * scale)), max(32, round(width * scale))
        device = next(self.network.parameters()).device
        pixels = torch.tensor(image).permute(2, 0, 1)[None].to(device)
        logits = self.network(normalise(resized(pixels, size)))["out"]
        full = F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
        return Segmentation(full[0].argmax(dim=0).to(torch.uint8).cpu().numpy())
