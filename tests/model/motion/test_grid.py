"""The grid against the formula of the authors' demo, and the mapping between image sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.core.errors import BadInput
from model.motion.grid import WORKING_SIZE, query_grid, rescale_points


@given(side=st.integers(2, 64))
def test_is_the_authors_grid_at_the_working_size(side):
    points = query_grid(side, WORKING_SIZE)
    assert points.dtype == np.float32
    assert points.shape == (side * side, 2)
    for row in range(side):
        for column in (0, side // 2, side - 1):
            expected = (8 + column / (side - 1) * (640 - 16), 8 + row / (side - 1) * (360 - 16))
            np.testing.assert_allclose(points[row * side + column], expected, atol=1e-4)


def test_one_point_is_the_centre():
    np.testing.assert_allclose(query_grid(1, WORKING_SIZE), [[320, 180]])


@given(side=st.integers(1, 64), height=st.integers(8, 4000), width=st.integers(8, 4000))
def test_lies_within_any_frame(side, height, width):
    points = query_grid(side, (height, width))
    assert (points > -0.5).all()
    assert (points[:, 0] < width - 0.5).all()
    assert (points[:, 1] < height - 0.5).all()


@pytest.mark.parametrize("side", [0, -3, 65])
def test_other_sizes_are_refused(side):
    with pytest.raises(BadInput, match=f"1 to 64 points a side, not {side}"):
        query_grid(side, WORKING_SIZE)


def test_rescaling_keeps_pixel_areas_aligned():
    """The centre of 2×2 pixels becomes the centre of the one pixel that they are reduced to."""
    np.testing.assert_allclose(rescale_points(np.array([[0.5, 2.5]]), (8, 8), (4, 4)), [[0, 1]])


size = st.tuples(st.integers(8, 4000), st.integers(8, 4000))


@given(source=size, target=size, x=st.floats(-100, 4000), y=st.floats(-100, 4000))
def test_rescaling_there_and_back_changes_nothing(source, target, x, y):
    point = np.array([[x, y]], np.float32)
    back = rescale_points(rescale_points(point, source, target), target, source)
    enlarged = max(1, source[0] / target[0], source[1] / target[1])
    # Each of the two results is rounded to 24 bits; the point may lie far outside a small source.
    assert np.abs(back - point).max() <= 2e-7 * (np.abs(point).max() + 1 + enlarged)
