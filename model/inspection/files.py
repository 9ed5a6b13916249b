"""Writing a report's files: whole or not at all."""

import os
import tempfile
from pathlib import Path

from model.errors import BadInput


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it.

    Raises BadInput when it cannot be written there.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)  # mkstemp makes it private
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); give another place.") from error
