"""Stillmotion as `pip install .` leaves it: a wheel in another environment, called from another folder."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from model.motion.tracks import Tracks
from model.weights.registry import find_weights
from tests.webapp.stack import ROOT, Stack


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `stillmotion` of an environment that has the wheel and the packages tested with."""
    folder = tmp_path_factory.mktemp("installed")
    quiet = ("--quiet", "--no-deps", "--no-index")
    run = [sys.executable, "-m", "pip", "wheel", *quiet, "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(run, check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    run = [sys.executable, "-m", "pip", "--python", python, "install", *quiet, wheel]
    subprocess.run(run, check=True, cwd=folder)
    # The packages that a registry would give, from the environment of the tests.
    (packages,) = environment.glob("lib/python*/site-packages")
    here = sysconfig.get_path("purelib")
    (packages / "tested.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    return environment / "bin" / "stillmotion"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder whose `model` and `webapp` are none of Stillmotion's."""
    for name in ("model", "webapp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('not of Stillmotion')\n")
    return tmp_path


@pytest.fixture
def app(program: Path, elsewhere: Path) -> Iterator[Stack]:
    """`stillmotion serve`, with nothing set but the port and where a user's data lie."""
    variables = {"STILLMOTION_INSTANCE": "", "XDG_DATA_HOME": str(elsewhere / "data")}
    stack = Stack(elsewhere / "data" / "stillmotion", variables, (program, "serve"), elsewhere)
    stack.start()
    yield stack
    stack.stop()


def call(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        check=False,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_installed_command_tracks_from_any_folder(
    program: Path, elsewhere: Path, small_clip: Path
) -> None:
    arguments = ("track", str(small_clip), "--grid", "4", "--out", "tracks.npz", "--overlay", "tracks.html")
    answer = call(program, elsewhere, *arguments)
    assert answer.returncode == 0, answer.stderr
    tracks = Tracks.load(elsewhere / "tracks.npz")
    assert tracks.method.weights_sha256 == find_weights("pips-small").sha256
    moved = np.median(tracks.points[-1] - tracks.points[0], axis=0)
    np.testing.assert_allclose(moved, [14.0, 7.0], atol=0.5)  # seven frames on, (2, 1) pixels each
    assert (ROOT / "model" / "overlay" / "viewer" / "viewer.css").read_text() in (
        elsewhere / "tracks.html"
    ).read_text()


def test_an_installed_command_says_what_is_wrong_and_what_there_is(program: Path, elsewhere: Path) -> None:
    wrong = call(program, elsewhere, "track", "nothing.mp4", "--out", "tracks.npz")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert "nothing.mp4" in wrong.stderr
    serve = call(program, elsewhere, "serve", "--help")
    assert "Usage: stillmotion serve" in serve.stdout
    assert "worker" in serve.stdout


def test_an_installed_app_serves_pages_and_tracks(app: Stack, small_clip: Path) -> None:
    assert requests.get(f"{app.url}/healthz", timeout=10).status_code == 200
    page = requests.get(app.url, timeout=10)
    assert "/static/base.css" in page.text
    style = requests.get(f"{app.url}/static/base.css", timeout=10)
    assert style.content == (ROOT / "static" / "base.css").read_bytes()
    assert len(app.get("/samples").json()["items"]) == 4
    assert {"pips", "fcn"} <= {method["name"] for method in app.get("/methods").json()["items"]}
    run = app.start_run(app.upload(small_clip), method="pips", grid=2)
    assert app.wait_for_end(run)["state"] == "done"
    assert (app.instance / "stillmotion.sqlite3").exists()
