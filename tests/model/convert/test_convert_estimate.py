"""What `convert --estimate` says, against a real conversion and counting by hand."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from model.commands.convert import command
from model.convert.estimating import estimate_conversion
from model.convert.settings import ConvertSettings
from model.convert.work import WorkerSettings
from model.core.errors import BadInput
from model.datasets.summary import DatasetSummary
from tests.media import moving_frames, write_video
from tests.model.convert.conversions import convert


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of 40 and 25 frames, each moving 2 px right and 1 px up a frame."""
    folder = tmp_path_factory.mktemp("videos")
    for number, count in enumerate((40, 25)):
        frames = moving_frames(count, (96, 128), velocity=(2.0, -1.0))
        write_video(folder / f"{number}.mp4", frames)
    return folder


@pytest.mark.slow
def test_counts_chunks_and_measures_motion_and_the_size_of_the_real_set(videos, tmp_path):
    settings = ConvertSettings(method="lk", grid=6)
    found = estimate_conversion([str(videos)], settings, WorkerSettings(threads=1))
    assert (found.videos, found.frames, found.failures) == (2, 65, ())
    outlooks = {outlook.name.split(" (")[0]: outlook for outlook in found.outlooks}
    assert outlooks["as given"].chunks == 5 + 3  # the last frame of 25 alone is no chunk
    assert outlooks["every other chunk"].chunks == 3 + 2
    assert outlooks["every other frame"].chunks == 3 + 2
    assert outlooks["64×64 points"].chunks == 8
    step = np.hypot(2, 1) * 256 / 96
    assert outlooks["as given"].motion == pytest.approx(7 * step, rel=0.05)
    assert outlooks["every other frame"].motion == pytest.approx(14 * step, rel=0.1)
    assert outlooks["64×64 points"].bytes > 4 * outlooks["as given"].bytes
    assert all(outlook.seconds > 0 and outlook.memory_bytes > 1e7 for outlook in outlooks.values())
    summary = DatasetSummary.load(convert([videos], tmp_path / "set", grid=6, shard_samples=256).folder)
    assert summary.samples() == 8
    assert outlooks["as given"].bytes == pytest.approx(sum(shard.bytes for shard in summary.shards), rel=0.3)


@pytest.mark.slow
def test_says_it_as_a_table_and_leaves_nothing(videos, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.mp4").write_bytes((videos / "0.mp4").read_bytes())
    (tmp_path / "in" / "broken.mp4").write_text("this is no video")
    arguments = [str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--method", "lk", "--grid", "6"]
    result = CliRunner().invoke(command, [*arguments, "--overlap", "4", "--estimate"])
    assert result.exit_code == 0, result.output
    assert "1 videos, about 40 frames" in result.stdout
    assert "Cannot be used: in/broken.mp4" in result.stdout
    for name in ("as given (6×6 points)", "every other chunk", "every other frame", "64×64 points"):
        assert name in result.stdout
    assert re.search(r"as given \(6×6 points\) +10 ", result.stdout)  # a chunk every 4 frames of 40
    assert not (tmp_path / "out").exists()


def test_no_usable_video_is_one_sentence(tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video")
    with pytest.raises(BadInput, match="None of the videos can be used"):
        estimate_conversion([str(tmp_path)], ConvertSettings(method="lk"), WorkerSettings())
