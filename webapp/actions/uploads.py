"""Files from strangers: streamed, limited, hashed on the way, probed, and kept under their content's name."""

import hashlib
import os
import re
import shutil
import tempfile
import time
import unicodedata
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, cast

from flask import Request, current_app
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import UnprocessableEntity
from werkzeug.formparser import FormDataParser

from model.clips.images import KINDS
from model.clips.limits import Limits
from model.clips.selection import is_system_file, select_sequence
from model.clips.video import clip_kind, decoding_bytes, probe
from model.core.errors import BadInput
from webapp.actions.backend import EXTENSION, Backend
from webapp.actions.history import change
from webapp.files.storage import Storage
from webapp.rows.records import Clip

LONGEST_NAME = 255
"""Characters of a clip's name."""

STALE_SECONDS = 24 * 3600
"""A temporary file that nobody touched for so long was left by a process that died."""

LIMITS = Limits()


class HashedFile:
    """A temporary file that is hashed while it is written; Werkzeug's parser writes an upload into it."""

    def __init__(self, storage: Storage, name: str) -> None:
        """Make the file among a storage's temporary ones.

        name: what its owner calls it, perhaps with folders before it.
        Writing raises NoRoom where the disk has none but its reserve.
        """
        self.full_name = unicodedata.normalize("NFC", name)
        self.name = readable_name(name)
        handle, path = tempfile.mkstemp(dir=storage.temporary_folder, prefix="upload-")
        self.path = Path(path)
        self.size = 0
        self._storage = storage
        self._digest = hashlib.sha256()
        self._file = os.fdopen(handle, "wb")

    def write(self, data: bytes) -> int:
        """Append to the file."""
        self._storage.require_free(len(data))
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Leave the writing to the end; `zipfile` calls this."""

    def seek(self, _offset: int, _whence: int = 0) -> int:
        """Finish writing; the parser calls this once, when the upload's part is complete."""
        self._file.close()
        return 0

    def close(self) -> None:
        """Finish writing."""
        self._file.close()

    @property
    def sha256(self) -> str:
        """Hexadecimal sha256 of what was written."""
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Remove the file, if it was not moved away."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class StreamingRequest(Request):
    """A request whose uploaded files go straight into `HashedFile`s; the app discards them at its end."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if len(self.received) == LIMITS.max_images:
            raise UnprocessableEntity(
                f"The upload holds more than {LIMITS.max_images:,} files; send fewer, or a video of them."
            )
        backend: Backend = current_app.extensions[EXTENSION]
        file = HashedFile(backend.storage, filename or "")
        self.received.append(file)
        return cast(IO[bytes], file)

    @property
    def received(self) -> list[HashedFile]:
        """The files that this request has brought so far."""
        files: list[HashedFile] = self.environ.setdefault("stillmotion.received", [])
        return files


def uploaded_files(request: Request, largest: int) -> list[HashedFile]:
    """Read a request's body and return the files of its fields `file`.

    largest: bytes that the whole body may have, whether it says its length or comes in chunks.
    Raises werkzeug's RequestEntityTooLarge beyond it, UnprocessableEntity for too many files, and BadInput
    when there is no complete file.
    """
    request.max_content_length = largest
    request.max_form_parts = LIMITS.max_images + 100  # more files are refused in words
    # Otherwise a form that cannot be read would be an empty one.
    request.form_data_parser_class = partial(FormDataParser, silent=False)  # type: ignore[assignment]
    try:
        files = [cast(HashedFile, part.stream) for part in request.files.getlist("file")]
    except UnicodeDecodeError as error:
        raise BadInput("A file's name is not UTF-8; give the file another name and send it again.") from error
    except ValueError:  # of a form that ends early
        files = []
    if not files:
        raise BadInput("The upload holds no complete file; send one as multipart/form-data, field “file”.")
    return files


def readable_name(name: str) -> str:
    """Make a file's name a harmless label: its last path part, without control characters, cut to length."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    printable = "".join(character for character in last if character.isprintable()).strip()
    return printable[:LONGEST_NAME] or "unnamed"


