"""Image sequences: a folder or a zip of images, in natural order. Nothing is ever unpacked to disk."""

import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from model.clips.deep_pixels import Levels, common_levels
from model.clips.images import KINDS, SUFFIXES, image_range, image_size, looks_like_image, read_image
from model.clips.limits import Limits
from model.clips.selection import is_system_file, path_parts, select_sequence
from model.core.errors import BadInput

_CHUNK = 1 << 20
_LOOKED_AT = 8  # images that tell which values a 16-bit clip has
_LONGEST_READ = 16 << 20  # also bounds a zip's directory: 16 MiB are some 200,000 entries with usual names
_ARCHIVE_HEAD = b"PK\x03\x04"
_DEFLATED_OR_STORED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ImageSequence(Protocol):
    """Images of equal size, in the order in which they are shown."""

    @property
    def names(self) -> list[str]:
        """The images' names, in order."""

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of one image, from its header."""

    def range(self, index: int) -> tuple[int, int] | None:
        """The least and the largest value of one image, if it has 16 bits."""

    def read(self, index: int, levels: Levels | None = None) -> NDArray[np.uint8]:
        """One image as uint8 `[H, W, 3]` RGB; levels: see `read_image`."""


@dataclass(frozen=True)
class _Folder:
    paths: list[Path]
    limits: Limits

    @property
    def names(self) -> list[str]:
        return [path.name for path in self.paths]

    def size(self, index: int) -> tuple[int, int]:
        with _open_file(self.paths[index]) as file:
            return image_size(file, self.limits, self._what(index))

    def range(self, index: int) -> tuple[int, int] | None:
        with _open_file(self.paths[index]) as file:
            return image_range(file, self.limits, self._what(index))

    def read(self, index: int, levels: Levels | None = None) -> NDArray[np.uint8]:
        with _open_file(self.paths[index]) as file:
            return read_image(file, self.limits, self._what(index), levels)

    def _what(self, index: int) -> str:
        return f"The image {self.paths[index].name}"


@dataclass(frozen=True)
class _Archive:
    archive: zipfile.ZipFile
    members: list[zipfile.ZipInfo]
    limits: Limits

    @property
    def names(self) -> list[str]:
        return [member.filename for member in self.members]

    def size(self, index: int) -> tuple[int, int]:
        with _damage_named(self._what(index)), self.archive.open(self.members[index]) as file:
            return image_size(file, self.limits, self._what(index))

    def range(self, index: int) -> tuple[int, int] | None:
        return image_range(self._content(index), self.limits, self._what(index))

    def read(self, index: int, levels: Levels | None = None) -> NDArray[np.uint8]:
        return read_image(self._content(index), self.limits, self._what(index), levels)

    def _content(self, index: int) -> IO[bytes]:
        with _damage_named(self._what(index)), self.archive.open(self.members[index]) as file:
            # More than any image of the allowed size needs: 16-bit RGBA, uncompressed.
            return io.BytesIO(_read_at_most(file, 8 * self.limits.max_pixels + _CHUNK, self._what(index)))

    def _what(self, index: int) -> str:
        return f"The image {self.members[index].filename} in the zip"


def looks_like_zip(head: bytes) -> bool:
    """Whether a file that starts with `head` is a zip archive (an empty one too)."""
    return head.startswith((_ARCHIVE_HEAD, b"PK\x05\x06"))


def common_size(sequence: ImageSequence) -> tuple[int, int]:
    """Return (height, width) of all images, from their headers.

    Raises BadInput when one differs from the first or cannot be read.
    """
    first = sequence.size(0)
    for index in range(1, len(sequence.names)):
        check_same_size(sequence, index, sequence.size(index), first)
    return first


def sequence_levels(sequence: ImageSequence) -> Levels | None:
    """Return the levels that all images of a clip are shown at, by some from all over it; None for 8 bits."""
    if sequence.range(0) is None:
        return None
    chosen = sorted(set(np.linspace(0, len(sequence.names) - 1, _LOOKED_AT).round().astype(int).tolist()))
    return common_levels([found for index in chosen if (found := sequence.range(index)) is not None])


def check_same_size(
    sequence: ImageSequence, index: int, size: tuple[int, int], first: tuple[int, int]
) -> None:
    """Raise BadInput when `size` of image `index` is not that of the first image; both (height, width)."""
    if size != first:
        raise BadInput(
            f"The images differ in size: {sequence.names[0]} has {first[1]}×{first[0]} pixels and "
            f"{sequence.names[index]} has {size[1]}×{size[0]}; all must be equal."
        )


@contextmanager
def open_folder(path: Path, limits: Limits) -> Iterator[ImageSequence]:
    """Open the images of a folder that form a clip (see `selection`); files of other kinds are left aside.

    Raises BadInput when it holds no image or too many, or it is not clear which are meant.
    """
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_file() and not is_system_file(entry.name)]
        found = [name for name in names if _is_image_file(path / name)] or list(_images_below(path))
    except OSError as error:
        raise BadInput(f"The folder {path.name} cannot be opened ({error.strerror}).") from error
    if len(found) > limits.max_images:
        raise BadInput(f"The folder holds {len(found):,} images; at most {limits.max_images:,} are accepted.")
    if not found:
        raise BadInput(f"The folder holds no images; {KINDS} are read.")
    chosen = select_sequence(found, str, "The folder")
    yield _Folder([path / name for name in chosen], limits)


def _images_below(path: Path) -> Iterator[str]:
    """Yield the images in the folders below, by their endings, each with its path from `path`."""
    for folder, _, names in os.walk(path):
        for name in names:
            relative = os.path.relpath(os.path.join(folder, name), path)
            if _has_image_suffix(name) and not is_system_file(relative):
                yield relative


@contextmanager
def open_zip(path: Path, limits: Limits) -> Iterator[ImageSequence]:
    """Open the images of a zip that form a clip (see `selection`); files of other kinds are left aside.

    Raises BadInput when it is damaged, encrypted, too large, holds no image, another zip, or a name that
    leads out of the folder it would be unpacked in (which also marks a zip that was made to harm).
    """
    with _CarefulFile(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except BadInput:  # of _CarefulFile, and a ValueError too
            raise
        # Damage sends zipfile to places that no file has (ValueError, OSError), or to what it cannot unpack.
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise BadInput("The zip is damaged or cut short; make or copy it again.") from error
        with archive:
            yield _Archive(archive, _image_members(archive, limits), limits)


class _CarefulFile(io.FileIO):
    """A file that refuses reads far beyond what images need.

    `zipfile` reads the whole directory of an archive with one call, of a length that the archive declares.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._length = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._length - self.tell())
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > _LONGEST_READ:
            raise BadInput(
                f"The zip's list of files is larger than {_LONGEST_READ >> 20} MiB; it is damaged or holds "
                "far too many files."
            )
        return super().read(wanted) or b""


