"""Files on this machine or elsewhere, through fsspec: `s3://`, `https://` and others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from model.core.errors import BadInput, Stopped, Unreachable

ABOUT_ONE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""What storage says about a file; everything else that it raises says that it cannot be reached."""


def open_files(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a path or URL, and the path in it.

    It keeps no listings of folders: other machines write there, too.
    Raises BadInput when the URL's kind of storage is unknown or its package is not installed.
    """
    try:
        files, path = fsspec.url_to_fs(url, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise BadInput(f"{url} cannot be used: {error}") from error
    return files, str(path)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turn what storage elsewhere raises into `Unreachable`, but for what it says about one file."""
    try:
        yield
    except (*ABOUT_ONE_FILE, BadInput, Stopped):
        raise
    except Exception as error:  # each kind of storage raises errors of its own
        raise Unreachable(
            f"{url} cannot be reached ({type(error).__name__}: {error}); the same command goes on from here."
        ) from error
