"""Comparing a prediction with tracks, and predictions as files: all against closed forms."""

import dataclasses

import numpy as np
import pytest

from model.core.errors import BadInput
from model.evaluation.comparison import compare
from model.motion.grid import query_grid
from model.motion.prediction import Prediction
from model.motion.tracks import Method, Tracks

SIZE = (128, 160)  # one pixel of a 256-high image is half a pixel of these
STEPS = np.arange(5, dtype=np.float32)[:, None, None]


def moved(velocity: tuple[float, float], frames=range(3, 8), name: str = "pips") -> Tracks:
    """A 2 × 2 grid that moves steadily from frame 3 on; all visible."""
    frames = np.array(frames, np.int32)
    steps = (frames - frames[0]).astype(np.float32)[:, None, None]
    points = query_grid(2, SIZE) + steps * np.float32(velocity)
    return Tracks(points, np.ones(points.shape[:2], np.float32), frames, SIZE, 25.0, (2, 2), Method(name))


def test_errors_are_distances_to_the_reference():
    found = compare(moved((3.0, 4.0)), moved((3.0, 0.0)))
    assert found.frames.tolist() == [3, 4, 5, 6, 7]
    # 4 px a frame: 16 px at the end, and (4 + 8 + 12 + 16) / 4 on the way.
    np.testing.assert_allclose(found.final_error, 16, atol=1e-4)
    np.testing.assert_allclose(found.path_error, 10, atol=1e-4)
    assert dataclasses.astuple(found.pixels) == pytest.approx((16, 16, 10, 10), abs=1e-4)
    assert found.metrics.epe == pytest.approx(32, abs=1e-4)  # 256 pixels for 128
    assert found.metrics.ade == pytest.approx(20, abs=1e-4)
    assert found.metrics.cosine == pytest.approx(0.6)  # (3, 4) and (1, 0)
    assert np.isnan(found.metrics.coverage)
    # Zero motion misses the whole way of 5 px a frame.
    assert dataclasses.astuple(found.zero_pixels) == pytest.approx((20, 20, 12.5, 12.5), abs=1e-4)
    assert found.zero_metrics.epe == pytest.approx(40, abs=1e-4)
    assert found.zero_metrics.cosine == 0


def test_only_points_that_the_reference_shows_at_the_end_count():
    reference = moved((2.0, 0.0))
    visibility = reference.visibility.copy()
    visibility[-1, 1] = 0.2
    visibility[2, 2] = 0.2  # hidden on the way: it counts
    reference = dataclasses.replace(reference, visibility=visibility)
    candidate = moved((2.0, 0.0))
    candidate.points[1:, 1] += 100
    candidate.points[1:, 3] += [0, 6]
    found = compare(reference, candidate)
    assert found.counted.tolist() == [True, False, True, True]
    assert np.isnan(found.final_error[1])
    assert np.isnan(found.path_error[1])
    np.testing.assert_allclose(found.final_error[found.counted], [0, 0, 6], atol=1e-4)
    assert (found.pixels.mean_final, found.pixels.median_final) == pytest.approx((2, 0), abs=1e-4)
    assert found.metrics.points == 3


def test_frames_that_only_one_of_them_has_are_left_out():
    long = moved((1.0, 0.0), range(3, 40))
    ends = moved((1.0, 0.0), (3, 10))  # a prediction of the end alone
    found = compare(long, ends)
    assert found.frames.tolist() == [3, 10]
    assert found.pixels.mean_final == pytest.approx(0, abs=1e-4)
    assert found.zero_pixels.mean_final == pytest.approx(7, abs=1e-4)
    with pytest.raises(
        BadInput, match=r"share no frame after frame 3; track up to frame 10 of the candidate"
    ):
        compare(moved((1.0, 0.0), range(3, 9)), ends)


def test_a_reference_that_shows_nothing_at_the_end_measures_nothing():
    reference = moved((1.0, 0.0))
    reference = dataclasses.replace(reference, visibility=np.zeros_like(reference.visibility))
    found = compare(reference, moved((1.0, 0.0)))
    assert not found.counted.any()
    assert found.metrics.points == 0
    assert np.isnan([found.pixels.mean_final, found.metrics.epe, found.zero_metrics.ade]).all()


