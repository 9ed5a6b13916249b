"""What a file of weights says of itself, read without torch."""

import os
from pathlib import Path

import safetensors

from model.core.errors import BadInput


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata of a `.safetensors` file; {} for a torch file and where there is none.

    Raises BadInput when the file is missing or damaged.
    """
    name = Path(path).name
    if not name.endswith(".safetensors"):
        return {}
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except FileNotFoundError as error:
        raise BadInput(f"There is no checkpoint file {name}.") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise BadInput(f"{name} is damaged or is not a safetensors file; fetch it again.") from error
