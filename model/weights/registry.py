"""The registry of trained weights: what there is, where it lies, and that it is what it claims to be.

Needs no torch; `model.weights.checkpoints` reads the files.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import platformdirs
import requests

from model.core.errors import BadInput
from model.core.files import atomic_path
from model.core.progress import Progress, ReportProgress, ignore_progress

BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"
"""Weights that this project's own commands trained, each with its card beside it."""


@dataclass(frozen=True)
class WeightsEntry:
    """One registered file of weights.

    name: what people call it. kind: what network it is for ("backbone": a part to begin training with).
    file: its name in the bundled folder or, if it is not bundled, in the cache folder.
    sha256: of the file, hexadecimal; or its first digits, where no more are published.
    architecture: what the network's constructor needs.
    url: where to download it, or None if it is bundled or brought by hand.
    by_hand: it lies nowhere to download from; a person gives the file, which is known by its sha256.
    licence: as an SPDX name or a sentence. summary: what it is good for. metrics: name to figure.
    """

    name: str
    kind: Literal["pips", "predictor", "backbone", "segmentation"]
    file: str
    sha256: str
    licence: str
    summary: str
    url: str | None = None
    by_hand: bool = False
    architecture: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


REGISTRY: tuple[WeightsEntry, ...] = (
    WeightsEntry(
        name="pips-small",
        kind="pips",
        file="pips-small.safetensors",
        sha256="29d96fb8edb12f13ccc1100445689e31bd15cd69ddf790a35cca14754d2470cb",
        licence="MIT; the pictures that it was trained with have their own licences, named on its card",
        summary="PIPs with 3 million weights, trained on synthetic clips and refined with the images.",
        architecture={
            "channels": 64,
            "width": 256,
            "depth": 4,
            "encoder_widths": (32, 48, 64, 64),
            "frequencies": 8,
            "lowest_frequency": 0.06,
            "highest_frequency": 3.0,
        },
        metrics={
            "delta_avg": 83.0,
            "visible_ate_px": 2.36,
            "visible_ate_of_lucas_kanade_px": 5.8,
            "balanced_occlusion_accuracy": 86.0,
        },
    ),
    WeightsEntry(
        name="fcn-resnet50",
        kind="predictor",
        file="fcn-resnet50.safetensors",
        sha256="74c0947bc3dba004904427a4856233d0445816bc6666a93ec8b3f0a96af622f9",
        licence="for non-commercial use: trained in part on videos under CC BY-NC 4.0; the backbone is MIT",
        summary="Motion from one image: FCN-ResNet50, a mixture of 6 hypotheses; best on stills with cues.",
        metrics={
            "epe_moving_px": 10.51,
            "epe_moving_of_zero_motion_px": 20.59,
            "direction_cosine": 0.77,
            "real_ade_px": 1.93,
            "real_ade_of_zero_motion_px": 1.62,
        },
    ),
    WeightsEntry(
        name="resnet50-keras",
        kind="backbone",
        file="resnet50-imagenet-backbone-fp16conv.pth",
        sha256="249e50b44f5d540dc915f306ccc47d0914dc089153cdc48f1c2620d11f206943",
        licence="MIT (Keras applications, from Kaiming He's caffe model); trained on ImageNet",
        summary="ResNet-50's ImageNet backbone in torchvision's names, to train a predictor from.",
        by_hand=True,
        architecture={"strides": "v1"},
    ),
)
"""All registered weights. The first of a kind is that kind's default."""

HOW_TO_GET_PIPS = (
    "PIPs needs trained weights and none are installed: give a checkpoint with --weights FILE on the command "
    "line, or set STILLMOTION_PIPS_WEIGHTS for the app; the authors' model-000200000.pth, aharley/pips on "
    "the Hugging Face hub, fits."
)

HOW_TO_GET_A_PREDICTOR = (
    "Predicting from one image needs trained weights and none are installed: train some with "
    "`python -m model train-predictor`, then give the file with --weights FILE on the command line, or set "
    "STILLMOTION_PREDICTOR_WEIGHTS for the app."
)


def cache_folder() -> Path:
    """Return the folder for downloaded weights: STILLMOTION_CACHE, or the user's cache folder."""
    return Path(os.environ.get("STILLMOTION_CACHE") or platformdirs.user_cache_dir("stillmotion")) / "weights"


def find_entry(name: str, registry: tuple[WeightsEntry, ...] = REGISTRY) -> WeightsEntry | None:
    """Return the registered weights of that name; "pips" and "predictor" name the default of their kind."""
    return next((entry for entry in registry if name in (entry.name, entry.kind)), None)


def find_weights(name_or_path: str, registry: tuple[WeightsEntry, ...] = REGISTRY) -> WeightsEntry | Path:
    """Return the registered entry, or the existing file, that a person means.

    Raises BadInput with a sentence that says what there is instead.
    """
    entry = find_entry(name_or_path, registry)
    if entry is not None:
        return entry
    if name_or_path == "pips":
        raise BadInput(HOW_TO_GET_PIPS)
    if name_or_path == "predictor":
        raise BadInput(HOW_TO_GET_A_PREDICTOR)
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = ", ".join(entry.name for entry in registry) or "none are registered"
    raise BadInput(
        f"There are no weights “{name_or_path[:200]}”: give an existing checkpoint file or one of the names "
        f"that `python -m model weights` lists ({names})."
    )


def weights_file(
    entry: WeightsEntry, *, progress: ReportProgress = ignore_progress, timeout: float = 30.0
) -> Path:
    """Return the entry's file, downloaded and verified if it is not there yet.

    progress: called with the stage "downloading" and the bytes done.
    timeout: seconds without an answer after which a download is given up.
    Raises BadInput when the download fails or the bytes are not the registered ones.
    """
    if entry.url is None and not entry.by_hand:
        return BUNDLED_FOLDER / entry.file
    target = cache_folder() / entry.file
    if not target.is_file():
        if entry.by_hand:
            raise BadInput(
                f"{entry.name} cannot be downloaded; give its file by path, or put it at {target}."
            )
        _download(entry, target, progress, timeout)
    return target


def _download(entry: WeightsEntry, target: Path, progress: ReportProgress, timeout: float) -> None:
    """Fetch to a temporary name, verify, then rename: the target is whole or absent."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with (
            atomic_path(target) as temporary,
            temporary.open("wb") as file,
            requests.get(str(entry.url), stream=True, timeout=timeout) as answer,
        ):
            answer.raise_for_status()
            total = int(answer.headers.get("Content-Length", 0)) or None
            for block in answer.iter_content(1 << 20):
                file.write(block)
                digest.update(block)
                progress(Progress("downloading", file.tell(), total))
            if not digest.hexdigest().startswith(entry.sha256):
                raise BadInput(
                    f"The download of {entry.name} has the sha256 {digest.hexdigest()[:16]}… instead of "
                    f"{entry.sha256[:16]}…; it was thrown away, try again or fetch {entry.url} by hand."
                )
    except requests.RequestException as error:
        raise BadInput(
            f"{entry.name} could not be downloaded from {entry.url} ({type(error).__name__}); check the "
            f"connection, or put the file at {target}."
        ) from error


def entry_of_file(
    path: str | os.PathLike[str], registry: tuple[WeightsEntry, ...] = REGISTRY
) -> WeightsEntry | None:
    """Return the registered weights that a file holds, whatever its name; None for others."""
    sha256 = file_sha256(path)
    return next((entry for entry in registry if entry.sha256 == sha256), None)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the hexadecimal sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
