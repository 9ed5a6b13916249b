"""Back up and restore with the very commands of docs/operations.md."""

import io
import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.media import moving_clip
from tests.webapp.stack import ROOT
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.files.tidy import Tidied, tidy


def run_commands(heading: str, folder: Path) -> None:
    """Run the shell commands of the section's blocks in a folder, those before `heading` left out."""
    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    commands = re.search(r"```sh\n(.*?)```", document.partition(heading)[2], re.DOTALL)[1]
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=folder, check=True)


def test_a_backup_of_a_running_app_is_restored(settings: Settings, tmp_path: Path, small_clip: Path) -> None:
    settings = replace(settings, instance=tmp_path / "instance")
    app = create_app(settings)
    client = app.test_client()

    def upload(path: Path) -> str:
        file = {"file": (io.BytesIO(path.read_bytes()), path.name)}
        return str(client.post("/api/v1/clips", data=file).json["id"])

    clip = upload(small_clip)
    client.patch(f"/api/v1/clips/{clip}", json={"name": "the street"})
    run_commands("## Back up and restore", tmp_path)
    later = moving_clip(tmp_path / "later.mp4", frames=5)
    upload(later)
    assert client.delete(f"/api/v1/clips/{clip}").status_code == 204
    app.extensions["stillmotion"].database.close()

    (tmp_path / "backup" / "storage" / "clips" / "0123.mp4").write_bytes(b"came while it was copied")
    run_commands("To restore", tmp_path)
    assert tidy(settings, timedelta(0)) == Tidied(["clips/0123.mp4"], [])
    restored = create_app(settings)
    found = restored.test_client().get("/api/v1/clips").json["items"]
    assert [(one["id"], one["name"]) for one in found] == [(clip, "the street")]
    assert restored.test_client().get(f"/api/v1/clips/{clip}/frames/0.jpg").status_code == 200
    restored.extensions["stillmotion"].database.close()
