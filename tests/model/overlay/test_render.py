"""Overlays: the right pictures at the right places, whole files or none."""

import json
import tracemalloc
from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image

from model.clips.video import probe, read_frames
from model.core.errors import BadInput
from model.motion.tracks import Method, Tracks
from model.overlay.colours import STILL_COLOUR, direction_colour, speed_colour
from model.overlay.look import Look, moving_map, round_top, step_colours
from model.overlay.render import write_overlay

GREY = 90


def grey_frames(count, size):
    return [np.full((*size, 3), GREY, np.uint8) for _ in range(count)]


def straight_tracks(frames=6, size=(120, 160), fps=24.0, indices=None, visible=None):
    """Three points: one goes right, one goes down, one stays."""
    t = np.arange(frames, dtype=np.float32)
    still = np.zeros_like(t)
    right = np.stack([30 + 12 * t, still + 30], axis=1)
    down = np.stack([still + 130, 30 + 12 * t], axis=1)
    stays = np.stack([still + 40, still + 90], axis=1)
    return Tracks(
        points=np.stack([right, down, stays], axis=1).astype(np.float32),
        visibility=np.ones((frames, 3), np.float32) if visible is None else visible,
        frames=np.arange(frames, dtype=np.int32) if indices is None else indices,
        size=size,
        fps=fps,
        grid=None,
        method=Method("test"),
    )


def colour_near(picture, x, y):
    """The pixel at a point, as integers."""
    return picture[round(y), round(x)].astype(int)


def is_untouched(picture, x, y):
    return bool((np.abs(colour_near(picture, x, y) - GREY) < 12).all())


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_lines_and_heads_are_where_the_points_are(tmp_path, suffix):
    tracks = straight_tracks()
    path = tmp_path / f"overlay{suffix}"
    reports = []
    write_overlay(path, iter(grey_frames(6, (120, 160))), tracks, progress=reports.append)
    info = probe(path)
    assert (info.frames, info.width, info.height) == (6, 160, 120)
    assert info.fps == pytest.approx(24, rel=0.02)
    assert [(p.stage, p.done, p.total) for p in reports] == [("drawing", k, 6) for k in range(1, 7)]

    pictures = list(read_frames(path))
    for t in (0, 3, 5):
        for point in range(3):
            x, y = tracks.points[t, point]
            assert not is_untouched(pictures[t], x, y)
        # What lies ahead of the points, and away from them, is the frame as it was.
        assert t == 5 or is_untouched(pictures[t], *tracks.points[5, 0])
        assert is_untouched(pictures[t], 80, 110)
    # The trail of the point that goes right: at its start, still in the last frame.
    assert not is_untouched(pictures[5], 36, 30)
    red, _, blue = colour_near(pictures[5], 60, 30)
    assert red > blue + 30


def test_a_short_trail_forgets_its_start(tmp_path):
    write_overlay(tmp_path / "o.mp4", grey_frames(6, (120, 160)), straight_tracks(), look=Look(paths="2"))
    last = list(read_frames(tmp_path / "o.mp4"))[-1]
    assert is_untouched(last, 36, 30)
    assert not is_untouched(last, 76, 30)


def test_hidden_points_are_dim(tmp_path):
    visible = np.ones((6, 3), np.float32)
    visible[:, 0] = 0
    tracks = straight_tracks(visible=visible)
    write_overlay(tmp_path / "hidden.mp4", grey_frames(6, (120, 160)), tracks)
    write_overlay(tmp_path / "seen.mp4", grey_frames(6, (120, 160)), straight_tracks())
    hidden, seen = (list(read_frames(tmp_path / name))[-1] for name in ("hidden.mp4", "seen.mp4"))
    stroke = (slice(28, 33), slice(40, 80))
    change_hidden = np.abs(hidden[stroke].astype(int) - GREY).sum()
    change_seen = np.abs(seen[stroke].astype(int) - GREY).sum()
    assert 0 < change_hidden < 0.6 * change_seen


@pytest.mark.parametrize(("suffix", "longest"), [(".mp4", 1280), (".gif", 640)])
@pytest.mark.parametrize("size", [(1001, 1999), (1999, 1001), (121, 161), (33, 9)])
def test_sizes_are_even_and_not_too_large(tmp_path, suffix, longest, size):
    path = tmp_path / f"o{suffix}"
    write_overlay(path, grey_frames(2, size), straight_tracks(2, size))
    info = probe(path)
    assert info.width % 2 == info.height % 2 == 0
    assert max(info.width, info.height) <= longest
    assert info.width / info.height == pytest.approx(size[1] / size[0], rel=0.15)


