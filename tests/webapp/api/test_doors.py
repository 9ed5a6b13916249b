"""A file that cannot be read is told of in the same sentence wherever it comes in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from model.__main__ import main
from tests.media import encoded, moving_clip, write_zip


def _unfinished(folder: Path) -> Path:
    path = moving_clip(folder / "recording.mp4", frames=4)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"moov") - 4])
    return path


def _pages(folder: Path) -> Path:
    pages = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (0, 200)]
    pages[0].save(folder / "pages.tiff", save_all=True, append_images=pages[1:])
    return folder / "pages.tiff"


def _two_cameras(folder: Path) -> Path:
    picture = encoded(np.zeros((16, 16, 3), np.uint8))
    names = [f"cam{camera}/{number}.png" for camera in (1, 2) for number in (1, 2)]
    return write_zip(folder / "rig.zip", dict.fromkeys(names, picture))


@pytest.mark.parametrize("make", [_unfinished, _pages, _two_cameras])
def test_every_door_says_the_same_sentence(
    client: FlaskClient, tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], Path]
) -> None:
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in")
    with path.open("rb") as file:
        answer = client.post("/api/v1/clips", data={"file": (file, path.name)})
    assert answer.status_code == 422
    for command, result in (("track", "tracks.npz"), ("predict", "motion.npz"), ("convert", "set")):
        assert main([command, str(path), "--out", str(tmp_path / result)]) == 2, command
        assert answer.json["detail"] in capsys.readouterr().err, command
