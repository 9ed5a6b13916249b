"""The bytes of clips and results: a folder by default, any fsspec file system by URL."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from model.core.errors import BadInput
from model.core.files import atomic_path
from webapp.settings import masked


class Storage:
    """Files by key, such as `clips/<sha256>.mp4`; a file is there whole or not at all."""

    def __init__(self, url: str, temporary_folder: Path) -> None:
        """Open a storage.

        url: a folder, or an fsspec URL. temporary_folder: for files on their way in and out.
        Raises BadInput when the URL's kind of storage is unknown or its package is not installed.
        """
        try:
            file_system, root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise BadInput(f"STORAGE_URL {masked(url)} cannot be used: {error}") from error
        self._files: Any = file_system
        self._root = str(root).rstrip("/")
        self._is_local = isinstance(file_system, LocalFileSystem)
        self._temporary_folder = temporary_folder
        temporary_folder.mkdir(parents=True, exist_ok=True)
        if self._is_local:
            Path(self._root).mkdir(parents=True, exist_ok=True)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def move_in(self, source: Path, key: str) -> None:
        """Make a finished local file the content of `key`; the source is gone afterwards."""
        if not self._is_local:
            # Object stores show an upload only when it is complete.
            self._files.put_file(str(source), self._path(key))
            source.unlink()
            return
        target = Path(self._path(key))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # The storage is on another disk than the temporary folder.
            with atomic_path(target) as copy:
                shutil.copyfile(source, copy)
            source.unlink()

    def write(self, key: str, content: bytes) -> None:
        """Make `content` the content of `key`."""
        handle, name = tempfile.mkstemp(dir=self._temporary_folder, prefix="write-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            self.move_in(Path(name), key)
        finally:
            Path(name).unlink(missing_ok=True)

    def open(self, key: str) -> IO[bytes]:
        """Open for reading. Raises FileNotFoundError when there is no such key."""
        return cast(IO[bytes], self._files.open(self._path(key), "rb"))

    def local_path(self, key: str) -> Path | None:
        """Return the file with the key's content, or None when it is missing or not on this machine."""
        path = Path(self._path(key))
        return path if self._is_local and path.is_file() else None

    def exists(self, key: str) -> bool:
        """Tell whether there is such a key."""
        return bool(self._files.exists(self._path(key)))

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """Lend a local file with the key's content: the file itself, or a download that is removed after.

        Raises FileNotFoundError when there is no such key.
        """
        if self._is_local:
            path = Path(self._path(key))
            if not path.is_file():
                raise FileNotFoundError(key)
            yield path
            return
        with tempfile.TemporaryDirectory(dir=self._temporary_folder, prefix="copy-") as folder:
            path = Path(folder) / Path(key).name
            self._files.get_file(self._path(key), str(path))
            yield path

    def delete(self, key: str) -> None:
        """Remove a file or everything under a folder; nothing happens when it is not there."""
        try:
            self._files.rm(self._path(key), recursive=True)
        except FileNotFoundError:
            return

    def check_writable(self) -> None:
        """Write and remove a small file. Raises OSError when that fails."""
        key = f".check-{os.getpid()}"
        self.write(key, b"ok")
        self.delete(key)
