"""The registry of trained weights: what there is, where it lies, and that it is what it claims to be.

Needs no torch; `model.weights.checkpoints` reads the files.
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import platformdirs
import requests

from model.core.errors import BadInput
from model.core.files import atomic_path, write_whole
from model.core.progress import Progress, ReportProgress, ignore_progress
from model.core.structure import from_json

BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"
"""Weights that this project's own commands trained, each with its card beside it (`read_card`)."""


@dataclass(frozen=True)
class WeightsEntry:
    """One registered file of weights.

    name: what people call it. kind: what network it is for ("backbone": a part to begin training with).
    file: its name in the bundled folder or, if it is not bundled, in the cache folder.
    sha256: of the file, hexadecimal; or its first digits, where no more are published; "" where nothing is:
        then `fetch` gets it when a person asks for it, with a check, and records what it got.
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


HUB = "https://huggingface.co"
"""The Hugging Face hub; the variable HF_ENDPOINT names a mirror, as for its own client."""

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
    WeightsEntry(
        name="pips-authors",
        kind="pips",
        file="pips-authors.pth",
        sha256="",
        licence="MIT (Adam W. Harley, Zhaoyuan Fang, Katerina Fragkiadaki); trained on FlyingThings++",
        summary="The PIPs authors' checkpoint: a larger network, used as in their demos, without refinement.",
        url=f"{HUB}/aharley/pips/resolve/main/model-000200000.pth",
    ),
)
"""All registered weights: with a card, brought by a person or fetched. The first of a kind is the default."""

ANSWER_SECONDS = 30.0
"""So long without an answer, a download is given up."""

HOW_TO_GET_PIPS = (
    "PIPs needs trained weights and none are installed: give a checkpoint with --weights FILE on the command "
    "line, or set STILLMOTION_PIPS_WEIGHTS for the app; `python -m model weights --download pips-authors` "
    "fetches the authors'."
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
        _check_can_be_had(entry)
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


def is_here(entry: WeightsEntry) -> bool:
    """Tell whether the entry's file can be used without a download."""
    if entry.url is None and not entry.by_hand:
        return True
    target = cache_folder() / entry.file
    return target.is_file() and (bool(entry.sha256) or _record(target).is_file())


def known_sha256(entry: WeightsEntry) -> str:
    """Return the sha256 of the entry's file, as registered or as recorded by `fetch`; "" before that."""
    record = _record(cache_folder() / entry.file)
    return entry.sha256 or (record.read_text().split()[0] if is_here(entry) else "")


def weights_file(entry: WeightsEntry, *, progress: ReportProgress = ignore_progress) -> Path:
    """Return the entry's file, downloaded and verified if it is not there yet; see `fetch`.

    Raises BadInput where it cannot be had, or where nothing but a check could verify it.
    """
    if entry.url is None and not entry.by_hand:
        return BUNDLED_FOLDER / entry.file
    _check_can_be_had(entry)
    if is_here(entry):
        return cache_folder() / entry.file
    return fetch(entry, progress=progress)


def _check_can_be_had(entry: WeightsEntry) -> None:
    """Raise BadInput where a person has to bring the file, or to ask for it, first."""
    if is_here(entry) or (entry.url and entry.sha256):
        return
    if entry.by_hand:
        raise BadInput(
            f"{entry.name} cannot be downloaded; give its file by path, or put it at "
            f"{cache_folder() / entry.file}."
        )
    raise BadInput(
        f"{entry.name} is not on this machine; `python -m model weights --download {entry.name}` fetches it."
    )


def fetch(
    entry: WeightsEntry,
    *,
    check: Callable[[Path], object] = lambda _: None,
    progress: ReportProgress = ignore_progress,
) -> Path:
    """Download the entry's file into the cache, where it appears whole and verified, or not at all.

    check: told the file under a temporary name, raises BadInput where it is not what it should be.
    progress: called with the stage "downloading" and the bytes done.
    Where no sha256 is registered, that of the bytes is recorded beside them, as `sha256sum -c` reads it.
    Raises BadInput when the download fails, or its bytes are not what is registered or what the hub states.
    """
    url = str(entry.url).replace(HUB, os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB, 1)
    target = cache_folder() / entry.file
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as temporary:
            with (
                temporary.open("wb") as file,
                requests.get(url, stream=True, timeout=ANSWER_SECONDS) as answer,
            ):
                answer.raise_for_status()
                total = int(answer.headers.get("Content-Length", 0)) or None
                for block in answer.iter_content(1 << 20):
                    file.write(block)
                    digest.update(block)
                    progress(Progress("downloading", file.tell(), total))
            expected = entry.sha256 or _stated_sha256(answer)
            if not digest.hexdigest().startswith(expected):
                raise BadInput(
                    f"The download of {entry.name} has the sha256 {digest.hexdigest()[:16]}… instead of "
                    f"{expected[:16]}…; it was thrown away, try again or fetch {url} by hand."
                )
            try:
                check(temporary)
            except BadInput as error:
                why = str(error).replace(temporary.name, "it")
                raise BadInput(f"What {url} holds is not {entry.name} and was thrown away: {why}") from error
        if not entry.sha256:
            write_whole(_record(target), f"{digest.hexdigest()}  {target.name}\n".encode())
    except OSError as error:  # requests' errors are some, too
        reason = error.strerror or type(error).__name__
        if isinstance(error, requests.HTTPError):
            reason = f"{error.response.status_code} {error.response.reason}"
        instead = f"put the file at {target}" if entry.sha256 else "give a file by its path"
        raise BadInput(
            f"{entry.name} could not be downloaded from {url} ({reason}); check the connection, or {instead}."
        ) from error
    return target


def _record(target: Path) -> Path:
    """Return where the sha256 of a downloaded file is recorded."""
    return target.with_name(f"{target.name}.sha256")


def _stated_sha256(answer: requests.Response) -> str:
    """Return the sha256 that the hub states before it sends on to the bytes' place; "" where it does not."""
    stated = (step.headers.get("X-Linked-ETag", "") for step in (*answer.history, answer))
    return next((found[1] for each in stated if (found := re.fullmatch('"([0-9a-f]{64})"', each))), "")


def entry_of_file(path: str | os.PathLike[str]) -> WeightsEntry | None:
    """Return the registered weights that a file holds, whatever its name; None for others."""
    return entry_with_sha256(file_sha256(path))


def entry_with_sha256(sha256: str | None) -> WeightsEntry | None:
    """Return the registered weights with that sha256 of their file, hexadecimal; None for others."""
    return next((entry for entry in REGISTRY if sha256 and entry.sha256 == sha256), None)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the hexadecimal sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
