"""Synthetic clips: is their truth true?"""

import json
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.core.errors import BadInput
from model.synthetic import sample_clips
from model.synthetic.batches import synthesize
from model.synthetic.scene import SyntheticSettings
from model.synthetic.textures import SURFACE_SIDE, TextureBank, load_bank, procedural_bank
from model.synthetic.warps import Spline, smooth_paths

PLAIN = SyntheticSettings(96, 128, points=48, photometric=False, motion_blur=0.0)


@pytest.fixture(scope="module")
def waves() -> TextureBank:
    """Surfaces of waves 26 to 50 px long, on which a pixel's error shows and sampling twice does not."""
    generator = torch.Generator().manual_seed(1)
    axis = torch.arange(SURFACE_SIDE)
    surfaces = []
    for _ in range(8):
        image = torch.full((3, SURFACE_SIDE, SURFACE_SIDE), 0.5)
        for _ in range(3):
            angle, length, phase = torch.rand(3, generator=generator).tolist()
            along = math.cos(6.28 * angle) * axis[:, None] + math.sin(6.28 * angle) * axis
            wave = torch.sin(6.28 * (along / (26 + 24 * length) + phase))
            image += 0.15 * torch.randn(3, generator=generator)[:, None, None] * wave
        surfaces.append(image)
    bank = procedural_bank(3, surfaces=2, shapes=24)
    return replace(bank, surfaces=(torch.stack(surfaces).clamp(0, 1) * 255).byte())


@pytest.fixture(scope="module")
def flats() -> TextureBank:
    """Surfaces of one colour each."""
    colours = torch.randint(256, (40, 3, 1, 1), generator=torch.Generator().manual_seed(2)).byte()
    bank = procedural_bank(4, surfaces=2, shapes=24)
    return replace(bank, surfaces=colours.expand(-1, -1, SURFACE_SIDE, SURFACE_SIDE))


