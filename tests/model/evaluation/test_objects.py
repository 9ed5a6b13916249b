"""Points on masked objects: a textured square that moves by known steps, against counts made by hand."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from model.__main__ import main
from model.evaluation.objects import evaluate_objects, points_inside, read_masked
from model.motion.tracks import Method
from model.tracking.frame_to_frame import FirstFrames
from model.tracking.tracker import Tracker
from tests.media import moving_frames, write_image
from tests.model.evaluation.annotated import write_frames

SIZE, SIDE, LEFT, TOP = (288, 512), 15, 100, 90


def square(frame: int) -> np.ndarray:
    """The mask of a square of 15 px that goes right by 1 px a frame, on images of twice the frames' size."""
    mask = np.zeros(SIZE, np.uint8)
    mask[TOP : TOP + SIDE, LEFT + frame : LEFT + frame + SIDE] = 7
    return np.repeat(mask.repeat(2, axis=0).repeat(2, axis=1)[..., None], 3, axis=2)


def moving_square(root: Path, name: str, frames: int) -> tuple[str, ...]:
    """Write a sequence and return the options that name it."""
    write_frames(root / "frames" / name, moving_frames(frames, SIZE, (1.0, 0.0)))
    write_frames(root / "masks" / name, [square(frame) for frame in range(frames)])
    return "--masks", str(root / "masks"), "--frames-folder", str(root / "frames")


@pytest.mark.slow
def test_zero_motion_equals_the_count_and_lucas_kanade_holds(tmp_path, capsys):
    options = moving_square(tmp_path, "square", 20)
    out = tmp_path / "result.json"
    assert main(["evaluate", "tracker", *options, "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    zero, lk = result["methods"]
    assert [zero["name"], lk["name"]] == ["zero", "lk"]
    # Two chunks; of 9 columns that are 3 px inside at first, 7 are within 2 px of the square 7 px further.
    assert zero["sequences"][0]["points"] == 2 * 9 * 9
    assert zero["mean"]["inside"] == pytest.approx(7 / 9)
    assert zero["mean"]["there_and_back"] == 1
    assert lk["mean"] == {"inside": 1, "there_and_back": 1}
    assert result["settings"] == {"masks": ["square"], "chunk_step": 1}
    head, row, mean, _ = capsys.readouterr().out.splitlines()
    assert head.split()[-2:] == ["zero", "lk"]
    assert row.split() == ["square", "77.8", "100.0", "100.0", "100.0"]
    assert mean.split()[0] == "mean"
    assert main(["evaluate", "tracker", *options, "--chunk-step", "2", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["methods"][0]["sequences"][0]["points"] == 9 * 9


class Drifting:
    """Puts every point a little more to the left in each frame, whatever the frames show."""

    def __init__(self, drift: float) -> None:
        self.drift = drift
        self.method = Method("drifting")

    def follow(self, frames: Iterable[np.ndarray], queries, watch, state=None) -> Iterator[FirstFrames]:
        count = sum(1 for _ in frames)
        shift = np.arange(count)[:, None, None] * np.array([-self.drift, 0])
        points = (queries + shift).astype(np.float32)
        yield FirstFrames(list(points), list(np.ones(points.shape[:2], bool)))


@pytest.mark.slow
def test_drift_is_counted_twice_there_and_back_and_sequences_weigh_alike(tmp_path):
    moving_square(tmp_path, "long", 32)
    moving_square(tmp_path, "short", 8)
    sequences = read_masked(tmp_path / "masks", tmp_path / "frames")
    trackers = {"slow": Tracker(Drifting(0.14)), "fast": Tracker(Drifting(0.15))}
    slow, fast = evaluate_objects(sequences, trackers)
    assert [one.points for one in slow.sequences] == [3 * 81, 81]
    assert (slow.mean.there_and_back, fast.mean.there_and_back) == (1, 0)  # 1.96 and 2.1 px
    assert slow.mean.inside == pytest.approx(6 / 9)  # one px to the left: one column fewer


def test_at_most_96_points_well_inside_and_the_same_ones_again():
    mask = np.zeros(SIZE, bool)
    mask[20:80, 30:100] = True
    points = points_inside(mask, seed=12)
    assert len(np.unique(points, axis=0)) == 96
    assert points.min(axis=0).tolist() >= [33, 23]
    assert (points.max(axis=0) <= [96, 76]).all()
    assert np.array_equal(points, points_inside(mask, seed=12))
    assert len(points_inside(np.zeros(SIZE, bool), seed=0)) == 0


def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    options = moving_square(tmp_path, "square", 8)
    (tmp_path / "empty").mkdir()
    write_frames(tmp_path / "dark" / "square", [square(0) * 0] * 8)
    write_frames(tmp_path / "few" / "square", [square(0)] * 7)
    (tmp_path / "other" / "elsewhere").mkdir(parents=True)
    write_image(tmp_path / "other" / "elsewhere" / "00000.png", square(0))
    frames = options[2:]
    for arguments, sentence in (
        (options[:2], "--masks needs --frames-folder"),
        (frames, "Name at least one clip"),
        ([*options, "--queries", "first"], "--masks stands alone"),
        ([*options, "--badja", str(tmp_path)], "stands alone"),
        ([*options, "--max-side", "64"], "--masks measures at 512×288"),
        ([str(tmp_path), "--chunk-step", "2"], "--chunk-step belongs to --masks"),
        (["--masks", str(tmp_path / "nowhere"), *frames], "There is no folder nowhere"),
        (["--masks", str(tmp_path / "empty"), *frames], "should hold a folder of masks"),
        (["--masks", str(tmp_path / "dark"), *frames], "show no object"),
        (["--masks", str(tmp_path / "few"), *frames], "should have the same names"),
        (["--masks", str(tmp_path / "other"), *frames], "There is no folder elsewhere with the frames"),
    ):
        assert main(["evaluate", "tracker", *arguments]) == 2, arguments
        said = capsys.readouterr()
        assert sentence in said.err
        assert said.out == ""
