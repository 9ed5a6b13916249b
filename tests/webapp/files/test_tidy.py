"""Files without rows are removed, rows without files are named, and nothing else is touched."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from webapp.__main__ import cli
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.files.storage import Storage
from webapp.files.tidy import Tidied, tidy
from webapp.rows.records import Run, RunState


@pytest.fixture(params=["folder", "remote"])
def prepared(
    request: pytest.FixtureRequest, settings: Settings, small_clip: Path
) -> Iterator[tuple[Settings, str]]:
    """Settings with a clip, a queued run that has written, two orphans, and the clip's key."""
    if request.param == "remote":
        settings = replace(settings, storage_url=f"memory://{settings.instance.parent.name}")
    app = create_app(settings)
    client, backend = app.test_client(), app.extensions["stillmotion"]
    file = {"file": (io.BytesIO(small_clip.read_bytes()), "a.mp4")}
    clip = client.post("/api/v1/clips", data=file).json
    run = client.post("/api/v1/runs", json={"clip": clip["id"], "method": "lk"}).json["id"]
    backend.storage.write(f"runs/{run}/frames/00000.jpg", b"jpg")
    backend.storage.write("runs/0123456789abcdef/tracks.npz", b"npz")
    backend.storage.write("clips/0123.mp4", b"mp4")
    yield settings, f"clips/{clip['sha256']}.mp4"
    backend.database.close()


def test_files_without_rows_are_removed(prepared: tuple[Settings, str]) -> None:
    settings, key = prepared
    storage = Storage.of(settings)
    assert tidy(settings) == Tidied(["runs/0123456789abcdef"], [])
    assert storage.exists("clips/0123.mp4")  # its row may be on its way
    assert tidy(settings, timedelta(0)) == Tidied(["clips/0123.mp4"], [])
    assert tidy(settings, timedelta(0)) == Tidied([], [])
    assert storage.exists(key)
    assert len(storage.names("runs")) == 1


def test_rows_without_files_are_named(
    prepared: tuple[Settings, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, key = prepared
    app = create_app(settings)
    with app.extensions["stillmotion"].database.session() as session:
        run = session.query(Run).one()
        run.state = RunState.DONE
    storage = Storage.of(settings)
    storage.delete("clips")
    storage.write(run.picture_key(0), b"a frame alone is no result")
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    cli.main(["tidy"], standalone_mode=False)
    told = capsys.readouterr().out
    assert f"missing {key}: " in told
    assert f"missing runs/{run.id}/tracks.npz: " in told
    app.extensions["stillmotion"].database.close()