def _image_members(archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > limits.max_images:
        raise BadInput(f"The zip holds {len(entries):,} files; at most {limits.max_images:,} are accepted.")
    for entry in entries:
        _check_name(entry.filename)
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.max_unpacked_bytes:
        raise BadInput(
            f"The zip would unpack to {unpacked / 1e9:.1f} GB; at most "
            f"{limits.max_unpacked_bytes / 1e9:.1f} GB are accepted."
        )
    files = [entry for entry in entries if not entry.is_dir() and not is_system_file(entry.filename)]
    if any(entry.flag_bits & 0x1 for entry in files):
        raise BadInput("The zip is protected with a password; make it without one.")
    images = [entry for entry in files if _is_image_member(archive, entry)]
    if not images:
        raise BadInput(f"The zip holds no images; {KINDS} are read.")
    return select_sequence(images, lambda entry: entry.filename, "The zip")


def _check_name(name: str) -> None:
    parts = path_parts(name)
    if parts[:1] in (("/",), ("//",)) or ".." in parts or name[1:2] == ":":
        raise BadInput(
            f"The zip holds a file with the unsafe name {name[:60]!r}; names must be plain and relative."
        )


def _is_image_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    if entry.compress_type not in _DEFLATED_OR_STORED:
        raise BadInput("The zip uses a rare compression method; make it with the usual one (Deflate).")
    with _damage_named(f"The file {entry.filename} in the zip"), archive.open(entry) as file:
        head = file.read(64)
    if looks_like_zip(head) or PurePosixPath(entry.filename).suffix.lower() == ".zip":
        raise BadInput(f"The zip holds another zip ({entry.filename}); put the images in directly.")
    return _has_image_suffix(entry.filename) or looks_like_image(head)


def _is_image_file(path: Path) -> bool:
    if _has_image_suffix(path.name):
        return True
    with _open_file(path) as file:
        return looks_like_image(file.read(64))


def _has_image_suffix(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _read_at_most(file: IO[bytes], most: int, what: str) -> bytes:
    """Read an entry piece by piece, because the size that a zip declares may be a lie."""
    pieces = []
    total = 0
    while piece := file.read(_CHUNK):
        total += len(piece)
        if total > most:
            raise BadInput(f"{what} unpacks to more than {most / 1e6:.0f} MB, more than an image can need.")
        pieces.append(piece)
    return b"".join(pieces)


@contextmanager
def _damage_named(what: str) -> Iterator[None]:
    try:
        yield
    # What zipfile and zlib raise for bytes that are not what the directory says, one for each kind of damage.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise BadInput(f"{what} is damaged or cut short; make the zip again.") from error


def _open_file(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"The file {path.name} cannot be opened ({error.strerror}).") from error
