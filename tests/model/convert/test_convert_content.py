"""What is in the samples: the very numbers of the tracker, the first frame, each chunk once."""

import dataclasses
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from model.clips.video import read_frames
from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.datasets.loader import open_dataset
from model.datasets.sample import Sample
from model.inspection.inspect import inspect
from model.motion.grid import query_grid
from model.tracking.methods import DEFAULT_METHOD
from model.tracking.pips.network import Pips, PipsConfig
from model.tracking.pips.release import PipsUse
from model.tracking.pips.tracker import PipsEngine
from model.tracking.tracker import Tracker
from model.weights.registry import find_weights
from tests.media import moving_clip, moving_frames, texture, write_video, zip_of_images
from tests.model.convert.conversions import convert, errors, samples


def of_video(out: Path, name: str) -> list[Sample]:
    return [sample for sample in samples(out) if sample.facts.source == name]


def assert_tracked_alike(sample: Sample, tracker: Tracker, video: Path, grid: int) -> None:
    """Compare a sample with the tracker on the video's frames, bit for bit."""
    facts = sample.facts
    frames = np.stack(list(read_frames(video, start=facts.start, step=facts.frame_step, count=facts.count)))
    queries = query_grid(grid, frames.shape[1:3])
    tracks = tracker.track(frames, queries)
    assert sample.queries.tobytes() == queries.tobytes()
    displacement = (tracks.points - queries).astype(np.float16)
    assert sample.displacement.tobytes() == displacement.tobytes()
    assert sample.visibility.tobytes() == tracks.visibility.astype(np.float16).tobytes()


@pytest.mark.parametrize("method", ["lk", "zero"])
@pytest.mark.parametrize(
    ("horizon", "frame_step", "overlap", "expected"),
    [
        (8, 1, 0, [(0, 8), (8, 8), (16, 5)]),
        (8, 1, 4, [(0, 8), (4, 8), (8, 8), (12, 8), (16, 5)]),
        (5, 2, 0, [(0, 5), (10, 5)]),  # one sampled frame is left, which moves nowhere
        (12, 1, 2, [(0, 12), (10, 11)]),
        (64, 1, 0, [(0, 21)]),
    ],
)
def test_trajectories_are_those_of_the_tracker(
    tmp_path: Path,
    method: str,
    horizon: int,
    frame_step: int,
    overlap: int,
    expected: list[tuple[int, int]],
) -> None:
    video = moving_clip(tmp_path / "clip.mp4", frames=21, velocity=(3.0, -1.5))
    out = tmp_path / "out"
    convert([video], out, method=method, horizon=horizon, frame_step=frame_step, overlap=overlap)
    found = of_video(out, "clip.mp4")
    assert [(sample.facts.start, sample.facts.count) for sample in found] == expected
    tracker = Tracker.load(method)
    for sample in found:
        assert_tracked_alike(sample, tracker, video, 4)


