"""Training sets of predictors: how much a sample counts, and how far ahead it looks."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.core.errors import BadInput
from model.datasets.summary import SUMMARY
from model.training.predictors.data import LARGEST_SHARE, common_interval, source_weights
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
