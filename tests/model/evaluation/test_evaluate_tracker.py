"""The evaluation as a person runs it, and the frames and queries that trackers are given."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pytest

from model.__main__ import main
from model.core.errors import BadInput, Stopped
from model.core.progress import Progress, Watch
from model.evaluation.annotations import AnnotatedClip, read_annotated
from model.evaluation.trackers.report import table
from model.evaluation.trackers.run import evaluate
from model.motion.tracks import Method, Tracks
from model.tracking.frame_to_frame import FirstFrames
from model.tracking.tracker import Tracker
from model.weights.registry import file_sha256
from tests.media import moving_frames, write_image
from tests.model.evaluation.annotated import moving_folder, moving_truth, write_badja, write_frames

VELOCITY = (2.0, 1.0)


def run(tmp_path: Path, capsys, *arguments: str) -> tuple[dict, str]:
    """The JSON and the table of `evaluate tracker`."""
    out = tmp_path / "result.json"
    assert main(["evaluate", "tracker", *arguments, "--out", str(out)]) == 0
    return json.loads(out.read_text()), capsys.readouterr().out


def method(result: dict, name: str) -> dict:
    (found,) = [one for one in result["methods"] if one["name"] == name]
    return found


def expected_still(truth: Tracks, first_only: bool) -> list[float]:
    """How far a point that stays is from the truth, in every evaluated frame that shows it."""
    distances = []
    for n in range(truth.points.shape[1]):
        seen = [t for t in range(len(truth.frames)) if truth.visibility[t, n] > 0.5]
        queries = seen[:1] if first_only else [t for t in seen if t % 5 == 0]
        for query in queries:
            for t in seen:
                if (t > query) if first_only else (t != query):
                    distances.append(abs(t - query) * math.hypot(*VELOCITY))
    return distances


@pytest.mark.parametrize("queries", ["first", "strided"])
def test_zero_motion_equals_the_closed_form_and_lucas_kanade_is_near(tmp_path, capsys, queries):
    truths = [
        moving_folder(tmp_path / "set" / "clip-0000", frames=8),
        moving_folder(tmp_path / "set" / "clip-0001", frames=11, size=(100, 120)),
    ]
    result, said = run(tmp_path, capsys, str(tmp_path / "set"), "--queries", queries)
    still = [expected_still(truth, queries == "first") for truth in truths]
    zero, lk = method(result, "zero"), method(result, "lk")
    for clip, distances in zip(zero["clips"], still, strict=True):
        assert clip["metrics"]["ate_visible"] == pytest.approx(fmean(distances), abs=1e-4)
        assert clip["metrics"]["visible_samples"] == len(distances)
    assert zero["mean"]["ate_visible"] == pytest.approx(fmean(map(fmean, still)), abs=1e-4)
    assert zero["pooled"]["ate_visible"] == pytest.approx(fmean(still[0] + still[1]), abs=1e-4)
    assert zero["pooled"]["median_visible"] == pytest.approx(median(still[0] + still[1]), abs=1e-4)
    assert zero["ratio_to_zero"] == 1
    assert lk["mean"]["ate_visible"] < 0.2
    assert lk["mean"]["delta_avg"] > 0.98
    assert lk["ratio_to_zero"] == pytest.approx(lk["mean"]["ate_visible"] / zero["mean"]["ate_visible"])
    assert result["settings"] == {
        "clips": ["set/clip-0000", "set/clip-0001"],
        "protocol": queries,
        "max_side": None,
    }
    assert result["versions"]["torch"]
    head, *rows = said.splitlines()
    assert head.split()[:2] == ["ATE", "visible"]
    assert [row.split()[0] for row in rows] == ["zero", "lk"]
    assert rows[0].split()[1] == f"{zero['mean']['ate_visible']:.2f}"


@pytest.mark.slow
def test_smaller_frames_and_networks_with_their_weights(tmp_path, capsys, pseudo_state_dict):
    import torch

    truth = moving_folder(tmp_path / "clip", frames=3, size=(64, 96))
    weights = tmp_path / "some.pth"
    torch.save(pseudo_state_dict, weights)
    result, said = run(
        *(tmp_path, capsys, str(tmp_path / "clip"), "--weights", str(weights), "--method", "zero"),
        *("--max-side", "48", "--device", "cpu"),
    )
    zero, pips = method(result, "zero"), method(result, f"pips {weights}")
    assert zero["mean"]["ate_visible"] == pytest.approx(fmean(expected_still(truth, True)) / 2, abs=1e-4)
    assert pips["weights_sha256"] == file_sha256(weights)
    assert pips["settings"]["precision"] == "float32"
    assert len(said.splitlines()) == 3


class Oracle:
    """Knows how points move from what number each frame has, which is written into its pixels."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.method = Method("oracle")

    def follow(self, frames: Iterable[np.ndarray], queries, watch, state=None) -> Iterator[FirstFrames]:
        numbers = [int(frame[0, 0, 0]) for frame in frames]
        watch.report("tracking", len(numbers))
        self.seen.append(numbers)
        steps = np.array(numbers)[:, None, None] - numbers[0]
        points = (queries + steps * np.array(VELOCITY)).astype(np.float32)
        yield FirstFrames(list(points), list(np.ones(points.shape[:2], bool)))


