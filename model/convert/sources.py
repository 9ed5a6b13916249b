"""The videos to convert: found on this machine or by fsspec, known by their content."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any

from natsort import natsorted

from model.errors import BadInput
from model.images import SUFFIXES as IMAGE_SUFFIXES
from model.remote import open_files, reaching

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".gif", ".zip"})
"""The endings of what is taken for a clip in a folder (a zip holds images); named files always are."""

_BLOCK = 1 << 20


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

        Raises OSError when they are not there, Unreachable when their storage does not answer.
        """
        if self.is_remote:
            files, path = open_files(self.path)
            with reaching(self.path):
                names = files.find(path) if self.is_folder else [path]
                facts = [files.info(name) for name in names]
            marks = [
                f"{fact['name']} {fact.get('size')} {_version(fact)}"
                for fact in sorted(facts, key=lambda fact: str(fact["name"]))
            ]
            return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:24]
        stats = [path.stat() for path in self._local_files()]
        newest = max((stat.st_mtime_ns for stat in stats), default=0)
        return f"{len(stats)}-{sum(stat.st_size for stat in stats)}-{newest}"

    @contextmanager
    def fetched(self) -> Iterator[Path]:
        """Lend a local path to the video; what had to be fetched is removed afterwards.

        Raises OSError when it is not there, Unreachable when its storage does not answer.
        """
        if not self.is_remote:
            yield Path(self.path)
            return
        with tempfile.TemporaryDirectory(prefix="stillmotion-source-") as folder:
            files, path = open_files(self.path)
            target = Path(folder) / PurePosixPath(self.name).name
            with reaching(self.path):
                if self.is_folder:
                    target.mkdir()
                    for name in files.find(path):
                        files.get_file(name, str(target / PurePosixPath(name).name))
                else:
                    files.get_file(path, str(target))
            yield target

    def _local_files(self) -> list[Path]:
        path = Path(self.path)
        return _images_in(path) if self.is_folder else [path]


def content_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of a folder's images with their names."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for image in _images_in(path):
        digest.update(f"{image.name}\0{image.stat().st_size}\0".encode())
        with image.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def find_places(inputs: Iterable[str]) -> list[Place]:
    """List the videos that inputs name, each once, in natural order of their names.

    inputs: videos, GIFs and zips of images; folders, searched through with everything below (a folder that
        holds images and neither videos nor folders is a clip of these images); patterns with * ? [ ]; lists,
        as `@FILE` with an input on each line; and the same as fsspec URLs (s3://, https://, ...).
    Raises BadInput when one names nothing.
    """
    found: dict[str, Place] = {}
    for text in inputs:
        for place in _places(text):
            found.setdefault(place.path, place)
    return natsorted(found.values(), key=lambda place: (place.name, place.path))


def _places(text: str) -> list[Place]:
    if text.startswith("@"):
        return [place for line in _lines(Path(text[1:])) for place in _places(line)]
    if "://" in text:
        return _remote_places(text)
    if has_magic(text) and not os.path.lexists(text):
        matches = natsorted(Path().glob(text) if not os.path.isabs(text) else Path("/").glob(text[1:]))
        if not matches:
            raise BadInput(f"The pattern {text} fits no file or folder.")
        return [place for match in matches for place in _local_places(match)]
    return _local_places(Path(text))


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text().splitlines()
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
    places = [
        Place(
            str(PurePosixPath(absolute.name) / found.relative_to(absolute).as_posix()), str(found), is_folder
        )
        for found, is_folder in _search(absolute)
    ]
    if not places:
        raise BadInput(f"The folder {path} holds no video, no GIF, no zip and no folder of images.")
    return places


def _search(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Find clips in a folder and below: (path, whether it is a folder of images)."""
    with os.scandir(folder) as entries:
        content = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [Path(entry.path) for entry in content if entry.is_dir()]
    videos = [Path(entry.path) for entry in content if Path(entry.name).suffix.lower() in VIDEO_SUFFIXES]
    videos = [path for path in videos if path not in folders]
    if not folders and not videos and _images_in(folder):
        yield folder, True
    for video in videos:
        yield video, False
    for below in folders:
        yield from _search(below)


def _images_in(folder: Path) -> list[Path]:
    """Return a folder's images by their endings, in natural order."""
    paths = [path for path in folder.iterdir() if _is_image(path.name) and path.is_file()]
    return natsorted(paths, key=lambda path: path.name)


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")


def _remote_places(url: str) -> list[Place]:
    files, path = open_files(url)
    try:
        with reaching(url):
            matches = files.glob(path) if has_magic(path) else [path]
            found = [place for match in matches for place in _remote_below(files, str(match))]
    except OSError as error:
        raise BadInput(f"{url} cannot be read: {error}") from error
    if not found:
        raise BadInput(f"{url} holds no video, no GIF, no zip and no folder of images.")
    return found


def _remote_below(files: Any, path: str) -> list[Place]:
    def url(name: str) -> str:
        return str(files.unstrip_protocol(name))

    if not files.isdir(path):
        return [Place(PurePosixPath(path).name, url(path))]
    above = str(PurePosixPath(path).parent)
    names = [str(name) for name in files.find(path)]
    videos = [name for name in names if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES]
    folders = {str(PurePosixPath(name).parent) for name in names if _is_image(PurePosixPath(name).name)}
    is_busy: Callable[[str], bool] = lambda folder: any(  # noqa: E731 - read where it is used
        video.startswith(folder + "/") for video in videos
    )
    clips = [Place(os.path.relpath(name, above), url(name)) for name in videos]
    return clips + [
        Place(os.path.relpath(folder, above), url(folder), is_folder=True)
        for folder in sorted(folders)
        if not is_busy(folder)
    ]


def _version(fact: dict[str, Any]) -> str:
    """What a file system tells of a file's version."""
    return str(fact.get("ETag") or fact.get("mtime") or fact.get("LastModified") or fact.get("created") or "")
