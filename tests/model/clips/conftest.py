"""Moving clips in each container."""

import pytest

from tests.media import moving_clip

SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def clips(folder):
    """One moving clip of 30 frames in each container."""
    return {suffix: moving_clip(folder / f"clip{suffix}", frames=30) for suffix in SUFFIXES}
