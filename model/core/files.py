"""Writing files that are whole or not there: under a temporary name beside their place, then renamed."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(target: Path, *, prefix: str | None = None, durable: bool = False) -> Iterator[Path]:
    """Lend a temporary file beside `target`; it becomes `target` when the block ends without an error.

    After an error it is removed, and what was at `target` stays. The lent file is there and empty.

    prefix: of the temporary name; None: ".NAME.". durable: bring the content to the disk before the renaming,
        so that a power cut leaves no empty file.
    Raises OSError when the folder cannot be written to.
    """
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix or f".{target.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes it private
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Make `content` the content of a file. Raises OSError when it cannot be written there."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON. Raises ValueError for NaN and infinity, which JSON lacks, and OSError."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode())
