"""Stills whose motion can be read: exact paths, cues that say what they should, splits that share nothing."""

import dataclasses
import math
from itertools import combinations

import numpy as np
import pytest

from model.core.errors import BadInput, Stopped
from model.core.progress import ignore_progress, never_stop
from model.datasets.loader import open_dataset
from model.motion.grid import query_grid
from model.synthetic.clips.textures import procedural_bank
from model.synthetic.stills import dataset as still_dataset
from model.synthetic.stills.dataset import StillCueSettings, make_still, pictures_of, write_still_cues
from model.synthetic.stills.render import _composed, move_points, render_still
from model.synthetic.stills.scene import Layer, Path, Pictures, StillScene
from model.synthetic.stills.scenes import CUES, choose_cues, draw_scene

SIZE = (96, 160)
SMALL = StillCueSettings(train=5, validation=2, test=2, height=96, width=160, grid=4, procedural=4)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return pictures_of(procedural_bank(3, surfaces=8, shapes=12))


def scenes(pictures: Pictures, cue: str, count: int) -> list[StillScene]:
    """Scenes of one kind."""
    cues = choose_cues(cue)
    return [draw_scene(np.random.default_rng(seed), pictures, *SIZE, cues) for seed in range(count)]


def test_a_fall_is_a_fall():
    path = Path((10.0, 5.0), (1.0, 2.0), (0.0, 0.5), stop=4.0)
    for time in (-1.0, 0.0, 3.0):
        assert path.moved(time) == pytest.approx([time, 2 * time + 0.25 * time**2])
    assert path.moved(9.0) == pytest.approx(path.moved(4.0))


def test_a_disc_rolls_as_far_as_it_turns():
    """The picture's right rim, a quarter of the circumference later, is below the centre."""
    quarter = math.pi / 2 * 20
    path = Path((50.0, 40.0), (quarter, 0.0), zoom=1.0, radius=20.0)
    matrix = path.to_frame(1.0, (41, 41))
    right_rim = matrix @ np.array([40.0, 20.0, 1.0])
    assert right_rim == pytest.approx([50 + quarter, 60])


def test_a_mirrored_picture_is_mirrored_about_its_centre():
    straight, mirrored = (
        Path((50.0, 40.0), turn=0.0, mirrored=flag).to_frame(0, (11, 21)) for flag in (False, True)
    )
    corner = np.array([20.0, 0.0, 1.0])
    assert straight @ corner == pytest.approx([60, 35])
    assert mirrored @ corner == pytest.approx([40, 35])


@pytest.mark.parametrize("seed", range(6))
def test_visible_points_keep_their_colours(pictures, seed):
    scene = draw_scene(np.random.default_rng(seed), pictures, *SIZE)
    times = np.arange(4.0)
    motion = move_points(scene, query_grid(16, SIZE), times, SIZE)
    assert np.array_equal(motion.points[0], query_grid(16, SIZE))
    colours = []
    for row, time in enumerate(times):
        image = _composed(scene.layers, float(time), SIZE)
        x, y = np.round(motion.points[row]).astype(int).T
        inside = motion.visible[row] & motion.visible[0] & (x >= 0) & (y >= 0) & (x < 160) & (y < 96)
        colours.append(np.where(inside[:, None], image[y.clip(0, 95), x.clip(0, 159)], np.nan))
    change = np.abs(colours[-1] - colours[0])
    assert np.nanmedian(change) < 12  # of 255; rounding to whole pixels costs some
    shuffled = np.abs(np.roll(colours[-1], 7, axis=0) - colours[0])
    assert np.nanmedian(change) < 0.5 * np.nanmedian(shuffled)


def square(colour: int) -> np.ndarray:
    picture = np.full((21, 21, 4), 255, np.uint8)
    picture[..., :3] = colour
    return picture


def test_what_is_in_front_covers_and_what_trails_is_dim_behind():
    back = Layer(
        np.dstack([np.zeros((64, 64, 3), np.uint8), np.full((64, 64), 255, np.uint8)]), Path((80, 48)), True
    )
    moving = Layer(square(255), Path((40.0, 48.0), (10.0, 0.0)))
    parked = Layer(square(128), Path((90.0, 48.0)))
    scene = StillScene("heading", (back, moving, parked), 1.5)
    points = np.array([[40, 48], [90, 48], [10, 10]], np.float32)
    motion = move_points(scene, points, np.arange(8.0), SIZE)
    assert motion.points[:, 0] == pytest.approx(np.stack([40 + 10 * np.arange(8), np.full(8, 48)], axis=1))
    assert motion.visible[:, 0].tolist() == [True, True, True, True, False, False, False, True]
    assert motion.visible[:, 1:].all()
    still = render_still(scene, SIZE, np.random.default_rng(0)).astype(float).mean(axis=2)
    ahead, behind = still[48, 52:58].mean(), still[48, 18:28].mean()
    assert behind > 10 * ahead + 5
    assert still[48, 45] > 2 * behind


def test_mirrored_cutouts_go_the_other_way(pictures):
    """In scenes with a still camera, the way is where the picture's right side is."""
    for scene in scenes(pictures, "heading", 10):
        for layer in scene.layers[2::2]:  # each with its dust before it
            heading = layer.path.to_frame(0.0, layer.picture.shape[:2])[:, 0]
            cosine = (
                np.dot(heading, layer.path.velocity)
                / np.linalg.norm(heading)
                / np.linalg.norm(layer.path.velocity)
            )
            assert cosine == pytest.approx(1.0, abs=1e-6)


