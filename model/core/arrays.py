"""Reading `.npz` files in spite of a mistake of CPython 3.11 and 3.12.0.

numpy parses each array's header with `ast.literal_eval`. Those versions count the depth of that in one
place for all threads, and raise SystemError where another parse runs in between (python/cpython issue
106905): in another thread, as in the web server, or in this one, where the garbage collector runs something
that formats a traceback. The result would have been right; so threads wait for each other here, and an array
is read again after the error.
"""

import threading
from typing import IO, Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

_ONE_AT_A_TIME = threading.Lock()
_ATTEMPTS = 5


def read_arrays(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Return all arrays of an open `.npz` file by name; nothing pickled is read.

    Raises ValueError, EOFError, OSError or zipfile.BadZipFile for a damaged file or one of another kind.
    """
    with _ONE_AT_A_TIME:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, NpzFile):
            raise ValueError("The file holds a single array, not several by name.")
        return {name: _member(archive, name) for name in archive.files}


def _member(archive: NpzFile, name: str) -> NDArray[Any]:
    for _ in range(_ATTEMPTS - 1):
        try:
            return np.asarray(archive[name])
        except SystemError:
            continue
    return np.asarray(archive[name])
