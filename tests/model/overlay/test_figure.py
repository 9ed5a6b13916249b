"""The figure of tracks: exact numbers, honest colours, light JSON."""

import base64
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model.motion.grid import query_grid
from model.motion.prediction import Prediction
from model.motion.tracks import Method, Tracks
from model.overlay.figure import figure_json
from model.overlay.html import write_html
from model.overlay.motion import summary
from model.overlay.numbers import shown_first
from model.overlay.truth import TrueMotion, true_motion

SIZE = (90, 160)


def make(points: NDArray[np.floating], visible: NDArray[np.bool_] | None = None, step: int = 1) -> Tracks:
    """Tracks `[T, N, 2]` in a small frame; all visible unless said otherwise."""
    frames, count, _ = points.shape
    visible = np.ones((frames, count), dtype=bool) if visible is None else visible
    return Tracks(
        points.astype(np.float32),
        np.where(visible, 0.9, 0.1).astype(np.float32),
        (3 + step * np.arange(frames)).astype(np.int32),
        SIZE,
        25.0,
        None,
        Method("lk"),
    )


def drift(side: int, frames: int, velocity: tuple[float, float]) -> NDArray[np.float64]:
    """A grid that moves as a whole."""
    time = np.arange(frames)[:, None, None]
    return query_grid(side, SIZE) + time * np.array(velocity)


def test_the_picture_covers_pixels_whose_centres_are_integers() -> None:
    picture = np.zeros((*SIZE, 3), dtype=np.uint8)
    picture[:, :, 0] = 200
    layout = json.loads(figure_json(make(drift(2, 2, (1.0, 0.0))), picture))["layout"]
    (image,) = layout["images"]
    assert [image[key] for key in ("x", "y", "sizex", "sizey")] == [-0.5, -0.5, SIZE[1], SIZE[0]]
    assert layout["xaxis"]["range"] == [-0.5, SIZE[1] - 0.5]
    assert layout["yaxis"]["range"] == [SIZE[0] - 0.5, -0.5]
    decoded = Image.open(io.BytesIO(base64.b64decode(image["source"].split(",")[1])))
    assert decoded.size == (SIZE[1], SIZE[0])
    assert abs(np.asarray(decoded)[40, 40].astype(int) - [200, 0, 0]).max() <= 3


def test_4096_points_over_8_frames_are_light() -> None:
    tracks = make(drift(64, 8, (1.0, 0.5)))
    text = figure_json(tracks, "/x.jpg")
    assert len(text) < 450_000  # 8 bytes a position, 1 of visibility and 2 of colour for each point
    numbers = json.loads(text)["layout"]["meta"]["stillmotion"]
    np.testing.assert_array_equal(array(numbers["points"]).reshape(8, 4096, 2), tracks.points)


def test_eight_bits_of_visibility_keep_what_reads_as_visible() -> None:
    tracks = make(drift(2, 2, (1.0, 0.0)))
    values = np.array([[0.0, 0.5, 0.5001, 1.0]] * 2, dtype=np.float32)
    tracks = Tracks(tracks.points, values, tracks.frames, SIZE, 25.0, None, tracks.method)
    coded = json.loads(figure_json(tracks, "/x.jpg"))["layout"]["meta"]["stillmotion"]["visibility"]
    stored = np.frombuffer(base64.b64decode(coded["bdata"]), dtype=np.uint8).reshape(2, 4)
    np.testing.assert_array_equal(stored > 127, tracks.visible)


def numbers_of(tracks: Tracks, truth: TrueMotion | None = None) -> dict[str, Any]:
    content = json.loads(figure_json(tracks, "/x.jpg", truth=truth))
    numbers: dict[str, Any] = content["layout"]["meta"]["stillmotion"]
    return numbers


def array(coded: dict[str, Any]) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(coded["bdata"]), dtype=np.dtype(coded["dtype"]))


def test_seams_are_listed_row_by_row() -> None:
    handovers = np.zeros((5, 4), dtype=bool)
    handovers[2, [1, 3]] = handovers[4, 0] = True
    tracks = dataclasses.replace(make(drift(2, 5, (1.0, 0.0))), handovers=handovers)
    assert array(numbers_of(tracks)["handovers"]).tolist() == [9, 11, 16]
    assert numbers_of(make(drift(2, 5, (1.0, 0.0))))["handovers"]["bdata"] == ""


def test_many_positions_are_rounded_to_a_32nd_of_a_pixel() -> None:
    points = drift(64, 150, (0.31, -0.17)).astype(np.float32)
    points[:, 5] = 1e6  # far outside, where nobody looks
    tracks = make(points)
    numbers = numbers_of(tracks)
    scale = numbers["scale"]
    shown = array(numbers["points"]).reshape(150, 4096, 2) * scale["step"] + scale["origin"]
    others = np.arange(4096) != 5
    assert np.abs(shown - points)[:, others].max() <= 1 / 64
    assert (shown[:, 5] > [SIZE[1], SIZE[0]]).all()
    # 4 bytes a position and 1 of visibility, times 4/3 for base64.
    assert len(figure_json(tracks, "/x.jpg")) < 150 * 4096 * 5 * 4 / 3 + 100_000


