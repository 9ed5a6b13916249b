"""Training sets of predictors: how much a sample counts, and how far ahead it looks."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.core.errors import BadInput
from model.datasets.loader import open_dataset
from model.datasets.summary import SUMMARY
from model.prediction.config import PredictorConfig
from model.training.predictors.data import LARGEST_SHARE, PredictorSet, common_interval, source_weights
from model.training.predictors.examples import as_example
from tests.model.datasets.example_sets import make_dataset


def test_pieces_of_one_source_count_as_their_root() -> None:
    groups = [f"folder {number}/one" for number in range(9)] + ["folder 9/many"] * 4
    weights = source_weights(groups)
    assert weights.mean() == pytest.approx(1)
    assert weights[9:].sum() == pytest.approx(2 * weights[0])


def test_no_folder_counts_more_than_its_share() -> None:
    groups = [f"a/large/{number}" for number in range(80)] + [f"a/small {n % 10}/{n}" for n in range(20)]
    weights = source_weights(groups)
    assert weights[:80].sum() / weights.sum() == pytest.approx(LARGEST_SHARE, abs=0.01)
    assert np.ptp(weights[80:]) == pytest.approx(0, abs=1e-6)


def test_few_folders_count_alike() -> None:
    weights = source_weights(["a/1", "a/2", "a/3", "b/1"])
    assert weights[:3].sum() == pytest.approx(weights[3], rel=0.01)
    assert source_weights(["a/1", "a/2"]).tolist() == [1, 1]


def with_interval(folder: Path, interval: float | None) -> str:
    folder.mkdir()
    make_dataset(folder)
    summary = json.loads((folder / SUMMARY).read_text())
    summary["settings"]["interval"] = interval
    (folder / SUMMARY).write_text(json.dumps(summary))
    return str(folder)


def test_the_interval_is_that_of_all_sets(tmp_path: Path) -> None:
    a, b = with_interval(tmp_path / "a", 1 / 15), with_interval(tmp_path / "b", 1 / 15)
    frames = with_interval(tmp_path / "frames", None)
    assert common_interval([a, b]) == 1 / 15
    assert common_interval([frames]) is None
    with pytest.raises(BadInput, match="different intervals"):
        common_interval([a, frames])


def test_upright_pictures_are_a_part_of_their_own(tmp_path: Path) -> None:
    """Video 1's pictures are higher than wide."""
    make_dataset(tmp_path, upright=(1,))
    config = PredictorConfig("lraspp_mobilenet_v3_large", "fcn", grid=4)
    examples = PredictorSet.open((str(tmp_path),), "train", config, (64, 96), views=(2,))
    assert examples.shapes == ((64, 96), (96, 64))
    everything = [examples.view(number) for number in range(len(examples))]
    assert [each.shape for each in everything] == [(64, 96)] * 30 + [(96, 64)] * 10
    sources = {key.split("-")[0] for key in examples.keys(1)}
    assert sources == {f"{1:016x}"}
    assert examples.by_shape([31, 2, 0, 39]) == [[31, 39], [2, 0]]
    assert sum(float(each.sum()) for each in examples.weights) == pytest.approx(20)


def test_a_hidden_position_within_the_frame_counts_a_little_less(tmp_path: Path) -> None:
    """The last point is 25 % visible in the end; video 4 moves points of the first row out of the frame."""
    make_dataset(tmp_path)
    dataset = open_dataset(tmp_path, "train")
    sample = next(each for each in dataset if each.facts.source == "video-04.mp4")
    example = as_example(sample, PredictorConfig("lraspp_mobilenet_v3_large", "fcn", grid=4, trajectory=True))
    quality = sample.facts.quality or 1.0
    inside = example.points[:, None] + example.motion
    is_inside = (inside[..., 1] >= -0.5) & (inside[..., 0] <= sample.picture.shape[2] - 0.5)
    assert 0 < int((~is_inside[:, -1]).sum()) < 16
    assert not is_inside[-1, -1] or example.counts[-1, -1] == pytest.approx(0.85 * quality)
    assert example.counts[~is_inside].eq(0).all()
    visible = is_inside.clone()
    visible[-1, -1] = False
    assert example.counts[visible].numpy() == pytest.approx(quality)
