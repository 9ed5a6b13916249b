"""One `convert` at a time: a folder is locked while it is written to."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.core.errors import BadInput
from model.datasets.folder import DataFolder

LOCK = ".lock"


@contextmanager
def locked(folder: DataFolder) -> Iterator[None]:
    """Keep other `convert` commands out of a folder on this machine; the lock ends with its process.

    Folders elsewhere are not locked: two commands would do the same work twice, to the same bytes.
    Raises BadInput when the folder is in use or cannot be written to.
    """
    if not folder.is_local:
        yield
        return
    path = Path(folder.path(LOCK))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise BadInput(f"{folder.url} is no folder that can be written to ({error.strerror}).") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(
                f"Another convert is at work in {folder.url}; wait for its end, or stop it first."
            ) from error
        except OSError:  # a file system without locks, as for folders elsewhere
            yield
            return
        yield
