"""Writing files that are whole or not there: under a temporary name beside their place, then renamed."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: bytes) -> None:
    """Make `content` the content of a file. Raises OSError when it cannot be written there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp makes it private
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON. Raises ValueError for NaN and infinity, which JSON lacks, and OSError."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode())


def save_whole(path: Path, save: Callable[[Path], object]) -> None:
    """Have `save` write to a temporary name, then rename it; for what only writes to a path."""
    temporary = path.with_name(f".{path.name}.part")
    save(temporary)
    temporary.chmod(0o644)  # safetensors' files are private
    os.replace(temporary, path)