def predicted(tracks: Tracks) -> Prediction:
    """Two hypotheses: the answer itself (60 %), and the same 8 px lower at the end; an interval around."""
    other = tracks.points.copy()
    other[1:] += np.float32([0, 8])
    reach = np.float32([1, 2]) * STEPS[: len(tracks.frames)]
    return Prediction(
        tracks,
        np.stack([tracks.points, other]),
        np.float32([[0.6] * 4, [0.4] * 4]),
        np.stack([tracks.points - reach, tracks.points + reach]).astype(np.float32),
        np.ones(4, np.float32),
    )


def test_the_nearest_hypothesis_and_the_interval_are_measured():
    candidate = moved((0.0, 0.0), name="fcn")
    reference = moved((0.0, 0.0))
    reference.points[1:] += np.float32([0, 8])  # what the second hypothesis says
    found = compare(reference, candidate, predicted(candidate))
    assert found.metrics.hypotheses == 2
    assert found.metrics.epe == pytest.approx(16, abs=1e-4)
    assert found.metrics.best_ade == pytest.approx(16, abs=1e-4)
    assert found.metrics.min_ade == pytest.approx(0, abs=1e-4)
    assert found.metrics.coverage == 1.0  # at the end up to 4 px in x and 8 in y
    reference.points[1:] += np.float32([0, 0.5])
    assert compare(reference, candidate, predicted(candidate)).metrics.coverage == 0.5


@pytest.mark.parametrize(
    ("candidate", "sentence"),
    [
        (moved((0, 0), range(4, 9)), "begin in frames 3 and 4; track from frame 4"),
        (dataclasses.replace(moved((0, 0)), size=(128, 161)), "160×128 and 161×128 pixels"),
        (moved((0, 0), [3]), "one frame only"),
        (
            dataclasses.replace(
                moved((0, 0)),
                points=moved((0, 0)).points[:, :3],
                visibility=np.ones((5, 3), np.float32),
                grid=None,
            ),
            "they have 4 and 3",
        ),
        (dataclasses.replace(moved((0, 0)), points=moved((0, 0)).points + np.float32(0.06)), "same points"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(candidate, sentence):
    with pytest.raises(BadInput, match=sentence):
        compare(moved((0, 0)), candidate)


def test_points_within_a_20th_of_a_pixel_are_the_same():
    candidate = dataclasses.replace(moved((0, 0)), points=moved((0, 0)).points + np.float32(0.04))
    assert compare(moved((0, 0)), candidate).pixels.mean_final == pytest.approx(0.04 * 2**0.5, abs=1e-4)


def test_a_prediction_is_read_as_it_was_written(tmp_path):
    written = predicted(moved((1.0, 2.0), name="fcn"))
    written.save(tmp_path / "motion.npz")
    read = Prediction.load(tmp_path / "motion.npz")
    for name in ("hypotheses", "weights", "interval"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    np.testing.assert_array_equal(read.tracks.points, written.tracks.points)
    assert read.tracks.method == written.tracks.method


def test_a_file_that_is_no_prediction_is_one_sentence(tmp_path):
    written = predicted(moved((1.0, 2.0)))
    written.tracks.save(tmp_path / "tracks.npz")
    with pytest.raises(BadInput, match=r"tracks.npz holds tracks, but no prediction"):
        Prediction.load(tmp_path / "tracks.npz")
    written.tracks.save(tmp_path / "part.npz", {"interval": written.interval})
    with pytest.raises(BadInput, match=r"part.npz is damaged"):
        Prediction.load(tmp_path / "part.npz")
    written.tracks.save(
        tmp_path / "shape.npz",
        {
            "interval": written.interval[:1],
            "hypotheses": written.hypotheses,
            "hypothesis_weights": written.weights,
            "moving": written.moving,
            "withheld": np.asarray(written.withheld),
        },
    )
    with pytest.raises(BadInput, match="interval must be"):
        Prediction.load(tmp_path / "shape.npz")
    written.save(tmp_path / "motion.npz")
    content = (tmp_path / "motion.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match=r"cut.npz is damaged"):
        Prediction.load(tmp_path / "cut.npz")
    with pytest.raises(BadInput, match=r"There is no file gone.npz"):
        Prediction.load(tmp_path / "gone.npz")
