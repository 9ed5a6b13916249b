"""Checkpoint files: read safely, tensors only, never code; written whole."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from model.core.errors import BadInput
from model.core.files import atomic_path


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a network's tensors, on the CPU.

    path: a `.safetensors` file, or a torch file that holds a state dict, plain or under the key
        `model_state_dict` (the authors' layout of PIPs). It is read with `weights_only=True`.
    Raises BadInput when the file is missing, damaged, or holds something else.
    """
    name = Path(path).name
    try:
        if name.endswith(".safetensors"):
            return safetensors.torch.load_file(path, device="cpu")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadInput(f"There is no checkpoint file {name}.") from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise BadInput(f"{name} is damaged or is not a torch checkpoint; fetch it again.") from error
    except safetensors.SafetensorError as error:
        raise BadInput(f"{name} is damaged or is not a safetensors file; fetch it again.") from error
    if isinstance(content, dict) and isinstance(content.get("model_state_dict"), dict):
        content = content["model_state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BadInput(
            f"{name} holds no state dict; it should have tensors by name, plain or under “model_state_dict”."
        )
    return content


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
