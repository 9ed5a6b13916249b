"""The weights in the repository: what the registry says of them is so, and they track."""

import numpy as np
import pytest
import torch

from model.core.errors import BadInput
from model.core.structure import from_json
from model.prediction.predictor import Predictor
from model.synthetic.clips.batches import synthesize
from model.synthetic.clips.scene import SyntheticSettings
from model.synthetic.clips.textures import procedural_bank
from model.synthetic.stills.dataset import StillCueSettings, make_still, pictures_of
from model.tracking.pips.network import PipsConfig
from model.tracking.pips.release import read_release
from model.tracking.tracker import Tracker
from model.weights.registry import (
    BUNDLED_FOLDER,
    REGISTRY,
    file_sha256,
    find_entry,
    read_card,
    weights_file,
)

LARGEST = {"pips": 16 * 2**20, "predictor": 70 * 2**20}
BUNDLED = [entry for entry in REGISTRY if entry.url is None and entry.kind in LARGEST]
TRACKERS = [entry for entry in BUNDLED if entry.kind == "pips"]
PREDICTORS = [entry for entry in BUNDLED if entry.kind == "predictor"]


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_the_registry_tells_the_truth(entry):
    path = weights_file(entry)
    assert file_sha256(path) == entry.sha256
    assert path.stat().st_size <= LARGEST[entry.kind]


def rows(card: str) -> list[list[str]]:
    """The cells of the rows of a card's tables, without the marks of bold."""
    lines = [line.strip("|").replace("*", "") for line in card.splitlines() if line.startswith("|")]
    return [[cell.split("(")[0].strip() for cell in line.split("|")] for line in lines]


@pytest.mark.parametrize(
    ("name", "metric", "row", "column", "table"),
    [
        ("pips-small", "real_inside_object", "pips-small", "inside", 0),
        ("pips-small", "real_inside_object_of_lucas_kanade", "Lucas-Kanade", "inside", 0),
        ("pips-small", "visible_ate_px", "pips-small", "ATE visible", 0),
        ("pips-small", "visible_ate_of_lucas_kanade_px", "Lucas-Kanade", "ATE visible", 0),
        ("pips-small", "delta_avg", "pips-small", "δ_avg", 0),
        ("pips-small", "balanced_occlusion_accuracy", "pips-small", "balanced OA", 0),
        ("fcn-resnet50", "epe_moving_px", "fcn-resnet50", "EPE moving", 0),
        ("fcn-resnet50", "epe_moving_of_zero_motion_px", "zero motion", "EPE moving", 0),
        ("fcn-resnet50", "direction_cosine", "fcn-resnet50", "cosine", 0),
        ("fcn-resnet50", "real_ade_px", "fcn-resnet50", "ADE", 2),
        ("fcn-resnet50", "real_ade_of_zero_motion_px", "zero motion", "ADE", 2),
    ],
)
def test_the_listed_figures_are_those_of_the_cards_tables(name, metric, row, column, table):
    cells = rows((BUNDLED_FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    headings = [number for number, line in enumerate(cells) if column in line]
    heading = headings[table]
    line = next(line for line in cells[heading:] if line[0] == row)
    entry = find_entry(name)
    assert entry.metrics[metric] == float(line[cells[heading].index(column)])


def test_every_card_is_registered_and_a_bad_one_is_one_sentence(tmp_path):
    assert {path.stem for path in BUNDLED_FOLDER.glob("*.md")} == {entry.name for entry in BUNDLED}
    card = tmp_path / "card.md"
    for text, sentence in (
        ("# No front", "does not begin with"),
        ("+++\nname = \n+++\n", "does not begin with"),
        ('+++\nname = "x"\n+++\n', "does not understand the card card.md"),
    ):
        card.write_text(text)
        with pytest.raises(BadInput, match=sentence):
            read_card(card)


@pytest.mark.parametrize("entry", TRACKERS, ids=lambda entry: entry.name)
def test_the_registry_knows_the_trackers_size(entry):
    path = weights_file(entry)
    config = read_release(path).config
    assert config == from_json(PipsConfig, entry.architecture, "the card")


def test_pips_has_default_weights():
    assert find_entry("pips") is not None


@pytest.mark.slow
@pytest.mark.parametrize("entry", PREDICTORS, ids=lambda entry: entry.name)
def test_predicted_motion_is_nearer_than_none_on_stills_that_nobody_has_seen(entry):
    """Procedural pictures and scenes of seeds that training has not used."""
    predictor = Predictor.load(entry.name, device="cpu")
    pictures = pictures_of(procedural_bank(987_655, surfaces=24, shapes=40))
    settings = StillCueSettings(height=144, width=256, grid=16)
    error, still = [], []
    for seed in range(30):
        _, picture, truth = make_still(settings, 4_000_000_000 + seed, pictures)
        guess = predictor.predict(picture)
        moved = truth.points[-1] - truth.points[0]
        counted = truth.visible[-1] & (np.linalg.norm(moved, axis=1) > 1)
        error.append(np.linalg.norm(guess.points[-1] - truth.points[-1], axis=1)[counted])
        still.append(np.linalg.norm(moved, axis=1)[counted])
    assert np.concatenate(error).mean() < 0.8 * np.concatenate(still).mean()


@pytest.mark.slow
def test_the_default_weights_beat_lucas_kanade_on_clips_that_nobody_has_seen():
    """Procedural pictures and motions of seeds that neither training nor tuning has used."""
    bank = procedural_bank(987_654, surfaces=12, shapes=24)
    pips, lucas_kanade = Tracker.load("pips", device="cpu"), Tracker.load("lk")
    errors: dict[str, list[np.ndarray]] = {"pips": [], "lk": [], "zero": []}
    for seed in range(6):
        clips = synthesize(77_000 + seed, 1, SyntheticSettings(points=40), bank)
        frames = clips.frames[0].permute(0, 2, 3, 1).contiguous().numpy()
        truth, visible = clips.trajectories[0].numpy(), clips.visibility[0, 1:].numpy()
        tracked = {
            "pips": pips.track(frames, truth[0]).points,
            "lk": lucas_kanade.track(frames, truth[0]).points,
            "zero": np.broadcast_to(truth[0], truth.shape),
        }
        for name, points in tracked.items():
            errors[name].append(np.linalg.norm(points - truth, axis=-1)[1:][visible])
    mean = {name: float(np.concatenate(parts).mean()) for name, parts in errors.items()}
    assert mean["pips"] < 0.8 * mean["lk"], mean
    assert mean["pips"] < 0.35 * mean["zero"], mean


@pytest.mark.slow
def test_points_are_independent_with_the_default_weights_too():
    clips = synthesize(5, 1, SyntheticSettings(96, 128, points=40), procedural_bank(5, surfaces=4, shapes=6))
    frames = clips.frames[0].permute(0, 2, 3, 1).contiguous().numpy()
    queries = clips.trajectories[0, 0].numpy()
    tracker = Tracker.load("pips", device="cpu")
    whole = tracker.track(frames, queries)
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:7].numpy()
    part = tracker.track(frames, queries[chosen])
    assert (part.points == whole.points[:, chosen]).all()
    assert (part.visibility == whole.visibility[:, chosen]).all()
