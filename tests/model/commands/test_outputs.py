"""Outputs are looked at before the work: never an input, never where nothing can be written."""

import hashlib
import os
import shutil
from pathlib import Path

import click
import pytest
from PIL import Image

from model.__main__ import main
from model.commands.group import run_command
from tests.media import moving_clip, texture


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return moving_clip(tmp_path / "clip.mp4", frames=4, size=(32, 48))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(texture(32, 48, index)).save(folder / f"{index}.png")
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Check that a command ends with 2 at once; return its sentence."""
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_overlay_that_is_the_clip_is_refused_under_any_name(clip, tmp_path, capsys, monkeypatch):
    before = sha256(clip)
    os.link(clip, tmp_path / "hard.mp4")
    (tmp_path / "soft.mp4").symlink_to(clip)
    monkeypatch.chdir(tmp_path)
    for name in (clip, "clip.mp4", "./images/../clip.mp4", "hard.mp4", "soft.mp4"):
        (tmp_path / "images").mkdir(exist_ok=True)
        assert "is an input and would be overwritten" in refused(
            capsys, "track", clip, "--method", "zero", "--overlay", name
        )
    assert sha256(clip) == before


def test_outputs_that_are_part_of_an_input_folder_are_refused(images, tmp_path, capsys):
    picture = images / "0.png"
    before = sha256(picture)
    for given in (picture, images):
        assert "is an input" in refused(capsys, "predict", given, "--overlay", picture)
    assert "is an input" in refused(capsys, "segment", picture, "--out", picture)
    assert sha256(picture) == before


def test_weights_are_not_overwritten_by_what_is_made_of_them(tmp_path, capsys):
    weights = tmp_path / "own.safetensors"
    shutil.copy(next(Path("model/bundled").glob("*.safetensors")), weights)
    before = sha256(weights)
    assert "is an input" in refused(capsys, "calibrate-tracker", weights, "--out", weights)
    assert sha256(weights) == before


@pytest.mark.parametrize("kind", ["missing", "file", "read-only"])
def test_folders_that_cannot_be_written_to_are_refused_before_the_work(clip, tmp_path, capsys, kind):
    (tmp_path / "file").touch()
    folder = {"missing": tmp_path / "none", "file": tmp_path / "file", "read-only": Path("/proc")}[kind]
    expected = "Nothing can be written to the folder" if kind == "read-only" else "There is no folder"
    for option, name in (("--out", "a.npz"), ("--overlay", "a.html"), ("--overlay", "a.mp4")):
        said = refused(capsys, "track", clip, "--method", "zero", option, folder / name)
        assert expected in said
        assert "%" not in said  # no progress yet


def test_a_folder_is_no_output(clip, tmp_path, capsys):
    (tmp_path / "a.npz").mkdir()
    assert "is the folder" in refused(capsys, "track", clip, "--method", "zero", "--out", tmp_path / "a.npz")


def test_what_fails_on_the_disk_all_the_same_is_a_sentence(capsys):
    @click.command()
    def command() -> None:
        Path("/proc/nothing").mkdir()

    assert run_command(command, "test", []) == 2
    assert capsys.readouterr().err.startswith("Error: /proc/nothing: ")