@pytest.mark.parametrize(
    ("tracks", "fps", "expected"),
    [
        (straight_tracks(fps=30.0, indices=np.arange(0, 18, 3, dtype=np.int32)), None, 10),
        (straight_tracks(fps=0.0), None, 10),
        (straight_tracks(fps=0.0), 25.0, 25),
        (straight_tracks(fps=29.97), None, 29.97),
    ],
)
def test_frame_rate(tmp_path, tracks, fps, expected):
    write_overlay(tmp_path / "o.mp4", grey_frames(6, (120, 160)), tracks, fps=fps)
    assert probe(tmp_path / "o.mp4").fps == pytest.approx(expected, rel=1e-3)


def test_points_far_outside_do_no_harm(tmp_path):
    tracks = straight_tracks()
    points = tracks.points.copy()
    points[3:, 0] = (1e9, -1e9)
    far = Tracks(points, tracks.visibility, tracks.frames, tracks.size, 24.0, None, Method("test"))
    write_overlay(tmp_path / "o.mp4", grey_frames(6, (120, 160)), far)
    assert probe(tmp_path / "o.mp4").frames == 6


def test_no_points_at_all(tmp_path):
    empty = Tracks(
        np.zeros((2, 0, 2), np.float32),
        np.zeros((2, 0), np.float32),
        np.arange(2, dtype=np.int32),
        (32, 32),
        0.0,
        None,
        Method("test"),
    )
    write_overlay(tmp_path / "o.gif", grey_frames(2, (32, 32)), empty)
    assert probe(tmp_path / "o.gif").frames == 2


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize(
    "frames", [grey_frames(5, (120, 160)), grey_frames(7, (120, 160)), grey_frames(6, (8, 8)), []]
)
def test_frames_that_do_not_fit_leave_nothing_behind(tmp_path, suffix, frames):
    kept = tmp_path / f"o{suffix}"
    kept.write_bytes(b"an older result")
    with pytest.raises(ValueError, match=r"fit|there are"):
        write_overlay(kept, frames, straight_tracks())
    assert [entry.name for entry in tmp_path.iterdir()] == [kept.name]
    assert kept.read_bytes() == b"an older result"


def test_bad_targets(tmp_path):
    with pytest.raises(BadInput, match=r"ends in \.mp4 or \.gif, not in \.avi"):
        write_overlay(tmp_path / "o.avi", [], straight_tracks())
    with pytest.raises(BadInput, match="cannot be written"):
        write_overlay(tmp_path / "no" / "o.mp4", [], straight_tracks())
    with pytest.raises(BadInput, match="above 0"):
        write_overlay(tmp_path / "o.mp4", [], straight_tracks(), fps=0.0)


def test_memory_does_not_grow_with_the_clip(tmp_path):
    size, count = (240, 320), 120
    tracks = straight_tracks(count, size)
    frame = np.full((*size, 3), GREY, np.uint8)
    tracemalloc.start()
    try:
        write_overlay(tmp_path / "o.mp4", (frame for _ in range(count)), tracks)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * frame.nbytes


# --- colours ---


def test_opposite_directions_look_different_and_are_equally_bright():
    angles = np.deg2rad(np.arange(0, 360, 15))
    colours = direction_colour(np.stack([np.cos(angles), np.sin(angles)], axis=1) * 10).astype(float)
    assert np.linalg.norm(colours - np.roll(colours, 12, axis=0), axis=1).min() > 60
    luminance = ((colours / 255) ** 2.2) @ (0.2126, 0.7152, 0.0722)
    assert luminance.max() / luminance.min() < 1.6


def test_direction_alone_decides_and_turns_smoothly():
    vectors = np.array([[3.0, 4.0]])
    assert np.array_equal(direction_colour(vectors), direction_colour(100 * vectors))
    angles = np.deg2rad(np.arange(361))
    colours = direction_colour(np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(int)
    # In one degree; most where red rises from 0, which the eye does not tell from a few levels more.
    assert np.abs(np.diff(colours, axis=0)).max() <= 16


def test_still_points_are_grey():
    assert (direction_colour(np.array([[0.0, 0.0], [0.3, 0.3]])) == STILL_COLOUR).all()


def test_speed_scale_is_monotonous_in_brightness_and_saturates():
    colours = speed_colour(np.linspace(0, 2, 50), 2.0).astype(float)
    brightness = colours @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(brightness) >= -1).all()
    assert brightness[-1] > brightness[0] + 80
    assert np.array_equal(speed_colour(np.array([2.0]), 2.0), speed_colour(np.array([99.0]), 2.0))


def test_colours_of_nothing():
    assert direction_colour(np.zeros((0, 2))).shape == (0, 3)
    assert speed_colour(np.zeros(0), 1.0).shape == (0, 3)
    with pytest.raises(ValueError, match="must be positive"):
        speed_colour(np.zeros(1), 0.0)


def drawn(tmp_path, tracks=None, chance=None, frames=6, **look):
    """The pictures of an overlay of `straight_tracks` with such a look."""
    tracks = straight_tracks(frames) if tracks is None else tracks
    path = tmp_path / "look.mp4"
    write_overlay(path, grey_frames(frames, (120, 160)), tracks, look=Look(**look), chance=chance)
    return list(read_frames(path))


