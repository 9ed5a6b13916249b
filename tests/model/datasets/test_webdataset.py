"""A training set read by the webdataset package alone: nothing of Stillmotion's reading is used."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from tests.model.datasets.example_sets import FRAMES, GRID, IMAGE_SIZE, make_dataset

# webdataset leaves the closing of shards to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_the_shards_are_plain_webdataset(tmp_path: Path) -> None:
    _, written = make_dataset(tmp_path / "set")
    shards = sorted(str(path) for path in (tmp_path / "set" / "shards").glob("*.tar"))
    read = list(webdataset.WebDataset(shards, shardshuffle=False))

    by_key = {sample.key: sample for sample in written}
    assert sorted(sample["__key__"] for sample in read) == sorted(by_key)
    for sample in read:
        facts = json.loads(sample["json"])
        assert (facts["grid"], facts["count"]) == (GRID, FRAMES)
        source = int(facts["source"].removeprefix("video-").removesuffix(".mp4"))
        with np.load(io.BytesIO(sample["tracks.npz"])) as tracks:
            assert tracks["queries"].shape == (GRID**2, 2)
            assert tracks["displacement"].dtype == np.float16
            # Video k moves by (k, -k/2) pixels a frame.
            np.testing.assert_array_equal(tracks["displacement"][-1], [[7 * source, -3.5 * source]] * GRID**2)
        with Image.open(io.BytesIO(sample["jpg"])) as image:
            assert image.size == IMAGE_SIZE[::-1]
        assert sample["jpg"] == by_key[sample["__key__"]].image


def test_webdataset_decodes_and_groups_by_its_own_means(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", videos=3, chunks=2)
    shards = sorted(str(path) for path in (tmp_path / "set" / "shards").glob("train-*.tar"))
    pipeline = (
        webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8").to_tuple("jpg", "tracks.npz", "json")
    )
    pictures, tracks, facts = zip(*pipeline, strict=True)
    assert {picture.shape for picture in pictures} == {(*IMAGE_SIZE, 3)}
    assert {part["visibility"].shape for part in tracks} == {(FRAMES, GRID**2)}
    assert {part["split"] for part in facts} == {"train"}
