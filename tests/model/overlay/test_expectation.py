"""What a prediction expects, in words: where, how likely, and which way if that is told."""

import numpy as np
import pytest

from model.motion.grid import query_grid
from model.motion.prediction import Prediction
from model.motion.tracks import Method, Tracks
from model.overlay.arrows import draw_prediction
from model.overlay.expectation import describe, expected_way

SIZE, GRID = (120, 200), 10


def prediction(moving: np.ndarray, right: float, left: float, *, withheld: bool = False) -> Prediction:
    """Points that go 20 px to the right or the left with shares of how likely they move, else stay."""
    queries = query_grid(GRID, SIZE)
    count = GRID**2
    ends = [np.array([0, 0], np.float32), np.array([20, 0], np.float32), np.array([-20, 0], np.float32)]
    hypotheses = np.stack([np.stack([queries, queries + end]) for end in ends])
    flat = moving.ravel().astype(np.float32)
    weights = np.stack([1 - flat, right * flat, left * flat]).astype(np.float32)
    points = np.stack([queries, queries])
    tracks = Tracks(
        points, np.ones((2, count), np.float32), np.array([0, 7], np.int32), SIZE, 15.0, (GRID, GRID),
        Method("fcn"),
    )  # fmt: skip
    return Prediction(tracks, hypotheses, weights, np.stack([points, points]), flat, withheld)


def patch(rows: slice, columns: slice, share: float, rest: float = 0.05) -> np.ndarray:
    moving = np.full((GRID, GRID), rest)
    moving[rows, columns] = share
    return moving


def test_a_part_that_moves_to_one_side() -> None:
    said = describe(prediction(patch(slice(3, 7), slice(3, 7), 0.7), 0.9, 0.1))
    assert said == (
        "Within 0.5 s what is in the middle (16% of the picture) likely moves to the right; the rest most "
        "likely stays."
    )


def test_a_part_of_which_the_direction_is_not_told() -> None:
    said = describe(prediction(patch(slice(0, 3), slice(7, 10), 0.9), 0.5, 0.5))
    assert "at the top right (9% of the picture) very likely moves, which way cannot be told" in said


def test_two_parts_are_told_the_larger_first() -> None:
    moving = patch(slice(0, 4), slice(0, 3), 0.6)
    moving[7:, 7:] = 0.85
    said = describe(prediction(moving, 0.0, 1.0))
    assert said.index("at the top left") < said.index("at the bottom right")
    assert said.count("to the left") == 2


def test_nothing_likely_is_said_so() -> None:
    assert "nothing is likely to move" in describe(prediction(patch(slice(0), slice(0), 0), 1, 0))
    assert "perhaps moves" in describe(prediction(patch(slice(2, 5), slice(2, 5), 0.35), 1, 0))
    assert describe(prediction(patch(slice(0), slice(0), 0), 1, 0, withheld=True)).startswith("This picture")


def test_everything_may_move() -> None:
    said = describe(prediction(np.full((GRID, GRID), 0.9), 1, 0))
    assert said == "Within 0.5 s nearly everything very likely moves to the right."


@pytest.mark.parametrize(("right", "left", "told"), [(0.9, 0.1, True), (0.5, 0.5, False), (0.6, 0.4, False)])
def test_the_way_is_the_likeliest_and_its_certainty_the_agreement(
    right: float, left: float, told: bool
) -> None:
    way = expected_way(prediction(np.full((GRID, GRID), 0.4), right, left))
    assert way.end[0].tolist() == [20, 0]
    assert way.certainty == pytest.approx(right - left, abs=1e-5)
    assert bool(way.has_direction.all()) is told


def test_what_is_likelier_is_drawn_stronger_and_the_rest_is_left_out() -> None:
    image = np.full((*SIZE, 3), 128, np.uint8)
    blank = draw_prediction(image, prediction(np.zeros((GRID, GRID)), 1, 0)).astype(int)
    faint = draw_prediction(image, prediction(np.full((GRID, GRID), 0.3), 1, 0)).astype(int)
    strong = draw_prediction(image, prediction(np.full((GRID, GRID), 0.9), 1, 0)).astype(int)
    assert len(np.unique(blank)) == 1
    assert 0 < np.abs(faint - blank).sum() < np.abs(strong - blank).sum()
