"""Training PIPs: is it the same network, do the losses mean what they say, can it be interrupted?"""

import csv
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.core.errors import BadInput
from model.core.progress import UNWATCHED, Watch, ignore_progress
from model.synthetic.batches import SyntheticClips, synthesize
from model.synthetic.scene import SyntheticSettings
from model.synthetic.textures import TextureBank, procedural_bank
from model.tracking.pips import sizes
from model.tracking.pips.network import Pips, PipsConfig
from model.tracking.pips.refinement import RefinementSettings
from model.tracking.pips.release import read_release
from model.tracking.pips.tracker import PipsEngine
from model.training.schedule import Schedule
from model.training.trackers.calibrate import calibrate_tracker, logistic_regression
from model.training.trackers.fit import fit_tracker
from model.training.trackers.losses import tracker_losses
from model.training.trackers.pips_forward import TrainingOutput, forward
from model.training.trackers.settings import TrackerTraining

TINY = PipsConfig(
    channels=16, width=32, depth=1, encoder_widths=(8, 8, 8, 8), frequencies=4, lowest_frequency=0.1,
    highest_frequency=3.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def bank() -> TextureBank:
    return procedural_bank(1, surfaces=4, shapes=9)


@pytest.fixture(scope="module")
def clips(bank: TextureBank) -> SyntheticClips:
    return synthesize(3, 2, SyntheticSettings(64, 96, points=10), bank)


def test_training_computes_what_tracking_computes(clips: SyntheticClips) -> None:
    torch.manual_seed(0)
    network = Pips(TINY).requires_grad_(False).eval()
    with torch.no_grad():
        trained = forward(network, clips.frames, clips.trajectories[:, 0], 4)
    for index in range(2):
        tracked = network.track(clips.frames[index], clips.trajectories[index, 0], 4)
        assert (trained.trajectories[:, index] - tracked.trajectories).abs().max() < 1e-3
        assert (trained.visibility_logits[index] - tracked.visibility_logits).abs().max() < 1e-3


def perfect_output(clips: SyntheticClips, sharpness: float = 30.0) -> TrainingOutput:
    """The truth in every iteration, with score maps that peak at the cells around the true positions."""
    height, width = (side // 4 for side in clips.frames.shape[-2:])
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = clips.trajectories / 4
    distance = (x - place[..., 0, None, None]) ** 2 + (y - place[..., 1, None, None]) ** 2
    return TrainingOutput(
        clips.trajectories[None].expand(3, -1, -1, -1, -1),
        torch.where(clips.visibility, 20.0, -20.0),
        (-sharpness * distance, -sharpness * distance),
    )


def test_the_truth_has_no_loss_of_position_and_visibility(clips: SyntheticClips) -> None:
    losses = tracker_losses(perfect_output(clips), clips, 4, torch.tensor(1.0))
    assert losses.position == 0
    assert losses.visibility < 1e-6


def test_a_shift_costs_its_size_and_a_peak_elsewhere_more_score(clips: SyntheticClips) -> None:
    perfect = perfect_output(clips, 1.0)
    shifted = perfect._replace(trajectories=perfect.trajectories + torch.tensor([3.0, -1.0]))
    losses = tracker_losses(shifted, clips, 4, torch.tensor(1.0))
    assert losses.position == pytest.approx(2.0, abs=1e-5)  # the mean of 3 and 1
    rolled = tuple(score.roll(5, dims=-1) for score in perfect.scores)
    worse = tracker_losses(perfect._replace(scores=(rolled[0], rolled[1])), clips, 4, torch.tensor(1.0))
    assert worse.score > losses.score + 1


def test_later_iterations_count_more(clips: SyntheticClips) -> None:
    perfect = perfect_output(clips)
    costs = []
    for wrong in range(3):
        trajectories = perfect.trajectories.clone()
        trajectories[wrong] += 1
        output = perfect._replace(trajectories=trajectories)
        costs.append(float(tracker_losses(output, clips, 4, torch.tensor(1.0)).position))
    total = 1 + 0.8 + 0.64
    assert costs == pytest.approx([0.64 / total, 0.8 / total, 1 / total], abs=1e-5)


@given(share=st.floats(0, 1))
def test_the_rate_stays_within_its_bounds(share: float) -> None:
    schedule = Schedule(minutes=10, steps=None, peak=0.001)
    assert 0 < schedule.rate(share) <= 0.001


def test_the_schedule_ends_with_whichever_comes_first() -> None:
    schedule = Schedule(minutes=2, steps=100, peak=1.0, warm_up=0.1)
    assert schedule.share(50, 0) == 0.5
    assert schedule.share(10, 90) == 0.75
    assert schedule.share(500, 9000) == 1
    assert schedule.rate(0.1) == pytest.approx(1.0)
    assert schedule.rate(1.0) == pytest.approx(0.01)


SETTINGS = TrackerTraining(
    size="tiny", steps=6, batch=1, points=8, height=64, width=64, procedural=4, validation_batches=1,
    learning_rate=1e-3,
)  # fmt: skip


@pytest.fixture
def _tiny_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sizes.SIZES, "tiny", TINY)


def fit(out, settings=SETTINGS, *, resume=False, watch=UNWATCHED):
    return fit_tracker(out, settings, resume=resume, device="cpu", watch=watch)


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny_size")
def test_a_training_in_two_pieces_is_the_same_training(tmp_path) -> None:
    fit(tmp_path / "whole")
    answers = iter([False, False, True])
    fit(tmp_path / "pieces", watch=Watch(should_stop=lambda: next(answers)))
    assert torch.load(tmp_path / "pieces" / "checkpoint.pt", weights_only=True)["progress"]["step"] == 3
    fit(tmp_path / "pieces", resume=True)
    whole, pieces = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "pieces")
    )
    assert whole["progress"]["step"] == pieces["progress"]["step"] == 6
    for part in ("learned", "average"):
        for name, value in whole[part].items():
            assert torch.equal(value, pieces[part][name]), name
    with (tmp_path / "pieces" / "log.csv").open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [3, 6]
    assert "Held-out error" in (tmp_path / "pieces" / "log.html").read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny_size")
