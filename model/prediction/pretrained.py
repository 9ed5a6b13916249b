"""Weights to begin with: torchvision's published ones, or a file of a person's.

torchvision's enums say where its weights lie and with which digits their sha256 begins; they are downloaded
and verified as all other weights are (`model.weights.registry`).
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights, ResNet50_Weights, WeightsEnum
from torchvision.models.segmentation import (
    DeepLabV3_ResNet50_Weights,
    FCN_ResNet50_Weights,
    LRASPP_MobileNet_V3_Large_Weights,
)

from model.core.errors import BadInput
from model.core.progress import ReportProgress, ignore_progress
from model.prediction.backbones import build_segmentation
from model.prediction.network import MotionPredictor, load_strictly
from model.prediction.release import as_float32
from model.weights.checkpoints import read_state_dict
from model.weights.registry import WeightsEntry, entry_of_file, file_sha256, find_entry, weights_file

SEGMENTATION: dict[str, WeightsEnum] = {
    "fcn_resnet50": FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
    "deeplabv3_resnet50": DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
    "lraspp_mobilenet_v3_large": LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
}
IMAGENET: dict[str, WeightsEnum] = {
    "fcn_resnet50": ResNet50_Weights.IMAGENET1K_V1,
    "deeplabv3_resnet50": ResNet50_Weights.IMAGENET1K_V1,
    "lraspp_mobilenet_v3_large": MobileNet_V3_Large_Weights.IMAGENET1K_V1,
}


@dataclass(frozen=True)
class Initial:
    """Weights to begin with. tensors: float32, by torchvision's names. strides: see `PredictorConfig`.

    what: names them in sentences. sha256: of their file.
    """

    tensors: dict[str, Tensor]
    strides: str
    what: str
    sha256: str


def published_entry(weights: WeightsEnum) -> WeightsEntry:
    """Describe torchvision's weights as a registry's entry.

    torchvision publishes the first 8 digits of the sha256, as the end of the file's name.
    """
    meta: dict[str, Any] = weights.meta
    url = str(weights.url)
    file = url.rsplit("/", 1)[-1]
    is_segmentation = "categories" in meta and len(meta["categories"]) == 21
    return WeightsEntry(
        name=f"torchvision/{type(weights).__name__}.{weights.name}",
        kind="segmentation" if is_segmentation else "backbone",
        file=file,
        sha256=file.rsplit("-", 1)[-1].split(".")[0],
        licence="BSD-3-Clause (torchvision); trained on COCO or ImageNet, which have their own terms",
        summary=str(meta.get("_docs", "")).strip().split("\n")[0],
        url=url,
    )


def initial_weights(
    name_or_path: str, backbone: str, *, progress: ReportProgress = ignore_progress
) -> Initial | None:
    """Find the weights that a training begins with.

    name_or_path: "imagenet" or "segmentation" (torchvision's, downloaded at first use), "none" (random), a
        registered name, or a file with a state dict of the backbone, of a whole segmentation network, or of
        torchvision's classifier of the same kind.
    backbone: see `PredictorConfig`.
    Raises BadInput when they cannot be had.
    """
    if name_or_path == "none":
        return None
    if name_or_path in ("imagenet", "segmentation"):
        table = IMAGENET if name_or_path == "imagenet" else SEGMENTATION
        entry: WeightsEntry | None = published_entry(table[backbone])
    else:
        entry = find_entry(name_or_path)
    if entry is not None:
        path = weights_file(entry, progress=progress)
    else:
        path = Path(name_or_path)
        if not path.is_file():
            raise BadInput(
                f"There are no weights “{name_or_path[:200]}” to begin with: give imagenet, segmentation, "
                "none, a registered name, or a file."
            )
        entry = entry_of_file(path)
    strides = "v1.5" if entry is None else str(entry.architecture.get("strides", "v1.5"))
    tensors = as_float32(read_state_dict(path))
    sha256 = file_sha256(path)
    return Initial(tensors, strides, os.path.basename(path), sha256)


def begin_with(network: MotionPredictor, initial: Initial) -> None:
    """Put weights into the backbone and, where they are a whole segmentation network's, into the `last` head.

    network: built with the strides of the weights.
    Raises BadInput when they do not fit.
    """
    segmentation = build_segmentation(network.config.backbone)
    body = network.backbone.body
    tensors = dict(initial.tensors)
    if any(name.startswith("backbone.") for name in tensors):
        own = {k.removeprefix("backbone."): v for k, v in tensors.items() if k.startswith("backbone.")}
        load_strictly(body, own, initial.what)
        classifier = {
            k.removeprefix("classifier."): v for k, v in tensors.items() if k.startswith("classifier.")
        }
        if network.config.head == "last" and classifier:
            load_strictly(segmentation.get_submodule("classifier"), classifier, initial.what)
            _keep_given(network.head, segmentation.get_submodule("classifier"))
        return
    # A classification network: its backbone, without what turns features into classes.
    own = {
        name.removeprefix("features."): value
        for name, value in tensors.items()
        if not name.startswith(("fc.", "classifier."))
    }
    load_strictly(body, own, initial.what)


def _keep_given(head: nn.Module, classifier: nn.Module) -> None:
    """Copy all layers of torchvision's classifier but the replaced one into a `last` head."""
    if hasattr(classifier, "cbr"):
        for name in ("cbr", "scale"):
            head.get_submodule(name).load_state_dict(classifier.get_submodule(name).state_dict())
        return
    given = nn.Sequential(*list(cast(nn.Sequential, classifier))[:-1])
    head.get_submodule("given").load_state_dict(given.state_dict())


def offered_at(weights: WeightsEnum, url: str) -> WeightsEntry:
    """Return published weights as a mirror offers them: the same file and digits, another place."""
    return replace(published_entry(weights), url=url)