def store_clip(backend: Backend, files: Sequence[HashedFile]) -> tuple[Clip, bool]:
    """Keep an uploaded file, or several images as one clip, and return (clip, whether it is new).

    Raises BadInput when the bytes are not a usable clip.
    """
    if len(files) == 1:
        return _store(backend, files[0], _suffix(files[0].name))
    ordered = _sequence_of(files)
    if len(ordered) == 1:
        return _store(backend, ordered[0], _suffix(ordered[0].name))
    name = f"{len(ordered)} images: {ordered[0].name} to {ordered[-1].name}"
    packed = HashedFile(backend.storage, name)
    try:
        _pack(ordered, packed)
        return _store(backend, packed, ".zip")
    finally:
        packed.discard()


def _suffix(name: str) -> str:
    """Return the name's suffix if it is a plain one; it serves people who look into the storage."""
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


def _sequence_of(files: Sequence[HashedFile]) -> list[HashedFile]:
    """Return the images among several files that form a clip, in order; see `model.clips.selection`."""
    images = [file for file in files if not is_system_file(file.full_name)]
    for image in images:
        if clip_kind(image.path) != "image":  # the sequence of them is probed
            raise BadInput(f"{image.name} is not an image; send images together, and a video alone.")
    if not images:
        raise BadInput(f"The upload holds no images; {KINDS} are read.")
    return select_sequence(images, lambda file: file.full_name, "The upload")


def _pack(images: Sequence[HashedFile], target: HashedFile) -> None:
    """Write images into one zip, uncompressed, numbered in their order; the same images give the same zip."""
    # zipfile never seeks in what has no tell().
    with zipfile.ZipFile(cast(IO[bytes], target), "w", zipfile.ZIP_STORED) as archive:
        for index, image in enumerate(images):
            entry = zipfile.ZipInfo(f"{index:05d}{_suffix(image.name) or '.png'}")
            with archive.open(entry, "w") as member, image.path.open("rb") as source:
                shutil.copyfileobj(source, member, 1 << 20)
    target.close()


def _store(backend: Backend, file: HashedFile, suffix: str) -> tuple[Clip, bool]:
    existing = _find(backend, file.sha256)
    if existing is not None and existing.deleted_at is not None:
        change(backend.queue, existing, {"deleted": False})
        existing.deleted_at = None
    if existing is not None and backend.storage.exists(existing.key):
        return existing, False
    with backend.decoding.reserve(decoding_bytes(file.path, LIMITS)):
        info = probe(file.path, LIMITS)
    clip = Clip(
        id=file.sha256[:16], sha256=file.sha256, name=file.name, suffix=suffix, bytes=file.size, **vars(info)
    )
    backend.storage.require_quota(file.size)
    os.chmod(file.path, 0o644)  # mkstemp makes it private
    backend.storage.move_in(file.path, clip.key if existing is None else existing.key)
    if existing is not None:
        return existing, False
    try:
        with backend.database.session() as session:
            session.add(clip)
    except IntegrityError:
        # The same bytes came in twice at the same time, and the other upload was a moment faster.
        winner = _find(backend, file.sha256)
        if winner is None:
            raise
        if winner.key != clip.key:
            backend.storage.delete(clip.key)
        return winner, False
    return clip, True


def _find(backend: Backend, sha256: str) -> Clip | None:
    with backend.database.session() as session:
        return session.scalar(select(Clip).where(Clip.sha256 == sha256))


def sweep(folder: Path, uploads_older_than: float = STALE_SECONDS) -> None:
    """Remove temporary files that a process left behind when it was killed.

    uploads_older_than: seconds; 0 where no other process can be receiving uploads at this moment.
    """
    for path in folder.iterdir():
        patience = uploads_older_than if path.name.startswith("upload-") else STALE_SECONDS
        try:
            if path.stat().st_mtime > time.time() - patience:
                continue
        except FileNotFoundError:
            continue  # its owner was faster
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