def test_what_comes_nearer_grows_away_from_the_focus():
    """At half the distance, everything is twice as far from the focus and twice as large."""
    path = Path((60.0, 30.0), zoom=0.5, approach=0.1, focus=(20.0, 50.0))
    now, later = (path.to_frame(time, (11, 21)) for time in (0.0, 5.0))
    corner = np.array([20.0, 10.0, 1.0])
    assert later @ corner - (20, 50) == pytest.approx(2 * (now @ corner - (20, 50)))


def test_driving_ahead_everything_moves_away_from_one_point(pictures):
    for scene in scenes(pictures, "forward", 10):
        focus = scene.layers[0].path.focus
        motion = move_points(scene, query_grid(16, SIZE), np.array([0.0, 7.0]), SIZE)
        away, moved = motion.points[0] - focus, motion.points[1] - motion.points[0]
        assert ((away * moved).sum(axis=1) > 0).all()
        assert away[:, 0] * moved[:, 1] == pytest.approx(away[:, 1] * moved[:, 0], abs=1e-2)


def test_dust_is_behind_what_heads_somewhere(pictures):
    for scene in scenes(pictures, "heading", 10):
        for dust, traveller in zip(scene.layers[1::2], scene.layers[2::2], strict=True):
            opacity = dust.picture[..., 3].astype(float)
            y, x = np.mgrid[: opacity.shape[0], : opacity.shape[1]]
            middle = np.array([(x * opacity).sum(), (y * opacity).sum(), opacity.sum()]) / opacity.sum()
            middle = dust.path.to_frame(0.0, opacity.shape) @ middle
            assert np.dot(middle - traveller.path.start, traveller.path.velocity) < 0
            assert dust.path.velocity == (0.0, 0.0)


def test_unclear_photos_stay_or_go_any_way(pictures):
    ways = []
    for scene in scenes(pictures, "unclear", 60):
        (photo,) = scene.layers
        assert scene.shutter < 0.1
        ways.append(np.sign([photo.path.velocity[0], photo.path.approach]))
    assert 0.2 < np.mean([way.any() for way in ways]) < 0.8
    for side in (-1, 1):
        assert (np.asarray(ways) == side).any(axis=0).all()


def test_all_kinds_of_scenes_occur_in_their_shares(pictures):
    cues = [draw_scene(np.random.default_rng(seed), pictures, 64, 64).cue for seed in range(300)]
    for cue, share in CUES:
        assert cues.count(cue) / 300 == pytest.approx(share, abs=0.1)


def test_kinds_of_scenes_can_be_chosen(pictures):
    both = choose_cues("unclear, fall,fall")
    drawn = {draw_scene(np.random.default_rng(seed), pictures, 64, 64, both).cue for seed in range(30)}
    assert drawn == {"unclear", "fall"}
    with pytest.raises(BadInput, match="no cue 'fly'; there are heading, follow"):
        StillCueSettings(cues="fall,fly")


def test_the_same_seed_makes_the_same_still(pictures):
    first, again = (make_still(SMALL, 7, pictures) for _ in range(2))
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])
    assert np.array_equal(first[2].points, again[2].points)


def write(out, settings=SMALL, should_stop=never_stop):
    write_still_cues(out, settings, progress=ignore_progress, should_stop=should_stop)


@pytest.mark.slow
def test_a_set_is_read_like_any_other(tmp_path):
    write(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set", "train")
    assert len(dataset) == 5
    sample = dataset[0]
    assert sample.picture.shape == (3, 96, 160)
    assert sample.displacement.shape == (8, 16, 2)
    assert (sample.displacement[0] == 0).all()
    assert sample.facts.source.split("/")[0] in dict(CUES)
    assert len(open_dataset(tmp_path / "set", "test")) == 2


@pytest.mark.slow
def test_a_stopped_set_is_gone_on_with_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(still_dataset, "SHARD_SAMPLES", 2)
    write(tmp_path / "whole")
    answers = iter([False] * 3 + [True])
    with pytest.raises(Stopped):
        write(tmp_path / "pieces", should_stop=lambda: next(answers))
    write(tmp_path / "pieces")
    names = sorted(path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.*"))
    assert len(names) == 11  # five shards with their indices, and dataset.json
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "pieces" / name).read_bytes(), name
    with pytest.raises(BadInput, match="another training set"):
        write(tmp_path / "whole", dataclasses.replace(SMALL, seed=1))


@pytest.mark.slow
def test_splits_share_no_picture():
    banks = [still_dataset._pictures(SMALL, split).surfaces for split in ("train", "validation", "test")]
    for one, other in combinations(banks, 2):
        known = {picture.tobytes() for picture in one}
        assert not any(picture.tobytes() in known for picture in other)


@pytest.mark.parametrize(
    "wrong", [{"train": -1}, {"train": 0, "validation": 0, "test": 0}, {"horizon": 1}, {"grid": 0}]
)
def test_sets_of_other_sizes_are_refused(wrong):
    with pytest.raises(BadInput):
        StillCueSettings(**wrong)
