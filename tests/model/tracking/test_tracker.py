"""Trackers on pictures whose true motion is known, and the face that they share."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from model.core.errors import BadInput, Stopped
from model.core.progress import Progress, Watch
from model.tracking.tracker import PartialTracks, Tracker
from model.weights.registry import find_weights


def shifting_texture(
    frames: int, velocity: tuple[float, float], size: tuple[int, int] = (120, 160)
) -> NDArray[np.uint8]:
    """A smooth random texture that moves by `velocity` (x, y) px a frame: uint8 `[T, H, W, 3]`."""
    generator = np.random.default_rng(5)
    waves = generator.normal(0, 0.25, (60, 2)), generator.uniform(0, 2 * np.pi, 60)
    ys, xs = np.mgrid[: size[0], : size[1]].astype(float)
    result = []
    for time in range(frames):
        phase = (xs - velocity[0] * time)[..., None] * waves[0][:, 0] + (ys - velocity[1] * time)[
            ..., None
        ] * waves[0][:, 1]
        grey = np.sin(phase + waves[1]).sum(axis=-1)
        result.append(np.clip(128 + 12 * grey, 0, 255))
    return np.repeat(np.array(result, np.uint8)[..., None], 3, axis=-1)


@pytest.fixture
def queries() -> NDArray[np.float32]:
    xs, ys = np.meshgrid(np.linspace(40, 110, 5), np.linspace(40, 80, 4))
    return np.stack([xs.ravel(), ys.ravel()], axis=1).astype(np.float32)


@pytest.mark.parametrize("velocity", [(0.0, 0.0), (1.5, -0.75), (-3.25, 2.0), (5.0, 4.0)])
def test_lucas_kanade_follows_a_moving_texture(queries, velocity):
    tracks = Tracker.load("lk").track(shifting_texture(8, velocity), queries)
    expected = queries + np.arange(8)[:, None, None] * np.array(velocity)
    inside = ((expected >= 0) & (expected <= [159, 119])).all(axis=2)
    error = np.linalg.norm(tracks.points - expected, axis=2)
    comfortable = ((expected >= 15) & (expected <= [144, 104])).all(axis=2)
    assert error[comfortable].max() < 0.2
    assert tracks.visible[comfortable].all()
    assert not tracks.visible[~inside].any()


def test_lucas_kanade_hides_what_disappears(queries):
    frames = shifting_texture(8, (1.0, 0.0))
    frames[4:] = np.random.default_rng(0).integers(0, 256, frames[4:].shape, dtype=np.uint8)
    tracks = Tracker.load("lk").track(frames, queries)
    assert tracks.visible[:4].all()
    assert tracks.visible[4:].mean() < 0.2


def test_lucas_kanade_works_on_reduced_large_frames(queries):
    large = np.repeat(np.repeat(shifting_texture(3, (2.0, 1.0)), 12, axis=1), 12, axis=2)
    tracks = Tracker.load("lk").track(large, queries * 12 + 5.5)
    expected = queries * 12 + 5.5 + np.arange(3)[:, None, None] * np.array([24.0, 12.0])
    assert np.linalg.norm(tracks.points - expected, axis=2).max() < 3  # a quarter of an enlarged pixel


def test_zero_motion_stays(queries):
    tracks = Tracker.load("zero").track(shifting_texture(3, (4.0, 4.0)), queries)
    np.testing.assert_array_equal(tracks.points, np.repeat(queries[None], 3, axis=0))
    assert tracks.visible.all()


@pytest.mark.parametrize("name", ["lk", "zero"])
def test_a_subset_of_points_gives_the_same_bits(queries, name):
    frames = shifting_texture(6, (2.3, 1.1))
    whole = Tracker.load(name).track(frames, queries)
    part = Tracker.load(name).track(frames, queries[[13, 2, 5]])
    np.testing.assert_array_equal(part.points, whole.points[:, [13, 2, 5]])
    np.testing.assert_array_equal(part.visibility, whole.visibility[:, [13, 2, 5]])


def test_the_result_describes_itself(queries):
    tracks = Tracker.load("lk").track(iter(shifting_texture(4, (1.0, 0.0))), queries)
    assert tracks.size == (120, 160)
    assert tracks.frames.tolist() == [0, 1, 2, 3]
    assert tracks.method.name == "lk"
    assert tracks.method.settings["window"] == 21
    assert tracks.method.weights_sha256 is None


def test_progress_is_reported_and_stopping_honoured(queries):
    reports: list[Progress] = []
    frames = shifting_texture(5, (1.0, 0.0))
    Tracker.load("lk").track(frames, queries, Watch(reports.append))
    assert [(report.stage, report.done, report.total) for report in reports] == [
        ("tracking", count, 5) for count in range(1, 6)
    ]
    with pytest.raises(Stopped):
        Tracker.load("lk").track(frames, queries, Watch(should_stop=lambda: True))


def test_bad_frames_and_queries_are_refused(queries):
    tracker = Tracker.load("zero")
    frames = shifting_texture(2, (0.0, 0.0))
    with pytest.raises(BadInput, match="no frames"):
        tracker.track(iter(()), queries)
    with pytest.raises(BadInput, match="160×120 is followed by 160×100"):
        tracker.track(iter([frames[0], frames[1][:100]]), queries)
    with pytest.raises(BadInput, match=r"uint8 \[height, width, 3\]"):
        tracker.track(iter([frames[0][..., 0]]), queries)
    for bad in (queries[:, :1], queries[:0], queries * np.nan):
        with pytest.raises(BadInput, match="query points"):
            tracker.track(iter(frames), bad)


def test_unknown_names_say_what_there_is(monkeypatch):
    monkeypatch.setattr("model.tracking.pips.tracker.find_weights", lambda name: find_weights(name, ()))
    with pytest.raises(
        BadInput, match="PIPs needs trained weights and none are installed: give a checkpoint"
    ):
        Tracker.load("pips")
    with pytest.raises(BadInput, match="There are no weights “nonsense”"):
        Tracker.load("nonsense")


@pytest.mark.parametrize("name", ["lk", "zero"])
def test_a_stopped_clip_keeps_its_first_frames(queries, name):
    frames = shifting_texture(8, (2.3, 1.1))
    whole = Tracker.load(name).track(frames, queries)
    seen: list[int] = []
    kept: list[PartialTracks] = []

    def passing() -> Iterator[NDArray[np.uint8]]:
        for frame in frames:
            seen.append(1)
            yield frame

    partials = Tracker.load(name).follow(passing(), queries, Watch(should_stop=lambda: len(seen) > 5))
    with pytest.raises(Stopped):
        kept.extend(partials)
    tracks = kept[-1].tracks()
    assert len(tracks.frames) == 5
    np.testing.assert_array_equal(tracks.points, whole.points[:5])
    np.testing.assert_array_equal(tracks.visibility, whole.visibility[:5])
    assert kept[-1].state() == {}
    assert tracks.method == whole.method
