"""What `inspect` says of a training set, against sets whose motion is known."""

import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.__main__ import main
from model.core.errors import BadInput, Stopped
from model.core.progress import Progress, Watch
from model.datasets.folder import DataFolder
from model.datasets.index import DatasetIndex
from model.datasets.summary import DatasetSummary
from model.inspection.choosing import spread, worst
from model.inspection.inspect import Inspection, inspect
from model.inspection.samples import sample_histogram, video_counts
from model.inspection.statistics import EDGES, SECTORS, StatisticsCollector, collect, pixels
from model.motion.grid import query_grid
from tests.model.datasets.example_sets import FRAMES, GRID, SIZE, make_dataset, make_sample

SCALE = 256 / SIZE[0]
POINTS = GRID**2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """6 videos of 7 samples; the points of video k move by (k, -k/2) px a frame, right and up."""
    path = tmp_path_factory.mktemp("sets") / "small"
    make_dataset(path, chunks=7)
    return DataFolder.open(path)


@pytest.fixture(scope="module")
def found(folder: DataFolder) -> Inspection:
    return inspect(folder)


def one(velocity: tuple[float, float]) -> StatisticsCollector:
    collector = StatisticsCollector(GRID, FRAMES)
    collector.add(make_sample(1, 0, "train", velocity))
    return collector


def test_points_are_counted_where_they_are_visible_and_inside() -> None:
    # The last point is hidden in the end; nothing leaves the frame.
    motion = one((0.25, -0.25)).result()
    assert motion.trajectories == POINTS - 1
    assert motion.visible.tolist() == [1.0] * (FRAMES - 1) + [(POINTS - 1) / POINTS]
    step = 0.25 * np.sqrt(2) * SCALE
    np.testing.assert_allclose(motion.distance, np.arange(FRAMES) * step, rtol=1e-3)
    assert motion.displacement.sum() == POINTS - 1
    bin_number = int(np.flatnonzero(motion.displacement)[0])
    assert EDGES[bin_number] <= (FRAMES - 1) * step < EDGES[bin_number + 1]
    np.testing.assert_allclose(motion.cell_distance.ravel()[:-1], (FRAMES - 1) * step, rtol=1e-3)
    expected = np.array([0.25, -0.25]) * (FRAMES - 1) * SCALE
    np.testing.assert_allclose(motion.cell_motion.reshape(-1, 2)[:-1], [expected] * (POINTS - 1), rtol=1e-3)
    assert np.isnan(motion.cell_distance[-1, -1])
    assert motion.cell_visible[-1, -1] == 0
    assert (motion.cell_visible.ravel()[:-1] == 1).all()


def test_points_that_leave_the_frame_do_not_count() -> None:
    # 160 px wide: after 7 · 20 = 140 px to the right only the first column is still inside.
    motion = one((20.0, 0.0)).result()
    assert motion.trajectories == GRID
    assert motion.cell_visible[:, 0].tolist() == [1] * GRID
    assert np.isnan(motion.cell_distance[:, 1:]).all()


