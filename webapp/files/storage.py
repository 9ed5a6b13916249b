"""The bytes of clips and results: a folder by default, any fsspec file system by URL."""

import errno
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem

from model.core.errors import BadInput, Unreachable
from model.core.files import atomic_path
from model.core.remote import open_files, reaching
from webapp.core.settings import Settings, masked
from webapp.core.troubles import FULL, disk_trouble

ANSWER_SECONDS = 3
"""So soon a storage elsewhere must answer a question before it counts as away; bytes may take longer."""

PATIENCE_SECONDS = 60

Value = TypeVar("Value")

log = logging.getLogger(__name__)


class NoRoom(BadInput):
    """The disk or the quota does not allow more."""


class Storage:
    """Files by key, such as `clips/<sha256>.mp4`; a file is there whole or not at all."""

    def __init__(
        self,
        url: str,
        temporary_folder: Path,
        reserve: int = 0,
        quota: int = 0,
        is_patient: bool = True,
        beside: Sequence[Path] = (),
    ) -> None:
        """Open a storage.

        url: a folder, or an fsspec URL. temporary_folder: for files on their way in and out.
        reserve: bytes that stay free on the disks. quota: bytes that all files may have; 0 for any number.
        is_patient: a storage that does not answer is asked again for about a minute.
        beside: folders of this machine whose files count for the quota, too.
        Raises BadInput when the URL's kind of storage is unknown or its package is not installed.
        """
        try:
            self._files, root = open_files(url)
        except BadInput as error:
            raise BadInput(f"STORAGE_URL {masked(url)} cannot be used: {error.__cause__}") from error
        # Where fsspec works asynchronously, each of its methods takes a limit.
        self._limit = {"timeout": ANSWER_SECONDS} if isinstance(self._files, AsyncFileSystem) else {}
        self._is_patient, self._beside = is_patient, beside
        self._url = masked(url)
        self._root = root.rstrip("/")
        self._is_local = isinstance(self._files, LocalFileSystem)
        self.temporary_folder = temporary_folder
        self._reserve, self._quota = reserve, quota
        temporary_folder.mkdir(parents=True, exist_ok=True)
        if self._is_local:
            Path(self._root).mkdir(parents=True, exist_ok=True)

    @classmethod
    def of(cls, settings: Settings, is_patient: bool = False) -> "Storage":
        """Open the storage that the settings name."""
        return cls(
            settings.storage,
            settings.temporary_folder,
            settings.reserve_bytes,
            settings.quota_bytes,
            is_patient,
            (settings.datasets, settings.predictors),
        )

    def free_bytes(self) -> int:
        """Return how many bytes this machine's disks take before the reserve is touched; below 0 after."""
        folders = [self.temporary_folder, *([Path(self._root)] if self._is_local else [])]
        return min(shutil.disk_usage(folder).free for folder in folders) - self._reserve

    def require_free(self, wanted: int = 0) -> None:
        """Raise NoRoom unless this machine's disks take so many bytes without touching the reserve."""
        if self.free_bytes() < wanted:
            raise NoRoom(
                f"The server's disk is full but for a reserve of {self._reserve:,} bytes; remove clips or "
                "runs for good, and try again."
            )

    def require_quota(self, wanted: int) -> None:
        """Raise NoRoom unless the quota allows so many bytes more."""
        if self._quota:
            with self._reached():
                there = self._files.exists(self._root, **self._limit)
                used = self._files.du(self._root, **self._limit) if there else 0
            used += sum(_bytes_below(folder) for folder in self._beside)
            if used + wanted > self._quota:
                raise NoRoom(
                    f"Clips and results may take {self._quota:,} bytes in all, and {used:,} are in use; "
                    "remove clips or runs for good, and try again."
                )

    def require_room(self, wanted: int) -> None:
        """Raise NoRoom unless both the disks and the quota allow so many bytes more."""
        self.require_free(wanted)
        self.require_quota(wanted)

    @contextmanager
    def _reached(self, *about_one_file: type[OSError]) -> Iterator[None]:
        """Turn what a storage raises into Unreachable, but for what it says about one file."""
        if self._is_local:
            try:
                yield
            except OSError as error:
                trouble = disk_trouble(error)
                if trouble is None or trouble is FULL:
                    raise
                log.warning("%s", error)
                raise Unreachable(trouble) from error
            return
        try:
            with reaching(self._url):
                yield
        except about_one_file:
            raise
        except OSError as error:  # of the bucket or the rights
            log.warning("%s", error)
            raise Unreachable("The storage takes no files; see STORAGE_URL and its rights.") from error
        except Unreachable as error:
            log.warning("the storage does not answer: %r", error.__cause__)
            raise Unreachable("The storage does not answer; try again later.") from error

    def _reach(self, work: Callable[[], Value], *about_one_file: type[OSError]) -> Value:
        """Do some work on the files, again and again as long as this storage is patient."""
        deadline = time.monotonic() + (PATIENCE_SECONDS if self._is_patient else 0)
        while True:
            try:
                with self._reached(*about_one_file):
                    return work()
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1.0)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def move_in(self, source: Path, key: str) -> None:
        """Make a finished local file the content of `key`; the source is gone afterwards."""
        if not self._is_local:
            # Object stores show an upload only when it is complete.
            if not self._is_patient:
                self.exists(key)  # which has a limit, unlike the transfer
            self._reach(lambda: self._files.put_file(str(source), self._path(key)))
            source.unlink()
            return
        self._reach(lambda: self._move(source, Path(self._path(key))))

    def _move(self, source: Path, target: Path) -> None:
        """Move a file on this machine."""
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
        handle, name = tempfile.mkstemp(dir=self.temporary_folder, prefix="write-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            self.move_in(Path(name), key)
        finally:
            Path(name).unlink(missing_ok=True)

    def local_path(self, key: str) -> Path | None:
        """Return the file with the key's content, or None when it is missing or not on this machine."""
        path = Path(self._path(key))
        return path if self._is_local and path.is_file() else None

    def exists(self, key: str) -> bool:
        """Tell whether there is such a key."""
        return bool(self._reach(lambda: self._files.exists(self._path(key), **self._limit)))

    def names(self, folder: str) -> list[str]:
        """Return what a folder holds; nothing where it is not there."""
        with suppress(FileNotFoundError), self._reached(FileNotFoundError):
            return [Path(name).name for name in self._files.ls(self._path(folder), detail=False)]
        return []

    def modified(self, key: str) -> datetime:
        """Return when a file was written. Raises FileNotFoundError when there is no such key."""
        with self._reached(FileNotFoundError):
            moment: datetime = self._files.modified(self._path(key))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

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
        with tempfile.TemporaryDirectory(dir=self.temporary_folder, prefix="copy-") as folder:
            path = Path(folder) / Path(key).name
            if not self._is_patient:
                self.exists(key)
            self._reach(lambda: self._files.get_file(self._path(key), str(path)), FileNotFoundError)
            yield path

    def delete(self, key: str) -> None:
        """Remove a file or everything under a folder; nothing happens when it is not there."""
        with suppress(FileNotFoundError):
            self._reach(
                lambda: self._files.rm(self._path(key), recursive=True, **self._limit), FileNotFoundError
            )

    def check_writable(self) -> None:
        """Write and remove a small file. Raises OSError or Unreachable when that fails."""
        key = f".check-{os.getpid()}"
        self.write(key, b"ok")
        self.delete(key)


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # what is being written may get another name
            total += path.stat().st_size
    return total
