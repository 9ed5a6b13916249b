"""Points of one's own choice, from any frame, forwards, backwards and both; the clip's motion is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.clips import backwards
from model.clips.backwards import read_backwards
from model.clips.video import probe, read_frames
from model.commands.points import read_points
from model.core.errors import BadInput
from model.core.progress import Progress, Watch
from model.motion.grid import check_points
from model.motion.tracks import Tracks
from model.tracking.pips.network import Pips
from model.tracking.pips.release import PipsUse
from model.tracking.pips.tracker import PipsEngine
from model.tracking.run import TrackRequest, frame_indices, track_file
from model.tracking.tracker import PartialTracks, Tracker
from tests.media import moving_clip

VELOCITY = np.array([2.0, 1.0])
POINTS = ((60.0, 50.0), (71.5, 44.25), (50.0, 60.0))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """20 frames of 128×96 pixels that move by `VELOCITY` each."""
    return moving_clip(tmp_path_factory.mktemp("clips") / "moving.mp4", frames=20)


def steps(clip, request: TrackRequest, tracker: Tracker, **options) -> list[PartialTracks]:
    return list(track_file(clip, tracker, request, **options))


def truth(frames: NDArray[np.int32], query_frame: int) -> NDArray[np.float64]:
    return np.array(POINTS) + (frames - query_frame)[:, None, None] * VELOCITY


@pytest.mark.parametrize(
    ("direction", "step", "count", "expected"),
    [
        ("forward", 1, 4, [9, 10, 11, 12]),
        ("backward", 1, 4, [6, 7, 8, 9]),
        ("both", 1, 4, [6, 7, 8, 9, 10, 11, 12]),
        ("both", 3, 3, [3, 6, 9, 12, 15]),
        ("backward", 2, None, [1, 3, 5, 7, 9]),
        ("both", 9, None, [0, 9, 18]),
    ],
)
def test_points_are_followed_from_their_frame(clip, direction, step, count, expected):
    seen: dict[int, NDArray[np.uint8]] = {}
    request = TrackRequest(start=9, frames=count, frame_step=step, points=POINTS, direction=direction)
    tracker = Tracker.load("lk")
    done = steps(clip, request, tracker, on_frame=lambda position, frame: seen.update({position: frame}))
    tracks = done[-1].tracks()
    assert tracks.frames.tolist() == expected
    np.testing.assert_allclose(tracks.points, truth(tracks.frames, 9), atol=0.3)
    assert (tracks.grid, tracks.camera) == (None, None)
    np.testing.assert_array_equal(tracks.points[expected.index(9)], np.array(POINTS, np.float32))
    assert tracks.visible.all()
    frames = read_frames(clip, start=expected[0], step=step, count=len(expected))
    for position, frame in enumerate(frames):
        np.testing.assert_array_equal(seen.pop(position), frame)
    assert seen == {}


@pytest.mark.parametrize(("start", "covered"), [(0, range(4)), (19, range(16, 20))])
def test_both_directions_at_an_end_of_the_clip_are_one(clip, start, covered):
    request = TrackRequest(start=start, frames=4, points=POINTS, direction="both")
    tracks = steps(clip, request, Tracker.load("zero"))[-1].tracks()
    assert tracks.frames.tolist() == list(covered)


def test_progress_counts_each_frame_once_and_never_goes_back(clip):
    reports: list[Progress] = []
    request = TrackRequest(start=9, frames=None, points=POINTS, direction="both")
    steps(clip, request, Tracker.load("lk"), watch=Watch(reports.append))
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert (done[-1], {report.total for report in reports}) == (20, {20})


@pytest.fixture
def pips(tiny_network: Pips) -> Tracker:
    return Tracker(PipsEngine(tiny_network, "0" * 64, PipsUse(iterations=2)))


@pytest.mark.slow
def test_every_partial_is_a_piece_of_the_whole_and_can_be_gone_on_from(clip, pips):
    request = TrackRequest(start=9, frames=None, points=POINTS, direction="both")
    done = steps(clip, request, pips)
    whole = done[-1].tracks()
    assert len(done) > 4
    for number, partial in enumerate(done):
        part = partial.tracks()
        rows = np.searchsorted(whole.frames, part.frames)
        assert (np.diff(rows) == 1).all()
        np.testing.assert_array_equal(part.points, whole.points[rows])
        if number % 4:
            continue  # going on takes as long as the whole
        again = steps(clip, request, pips, state=partial.state())[-1].tracks()
        for name in ("frames", "points", "visibility", "handovers"):
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


def test_a_method_that_starts_again_keeps_the_way_forwards(clip):
    request = TrackRequest(start=9, frames=None, points=POINTS, direction="both")
    done = steps(clip, request, Tracker.load("lk"))
    read: list[int] = []
    again = steps(
        clip,
        request,
        Tracker.load("lk"),
        state=done[-3].state(),
        on_frame=lambda position, _frame: read.append(position),
    )
    np.testing.assert_array_equal(again[-1].tracks().points, done[-1].tracks().points)
    assert read == list(range(9, -1, -1))


def test_a_grid_from_the_last_frame_knows_the_camera(clip):
    request = TrackRequest(grid=9, start=19, frames=None, direction="backward")
    tracks = steps(clip, request, Tracker.load("lk"))[-1].tracks()
    assert tracks.grid == (9, 9)
    assert tracks.camera is not None
    np.testing.assert_allclose(tracks.camera.homographies[0], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(tracks.camera.homographies[-1][:2, 2], 19 * VELOCITY, atol=0.5)


def test_the_query_frame_is_kept_in_the_file_and_older_files_have_none(clip, tmp_path):
    request = TrackRequest(start=9, points=POINTS, direction="backward")
    tracks = steps(clip, request, Tracker.load("zero"))[-1].tracks()
    tracks.save(tmp_path / "tracks.npz")
    assert Tracks.load(tmp_path / "tracks.npz").query_frame == 9
    forward = steps(clip, TrackRequest(grid=2), Tracker.load("zero"))[-1].tracks()
    forward.save(tmp_path / "forward.npz")
    with np.load(tmp_path / "forward.npz") as content:
        assert "query_frame" not in str(content["header"])  # as a file from before
    assert Tracks.load(tmp_path / "forward.npz").query_frame is None


@pytest.mark.parametrize(("block", "step"), [(1, 1), (3, 2), (1000, 3)])
def test_frames_are_read_backwards_whatever_fits_into_memory(clip, monkeypatch, block, step):
    monkeypatch.setattr(backwards, "BLOCK_BYTES", block * 3 * 128 * 96)
    count = 19 // step
    expected = list(read_frames(clip))[19::-step][:count]
    read = list(read_backwards(clip, probe(clip), start=19, step=step, count=count))
    np.testing.assert_array_equal(read, expected)


def test_a_clip_that_lost_its_end_is_said_to_be_damaged(clip):
    with pytest.raises(BadInput, match="ends before frame 25"):
        list(read_backwards(clip, probe(clip), start=25, step=1, count=10))


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (TrackRequest(points=()), "1 to 4096 query points, not 0"),
        (TrackRequest(points=((1.0, 2.0),) * 4097), "1 to 4096 query points, not 4097"),
        (
            TrackRequest(points=((1.0, 2.0), (128.0, 3.0))),
            r"point 1 at \(128, 3\) lies outside.* 0 to 127 .* 95",
        ),
        (TrackRequest(points=((-0.6, 2.0),)), "point 0 at .* lies outside"),
        (TrackRequest(points=((float("nan"), 2.0),)), "two finite numbers"),
        (TrackRequest(points=((1e300, float("inf")),)), "two finite numbers"),
        (TrackRequest(points=POINTS, start=20), "must be 0 to 19"),
        (TrackRequest(points=POINTS, start=0, direction="backward"), "hold only one; start later"),
        (TrackRequest(points=POINTS, start=9, frame_step=30, direction="both"), "hold only one"),
    ],
)
def test_what_cannot_be_tracked_is_refused_before_the_work(clip, request_, sentence):
    with pytest.raises(BadInput, match=sentence):
        frame_indices(request_, probe(clip))


def test_the_outermost_pixels_are_inside():
    np.testing.assert_array_equal(check_points([(0, 0), (127, 95)], (96, 128)), [[0, 0], [127, 95]])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "60,50\n71.5,44.25\n50,60\n"),
        ("p.csv", "\ufeffname,X, y\na,60,50\nb,71.5,44.25\n\nc,50,60\n"),
        ("p.json", "[[60, 50], [71.5, 44.25], [50, 60]]"),
    ],
)
def test_points_come_from_a_table_or_from_json(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_points(tmp_path / name) == POINTS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "60,50,1\n"),
        ("p.csv", "x,y\n1\n"),
        ("p.csv", "a,b\n1,2\n"),
        ("p.json", '{"x": 1}'),
        ("p.json", "[[1, null]]"),
        ("p.json", "[" * 100_000),
        ("p.json", "3"),
    ],
)
def test_other_files_hold_no_points(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="does not hold points"):
        read_points(tmp_path / name)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("p.csv", "none.csv"):
        with pytest.raises(BadInput, match="cannot be read"):
            read_points(tmp_path / name)
