"""The folder of a training set: on this machine, or anywhere that fsspec reaches (`s3://bucket/name`).

A file is there whole or not at all. On a disk it is written under a temporary name beside its place, brought
to the disk and renamed; object stores show an upload only when it is complete.
"""

import errno
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fsspec.implementations.local import LocalFileSystem

from model.core.errors import BadInput
from model.core.files import atomic_path
from model.core.processes import is_abandoned
from model.core.remote import open_files, reaching
from model.core.structure import from_json

T = TypeVar("T")

TEMPORARY_PREFIX = ".writing-"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a system says when there is no room left, or none is allowed."""


@dataclass(frozen=True)
class DataFolder:
    """Files by name, such as `shards/train-000000.tar`.

    url: as it was given. files: the fsspec file system. root: the folder's path in it.
    is_local: whether it lies in this machine's file system.
    """

    url: str
    files: Any
    root: str
    is_local: bool

    @classmethod
    def open(cls, url: str | os.PathLike[str]) -> "DataFolder":
        """Open a folder, which need not exist yet.

        Raises BadInput when the URL's kind of storage is unknown or its package is not installed.
        """
        text = os.fspath(url)
        files, root = open_files(text)
        return cls(text, files, root.rstrip("/"), isinstance(files, LocalFileSystem))

    @property
    def address(self) -> str:
        """Return the URL, or the absolute path, by which other processes and machines can open it."""
        return self.root if self.is_local else str(self.files.unstrip_protocol(self.root))

    def path(self, name: str) -> str:
        """Return the place of a file in its file system."""
        return f"{self.root}/{name}"

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""
        with self._reaching():
            return bool(self.files.exists(self.path(name)))

    def read(self, name: str) -> bytes:
        """Return a file's content. Raises FileNotFoundError when there is none."""
        with self._reaching():
            content: bytes = self.files.cat_file(self.path(name))
            return content

    def read_json(self, name: str, kind: type[T], remedy: str, newest: int | None = None) -> T:
        """Read a file that holds the JSON values of a dataclass (`dataclasses.asdict`).

        remedy: what to do about a damaged file, as the end of a sentence. newest: the highest format version
        (the field "version") that this program reads; None for files without one.
        Raises FileNotFoundError when there is none, BadInput when it is damaged or newer.
        """
        text = self.read(name)
        try:
            content = json.loads(text)
            if newest is None or content["version"] <= newest:
                return from_json(kind, content, name)
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{name} of {self.url} is damaged; {remedy}.") from error
        raise BadInput(f"{name} of {self.url} was written by a newer Stillmotion; update this one.")

    def names(self, under: str) -> list[str]:
        """List the names of the files in a folder below this one, sorted; none where it does not exist."""
        try:
            with self._reaching():
                found = self.files.ls(self.path(under), detail=False)
        except FileNotFoundError:
            return []
        names = (str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)
        return sorted(f"{under}/{name}" for name in names if not name.startswith(TEMPORARY_PREFIX))

    def sizes(self, under: str) -> dict[str, int]:
        """Return the bytes of each file in a folder below this one, by name; nothing without the folder."""
        try:
            with self._reaching():
                found = self.files.ls(self.path(under), detail=True)
        except FileNotFoundError:
            return {}
        names = {str(fact["name"]).rstrip("/").rsplit("/", 1)[-1]: fact for fact in found}
        return {
            f"{under}/{name}": int(fact["size"])
            for name, fact in names.items()
            if fact["type"] == "file" and not name.startswith(TEMPORARY_PREFIX)
        }

    def write(self, name: str, content: bytes) -> None:
        """Make `content` the content of a file. Raises BadInput when the disk is full."""
        with self.new_file(name) as path:
            path.write_bytes(content)

    def delete(self, name: str) -> None:
        """Remove a file; nothing happens when it is not there."""
        try:
            with self._reaching():
                self.files.rm_file(self.path(name))
        except FileNotFoundError:
            return

    @contextmanager
    def new_file(self, name: str) -> Iterator[Path]:
        """Lend a local file to write to; it becomes the file `name` when the block ends without an error.

        Raises BadInput when the disk is full.
        """
        with self._explaining_full_disk():
            if not self.is_local:
                with tempfile.TemporaryDirectory(prefix="stillmotion-") as folder:
                    path = Path(folder) / Path(name).name
                    yield path
                    self._upload(path, name)
                return
            target = Path(self.path(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(target, prefix=f"{_our_prefix()}{os.getpid()}-", durable=True) as temporary:
                yield temporary

    def _upload(self, path: Path, name: str) -> None:
        try:
            with self._reaching():
                self.files.put_file(str(path), self.path(name))
        except OSError as error:
            raise BadInput(f"{self.url} cannot be written to: {error}") from error

    def _reaching(self) -> AbstractContextManager[None]:
        """Errors of this machine's file system are left as they are."""
        return nullcontext() if self.is_local else reaching(self.url)

    @contextmanager
    def _explaining_full_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            place = self.url if self.is_local else tempfile.gettempdir()
            raise BadInput(
                f"The disk that holds {place} is full; make room and give the same command again to go on."
            ) from error

    def remove_leftovers(self) -> None:
        """Remove what killed processes of this machine left half written."""
        if not self.is_local:
            return
        ours = _our_prefix()
        for path in Path(self.root).glob(f"**/{TEMPORARY_PREFIX}*"):
            process = path.name.removeprefix(ours).split("-")[0]
            if path.name.startswith(ours) and process.isdigit():
                with suppress(FileNotFoundError):  # its process has just renamed or removed it
                    if is_abandoned(int(process), path.stat().st_mtime):
                        path.unlink()


def _our_prefix() -> str:
    """What this machine's temporary files begin with: other machines may write to the same folder."""
    return f"{TEMPORARY_PREFIX}{socket.gethostname()}-"
