"""Small inputs that once failed, beside the project where it is worked on; their README says what is right.

Tests of each kind that make their own files are in the other files of this folder.
"""

from pathlib import Path

import numpy as np
import pytest

from model.__main__ import main
from model.clips.limits import Limits
from model.clips.video import probe, read_frame, read_frames
from model.motion.tracks import Tracks

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="The cases are not beside the project.")

READ = {
    "count_open_gop_cut.mkv": (20, 192, 128),
    "count_trailing_comment.gif": (9, 96, 64),
    "avi_dropped_frames.avi": (17, 192, 128),
    "seek_wrong_frame.mp4": (20, 192, 128),
    "alpha_vp9.webm": (10, 192, 128),
    "two_streams_second_default.mkv": (10, 192, 128),
    "tif_low_counts": (4, 192, 96),
}
"""How many frames of which width and height."""

REFUSED = {
    "still_animated.avif": "9 pictures",
    "still_burst.heic": "9 pictures",
    "matrix_ycgco.mp4": "colour matrix",
    "zip_frames_and_masks.zip": "several folders",
    "zip_two_cameras.zip": "several folders",
    "mp4_without_moov.mp4": "recording was not finished",
}
"""What the sentence says."""


@pytest.mark.parametrize("name", READ)
def test_a_case_is_tracked_to_its_last_frame(name: str, tmp_path: Path) -> None:
    info = probe(CASES / name, Limits())
    assert (info.frames, info.width, info.height) == READ[name]
    arguments = ["--method", "zero", "--grid", "4", "--frames", "0"]
    assert main(["track", str(CASES / name), *arguments, "--out", str(tmp_path / "tracks.npz")]) == 0
    assert len(Tracks.load(tmp_path / "tracks.npz").frames) == info.frames


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_that_cannot_be_read_is_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", str(CASES / name), "--method", "zero", "--out", str(tmp_path / "tracks.npz")]) == 2
    said = capsys.readouterr().err.strip()
    assert REFUSED[name] in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["seek_wrong_frame.mp4", "count_open_gop_cut.mkv", "avi_dropped_frames.avi"])
def test_one_index_is_one_picture(name: str) -> None:
    in_order = list(read_frames(CASES / name))
    for index, frame in enumerate(in_order):
        assert np.array_equal(read_frame(CASES / name, index), frame), index


def test_what_the_cases_show() -> None:
    assert probe(CASES / "still_tiled.avif", Limits()).width == 512
    transparent = read_frame(CASES / "alpha_vp9.webm", 5)[:, :90]
    assert transparent.min() > 240  # white, not the texture below
    counts = list(read_frames(CASES / "tif_low_counts"))
    assert len(np.unique(counts)) > 100
    assert "100 and 500" in probe(CASES / "tif_low_counts", Limits()).remark
