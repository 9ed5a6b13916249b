"""Weights to begin with: torchvision's published ones, or a file of a person's.

torchvision's enums say where its weights lie and with which digits their sha256 begins; they are downloaded
and verified as all other weights are (`model.weights.registry`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torchvision.models import WeightsEnum

from model.core.errors import BadInput
from model.core.progress import ReportProgress, ignore_progress
from model.prediction.backbones import build_segmentation, find_backbone
from model.prediction.network import MotionPredictor
from model.prediction.release import read_release
from model.weights.checkpoints import as_float32, load_strictly, read_state_dict
from model.weights.registry import WeightsEntry, entry_of_file, file_sha256, find_entry, weights_file


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
        registered name, or a file with a state dict of the backbone, of a whole segmentation network, of
        torchvision's classifier of the same kind, or of a predictor, whose backbone is taken.
    backbone: see `PredictorConfig`.
    Raises BadInput when they cannot be had.
    """
    if name_or_path == "none":
        return None
    if name_or_path in ("imagenet", "segmentation"):
        spec = find_backbone(backbone)
        weights = spec.imagenet if name_or_path == "imagenet" else spec.segmentation
        entry: WeightsEntry | None = published_entry(weights)
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
    if body := _under("backbone.body.", tensors):
        tensors, strides = body, read_release(path).config.strides
    sha256 = file_sha256(path)
    return Initial(tensors, strides, os.path.basename(path), sha256)


def begin_with(network: MotionPredictor, initial: Initial) -> None:
    """Put weights into the backbone and, of a whole segmentation network, into the head's published parts.

    network: built with the strides of the weights.
    Raises BadInput when they do not fit.
    """
    body, tensors = network.backbone.body, initial.tensors
    what = f"{initial.what} does not fit this network"
    if any(name.startswith("backbone.") for name in tensors):
        load_strictly(body, _under("backbone.", tensors), what)
        classifier = _under("classifier.", tensors)
        if network.head.published and classifier:
            published = build_segmentation(network.config.backbone).get_submodule("classifier")
            load_strictly(published, classifier, what)
            network.head.take_published(published)
        return
    # A classification network: its backbone, without what turns features into classes.
    own = {
        name.removeprefix("features."): value
        for name, value in tensors.items()
        if not name.startswith(("fc.", "classifier."))
    }
    load_strictly(body, own, what)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a submodule, by their names in it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