def colours_at(frames: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Bilinear colours, 0 to 255, `[T, N, 3]`, of frames `[T, 3, H, W]` at `[T, N, 2]`."""
    size = torch.tensor([frames.shape[3] - 1, frames.shape[2] - 1])
    grid = (2 * points / size - 1)[:, :, None]
    return F.grid_sample(frames.float(), grid, align_corners=True)[..., 0].mT


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_true_positions_carry_the_first_frames_colours(waves: TextureBank, seed: int) -> None:
    clips = synthesize(seed, 1, PLAIN, waves)
    frames, points, visible = clips.frames[0], clips.trajectories[0], clips.visibility[0, 1:]
    first = colours_at(frames[:1], points[:1])
    gap = (colours_at(frames[1:], points[1:]) - first).abs().mean(dim=-1)[visible]
    assert gap.median() < 1
    assert (gap < 4).float().mean() > 0.7  # points on soft edges mix two layers
    shifted = colours_at(frames[1:], points[1:] + torch.tensor([3.0, 2.0]))
    assert (shifted - first).abs().mean(dim=-1)[visible].median() > 8 * gap.median()


def test_visibility_follows_from_what_is_seen(flats: TextureBank) -> None:
    """A visible point shows its layer's colour; a covered one another's, unless two layers look alike."""
    agree, differ = [], []
    for seed in range(10):
        clips = synthesize(seed, 2, replace(PLAIN, layers=(3, 6), favour_hard=True), flats)
        for frames, points, visible, inside in zip(
            clips.frames, clips.trajectories, clips.visibility, clips.in_frame, strict=True
        ):
            gap = (colours_at(frames, points) - colours_at(frames[:1], points[:1])).abs().amax(dim=-1)
            agree.append(gap[visible] < 4)
            differ.append(gap[inside & ~visible] > 4)
    assert torch.cat(agree).float().mean() > 0.93  # the rest lies on soft edges
    assert torch.cat(differ).float().mean() > 0.8
    assert len(torch.cat(differ)) > 100


def test_the_same_seed_gives_the_same_clips_and_another_one_others(waves: TextureBank) -> None:
    once, again, other = (synthesize(seed, 2, SyntheticSettings(64, 64), waves) for seed in (5, 5, 6))
    assert torch.equal(once.frames, again.frames)
    assert torch.equal(once.trajectories, again.trajectories)
    assert not torch.equal(once.frames, other.frames)


def test_shapes_ranges_and_first_frame(waves: TextureBank) -> None:
    clips = synthesize(7, 3, replace(PLAIN, frames=5, favour_hard=True), waves)
    assert clips.frames.shape == (3, 5, 3, 96, 128)
    assert clips.frames.dtype == torch.uint8
    assert clips.trajectories.shape == (3, 5, 48, 2)
    assert clips.visibility.dtype == torch.bool
    assert clips.visibility[:, 0].all()
    assert not (clips.visibility & ~clips.in_frame).any()


def test_without_speed_nothing_moves(waves: TextureBank) -> None:
    clips = synthesize(8, 2, replace(PLAIN, speed=0.0), waves)
    assert (clips.trajectories - clips.trajectories[:, :1]).abs().max() < 1e-2
    assert (clips.frames - clips.frames[:, :1]).abs().max() == 0


@pytest.mark.slow
def test_motion_is_varied_and_hard_points_are_favoured(waves: TextureBank) -> None:
    plain, hard = (
        [synthesize(seed, 4, replace(PLAIN, favour_hard=favoured), waves) for seed in range(12)]
        for favoured in (False, True)
    )
    travelled = torch.cat([(clips.trajectories - clips.trajectories[:, :1]).norm(dim=-1) for clips in plain])
    last = travelled[:, -1].flatten()
    assert (last < 1).float().mean() > 0.01
    assert (last > 10).float().mean() > 0.1
    covered = [
        torch.cat([(clips.in_frame & ~clips.visibility).float().mean()[None] for clips in made]).mean()
        for made in (plain, hard)
    ]
    assert covered[1] > covered[0]


def test_photometric_changes_leave_the_truth_alone(waves: TextureBank) -> None:
    plain, changed = (synthesize(9, 2, replace(PLAIN, photometric=on), waves) for on in (False, True))
    assert not torch.equal(plain.frames, changed.frames)
    assert plain.trajectories.shape == changed.trajectories.shape


def test_a_spline_passes_through_its_knots_and_keeps_lines_straight() -> None:
    spline = Spline.over(96, 128, 4, 5, torch.device("cpu"))
    assert torch.allclose(spline.basis(spline.knots), torch.eye(20), atol=1e-3)
    points = torch.rand(50, 2) * 100
    linear = torch.tensor([[0.1, -0.2], [0.3, 0.05]])
    assert torch.allclose(spline.basis(points) @ (spline.knots @ linear), points @ linear, atol=1e-2)


def test_paths_begin_at_rest() -> None:
    paths = smooth_paths(torch.Generator().manual_seed(0), (3, 4), torch.arange(8.0).double().expand(3, 8))
    assert paths.shape == (3, 4, 8)
    assert paths[..., 0].abs().max() == 0


def test_folders_are_split_and_their_pictures_used(tmp_path) -> None:
    for index in range(20):
        Image.new("RGB", (500, 400), (index, 0, 0)).save(tmp_path / f"{index:02}.png")
    train = load_bank(0, textures=tmp_path, procedural=2)
    unseen = load_bank(0, textures=tmp_path, procedural=2, held_out=True)
    seen, kept = (set(bank.surfaces[2:, 0, 0, 0].tolist()) for bank in (train, unseen))
    assert kept == {0, 8, 16}
    assert seen == set(range(20)) - kept


@pytest.mark.parametrize("count", [0, 5])
def test_too_few_pictures_are_refused(tmp_path, count: int) -> None:
    for index in range(count):
        Image.new("RGBA", (20, 20)).save(tmp_path / f"{index}.png")
    with pytest.raises(BadInput, match="at least 9"):
        load_bank(0, cutouts=tmp_path)


def test_a_file_that_is_no_image_is_named(tmp_path) -> None:
    for index in range(12):
        (tmp_path / f"{index:02}.png").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"01\.png"):
        load_bank(0, textures=tmp_path)


def test_other_samples_stay_in_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_clips, "_write_sample", lambda _out, _sample: None)
    photo = {"file": "photo.jpg", "title": "A photo", "description": "Of a dog.", "licence": "CC0"}
    (tmp_path / "samples.json").write_text(json.dumps([photo]))
    for _ in range(2):
        sample_clips.write_sample_clips(tmp_path)
    listed = json.loads((tmp_path / "samples.json").read_text())
    assert [entry["file"] for entry in listed] == [
        *(f"{clip.name}.mp4" for clip in sample_clips.SAMPLE_CLIPS),
        "photo.jpg",
    ]
    assert listed[-1] == photo
