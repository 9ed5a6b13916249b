"""Reading `.npz` files, in one thread at a time."""

import threading
from typing import IO, Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

_ONE_AT_A_TIME = threading.Lock()
"""numpy parses each array's header with `ast.literal_eval`, which CPython 3.11 and 3.12.0 cannot run in two
threads at once: it then raises SystemError (python/cpython issue 106905). The web server reads in threads."""


def read_arrays(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Return all arrays of an open `.npz` file by name; nothing pickled is read.

    Raises ValueError, EOFError, OSError or zipfile.BadZipFile for a damaged file or one of another kind.
    """
    with _ONE_AT_A_TIME:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, NpzFile):
            raise ValueError("The file holds a single array, not several by name.")
        return {name: archive[name] for name in archive.files}
