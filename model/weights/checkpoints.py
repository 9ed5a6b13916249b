"""Checkpoint files: read safely, never code; written whole."""

import argparse
import os
import pickle
import re
import sys
from collections.abc import Mapping
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from model.core.errors import BadInput
from model.core.files import atomic_path
from model.weights.metadata import is_safetensors, refusing_bad_files

_USUAL_NAMES = ("model_state_dict", "state_dict", "model", "net", "network")
_PREFIXES = ("_orig_mod.", "module.", "model.")
# What trainings keep beside tensors and does nothing but hold values; NumPy 1 had another name for its core.
_NUMPY_CORE = {
    name: getattr(sys.modules["numpy._core.multiarray"], name) for name in ("scalar", "_reconstruct")
}
_SAFE: list[Any] = [
    argparse.Namespace,
    PosixPath,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["All"]},
    *_NUMPY_CORE.values(),
    *((function, f"numpy.core.multiarray.{name}") for name, function in _NUMPY_CORE.items()),
]


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a network's tensors by name, on the CPU.

    path: a safetensors file, or a torch file, whatever its name. The state dict may be the whole content or
        lie in it, as under `model`, `state_dict` or `model_state_dict`; a prefix of all names that a wrapper
        made (`module.` of DataParallel, `_orig_mod.` of compile, `model.` of Lightning) is taken off.
    Raises BadInput, which says what was found, when the file is missing, damaged, or holds something else.
    """
    if is_safetensors(path):
        with refusing_bad_files(path):
            content: Any = safetensors.torch.load_file(path, device="cpu")
    else:
        content = load_torch(path)
    tensors = _state_dict_in(content)
    if tensors is None:
        found = ", ".join(str(name) for name in list(content)[:8]) if isinstance(content, Mapping) else ""
        raise BadInput(
            f"{Path(path).name} holds no state dict, tensors by name, but {found or type(content).__name__}; "
            "save the network's state_dict()."
        )
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def load_torch(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Any:
    """Read a torch file without running any code of it: tensors, plain values, NumPy's and options' objects.

    Raises BadInput when it is missing, damaged, no torch file, or would need code to be read.
    """
    name = Path(path).name
    try:
        # An open file: of a path, torch would look at the ending.
        with refusing_bad_files(path), open(path, "rb") as file, torch.serialization.safe_globals(_SAFE):
            return torch.load(file, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found is not None:
            raise BadInput(
                f"{name} holds Python objects ({found[1]}), and reading those could run code, so it is not "
                "read; where you trust it, load it in Python and save the network's state_dict() alone."
            ) from error
        if "TorchScript" in str(error):
            raise BadInput(f"{name} is a TorchScript program; save the network's state_dict().") from error
        raise BadInput(f"{name} is damaged or is not a checkpoint; copy or download it again.") from error


def _state_dict_in(content: Any) -> dict[str, Tensor] | None:
    """Return the content if it is a state dict, else the one in it, of several the one with a usual name."""
    if not isinstance(content, Mapping):
        return None
    if _is_state_dict(content):
        return dict(content)
    inner = {name: value for name, value in content.items() if _is_state_dict(value)}
    usual = [name for name in _USUAL_NAMES if name in inner]
    if usual or len(inner) == 1:
        return dict(inner[(usual or list(inner))[0]])
    return None


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load a state dict of which no key may be missing, left over, or of another shape.

    what: "a.pth does not fit PIPs", with which the sentence of the error begins.
    Raises BadInput that names the first few keys of each kind that are.
    """
    own = module.state_dict()
    problems = {
        "missing": sorted(own.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - own.keys()),
        "of another shape": [
            f"{name} {list(tensors[name].shape)} instead of {list(own[name].shape)}"
            for name in sorted(own.keys() & tensors.keys())
            if tensors[name].shape != own[name].shape
        ],
    }
    found = [f"{len(names)} {kind} ({_shortened(names)})" for kind, names in problems.items() if names]
    if found:
        raise BadInput(f"{what}; tensors {', '.join(found)}.")
    module.load_state_dict(dict(tensors))


def _shortened(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def as_float16(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's tensors as they are released: on the CPU, floating-point ones as float16."""
    return {
        name: value.detach()
        .to("cpu", torch.float16 if value.is_floating_point() else value.dtype)
        .contiguous()
        for name, value in network.state_dict().items()
    }


def as_float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as they are computed with: floating-point ones as float32."""
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def check_name(path: Path) -> None:
    """Raise BadInput for a name that `write_state_dict` refuses: before the work, not after it."""
    if path.suffix != ".safetensors":
        raise BadInput(f"--out must end in .safetensors, not {path.name}.")


def write_state_dict(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors with what a release says of itself; the file appears whole. Raises as `check_name`."""
    check_name(path)
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(dict(tensors), temporary, dict(metadata))
