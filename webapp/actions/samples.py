"""Sample clips of the product: offered on the start page, with their true motion to compare with."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from model.motion.tracks import Tracks
from model.weights.registry import file_sha256
from webapp.actions.backend import Backend
from webapp.actions.uploads import HashedFile, store_clip
from webapp.rows.records import Clip

LIST = "samples.json"


@dataclass(frozen=True)
class Sample:
    """A clip that comes with Stillmotion.

    name: as in addresses. title, description, licence: for people. path: the clip.
    """

    name: str
    title: str
    description: str
    licence: str
    path: Path

    @property
    def truth_path(self) -> Path:
        """Where its true tracks are, if they are known."""
        return self.path.with_name(f"{self.path.stem}.tracks.npz")

    @property
    def has_truth(self) -> bool:
        """Whether its true tracks are known."""
        return self.truth_path.is_file()

    @classmethod
    def from_json(cls, folder: Path, entry: dict[str, str]) -> "Sample":
        """Take an entry of the folder's list."""
        file = folder / entry["file"]
        return cls(file.stem, entry["title"], entry["description"], entry["licence"], file)


def list_samples(folder: Path) -> list[Sample]:
    """Return a folder's samples in the order of its `samples.json`; none where there is no such file.

    `samples.json` is a list of {file, title, description, licence}; true tracks lie beside FILE as
    STEM.tracks.npz.
    """
    path = folder / LIST
    if not path.is_file():
        return []
    entries = json.loads(path.read_text(encoding="utf-8"))
    return [Sample.from_json(folder, entry) for entry in entries]


def store_sample(backend: Backend, sample: Sample) -> tuple[Clip, bool]:
    """Make a sample a clip like an uploaded one and return (clip, whether it is new)."""
    copy = HashedFile(backend.storage, sample.path.name)
    try:
        with sample.path.open("rb") as source:
            shutil.copyfileobj(source, cast(IO[bytes], copy))
        copy.close()
        return store_clip(backend, [copy])
    finally:
        copy.discard()


def true_tracks(folder: Path, clip: Clip) -> Tracks | None:
    """Return the true tracks of a clip, which are known if it has the bytes of a sample."""
    for sample in list_samples(folder):
        is_this = sample.path.stat().st_size == clip.bytes and file_sha256(sample.path) == clip.sha256
        if is_this and sample.has_truth:
            return Tracks.load(sample.truth_path)
    return None
