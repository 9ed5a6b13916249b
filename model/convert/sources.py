"""The videos to convert: found on this machine or by fsspec, known by their content."""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec import Callback
from natsort import natsorted

from model.clips.images import SUFFIXES as IMAGE_SUFFIXES
from model.clips.selection import is_system_file, natural_order
from model.core.errors import BadInput
from model.core.processes import is_abandoned
from model.core.progress import ShouldStop, never_stop, raise_if_stopped
from model.core.remote import open_files, reaching
from model.datasets.folder import DISK_FULL
from model.weights.registry import file_sha256

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".gif", ".zip"})
"""The endings of what is taken for a clip in a folder (a zip holds images); named files always are."""

_BLOCK = 1 << 20
_TEMPORARY_PREFIX = "stillmotion-source-"


class Changed(BadInput):
    """A video is another one now."""


class NoRoom(BadInput):
    """The disk for temporary files is full, which is no video's fault."""


@dataclass(frozen=True)
class Place:
    """Where a video is.

    name: for people, such as "davis/bear". path: absolute, or an fsspec URL. is_folder: of images.
    """

    name: str
    path: str
    is_folder: bool = False

    @property
    def is_remote(self) -> bool:
        """Whether it has to be fetched before it can be read."""
        return "://" in self.path

    def fingerprint(self) -> str:
        """Return a short text that changes when the files do, without reading them.

        Raises OSError when they are not there, BadInput for what is no file, Unreachable when their storage
        does not answer.
        """
        if self.is_remote:
            files, path = open_files(self.path)
            with reaching(self.path):
                names = _remote_images(files, path) if self.is_folder else [path]
                facts = [files.info(name) for name in names]
            marks = [
                f"{fact['name']} {fact.get('size')} {_version(fact)}"
                for fact in sorted(facts, key=lambda fact: str(fact["name"]))
            ]
            return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:24]
        facts = [path.stat() for path in self._local_files()]
        newest = max((fact.st_mtime_ns for fact in facts), default=0)
        return f"{len(facts)}-{sum(fact.st_size for fact in facts)}-{newest}"

    @contextmanager
    def fetched(self, should_stop: ShouldStop = never_stop) -> Iterator[Path]:
        """Lend a local path to the video; what had to be fetched is removed afterwards.

        Raises OSError when it is not there, Unreachable when its storage does not answer, NoRoom when it does
        not fit on the disk for temporary files, Stopped when `should_stop` says so while it is fetched.
        """
        if not self.is_remote:
            self._local_files()
            yield Path(self.path)
            return
        with tempfile.TemporaryDirectory(prefix=f"{_TEMPORARY_PREFIX}{os.getpid()}-") as folder:
            target = Path(folder) / PurePosixPath(self.name).name
            files, path = open_files(self.path)
            with reaching(self.path), _explaining_no_room():
                if self.is_folder:
                    target.mkdir()
                    for name in _remote_images(files, path):
                        _fetch(files, name, target / PurePosixPath(name).name, should_stop)
                else:
                    _fetch(files, path, target, should_stop)
            yield target

    def _local_files(self) -> list[Path]:
        """Return the files that make up a local video; reading them does not block."""
        path = Path(self.path)
        if self.is_folder:
            return _images_in(path)
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadInput("It is a folder, a pipe or a device, not a file.")
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return [path]


def remove_fetched() -> None:
    """Remove the videos that killed processes had fetched; see `DataFolder.remove_leftovers`."""
    for path in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY_PREFIX}*"):
        process = path.name.removeprefix(_TEMPORARY_PREFIX).split("-")[0]
        with suppress(FileNotFoundError):
            if process.isdigit() and is_abandoned(int(process), path.stat().st_mtime):
                shutil.rmtree(path, ignore_errors=True)


def content_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's images with their names."""
    if not path.is_dir():
        return file_sha256(path)
    digest = hashlib.sha256()
    for image in _images_in(path):
        digest.update(os.fsencode(image.name) + f"\0{image.stat().st_size}\0".encode())
        with image.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def find_places(inputs: Iterable[str]) -> list[Place]:
    """List the videos that inputs name, each once and by a name of its own, in natural order of the names.

    inputs: videos, GIFs and zips of images; folders, searched through with everything below (images make
        their folder a clip if there are no videos in it and no clips below); patterns with * ? [ ]; lists, as
        `@FILE` with an input on each line; and the same as fsspec URLs (s3://, https://, ...).
    Raises BadInput when one names nothing.
    """
    found: dict[str, Place] = {}
    for text in inputs:
        for place in _places(text):
            found.setdefault(place.path, place)
    return natsorted(_told_apart(list(found.values())), key=lambda place: (place.name, place.path))


def _told_apart(places: list[Place]) -> list[Place]:
    """Lengthen names that several videos have by the folders above them."""
    while True:
        counts = Counter(place.name for place in places)
        if len(counts) == len(places):
            return places
        places = [place if counts[place.name] == 1 else _by_longer_name(place) for place in places]


