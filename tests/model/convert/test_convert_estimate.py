"""What `convert --estimate` says, against a real conversion and counting by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from model.commands.convert import command
from model.convert.estimating import estimate_conversion
from model.convert.settings import ConvertSettings
from model.convert.work import WorkerSettings
from model.core.errors import BadInput
from model.core.progress import ignore_progress, never_stop
from model.datasets.folder import DataFolder
from model.datasets.summary import DatasetSummary
from tests.media import moving_frames, write_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of 40 and 25 frames, each moving 2 px right and 1 px up a frame."""
    folder = tmp_path_factory.mktemp("videos")
    for number, count in enumerate((40, 25)):
        frames = moving_frames(count, (96, 128), velocity=(2.0, -1.0))
        write_video(folder / f"{number}.mp4", frames)
    return folder


def of(videos: Path, **values: Any) -> dict[str, object]:
    settings = ConvertSettings(method="lk", grid=6, **values)
    found = estimate_conversion(
        [str(videos)], settings, WorkerSettings(threads=1), ignore_progress, never_stop
    )
    assert (found.videos, found.frames, found.failures) == (2, 65, ())
    return {outlook.name.split(" (")[0]: outlook for outlook in found.outlooks}


@pytest.mark.slow
def test_counts_chunks_and_measures_motion(videos):
    outlooks = of(videos)
    assert outlooks["as given"].chunks == 5 + 3  # the last frame of 25 alone is no chunk
    assert outlooks["every other chunk"].chunks == 3 + 2
    assert outlooks["every other frame"].chunks == 3 + 2
    assert outlooks["64×64 points"].chunks == 8
    step = np.hypot(2, 1) * 256 / 96
    assert outlooks["as given"].motion == pytest.approx(7 * step, rel=0.05)
    assert outlooks["every other frame"].motion == pytest.approx(14 * step, rel=0.1)
    assert outlooks["64×64 points"].bytes > 4 * outlooks["as given"].bytes
    assert all(outlook.seconds > 0 and outlook.memory_bytes > 1e7 for outlook in outlooks.values())


@pytest.mark.slow
def test_overlap_and_workers_count(videos):
    assert of(videos, overlap=4)["as given"].chunks == 10 + 6


@pytest.mark.slow
def test_says_it_as_a_table_and_leaves_nothing(videos, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.mp4").write_bytes((videos / "0.mp4").read_bytes())
    (tmp_path / "in" / "broken.mp4").write_text("this is no video")
    arguments = [str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--method", "lk", "--grid", "6"]
    result = CliRunner().invoke(command, [*arguments, "--estimate"])
    assert result.exit_code == 0, result.output
    assert "1 videos, about 40 frames" in result.stdout
    assert "Cannot be used: in/broken.mp4" in result.stdout
    for name in ("as given (6×6 points)", "every other chunk", "every other frame", "64×64 points"):
        assert name in result.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_size_is_that_of_the_real_set(videos, tmp_path):
    said = of(videos)["as given"].bytes
    result = CliRunner().invoke(
        command, [str(videos), "--out", str(tmp_path / "set"), "--method", "lk", "--grid", "6"]
    )
    assert result.exit_code == 0, result.output
    summary = DatasetSummary.load(DataFolder.open(tmp_path / "set"))
    assert summary.samples() == 8
    assert said == pytest.approx(sum(shard.bytes for shard in summary.shards), rel=0.3)


def test_no_usable_video_is_one_sentence(tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video")
    with pytest.raises(BadInput, match="None of the videos can be used"):
        estimate_conversion(
            [str(tmp_path)], ConvertSettings(method="lk"), WorkerSettings(), ignore_progress, never_stop
        )
