"""The camera taken out of frames and tracks, against a scene that is known."""

import numpy as np
import pytest

from model.__main__ import main
from model.clips.video import read_frames
from model.core.errors import BadInput
from model.motion.camera import transform
from model.motion.grid import query_grid
from model.motion.tracks import Method, Tracks
from model.overlay.motion import summary
from model.overlay.numbers import viewer_numbers
from model.overlay.render import without_camera
from tests.media import moving_clip, moving_frames

SIZE = (128, 192)
FRAMES = 8


def filmed(velocity=(-3.0, 0.0), moving=0, zoom=1.0, side=16):
    """A grid under a camera that moves and enlarges the picture; the first points go down by 2 px a frame."""
    t = np.arange(FRAMES)[:, None, None]
    middle = (np.array(SIZE[::-1]) - 1) / 2
    points = middle + (query_grid(side, SIZE) - middle) * zoom**t + t * np.array(velocity)
    points[:, :moving] += t * np.array([0.0, 2.0])
    visibility = np.ones(points.shape[:2], np.float32)
    frames = np.arange(FRAMES, dtype=np.int32) * 2
    tracks = Tracks(points.astype(np.float32), visibility, frames, SIZE, 25.0, (side, side), Method("lk"))
    return tracks.with_camera()


def test_scene_motion_is_what_moves_on_its_own():
    tracks = filmed(moving=32)
    scene = tracks.scene_motion()
    moved = scene.points[-1] - scene.points[0]
    np.testing.assert_allclose(moved[32:], 0, atol=0.1)
    np.testing.assert_allclose(moved[:32], np.tile([0, 14], (32, 1)), atol=0.3)
    assert scene.is_scene_motion
    assert not tracks.is_scene_motion


def test_frames_without_the_camera_show_still_things_where_they_first_are():
    velocity = (2.0, 1.0)
    frames = moving_frames(FRAMES, SIZE, velocity)
    tracks = filmed(velocity)
    warped = list(without_camera(iter(frames), tracks))
    assert len(warped) == FRAMES
    inside = np.s_[10:-10, 18:-18]  # what all frames show
    for picture in warped:
        difference = np.abs(picture[inside].astype(int) - frames[0][inside])
        assert difference.mean() < 2
    assert np.abs(frames[-1][inside].astype(int) - frames[0][inside]).mean() > 10


def test_frames_whose_camera_is_not_known_are_left_out():
    tracks = filmed()
    tracks.camera.homographies[3], tracks.camera.share[3] = np.nan, 0
    assert len(list(without_camera(moving_frames(FRAMES, SIZE), tracks))) == FRAMES - 1
    assert tracks.scene_motion().frames.tolist() == [0, 2, 4, 8, 10, 12, 14]


def test_without_a_camera_there_is_one_sentence():
    tracks = filmed(side=7)
    assert tracks.camera is None
    with pytest.raises(BadInput, match="No camera motion is known of these tracks"):
        tracks.scene_motion()
    with pytest.raises(BadInput, match="No camera motion is known of these tracks"):
        next(without_camera([], tracks))
    camera = viewer_numbers(tracks, 0, None, None)["camera"]
    assert (camera["is_removed"], camera["share"]) == (False, None)
    assert camera["reason"].startswith("No camera motion is known")


@pytest.mark.parametrize(
    ("tracks", "sentence"),
    [
        (filmed(), "The camera moves the picture 1.5 px a frame to the left; 0% of the points move"),
        (filmed((2, 2), moving=64), "The camera moves the picture 1.4 px a frame down and to the right; 25%"),
        (filmed((0, -4)), "The camera moves the picture 2.0 px a frame up; 0%"),
        (filmed((0, 0)), "The camera stands still; 0% of the points move on their own."),
        (filmed((0, 0), zoom=1.04), "The camera turns, or comes nearer or goes away; 0%"),
    ],
)
def test_the_summary_tells_what_the_camera_does(tracks, sentence):
    assert sentence in summary(tracks)
    assert "with the camera's motion taken out" in summary(tracks.scene_motion())


def test_the_numbers_say_how_many_points_follow_the_camera():
    numbers = viewer_numbers(filmed(), 0, None, None)["camera"]
    assert (numbers["is_removed"], numbers["share"], numbers["reason"]) == (False, 1.0, None)
    removed = viewer_numbers(filmed().scene_motion(), 0, None, None)["camera"]
    assert removed == {"is_removed": True, "share": None, "reason": None}


def test_the_command_draws_with_the_camera_removed(tmp_path):
    clip = moving_clip(tmp_path / "clip.mp4", FRAMES, SIZE, (2.0, 1.0))
    arguments = ["track", str(clip), "--method", "lk", "--grid", "10", "--out", str(tmp_path / "t.npz")]
    outputs = [tmp_path / "scene.mp4", tmp_path / "scene.html"]
    assert main([*arguments, "--camera", "removed", *[f"--overlay={path}" for path in outputs]]) == 0
    tracks = Tracks.load(tmp_path / "t.npz")
    queries = query_grid(10, SIZE)
    for frame, homography in enumerate(tracks.camera.homographies):
        moved = transform(homography, queries) - queries
        np.testing.assert_allclose(moved, np.tile([2 * frame, frame], (100, 1)), atol=0.5)
    first, *_, last = read_frames(outputs[0])
    inside = np.s_[12:-12, 20:-20]
    assert np.median(np.abs(last[inside].astype(int) - first[inside])) < 8
    assert '"is_removed":true' in outputs[1].read_text().replace("\\u003c", "<")
    few = ["track", str(clip), "--method", "lk", "--grid", "7", "--out", str(tmp_path / "few.npz")]
    assert main([*few, "--camera", "removed", f"--overlay={tmp_path / 'few.gif'}"]) == 2
    assert (tmp_path / "few.npz").exists()
