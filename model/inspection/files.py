"""Writing a report's files."""

from pathlib import Path

from model.core import files
from model.core.errors import BadInput


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all. Raises BadInput when it cannot be written there."""
    try:
        files.write_whole(path, content)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); give another place.") from error
