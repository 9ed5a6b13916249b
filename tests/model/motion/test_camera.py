"""The camera's motion from tracks, against cameras that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.motion.camera import LEAST_SHARE, find_camera, transform
from model.motion.grid import query_grid

SIZE = (256, 448)
FRAMES = 8
MIDDLE = np.array([223.5, 127.5])


def camera_of(
    pan: tuple[float, float] = (0, 0), zoom: float = 1.0, turn: float = 0.0, tilt: float = 0.0
) -> NDArray[np.float64]:
    """Homographies `[T, 3, 3]`; each frame: pan in px, zoom as a factor, turn in radians, tilt in 1/px."""
    homographies = []
    to_middle, back = np.eye(3), np.eye(3)
    to_middle[:2, 2], back[:2, 2] = -MIDDLE, MIDDLE
    for t in range(FRAMES):
        scale, angle = zoom**t, turn * t
        motion = np.array(
            [
                [scale * np.cos(angle), -scale * np.sin(angle), pan[0] * t],
                [scale * np.sin(angle), scale * np.cos(angle), pan[1] * t],
                [tilt * t, 0, 1],
            ]
        )
        whole = back @ motion @ to_middle
        homographies.append(whole / whole[2, 2])
    return np.stack(homographies)


def filmed(homographies: NDArray[np.float64], noise: float = 0.3, seed: int = 0) -> NDArray[np.float32]:
    """A still scene's grid as this camera films it, with a tracker's noise in pixels."""
    queries = query_grid(16, SIZE)
    points = np.stack([transform(one, queries) for one in homographies])
    points[1:] += np.random.default_rng(seed).normal(0, noise, points[1:].shape)
    return points.astype(np.float32)


def add_object(
    points: NDArray[np.float32], where: NDArray[np.bool_], velocity: tuple[float, float]
) -> NDArray[np.float32]:
    """Let the chosen points move by `velocity` pixels a frame beside what the camera does."""
    moved = points.copy()
    moved[:, where] += np.arange(FRAMES)[:, None, None] * np.array(velocity, np.float32)
    return moved


def block(left: float, right: float, top: float, bottom: float) -> NDArray[np.bool_]:
    """The grid's points in a rectangle, in shares of the frame."""
    x, y = (query_grid(16, SIZE) / np.array(SIZE[::-1])).T
    return (x >= left) & (x < right) & (y >= top) & (y < bottom)


ALL_SEEN = np.ones((FRAMES, 256), bool)
CAMERAS = {
    "static": camera_of(),
    "pan": camera_of(pan=(-9.0, 1.5)),
    "zoom in": camera_of(zoom=1.03),
    "zoom out": camera_of(zoom=0.97),
    "turn": camera_of(turn=0.02),
    "tilt": camera_of(pan=(3, 0), tilt=2e-5),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_still_points_stay_within_half_a_pixel_beside_a_moving_object(name: str) -> None:
    still = ~block(0.3, 0.7, 0.3, 0.9)
    points = add_object(filmed(CAMERAS[name]), ~still, (5.0, -2.0))
    camera = find_camera(points, ALL_SEEN, SIZE)
    assert camera is not None
    assert camera.is_found.all()
    true_scene = query_grid(16, SIZE)[still]
    with_noise_free_tracks = camera.remove(filmed(CAMERAS[name], noise=0))
    away = np.linalg.norm(with_noise_free_tracks[:, still] - true_scene, axis=2)
    assert np.median(away[-1]) < 0.5
    assert away.max() < 2


@settings(max_examples=25, deadline=None)
@given(
    pan=st.tuples(st.floats(-15, 15), st.floats(-8, 8)),
    zoom=st.floats(0.96, 1.04),
    turn=st.floats(-0.03, 0.03),
    velocity=st.tuples(st.floats(3, 9), st.floats(-9, -3)),
    seed=st.integers(0, 1000),
)
def test_an_object_moves_in_the_scene_as_it_does_without_a_camera(
    pan: tuple[float, float], zoom: float, turn: float, velocity: tuple[float, float], seed: int
) -> None:
    homographies = camera_of(pan, zoom, turn)
    inside = block(0.55, 0.85, 0.4, 0.8)
    queries = query_grid(16, SIZE)
    scene = np.repeat(queries[None], FRAMES, axis=0).astype(np.float64)
    scene[:, inside] += np.arange(FRAMES)[:, None, None] * np.array(velocity)
    points = np.stack([transform(h, s) for h, s in zip(homographies, scene, strict=True)])
    points[1:] += np.random.default_rng(seed).normal(0, 0.3, points[1:].shape)
    seen = (points >= 0).all(axis=2) & (points <= np.array(SIZE[::-1]) - 1).all(axis=2)
    camera = find_camera(points.astype(np.float32), seen, SIZE)
    assert camera is not None
    last = int(np.flatnonzero(camera.is_found)[-1])
    away = np.linalg.norm(camera.remove(points)[last] - scene[last], axis=1)
    assert np.median(away) < 0.7
    assert np.median(away[inside]) < 1.5


def test_a_followed_object_larger_than_the_background_that_leaves_the_border_is_not_the_scene() -> None:
    inside = block(0.1, 0.9, 0.1, 0.85)
    assert inside.mean() > 0.5
    points = filmed(camera_of(pan=(-7, 0)))
    points = add_object(points, inside, (7.0, 0.0))  # the camera follows it
    camera = find_camera(points, ALL_SEEN, SIZE)
    assert camera is not None
    moved = camera.remove(points)[-1] - points[0]
    assert np.linalg.norm(moved[~inside], axis=1).mean() < 1
    np.testing.assert_allclose(moved[inside].mean(axis=0), [49, 0], atol=1.5)


def test_an_object_of_many_motions_that_fills_the_frame_is_no_camera() -> None:
    rng = np.random.default_rng(3)
    points = filmed(camera_of(), noise=0)
    points[1:] += np.cumsum(rng.normal(0, 6, (FRAMES - 1, 256, 2)), axis=0)
    assert find_camera(points, ALL_SEEN, SIZE) is None


def test_hidden_points_are_not_asked_and_a_frame_without_any_has_no_camera() -> None:
    points = filmed(camera_of(pan=(4, 0)))
    seen = ALL_SEEN.copy()
    seen[3] = False
    lost = block(0, 0.4, 0, 1)
    points[4:, lost] += 60
    seen[4:, lost] = False
    camera = find_camera(points, seen, SIZE)
    assert camera is not None
    assert camera.is_found.tolist() == [True] * 3 + [False] + [True] * 4
    assert np.isnan(camera.homographies[3]).all()
    assert np.isnan(camera.remove(points)[3]).all()
    assert camera.share[5] > 0.95
    assert camera.share[3] == 0


def test_it_is_the_same_each_time_and_the_first_frame_is_the_identity() -> None:
    points = add_object(filmed(camera_of(pan=(4, 2), zoom=1.01)), block(0.5, 0.9, 0.5, 0.9), (3, 3))
    one, other = (find_camera(points, ALL_SEEN, SIZE) for _ in range(2))
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.homographies, other.homographies)
    np.testing.assert_array_equal(one.homographies[0], np.eye(3))
    assert LEAST_SHARE < one.share[-1] < 0.95


def test_too_few_points_are_no_evidence() -> None:
    points = filmed(camera_of(pan=(2, 0)))
    assert find_camera(points[:, :63], ALL_SEEN[:, :63], SIZE) is None
    assert find_camera(points[:, ::4], ALL_SEEN[:, ::4], SIZE) is not None