def test_weights_are_exported_calibrated_and_say_what_they_are(tmp_path) -> None:
    fit(tmp_path / "run", replace(SETTINGS, steps=1))
    weights, out = tmp_path / "run" / "weights.safetensors", tmp_path / "released.safetensors"
    assert read_release(weights).config == TINY
    rule = calibrate_tracker(
        weights, out, clips=4, iterations=2, seed=0, textures=None, cutouts=None, progress=ignore_progress
    )
    release = read_release(out)
    assert release.config == TINY
    assert release.use.iterations == 2
    assert release.use.refinement == RefinementSettings(visibility=rule)
    assert len(rule) == 5
    before, after = (safetensors.torch.load_file(path) for path in (weights, out))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert PipsEngine.load(str(out), "cpu").use == release.use


@pytest.mark.usefixtures("_tiny_size")
def test_nothing_is_overwritten_or_begun_by_mistake(tmp_path) -> None:
    with pytest.raises(BadInput, match="--minutes M"):
        fit(tmp_path / "new", replace(SETTINGS, steps=None))
    with pytest.raises(BadInput, match="holds no checkpoint"):
        fit(tmp_path / "new", resume=True)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(BadInput, match="holds a training already"):
        fit(tmp_path / "old")
    with pytest.raises(BadInput, match="no size “huge”"):
        fit(tmp_path / "new", replace(SETTINGS, size="huge"))


def test_logistic_regression_finds_the_fair_threshold() -> None:
    """Two Gaussians of equal width, one nine times as frequent: the fair boundary lies half-way."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(500, generator=generator) - 1
    visible = torch.randn(4500, generator=generator) + 2
    values = torch.cat([hidden, visible]).double()
    evidence = torch.stack([torch.ones_like(values), values], dim=1).numpy()
    offset, slope = logistic_regression(evidence, (torch.arange(5000) >= 500).numpy())
    assert slope == pytest.approx(3.0, abs=0.5)  # the distance of the means over the variance
    assert -offset / slope == pytest.approx(0.5, abs=0.15)