def numbered_clip(frames: int, visible: np.ndarray) -> AnnotatedClip:
    points = moving_truth(frames, (96, 128), VELOCITY, points_per_side=2).points
    return AnnotatedClip(
        name="numbered",
        read=lambda: iter(np.full((96, 128, 3), number, np.uint8) for number in range(frames)),
        size=(96, 128),
        points=points,
        visible=visible,
        annotated=np.ones_like(visible),
    )


def test_strided_tracks_forwards_and_backwards_from_every_fifth_frame():
    visible = np.ones((8, 4), bool)
    visible[0, 1] = visible[5, 2] = visible[:, 3] = False
    oracle = Oracle()
    (result,) = evaluate([numbered_clip(8, visible)], {"oracle": Tracker(oracle)}, "strided")
    assert oracle.seen == [[0, 1, 2, 3, 4, 5, 6, 7], [5, 6, 7], [5, 4, 3, 2, 1, 0]]
    assert result.mean.ate_visible == pytest.approx(0, abs=1e-5)
    assert result.mean.tracks == 4  # point 0 twice, points 1 and 2 once, point 3 never
    assert result.mean.survival == 1


def test_first_starts_where_each_point_is_first_visible():
    visible = np.ones((6, 4), bool)
    visible[:2, 1] = visible[:5, 2] = visible[:, 3] = False
    oracle = Oracle()
    (result,) = evaluate([numbered_clip(6, visible)], {"oracle": Tracker(oracle)}, "first")
    assert oracle.seen == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5]]  # nothing follows the last frame
    assert result.mean.ate_visible == pytest.approx(0, abs=1e-5)
    assert result.mean.visible_samples == 5 + 3


def test_progress_rises_and_stopping_is_honoured():
    clips = [numbered_clip(8, np.ones((8, 4), bool))] * 2
    trackers = {"a": Tracker(Oracle()), "b": Tracker(Oracle())}
    reports: list[Progress] = []
    evaluate(clips, trackers, "strided", Watch(reports.append))
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert done[-1] == reports[-1].total == 4
    assert any(value % 1 for value in done)
    polls = iter([False, False, True])
    with pytest.raises(Stopped):
        evaluate(clips, trackers, "strided", Watch(should_stop=lambda: next(polls)))


def test_clips_that_do_not_fit_their_truth_or_have_nothing_to_evaluate(tmp_path):
    moving_folder(tmp_path / "clip")
    (clip,) = read_annotated(tmp_path / "clip")
    (tmp_path / "clip" / "00007.png").unlink()
    with pytest.raises(BadInput, match="do not fit its true tracks"):
        evaluate([clip], {"zero": Tracker.load("zero")}, "first")
    with pytest.raises(BadInput, match="nothing to evaluate"):
        evaluate([numbered_clip(3, np.zeros((3, 4), bool))], {"zero": Tracker.load("zero")}, "first")


def test_a_metric_without_samples_is_a_dash():
    results = evaluate([numbered_clip(3, np.ones((3, 4), bool))], {"zero": Tracker.load("zero")}, "first")
    head, row = table(results).splitlines()
    end = head.index("ATE occluded") + len("ATE occluded")
    assert row[:end].endswith("  –")


