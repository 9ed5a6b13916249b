"""Which device and which precision a network runs in."""

from typing import Literal

import torch

from model.core.errors import BadInput

Precision = Literal["float32", "bfloat16"]


def find_device(name: str) -> torch.device:
    """Return the device of that name: "cpu", "cuda", "cuda:K", or "auto" (CUDA where there is one).

    Raises BadInput for another name or a device that this machine lacks.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"There is no device “{name[:60]}”; choose auto, cpu, cuda or cuda:K.") from error
    if device.type not in ("cpu", "cuda"):
        raise BadInput(f"Device “{name[:60]}” is not supported; choose auto, cpu, cuda or cuda:K.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(
            f"Device {name} is not there: this machine has {torch.cuda.device_count()} CUDA devices."
        )
    return device


def find_precision(name: str, device: torch.device) -> Precision:
    """Return the precision of that name; "auto" is float32 on the CPU and bfloat16 on CUDA.

    Raises BadInput for another name than auto, float32 or bfloat16.
    """
    if name == "auto":
        return "bfloat16" if device.type == "cuda" else "float32"
    if name == "float32":
        return "float32"
    if name == "bfloat16":
        return "bfloat16"
    raise BadInput(f"There is no precision “{name[:60]}”; choose auto, float32 or bfloat16.")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Tell whether the device computes in bfloat16 at all, rather than imitating it.

    A CPU without the AVX-512 BF16 or AMX instructions takes some 30 times as long as in float32.
    """
    if device.type != "cpu":
        return True
    # torch says so by these names alone; `torch.backends` has no public ones.
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def autocast(device: torch.device) -> torch.autocast:
    """Return the context that computes in bfloat16 where the device has it, else in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device))