@pytest.fixture
def small_pips(monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """PIPs with random weights, few of them; every method name, and the bundled weights, then mean it."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = PipsConfig(channels=16, width=32, depth=1, stride=8, encoder_widths=(8, 8, 8, 8))
        network = Pips(config).requires_grad_(False).eval()
    tracker = Tracker(PipsEngine(network, find_weights(DEFAULT_METHOD).sha256, PipsUse(iterations=1)))
    monkeypatch.setattr(Tracker, "load", lambda *_: tracker)
    return tracker


@pytest.mark.slow
@pytest.mark.parametrize(("horizon", "overlap"), [(8, 0), (8, 5), (12, 4), (20, 0)])
def test_pips_gives_the_same_bits_in_chunks_as_alone(
    tmp_path: Path, small_pips: Tracker, horizon: int, overlap: int
) -> None:
    small = moving_clip(tmp_path / "small.mp4", frames=21, size=(72, 96))
    wide = moving_clip(tmp_path / "wide.mp4", frames=9, size=(64, 128), velocity=(-2.0, 0.5))
    out = tmp_path / "out"
    convert([small, wide], out, method="pips", horizon=horizon, overlap=overlap, shard_samples=100)
    for video in (small, wide):
        found = of_video(out, video.name)
        assert found
        for sample in found:
            assert sample.facts.image_size == small_pips.engine.use.working_size(sample.facts.size)
            assert_tracked_alike(sample, small_pips, video, 4)


@pytest.mark.slow
def test_the_bundled_pips_gives_the_same_bits_and_follows_the_motion(tmp_path: Path) -> None:
    video = moving_clip(tmp_path / "clip.mp4", frames=10, size=(180, 320), velocity=(3.0, 1.0))
    out = tmp_path / "out"
    convert([video], out, method="pips", grid=3, check="none")
    whole, tail = samples(out)
    assert (whole.facts.count, tail.facts.start, tail.facts.count) == (8, 8, 2)
    tracker = Tracker.load(DEFAULT_METHOD, "cpu")
    for sample in (whole, tail):
        assert_tracked_alike(sample, tracker, video, 3)
    assert whole.facts.weights_sha256 == find_weights(DEFAULT_METHOD).sha256
    middle = whole.displacement[:, 4].astype(float)
    np.testing.assert_allclose(middle, np.arange(8)[:, None] * [3.0, 1.0], atol=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [0, 4, 7])
def test_each_frame_is_encoded_once(
    tmp_path: Path, small_pips: Tracker, monkeypatch: pytest.MonkeyPatch, overlap: int
) -> None:
    encoded: Counter[bytes] = Counter()
    encode = Pips.encode

    def counted(self: Pips, frames: torch.Tensor, *rest: object) -> torch.Tensor:
        encoded.update(hashlib.sha256(frame.numpy().tobytes()).digest() for frame in frames)
        return encode(self, frames, *rest)

    monkeypatch.setattr(Pips, "encode", counted)
    lengths = {"a.mp4": 16, "b.mp4": 20, "c.mp4": 8}
    for number, (name, frames) in enumerate(lengths.items()):
        moving_clip(tmp_path / name, frames=frames, size=(64, 64), velocity=(1.0 + number, 0.5))
    out = tmp_path / "out"
    videos = [tmp_path / name for name in lengths]
    convert(videos, out, method="pips", grid=1, overlap=overlap, shard_samples=100)
    distinct = len({frame.tobytes() for video in videos for frame in read_frames(video)})
    assert distinct == sum(lengths.values())
    assert len(encoded) == distinct
    assert set(encoded.values()) == {1}
    counts = json.loads((out / "stats.json").read_text())["counts"]
    assert counts["encoded"] == counts["frames"] == distinct
    assert counts["samples"] == counts["chunks"] == len(list(samples(out)))


def test_frames_that_no_chunk_needs_are_neither_encoded_nor_kept(tmp_path: Path) -> None:
    flashes = [texture(64, 64, seed) * np.uint8(seed % 2) for seed in range(1, 40)]
    clip = write_video(tmp_path / "clip.mp4", [*flashes, *[flashes[-1]] * 8])
    out = tmp_path / "out"
    convert([clip], out)
    counts = json.loads((out / "stats.json").read_text())["counts"]
    spans = [(sample.facts.start, sample.facts.count) for sample in samples(out)]
    assert spans == [(38, 8)]
    assert (counts["frames"], counts["encoded"]) == (47, 8)
    out = tmp_path / "sparse"
    convert([moving_clip(tmp_path / "long.mp4", frames=40)], out, chunk_step=2)
    counts = json.loads((out / "stats.json").read_text())["counts"]
    assert (counts["chunks"], counts["encoded"]) == (3, 24)


def test_chunks_cross_no_cut(tmp_path: Path) -> None:
    shots = [moving_frames(frames, (64, 96), (2.0, 0.0)) for frames in (11, 3, 9)]
    tints = (np.array([1.0, 0.2, 0.2]), np.array([0.2, 1.0, 0.2]), np.array([0.3, 0.3, 1.0]))
    frames = [
        (frame * tint).astype(np.uint8) for shot, tint in zip(shots, tints, strict=True) for frame in shot
    ]
    clip = write_video(tmp_path / "clip.mp4", frames)
    convert([clip], tmp_path / "cut")
    spans = [(sample.facts.start, sample.facts.count) for sample in samples(tmp_path / "cut")]
    assert spans == [(0, 8), (8, 3), (11, 3), (14, 8)]
    convert([clip], tmp_path / "uncut", cuts=False)
    spans = [(sample.facts.start, sample.facts.count) for sample in samples(tmp_path / "uncut")]
    assert spans == [(0, 8), (8, 8), (16, 7)]


def test_the_picture_shows_the_first_frame(tmp_path: Path) -> None:
    video = moving_clip(tmp_path / "clip.mp4", frames=20, size=(96, 128), velocity=(4.0, 2.0))
    out = tmp_path / "out"
    convert([video], out, jpeg_quality=95)
    found = list(samples(out))
    assert len(found) == 3
    for sample in found:
        shown = sample.picture().astype(float)
        frames = list(read_frames(video, start=sample.facts.start, count=3))
        gaps = [np.abs(shown - frame).mean() for frame in frames]
        assert gaps[0] < 3
        assert min(gaps[1:]) > 5


def test_the_picture_of_a_large_frame_is_reduced(tmp_path: Path) -> None:
    frames = moving_frames(2, (720, 1280), (1.0, 0.0))
    clip = zip_of_images(tmp_path / "clip.zip", frames)
    convert([clip], tmp_path / "out", method="zero", jpeg_quality=95)
    (sample,) = samples(tmp_path / "out")
    assert sample.facts.image_size == sample.picture().shape[:2] == (360, 640)
    mean_of_four = frames[0].reshape(360, 2, 640, 2, 3).mean((1, 3))
    assert np.abs(sample.picture() - mean_of_four).mean() < 4


def test_keys_are_unique_and_go_by_content_and_settings(tmp_path: Path) -> None:
    videos = [
        moving_clip(tmp_path / f"{k}.mp4", frames=20 + k, size=(48, 64), velocity=(k, 1)) for k in range(3)
    ]
    convert(videos, tmp_path / "one", overlap=4, method="zero")
    keys = [sample.key for sample in samples(tmp_path / "one")]
    assert len(set(keys)) == len(keys) > 12
    convert(videos, tmp_path / "more", overlap=4, method="zero", grid=5)
    assert not set(keys) & {sample.key for sample in samples(tmp_path / "more")}
    renamed = videos[1].rename(tmp_path / "renamed.mp4")
    convert([renamed], tmp_path / "renamed", overlap=4, method="zero")
    assert {sample.key for sample in samples(tmp_path / "renamed")} < set(keys)


def test_the_facts_are_the_truth(tmp_path: Path) -> None:
    video = moving_clip(tmp_path / "clip.mp4", frames=9, size=(192, 256), velocity=(2.0, 1.0), fps=20)
    out = tmp_path / "out"
    convert([video], out, frame_step=2, check="full", validation=0.999)
    (sample,) = samples(out)
    facts = sample.facts
    assert (facts.start, facts.frame_step, facts.count, facts.horizon) == (0, 2, 5, 8)
    assert (facts.fps, facts.size, facts.grid, facts.split) == (
        pytest.approx(20),
        (192, 256),
        4,
        "validation",
    )
    assert facts.motion == pytest.approx(8 * 5**0.5, abs=0.5)  # 8 frames of (2, 1) pixels
    assert facts.moving == facts.visible > 0.3  # the others leave the frame
    assert facts.quality > 0.8
    assert sample.backward_error is not None
    seen = sample.visibility[-1] > 0.5
    assert np.median(sample.backward_error[seen]) < 0.5


@pytest.mark.parametrize(("check", "checked"), [("none", 0), ("sparse", 4), ("full", 16)])
def test_points_are_checked_backwards(tmp_path: Path, check: str, checked: int) -> None:
    video = moving_clip(tmp_path / "clip.mp4", frames=8)
    convert([video], tmp_path / "out", check=check)
    (sample,) = samples(tmp_path / "out")
    errors = sample.backward_error
    assert (0 if errors is None else np.isfinite(errors).sum()) == checked
    assert (sample.facts.quality is None) == (check == "none")
    if checked == 4:  # every second row and column
        assert np.flatnonzero(np.isfinite(errors)).tolist() == [0, 2, 8, 10]


def test_still_chunks_are_left_out_and_counted(tmp_path: Path) -> None:
    still = [moving_frames(1)[0]] * 16
    video = write_video(tmp_path / "clip.mp4", [*still, *moving_frames(16, velocity=(2.0, 0.0))])
    out = tmp_path / "out"
    conversion = convert([video], out, cuts=False, min_motion=2.0)
    assert {sample.facts.start for sample in samples(out)} == {16, 24}
    assert json.loads((out / "dataset.json").read_text())["skipped"] == {"still": 2}
    assert conversion.ledger.summary(0).samples() == 2


def test_long_shards_and_short_ones_hold_the_same_samples(tmp_path: Path) -> None:
    videos = [
        moving_clip(tmp_path / f"{k}.mp4", frames=60 + 9 * k, size=(48, 64), velocity=(1.5, k))
        for k in range(2)
    ]

    def content(out: Path, **settings: int) -> dict[str, dict[str, bytes]]:
        convert(videos, out, horizon=6, **settings)
        return {sample.key: sample.files() for sample in samples(out)}

    whole = content(tmp_path / "whole", shard_samples=1000)
    assert content(tmp_path / "cut", shard_samples=3) == whole
    assert content(tmp_path / "ones", shard_samples=1) == whole


def test_a_chunk_tracker_says_what_it_is(tmp_path: Path) -> None:
    convert([moving_clip(tmp_path / "clip.mp4", frames=8)], tmp_path / "out")
    method = json.loads((tmp_path / "out" / "dataset.json").read_text())["method"]
    expected = dataclasses.asdict(Tracker.load("lk").engine.method)
    assert method == json.loads(json.dumps(expected))


@pytest.mark.parametrize("fps", [15, 24, 25, 30, 60])
def test_frames_are_picked_by_time(tmp_path: Path, fps: int) -> None:
    video = moving_clip(tmp_path / "clip.mp4", frames=fps, size=(64, 96), velocity=(1.0, 0.0), fps=fps)
    convert([video], tmp_path / "out", interval=1 / 15, method="zero")
    first, *_ = samples(tmp_path / "out")
    frames = first.tracks().frames
    assert len(frames) == first.facts.horizon == 8
    assert first.facts.interval == 1 / 15
    assert np.abs(frames / fps - np.arange(8) / 15).max() <= 0.5 / fps + 1e-6


def test_times_are_those_of_the_time_stamps(tmp_path: Path) -> None:
    """A recording that is slow at first: 20 frames a second, then 40."""
    times = [*range(0, 1000, 50), *range(1000, 2000, 25)]
    pictures = moving_frames(len(times), (64, 96), (1.0, 0.0))
    video = write_video(tmp_path / "clip.mp4", pictures, times=times)
    convert([video], tmp_path / "out", interval=0.1, horizon=20, method="zero")
    (sample,) = samples(tmp_path / "out")
    assert [times[frame] for frame in sample.tracks().frames] == list(range(0, 2000, 100))


def test_too_slow_a_video_is_named(tmp_path: Path) -> None:
    slow = moving_clip(tmp_path / "slow.mp4", frames=20, size=(64, 96), fps=10)
    good = moving_clip(tmp_path / "good.mp4", frames=20, size=(64, 96), fps=30)
    still = zip_of_images(tmp_path / "images.zip", moving_frames(20, (64, 96), (1.0, 0.0)))
    convert([slow, good, still], tmp_path / "out", interval=1 / 15)
    assert {sample.facts.source for sample in samples(tmp_path / "out")} == {"good.mp4"}
    reasons = {error["file"]: error["reason"] for error in errors(tmp_path / "out")}
    assert "10 frames a second" in reasons["slow.mp4"]
    assert "Images have no times" in reasons["images.zip"]


def test_the_camera_is_kept_and_can_be_taken_out(tmp_path: Path) -> None:
    """The whole picture slides by (3, -1.5) pixels a frame: that is the camera, and nothing else moves."""
    video = moving_clip(tmp_path / "clip.mp4", frames=8, size=(192, 256), velocity=(3.0, -1.5))
    convert([video], tmp_path / "out", grid=16)
    (sample,) = samples(tmp_path / "out")
    camera = sample.tracks().camera
    assert camera is not None
    assert sample.facts.camera_share > 0.8
    assert camera.homographies[-1][:2, 2] == pytest.approx([21.0, -10.5], abs=1.0)
    (as_filmed,) = open_dataset(tmp_path / "out")
    (scene,) = open_dataset(tmp_path / "out", scene_motion=True)
    seen = as_filmed.visibility[-1] > 0.5
    assert torch.median(as_filmed.displacement[-1, seen].norm(dim=1)) > 20
    assert torch.median(scene.displacement[-1, seen].norm(dim=1)) < 0.5
    medians = [
        inspect(DataFolder.open(tmp_path / "out"), scene_motion=scene_motion).motion.quantile(0.5)
        for scene_motion in (False, True)
    ]
    assert medians[0] > 25  # 23.5 px of frames 192 high, in pixels of a 256-high one
    assert medians[1] < 0.7


def test_samples_without_a_camera_are_left_out_of_scene_motion(tmp_path: Path) -> None:
    video = moving_clip(tmp_path / "clip.mp4", frames=8)
    convert([video], tmp_path / "out", grid=4)  # too few points to tell
    assert len(open_dataset(tmp_path / "out")) == 1
    with pytest.raises(BadInput, match="passes the filter"):
        open_dataset(tmp_path / "out", scene_motion=True)