def test_badja_is_evaluated_from_annotation_to_annotation(tmp_path, capsys):
    """Frames 1, 3 and 8 of a moving texture are annotated, at twice the frames' size."""
    pictures = moving_frames(10, (96, 128), VELOCITY)
    write_frames(tmp_path / "frames" / "dog", pictures)
    write_frames(tmp_path / "frames" / "cow", pictures)
    start = np.array([(30.0, 30.0), (60.0, 40.0), (80.0, 70.0), (-0.5, -0.5)])
    positions = np.stack([start + t * np.array(VELOCITY) for t in (1, 3, 8)])
    joints = (positions + 0.5) * 2 - 0.5
    joints[:, 3] = 0
    visible = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 1, 0]], bool)
    for name in ("dog", "cow"):
        write_badja(tmp_path / "badja" / f"{name}.json", joints, visible, [1, 3, 8])
    write_badja(tmp_path / "badja" / "cat.json", joints, visible, [1, 3, 8])
    out = tmp_path / "result.json"
    arguments = ["--badja", str(tmp_path / "badja"), "--frames-folder", str(tmp_path / "frames")]
    arguments += ["--annotated-size", "256x192", "--out", str(out)]
    assert main(["evaluate", "tracker", *arguments]) == 0
    said = capsys.readouterr()
    result = json.loads(out.read_text())
    assert "Without frames, left out: cat." in said.err
    # Visible at both ends: joints 0 and 1 over 2 frames, joints 0 and 2 over 5.
    step = math.hypot(*VELOCITY)
    distances = [2 * step, 2 * step, 5 * step, 5 * step]
    zero, lk = method(result, "zero"), method(result, "lk")
    assert [clip["name"] for clip in zero["clips"]] == ["cow", "dog"]
    for clip in zero["clips"]:
        assert clip["metrics"]["ate_visible"] == pytest.approx(fmean(distances), abs=1e-4)
        assert clip["metrics"]["median_visible"] == pytest.approx(median(distances), abs=1e-4)
        assert clip["metrics"]["occluded_samples"] == 1  # joint 1 in frame 8, at the annotator's guess
        assert clip["metrics"]["ate_occluded"] == pytest.approx(5 * step, abs=1e-4)
    assert zero["pooled"]["visible_samples"] == 8
    assert lk["pooled"]["ate_visible"] < 0.2
    assert result["settings"]["protocol"] == "chained"
    rows = said.out.splitlines()[1:]
    assert [row.split()[:2] for row in rows] == [
        [name, clip] for name in ("zero", "lk") for clip in ("cow", "dog", "pooled")
    ]


def test_joints_are_followed_to_the_end_where_the_area_is_known(tmp_path, capsys):
    """A joint counts within 0.2·sqrt(area), in frames of 512×320; one that comes into view later does not."""
    write_frames(tmp_path / "frames" / "dog", moving_frames(10, (160, 256), VELOCITY))
    positions = np.array([(30.0, 30.0), (60.0, 40.0)]) + np.array([0, 2, 8])[:, None, None] * np.array(
        VELOCITY
    )
    visible = np.array([[1, 0], [1, 1], [1, 1]], bool)
    write_badja(tmp_path / "badja" / "dog.json", positions, visible, [0, 2, 8])
    mask = np.zeros((160, 256, 3), np.uint8)
    mask[:20, :20] = 255  # 0.2 · sqrt(400) = 4 px: more than 2 steps of 2.24 px are too many
    folder = tmp_path / "badja" / "DAVIS" / "Annotations" / "Full-Resolution" / "dog"
    folder.mkdir(parents=True)
    for frame in (0, 2, 8):
        write_image(folder / f"{frame:05d}.png", mask)
    out = tmp_path / "result.json"
    arguments = ["--badja", str(tmp_path / "badja"), "--frames-folder", str(tmp_path / "frames")]
    assert main(["evaluate", "tracker", *arguments, "--out", str(out)]) == 0
    zero, lk = json.loads(out.read_text())["followed"]
    assert zero["mean"]["visible_samples"] == 2  # joint 0, in frames 2 and 8
    assert zero["mean"]["ate_visible"] == pytest.approx(2 * 5 * math.hypot(*VELOCITY), abs=1e-3)
    assert (zero["mean"]["pck_t"], lk["mean"]["pck_t"]) == (0, 1)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["mean", "0.0", "100.0"]


def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    moving_folder(tmp_path / "clip", frames=3)
    clip, out = str(tmp_path / "clip"), str(tmp_path / "result.json")
    badja = ["--badja", clip]
    for arguments, sentence in (
        ([], "Name at least one clip"),
        ([str(tmp_path / "nowhere")], "There is no file or folder"),
        ([clip, "--method", "magic"], "There is no method “magic”"),
        ([clip, "--method", "pips", "--weights", "nonsense"], "There are no weights “nonsense”"),
        ([clip, "--method", "raft"], "RAFT needs trained weights"),
        ([clip, "--raft-weights", "nothing.pth"], "There is no checkpoint file nothing.pth"),
        ([clip, "--queries", "last"], "is not one of 'first', 'strided'"),
        ([clip, "--max-side", "4"], "--max-side must be at least 32, not 4"),
        ([clip, "--out", str(tmp_path / "result.csv")], "--out must end in .json"),
        ([clip, "--out", str(tmp_path / "no" / "result.json")], "There is no folder"),
        ([clip, *badja], "--badja stands alone"),
        ([*badja, "--queries", "first"], "--badja stands alone"),
        (badja, "--badja needs --frames-folder"),
        ([clip, "--annotated-size", "9x9"], "belongs to --badja"),
        ([*badja, "--frames-folder", clip, "--annotated-size", "big"], "must be WIDTHxHEIGHT"),
    ):
        assert main(["evaluate", "tracker", "--out", out, *arguments]) == 2, arguments
        said = capsys.readouterr()
        assert sentence in said.err
        assert len(said.err.strip().splitlines()) == 1
        assert said.out == ""
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clip"]
