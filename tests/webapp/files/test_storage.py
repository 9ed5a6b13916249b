"""Storage: a folder and a remote file system behave alike."""

import uuid
from pathlib import Path

import pytest

from model.core.errors import BadInput
from webapp.files.storage import Storage


@pytest.fixture(params=["folder", "remote"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    url = str(tmp_path / "kept") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/kept"
    return Storage(url, tmp_path / "temporary")


def test_files_come_back_and_go(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"clip")
    storage.move_in(source, "clips/a.mp4")
    assert not source.exists()
    storage.write("runs/1/tracks.npz", b"one")
    storage.write("runs/1/tracks.npz", b"two")
    storage.write("runs/1/frames/00000.jpg", b"jpg")
    with storage.local_copy("runs/1/tracks.npz") as path:
        assert path.read_bytes() == b"two"
    with storage.local_copy("clips/a.mp4") as path:
        assert path.read_bytes() == b"clip"
        assert path.suffix == ".mp4"
    assert storage.exists("clips/a.mp4")
    storage.delete("runs/1")
    assert not storage.exists("runs/1/frames/00000.jpg")
    storage.delete("runs/1")
    storage.check_writable()
    assert not [path for path in (tmp_path / "temporary").rglob("*") if path.is_file()]


def test_a_missing_file_is_missing(storage: Storage) -> None:
    assert not storage.exists("clips/none")
    assert storage.local_path("clips/none") is None
    with pytest.raises(FileNotFoundError), storage.local_copy("clips/none"):
        pass


def test_an_unknown_kind_of_storage_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="STORAGE_URL"):
        Storage("nonsense://x", tmp_path)