def _by_longer_name(place: Place) -> Place:
    count = len(PurePosixPath(place.name).parts) + 1
    return replace(place, name=str(PurePosixPath(*PurePosixPath(place.path).parts[-count:])))


def _places(text: str) -> list[Place]:
    if text.startswith("@"):
        return [place for line in _lines(Path(text[1:])) for place in _named(line)]
    return _named(text)


def _named(text: str) -> list[Place]:
    if text.startswith("file://"):
        text = open_files(text)[1]
    if "://" in text:
        return _remote_places(text)
    if has_magic(text) and not os.path.lexists(text):
        matches = glob(text, recursive=True)
        if not matches:
            raise BadInput(f"The pattern {text} fits no file or folder.")
        return [place for match in matches for place in _local_places(Path(match))]
    return _local_places(Path(text))


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The list {path} cannot be read; it should be a text file, one video a line."
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _local_places(path: Path) -> list[Place]:
    absolute = Path(os.path.abspath(path))
    if not os.path.lexists(absolute):
        raise BadInput(f"There is no file or folder {path}.")
    if not absolute.is_dir():
        return [Place(absolute.name, str(absolute))]
    try:
        places = [
            Place(
                str(PurePosixPath(absolute.name) / found.relative_to(absolute).as_posix()),
                str(found),
                is_folder,
            )
            for found, is_folder in _search(absolute, set())
        ]
    except OSError as error:
        raise BadInput(f"The folder {error.filename} cannot be read ({error.strerror}).") from error
    if not places:
        raise BadInput(f"The folder {path} holds no video, no GIF, no zip and no folder of images.")
    return places


def _search(folder: Path, seen: set[str]) -> Iterator[tuple[Path, bool]]:
    """Find clips in a folder and below: (path, whether it is a folder of images).

    seen: the real paths of folders that were searched; links may lead to them again.
    """
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    with os.scandir(folder) as entries:
        content = [entry for entry in entries if not is_system_file(entry.name)]
    folders = [Path(entry.path) for entry in content if entry.is_dir()]
    videos = [Path(entry.path) for entry in content if Path(entry.name).suffix.lower() in VIDEO_SUFFIXES]
    clips = [(path, False) for path in videos if path not in folders]
    for below in natsorted(folders):
        clips += _search(below, seen)
    if not clips and _images_in(folder):
        clips = [(folder, True)]
    yield from clips


def _images_in(folder: Path) -> list[Path]:
    """Return a folder's images by their endings, in natural order."""
    paths = [path for path in folder.iterdir() if _is_image(path.name) and path.is_file()]
    return natural_order(paths, lambda path: path.name)


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and not is_system_file(name)


def _remote_places(url: str) -> list[Place]:
    files, path = open_files(url)
    try:
        with reaching(url):
            matches = files.glob(path) if has_magic(path) else [path]
            found = [place for match in matches for place in _remote_below(files, str(match))]
    except OSError as error:
        raise BadInput(f"{url} cannot be read: {error}") from error
    if not found:
        raise BadInput(f"{url} is not there, or holds no video, no GIF, no zip and no folder of images.")
    return found


def _remote_below(files: Any, path: str) -> list[Place]:
    def url(name: str) -> str:
        return str(files.unstrip_protocol(name))

    if not files.isdir(path):
        return [Place(PurePosixPath(path).name, url(path))] if files.exists(path) else []
    above = str(PurePosixPath(path).parent)
    names = [str(name) for name in files.find(path)]
    videos = [name for name in names if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES]
    folders = {str(PurePosixPath(name).parent) for name in names if _is_image(PurePosixPath(name).name)}
    clips = [Place(os.path.relpath(name, above), url(name)) for name in videos]
    return clips + [
        Place(os.path.relpath(folder, above), url(folder), is_folder=True)
        for folder in sorted(folders)
        if not any(other.startswith(folder + "/") for other in (*videos, *folders))
    ]


def _remote_images(files: Any, folder: str) -> list[str]:
    names = [str(name) for name in files.find(folder, maxdepth=1)]
    return [name for name in names if _is_image(PurePosixPath(name).name)]


def _fetch(files: Any, name: str, target: Path, should_stop: ShouldStop) -> None:
    def look(*_: Any, **__: Any) -> None:
        raise_if_stopped(should_stop)

    files.get_file(name, str(target), callback=Callback(hooks={"stop": look}))


@contextmanager
def _explaining_no_room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise NoRoom(
            f"The disk for temporary files ({tempfile.gettempdir()}) is full; make room, or name another "
            "folder in TMPDIR, and give the same command again to go on."
        ) from error


def _version(fact: dict[str, Any]) -> str:
    """What a file system tells of a file's version."""
    return str(fact.get("ETag") or fact.get("mtime") or fact.get("LastModified") or fact.get("created") or "")
