"""The registry of trained weights: what there is, where it lies, and that it is what it claims to be.

Needs no torch; `model.weights.checkpoints` reads the files.
"""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import platformdirs
import requests

from model.core.errors import BadInput
from model.core.files import atomic_path
from model.core.progress import Progress, ReportProgress, ignore_progress
from model.core.structure import from_json

BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"
"""Weights that this project's own commands trained, each with its card beside it (`read_card`)."""


@dataclass(frozen=True)
class WeightsEntry:
    """One registered file of weights.

    name: what people call it. kind: what network it is for ("backbone": a part to begin training with).
    file: its name in the bundled folder or, if it is not bundled, in the cache folder.
    sha256: of the file, hexadecimal; or its first digits, where no more are published.
    architecture: what the network's constructor needs beside its defaults.
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


def read_card(path: Path) -> WeightsEntry:
    """Read what the card of bundled weights says between its first two lines `+++`, in TOML.

    Raises BadInput when it does not describe weights.
    """
    text = path.read_text(encoding="utf-8")
    try:
        said = tomllib.loads(text.split("+++\n")[1])
    except (IndexError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"The card {path.name} does not begin with +++, TOML and +++ ({error}).") from error
    return from_json(WeightsEntry, said, f"the card {path.name}")


REGISTRY: tuple[WeightsEntry, ...] = (
    *(read_card(path) for path in sorted(BUNDLED_FOLDER.glob("*.md"))),
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
"""All registered weights: with a card, or brought by a person. The first of a kind is its default."""

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
