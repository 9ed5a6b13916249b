"""The weights in the repository: what the registry says of them is so, and they track."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.clips.video import read_frames
from model.core.errors import BadInput
from model.core.structure import from_json
from model.prediction.predictor import Predictor
from model.synthetic.batches import synthesize
from model.synthetic.scene import SyntheticSettings
from model.synthetic.textures import procedural_bank
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

CLIP = Path("static/samples/drifting-shapes.mp4")
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
        ("fcn-resnet50", "real_average_precision", "fcn-resnet50", "AP moving", 0),
        ("fcn-resnet50", "real_average_precision_of_cell_prior", "cell mean", "AP moving", 0),
        ("fcn-resnet50", "real_log_likelihood", "fcn-resnet50", "log lik.", 0),
        ("fcn-resnet50", "real_log_likelihood_without_picture", "zero", "log lik.", 0),
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
def test_a_mirrored_picture_gives_the_mirrored_prediction(entry):
    """How good it is only real pictures can say; none is in the repository, the card has the figures."""
    predictor = Predictor.load(entry.name, device="cpu")
    picture = next(iter(read_frames(CLIP)))
    own, other = (predictor.predict_all(each, 8) for each in (picture, picture[:, ::-1].copy()))
    assert own.moving == pytest.approx(other.moving.reshape(8, 8)[:, ::-1].ravel(), abs=0.02)
    assert 0 <= own.moving.min() < own.moving.max() <= 1
    assert own.tracks.is_scene_motion
    ahead = (own.tracks.frames[-1] - own.tracks.frames[0]) / own.tracks.fps
    assert ahead == pytest.approx(7 / 15)


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