@pytest.mark.parametrize(
    ("velocity", "sector", "reach"),
    [
        ((1, 0), 0, 2),
        ((0, -1), SECTORS // 4, 2),  # up on the screen
        ((-1, 0), SECTORS // 2, 2),
        ((0, 0.5), 3 * SECTORS // 4, 1),
        ((0.1, -0.1), SECTORS // 8, 0),
    ],
)
def test_directions_are_those_on_the_screen(velocity: tuple[float, float], sector: int, reach: int) -> None:
    directions = one(velocity).result().directions
    assert np.argwhere(directions).tolist() == [[reach, sector]]
    # The last point is hidden in the end, and some leave the frame.
    ends = query_grid(GRID, SIZE)[:-1] + 7 * np.array(velocity)
    inside = (ends > -0.5).all(axis=1) & (ends[:, 0] < SIZE[1] - 0.5) & (ends[:, 1] < SIZE[0] - 0.5)
    assert directions[reach, sector] == inside.sum()


def test_still_points_have_no_direction() -> None:
    motion = one((0.0, 0.0)).result()
    assert motion.directions.sum() == 0
    assert motion.moving == 0
    assert motion.displacement[0] == POINTS - 1
    assert motion.quantile(0.5) == 0.1


def test_quantiles_hold_the_share_they_say() -> None:
    collector = StatisticsCollector(GRID, FRAMES)
    velocities = np.geomspace(0.01, 0.2, 100)  # too slow for any point to leave the frame
    for velocity in velocities:
        collector.add(make_sample(1, 0, "train", (-velocity, 0.0)))
    motion = collector.result()
    for share in (0.1, 0.5, 0.95):
        exact = np.quantile(velocities, share) * 7 * SCALE
        assert exact < motion.quantile(share) < exact * 1.16  # bins are 12 % wide, steps 3 %


@pytest.mark.parametrize(
    ("length", "written"), [(0.2238, "0.22 px"), (17.78, "18 px"), (100.0, "100 px"), (1258.9, "1300 px")]
)
def test_lengths_are_written_with_two_digits(length: float, written: str) -> None:
    assert pixels(length) == written


def test_a_set_is_summed_up(found: Inspection) -> None:
    assert (found.samples, found.motion.samples) == (42, 42)
    # Video 0 stands still; of the others all points move.
    motion = found.motion
    still = 7 * (POINTS - 1)
    assert motion.displacement[0] == still
    assert motion.directions.sum() == motion.trajectories - still
    quality = found.histograms["quality"]
    assert (quality.total, quality.missing) == (21, 21)
    assert {split: int(counts.sum()) for split, counts in found.histograms["motion"].counts.items()} == {
        "train": 28,
        "validation": 14,
    }
    assert [video.samples for video in found.videos] == [7] * 6
    by_name = {video.source: video for video in found.videos}
    assert by_name["video-02.mp4"].split == "validation"
    assert by_name["video-01.mp4"].motion == pytest.approx(7 * np.sqrt(1.25) * SCALE, rel=1e-3)
    assert {sample.facts.source for sample in found.sheet} == set(by_name)
    assert [sample.facts.quality for sample in found.worst][:3] == [0.952] * 3


def test_pictures_have_the_trajectories_on_them(found: Inspection, folder: DataFolder) -> None:
    index = DatasetIndex.load(folder)
    samples = index.read(spread(index, np.arange(42), 24).tolist())
    for drawn, sample in zip(found.sheet, samples, strict=True):
        assert drawn.facts == sample.facts
        assert drawn.picture.shape == sample.picture().shape
        assert (drawn.picture != sample.picture()).any()


def test_a_sheet_shows_every_video_before_any_twice(folder: DataFolder) -> None:
    index = DatasetIndex.load(folder)
    everything = np.arange(len(index))
    for count in (1, 6, 9, 18, 42, 100):
        chosen = spread(index, everything, count)
        assert len(set(chosen.tolist())) == len(chosen) == min(count, 42)
        turns = np.bincount(index.rows["source"][chosen], minlength=6)
        assert turns.max() - turns.min() <= 1


def test_the_worst_come_first_and_unchecked_ones_never(folder: DataFolder) -> None:
    index = DatasetIndex.load(folder)
    chosen = worst(index, np.arange(len(index)), 100)
    quality = index.rows["quality"][chosen]
    assert len(chosen) == 21
    assert (np.diff(quality) >= 0).all()
    assert len(worst(index, np.arange(len(index)), 4)) == 4


def test_fewer_samples_can_be_read(folder: DataFolder) -> None:
    reports: list[Progress] = []
    found = inspect(folder, most_samples=5, watch=Watch(reports.append))
    assert (found.samples, found.motion.samples) == (42, 5)
    assert reports[-1] == Progress("reading samples", 5, 5)


def test_it_can_be_stopped(folder: DataFolder) -> None:
    with pytest.raises(Stopped):
        inspect(folder, watch=Watch(should_stop=lambda: True))


def test_histograms_put_each_value_into_its_bin(folder: DataFolder) -> None:
    rows = DatasetIndex.load(folder).rows[:5].copy()
    rows["moving"] = [0, 0.04, 0.051, 1.0, 0.5]
    rows["split"] = [0, 0, 1, 2, 0]
    histogram = sample_histogram(rows, "moving")
    assert {name: np.flatnonzero(counts).tolist() for name, counts in histogram.counts.items()} == {
        "train": [0, 10],
        "validation": [1],
        "test": [19],
    }
    rows["motion"] = [0, 0.05, 0.1, 1e4, 999]
    counts = sum(sample_histogram(rows, "motion").counts.values())
    assert (counts[0], counts[-1], counts.sum()) == (3, 2, 5)


def test_videos_are_sorted_by_their_samples(folder: DataFolder) -> None:
    index = DatasetIndex.load(folder)
    videos = video_counts(index, index.rows[np.r_[0:3, 7:14, 41]])
    assert [(video.source, video.samples) for video in videos] == [
        ("video-01.mp4", 7),
        ("video-00.mp4", 3),
        ("video-05.mp4", 1),
    ]


def test_another_grid_than_the_settings_say_is_an_error(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "set")
    summary, _ = make_dataset(tmp_path / "set", videos=1, chunks=1)
    dataclasses.replace(summary, settings={"grid": 5, "horizon": FRAMES}).save(folder)
    index = DatasetIndex.load(folder)
    with pytest.raises(BadInput, match="has not the 5×5 points and 8 frames that the set's settings say"):
        collect(index, [0])


# ---- the command ----


class Reader(HTMLParser):
    """Collects what a page loads from elsewhere, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.texts: list[str] = []
        self._is_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_code = tag in ("script", "style")
        values = dict(attrs)
        self.loads += [value for name in ("src", "href") if (value := values.get(name))]

    def handle_data(self, data: str) -> None:
        if not self._is_code and data.strip():
            self.texts.append(data.strip().removeprefix("\u200e"))


@pytest.mark.slow
def test_inspect_writes_one_page_and_pictures(
    folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, pictures = tmp_path / "report.html", tmp_path / "figures"
    assert main(["inspect", folder.url, "--out", str(out), "--pictures", str(pictures)]) == 0
    said = capsys.readouterr()
    assert "42 samples (28 train, 14 validation, 0 test) of 6 videos" in said.out
    assert "reading samples" in said.err

    text = out.read_text()
    reader = Reader()
    reader.feed(text)
    assert all(source.startswith("data:image/jpeg;base64,") for source in reader.loads)
    assert len(reader.loads) == 24 + 12
    for words in ("42", "28 train, 14 validation", "4 × 4", "video-03.mp4", "lk"):
        assert words in reader.texts, words
    assert text.count("<svg") == 11

    files = sorted(path.name for path in pictures.iterdir())
    names = sorted(name.removesuffix(".pdf") for name in files if name.endswith(".pdf"))
    assert len(names) == 11
    assert all(f'id="figure-{name}"' in text for name in names)
    assert [name for name in files if name.endswith(".png")] == sorted(
        f"{name}.png" for name in [*names, "contact-sheet", "worst-quality"]
    )
    for name in names:
        with Image.open(pictures / f"{name}.png") as picture:
            assert picture.width > 600
            assert len(set(picture.convert("RGB").getcolors(1 << 24) or [])) > 20
        assert (pictures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "report.html"]


@pytest.mark.slow
def test_an_unfinished_set_is_shown_and_said_and_names_from_outside_cannot_break_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = DataFolder.open(tmp_path / "set")
    summary, _ = make_dataset(tmp_path / "set")
    half: DatasetSummary = dataclasses.replace(
        summary, is_complete=False, shards=summary.shards[:1], failures=2
    )
    half.save(folder)
    evil = r"</script><img src=x onerror=alert(1)>$\formula$.mp4"
    for path in (tmp_path / "set" / "shards").glob("*.json"):
        path.write_text(path.read_text().replace("video-00.mp4", json.dumps(evil)[1:-1]))
    (tmp_path / "set" / "errors.jsonl").write_text(
        json.dumps({"file": evil, "reason": "<b>cut short", "traceback": "0"}) + "\n"
    )
    out = tmp_path / "report.html"
    assert main(["inspect", folder.url, "--out", str(out), "--samples", "3"]) == 0
    assert "its conversion has not ended" in capsys.readouterr().out
    reader = Reader()
    reader.feed(out.read_text())
    assert "x" not in reader.loads
    assert {evil, "<b>cut short"} <= set(reader.texts)
    assert any("has not ended" in text for text in reader.texts)
    assert any("3 samples, chosen at random" in text for text in reader.texts)
    assert any("Videos that could not be used: 2;" in text for text in reader.texts)


@pytest.mark.parametrize("method", ["nothing", "empty", "no-folder"])
def test_mistakes_are_one_sentence(
    method: str, folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"nothing": str(tmp_path), "empty": str(tmp_path / "set"), "no-folder": folder.url}[method]
    out = tmp_path / "none" / "r.html" if method == "no-folder" else tmp_path / "r.html"
    if method == "empty":
        summary, _ = make_dataset(tmp_path / "set", videos=1, chunks=1)
        dataclasses.replace(summary, shards=()).save(DataFolder.open(tmp_path / "set"))
    sentence = {
        "nothing": "holds no training set",
        "empty": "has no samples yet",
        "no-folder": "make it first",
    }[method]
    assert main(["inspect", arguments, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.strip().splitlines()[-1].startswith("Error: ")
    assert not out.exists()