def test_the_true_motion_is_compared_where_it_is_visible_and_starts_at_the_same_points() -> None:
    truth = make(
        drift(2, 6, (2.0, 0.0)), np.array([[True, True, True, True]] * 3 + [[False, True, True, True]] * 3)
    )
    found = drift(2, 6, (2.0, 0.0))[1:5:2]  # the frames 4 and 6 of 3 to 8
    found = found - found[0] + query_grid(2, SIZE)
    tracks = dataclasses.replace(make(found), frames=np.array([3, 5], dtype=np.int32))
    compared = true_motion(tracks, truth)
    assert compared is not None
    np.testing.assert_allclose(compared.points, truth.points[[0, 2]])
    assert compared.summary.startswith("Mean error 0.00 px, median 0.00 px, ")

    found = drift(2, 6, (2.0, 0.0))
    found[1:, 0] += [3.0, 4.0]  # 5 px; hidden from the 4th frame on, so it counts in 2 of 17 comparisons
    compared = true_motion(make(found), truth)
    assert compared is not None
    assert compared.summary == (
        "Mean error 0.59 px, median 0.00 px, against the true motion, over 4 points where they are visible."
    )
    numbers = numbers_of(make(found), compared)["truth"]
    np.testing.assert_array_equal(array(numbers["points"]).reshape(6, 4, 2), truth.points)
    assert array(numbers["visible"]).reshape(6, 4).tolist() == truth.visible.tolist()


def test_truth_of_other_points_or_frames_is_not_compared() -> None:
    truth = make(drift(2, 6, (2.0, 0.0)))
    elsewhere = true_motion(make(drift(3, 6, (2.0, 0.0)) + 1.0), truth)
    assert elsewhere is not None
    assert elsewhere.summary.startswith("The true motion is known for 4 points from frame 3")
    assert true_motion(make(drift(2, 7, (2.0, 0.0))), truth) is None


def test_the_summary_says_what_happened() -> None:
    visible = np.ones((3, 4), dtype=bool)
    visible[2, 0] = False
    tracks = make(drift(2, 3, (3.0, 4.0)), visible)
    assert summary(tracks) == (
        "4 points over 3 frames; median displacement 10.0 px, largest 10.0 px; 75% visible at the end."
    )


@pytest.mark.parametrize(("frames", "count"), [(1, 1), (1, 0), (3, 0)])
def test_the_smallest_tracks_have_a_figure(frames: int, count: int) -> None:
    tracks = make(np.zeros((frames, count, 2)))
    assert figure_json(tracks, "/x.jpg")
    assert summary(tracks).endswith(".")


def test_wrong_calls_are_errors(tmp_path: Any) -> None:
    tracks = make(drift(2, 3, (1.0, 0.0)))
    with pytest.raises(ValueError, match="position must be 0 to 2, not 3"):
        figure_json(tracks, "/x.jpg", position=3)
    with pytest.raises(ValueError, match="3 frames, as in the tracks, not 1"):
        write_html(tmp_path / "x.html", [np.zeros((*SIZE, 3), dtype=np.uint8)], tracks)
    assert list(tmp_path.iterdir()) == []


def test_a_prediction_says_so_and_carries_its_interval() -> None:
    points = drift(2, 2, (7.0, 0.0))
    tracks = dataclasses.replace(make(points, step=7), method=Method("fcn"), grid=(2, 2))
    interval = np.stack([points - 2, points + np.array([3, 1])]).astype(np.float32)
    ways = np.stack([points, points - 1]).astype(np.float32)
    weights = np.repeat([[0.8], [0.2]], 4, axis=1).astype(np.float32)
    prediction = Prediction(tracks, ways, weights, interval, np.float32([0, 0.25, 0.5, 1]), withheld=True)
    content = json.loads(figure_json(tracks, "/x.jpg", position=shown_first(tracks), prediction=prediction))
    numbers = content["layout"]["meta"]["stillmotion"]
    assert (numbers["is_prediction"], numbers["position"]) == (True, 1)
    for bound, expected in zip(("low", "high"), interval, strict=True):
        coded = numbers["interval"][bound]
        assert coded["scale"] is None
        np.testing.assert_array_equal(array(coded["points"]).reshape(2, 4, 2), expected)
    assert numbers["withheld"]
    assert array(numbers["moving"]).tolist() == [0, 64, 128, 255]
    assert array(numbers["hypotheses"]["weights"]).tolist() == [204] * 4 + [51] * 4
    np.testing.assert_array_equal(array(numbers["hypotheses"]["points"]).reshape(2, 2, 4, 2), ways)
    plain = dataclasses.replace(prediction, hypotheses=ways[:1], weights=np.ones((1, 4), np.float32))
    alone = json.loads(figure_json(tracks, "/x.jpg", prediction=plain))["layout"]["meta"]["stillmotion"]
    assert "hypotheses" not in alone
    assert "interval" not in numbers_of(tracks)
    assert not numbers_of(make(points))["is_prediction"]


def test_a_file_of_a_prediction_holds_its_interval(tmp_path: Path) -> None:
    points = drift(2, 2, (7.0, 0.0))
    tracks = dataclasses.replace(make(points, step=7), method=Method("fcn"), grid=(2, 2))
    interval = np.stack([points - 2, points + 2]).astype(np.float32)
    sure = np.ones((1, 4), np.float32)
    prediction = Prediction(tracks, tracks.points[None], sure, interval, sure[0])
    write_html(tmp_path / "motion.html", [np.zeros((*SIZE, 3), dtype=np.uint8)] * 2, tracks, prediction)
    page = (tmp_path / "motion.html").read_text(encoding="utf-8")
    coded = base64.b64encode(interval[0].tobytes()).decode()
    assert "Motion predicted with fcn" in page
    assert coded in page
