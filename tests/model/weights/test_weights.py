"""Weights from a local web server: verified, renamed into place, or refused."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from model.commands.weights import describe
from model.core.errors import BadInput
from model.core.progress import Progress
from model.weights.registry import WeightsEntry, cache_folder, find_weights, weights_file

CONTENT = bytes(range(256)) * 12_000


@pytest.fixture
def entry(site: str, tmp_path: Path) -> WeightsEntry:
    """An entry whose file a real server on this machine offers."""
    (tmp_path / "served" / "w.safetensors").write_bytes(CONTENT)
    return WeightsEntry(
        name="pips-test",
        kind="pips",
        file="w.safetensors",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="MIT",
        summary="For the tests.",
        url=f"{site}/w.safetensors",
        metrics={"ATE": 2.5},
    )


def test_is_downloaded_once_and_verified(entry):
    reports: list[Progress] = []
    assert "downloaded at first use" in describe(entry)
    path = weights_file(entry, progress=reports.append)
    assert path.read_bytes() == CONTENT
    assert reports[-1] == Progress("downloading", len(CONTENT), len(CONTENT))
    unreachable = dataclasses.replace(entry, url="http://127.0.0.1:9/w.safetensors")
    assert weights_file(unreachable) == path
    assert [file.name for file in cache_folder().iterdir()] == ["w.safetensors"]
    assert "downloaded)" in describe(entry)


def test_other_bytes_are_thrown_away(entry):
    with pytest.raises(BadInput, match="has the sha256"):
        weights_file(dataclasses.replace(entry, sha256="0" * 64))
    assert list(cache_folder().iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/w.safetensors", None])
def test_an_unreachable_file_is_one_sentence(entry, url):
    missing = url or str(entry.url).replace("w.safe", "missing.safe")
    with pytest.raises(BadInput, match=r"could not be downloaded .* or put the file at"):
        weights_file(dataclasses.replace(entry, url=missing))
    assert list(cache_folder().iterdir()) == []


def test_names_kinds_and_paths_are_found(entry, tmp_path):
    registry = (entry,)
    assert find_weights("pips-test", registry) is entry
    assert find_weights("pips", registry) is entry
    assert (
        find_weights(str(tmp_path / "served" / "w.safetensors"), registry)
        == tmp_path / "served" / "w.safetensors"
    )
    with pytest.raises(BadInput, match=r"There are no weights “other”.*\(pips-test\)"):
        find_weights("other", registry)
    with pytest.raises(BadInput, match="STILLMOTION_PIPS_WEIGHTS"):
        find_weights("pips", ())