def test_an_overlay_shows_what_it_is_told_to(tmp_path):
    ahead = straight_tracks().points[5, 0] - [8, 0]
    assert not is_untouched(drawn(tmp_path, paths="all")[0], *ahead)
    assert not is_untouched(drawn(tmp_path, paths="all")[5], *ahead)
    assert is_untouched(drawn(tmp_path, paths="past")[0], *ahead)
    none = drawn(tmp_path, paths="0", dots=False)
    assert all(np.abs(picture.astype(int) - GREY).max() < 6 for picture in none)
    # A tenth of a second is 2.4 frames of 12 px: the line reaches from 66 to 90.
    in_seconds = drawn(tmp_path, paths="0.1s", dots=False)[5]
    assert not is_untouched(in_seconds, 70, 30)
    assert is_untouched(in_seconds, 50, 30)
    dark = drawn(tmp_path, paths="0", dots=False, shade=50)[0]
    assert abs(colour_near(dark, 80, 110).mean() - (GREY + 9) / 2) < 4
    assert drawn(tmp_path, picture=False, dots=False, paths="0")[0].max() < 20
    cut = drawn(tmp_path, first=2, last=3, paths="past")
    assert len(cut) == 2
    assert not is_untouched(cut[0], 36, 30)  # the way that lies before the range
    with pytest.raises(BadInput, match="no frame from 9"):
        drawn(tmp_path, first=9)

    visible = np.ones((6, 3), np.float32)
    visible[:, 0] = 0
    left_out = drawn(tmp_path, straight_tracks(visible=visible), hidden="hide")[5]
    assert is_untouched(left_out, 60, 30)
    assert is_untouched(left_out, 90, 30)


def test_speed_of_an_overlay(tmp_path):
    write_overlay(tmp_path / "slow.mp4", grey_frames(6, (120, 160)), straight_tracks(), look=Look(speed=0.25))
    assert probe(tmp_path / "slow.mp4").fps == pytest.approx(6)


def test_colours_are_those_of_what_they_tell():
    tracks = straight_tracks()
    np.testing.assert_array_equal(step_colours(tracks, "direction", None)[0, 2], STILL_COLOUR)
    now = step_colours(tracks, "direction-now", None)
    assert now.shape == (6, 3, 3)
    np.testing.assert_array_equal(now[3], step_colours(tracks, "direction", None)[0])
    top = round_top(np.full(9, 12.0))
    assert top == 15
    expected = speed_colour(np.array([12, 12, 0]), top)
    np.testing.assert_array_equal(step_colours(tracks, "speed", None)[0], expected)
    np.testing.assert_array_equal(step_colours(tracks, "speed-now", None)[4], expected)
    chance = np.array([0, 0.5, 1], np.float32)
    np.testing.assert_array_equal(step_colours(tracks, "chance", chance)[0], speed_colour(chance, 1.0))
    with pytest.raises(BadInput, match="not known"):
        Look(colour="chance").check(tracks, None)


def test_a_map_of_what_moves(tmp_path):
    grid = np.stack(np.meshgrid([20, 139], [30, 89]), axis=2).reshape(1, 4, 2).repeat(6, axis=0)
    tracks = replace(
        straight_tracks(), points=grid.astype(np.float32), visibility=np.ones((6, 4), np.float32), grid=(2, 2)
    )
    chance = np.array([0, 1, 0, 1], np.float32)
    found = moving_map(tracks, chance, (120, 160))
    assert found.shape == (120, 160)
    np.testing.assert_allclose(found[:, :20], 0, atol=0.05)
    np.testing.assert_allclose(found[:, 140:], 1, atol=0.05)
    assert found[60, 79] == pytest.approx(0.5, abs=0.05)
    picture = drawn(tmp_path, tracks, chance, moving=True, opacity=100, dots=False)[0]
    yellow = speed_colour(np.ones(1), 1.0)[0].astype(int)
    assert np.abs(colour_near(picture, 150, 110) - yellow).max() < 25
    assert is_untouched(picture, 5, 110)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_an_overlay_says_what_it_is(tmp_path, suffix):
    about = {"clip": "a “clip”.mp4", "clip_sha256": "ab" * 32, "settings": {"grid": 16}, "more": "x" * 400}
    path = tmp_path / f"o{suffix}"
    write_overlay(path, grey_frames(3, (120, 160)), straight_tracks(3), about=about)
    assert probe(path).frames == 3
    if suffix == ".mp4":
        with av.open(str(path)) as container:
            assert json.loads(container.metadata["comment"]) == about
    else:
        with Image.open(path) as picture:
            for number in range(picture.n_frames):
                picture.seek(number)
            content = path.read_bytes()
        at = content.rindex(b"\x21\xfe") + 2
        text = b""
        while content[at]:
            text += content[at + 1 : at + 1 + content[at]]
            at += 1 + content[at]
        assert json.loads(text) == about
        assert content[at:] == b"\x00\x3b"
