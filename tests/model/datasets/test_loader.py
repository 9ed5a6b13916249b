"""Reading a training set: the right values, each sample exactly once, the same order again."""

import dataclasses
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from model.core.errors import BadInput
from model.datasets.folder import DataFolder
from model.datasets.index import DatasetIndex, SampleFilter
from model.datasets.loader import EpochLoader, EpochSampler, MotionBatch, as_tensors, collate, open_dataset
from model.datasets.sample import Sample
from model.datasets.summary import DatasetSummary
from tests.model.datasets.example_sets import FRAMES, GRID, IMAGE_SIZE, SIZE, make_dataset, make_sample


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Sample]]:
    """A set of 6 videos with 7 samples each, in shards of 8."""
    path = tmp_path_factory.mktemp("sets") / "small"
    _, samples = make_dataset(path, chunks=7)
    return path, samples


def name_of(source: str, start: int) -> str:
    return f"{source}@{start}"


def names(batches: Iterator[MotionBatch] | EpochLoader) -> list[str]:
    """The samples of some batches, in order."""
    return [name_of(facts.source, facts.start) for batch in batches for facts in batch.facts]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes:UserWarning")
@pytest.mark.parametrize(("workers", "ranks"), [(0, 1), (2, 1), (3, 1), (1, 2), (0, 5), (2, 3), (0, 50)])
def test_every_sample_comes_exactly_once(
    written: tuple[Path, list[Sample]], workers: int, ranks: int
) -> None:
    path, samples = written
    seen: Counter[str] = Counter()
    for rank in range(ranks):
        loader = EpochLoader(open_dataset(path), 4, workers=workers, seed=3, rank=rank, ranks=ranks)
        found = names(loader)
        assert len(loader.sampler) == len(found)
        seen.update(found)
    assert seen == Counter(name_of(sample.facts.source, sample.facts.start) for sample in samples)


def test_the_order_depends_on_seed_and_epoch_and_not_on_workers(written: tuple[Path, list[Sample]]) -> None:
    dataset = open_dataset(written[0], "train")
    alone, helped = EpochLoader(dataset, 4, seed=1), EpochLoader(dataset, 4, workers=2, seed=1)
    orders = []
    for epoch in (0, 1):
        alone.set_epoch(epoch)
        helped.set_epoch(epoch)
        orders.append(names(alone))
        assert names(helped) == orders[-1]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    other = EpochLoader(dataset, 4, seed=2)
    assert names(other) != orders[0]
    alone.set_epoch(0)
    assert names(alone) == orders[0]


def test_an_epoch_goes_on_where_it_was_left(written: tuple[Path, list[Sample]]) -> None:
    loader = EpochLoader(open_dataset(written[0], "train"), 4, rank=1, ranks=2)
    loader.set_epoch(5)
    whole = names(loader)
    loader.set_epoch(5, done=8)
    assert names(loader) == whole[8:]
    assert len(loader.sampler) == len(whole) - 8


@pytest.mark.parametrize(("count", "ranks"), [(10, 3), (12, 4), (2, 3), (0, 2)])
def test_even_ranks_have_as_many_and_nothing_twice(count: int, ranks: int) -> None:
    left_out = set()
    for epoch in range(40):
        shares = []
        for rank in range(ranks):
            sampler = EpochSampler(count, rank=rank, ranks=ranks, even=True)
            sampler.set_epoch(epoch)
            shares.append(list(sampler))
            assert len(sampler) == len(shares[-1]) == count // ranks
        everything = [number for share in shares for number in share]
        assert len(set(everything)) == len(everything)
        left_out |= set(range(count)) - set(everything)
    assert left_out == (set() if count % ranks == 0 else set(range(count)))


def test_without_shuffle_the_order_is_that_of_the_set(written: tuple[Path, list[Sample]]) -> None:
    path, samples = written
    loader = EpochLoader(open_dataset(path), 5, shuffle=False)
    assert names(loader) == [name_of(sample.facts.source, sample.facts.start) for sample in samples]


def test_the_shuffle_reaches_over_the_whole_set(written: tuple[Path, list[Sample]]) -> None:
    dataset = open_dataset(written[0], "train")
    first = [next(iter(EpochSampler(len(dataset), seed=seed))) for seed in range(300)]
    assert len(set(first)) == len(dataset)  # each of the 28 was first once


def test_values_are_those_that_were_written(written: tuple[Path, list[Sample]]) -> None:
    path, samples = written
    for read, sample in zip(open_dataset(path), samples, strict=False):
        source = int(sample.key.split("-")[0], 16)
        scale = IMAGE_SIZE[1] / SIZE[1]
        assert read.facts == sample.facts
        with Image.open(io.BytesIO(sample.image)) as image:
            np.testing.assert_array_equal(read.picture.permute(1, 2, 0), np.asarray(image))
        # The grid's definition, by hand: 8 + k / 3 · (side - 16) at 640 × 360, then to the picture.
        for k, (x, y) in ((0, (8, 8)), (5, (8 + 624 / 3, 8 + 344 / 3)), (15, (632, 352))):
            expected = ((x + 0.5) * IMAGE_SIZE[1] / 640 - 0.5, (y + 0.5) * IMAGE_SIZE[0] / 360 - 0.5)
            np.testing.assert_allclose(read.queries[k], expected, atol=1e-4)
        steps = torch.arange(FRAMES)[:, None, None]
        moved = steps * torch.tensor([source, -source / 2]) * scale
        torch.testing.assert_close(read.displacement, moved.expand(-1, GRID**2, -1).float())
        assert (read.visibility[-1, -1], read.visibility[:-1].min()) == (0.25, 1)
        assert read.picture.dtype == torch.uint8
        assert read.displacement.dtype == read.visibility.dtype == read.queries.dtype == torch.float32


def test_a_given_size_moves_points_with_the_picture(written: tuple[Path, list[Sample]]) -> None:
    path, samples = written
    dataset = open_dataset(path, image_size=(36, 32))
    batch = next(iter(EpochLoader(dataset, 3, shuffle=False)))
    assert batch.picture.shape == (3, 3, 36, 32)
    assert batch.queries.shape == (3, GRID**2, 2)
    stored = as_tensors(samples[2])
    expected = (stored.queries + 0.5) * torch.tensor([32 / 128, 36 / 72]) - 0.5
    torch.testing.assert_close(batch.queries[2], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.displacement[2], stored.displacement * torch.tensor([0.25, 0.5]))
    # The picture's red grows from left to right, so a point's colour says whether it moved with it.
    rows, columns = batch.queries[0, :, 1].round().long(), batch.queries[0, :, 0].round().long()
    red = batch.picture[0, 0, rows, columns].float()
    torch.testing.assert_close(red, (batch.queries[0, :, 0] + 0.5) / 32 * 255, atol=8, rtol=0)


def test_a_short_sample_is_filled_up_and_counts_as_hidden_there() -> None:
    sample = shorten(make_sample(2, 0, "train", (2.0, 1.0)), 5)
    read = as_tensors(sample)
    assert read.displacement.shape == (FRAMES, GRID**2, 2)
    torch.testing.assert_close(read.displacement[5:], read.displacement[4].expand(3, -1, -1))
    assert read.displacement[4, 0, 0] == 4 * 2.0 * 0.8
    assert (read.visibility[:5] == 1).all()
    assert (read.visibility[5:] == 0).all()


def shorten(sample: Sample, count: int) -> Sample:
    return dataclasses.replace(
        sample,
        displacement=sample.displacement[:count],
        visibility=sample.visibility[:count],
        facts=dataclasses.replace(sample.facts, count=count),
    )


def test_pictures_of_different_sizes_need_a_common_one() -> None:
    samples = [as_tensors(make_sample(0, 0, "train", (0, 0)), size) for size in (None, (20, 30))]
    with pytest.raises(BadInput, match="Pictures of 128×72 and 30×20 make no batch; give open_dataset"):
        collate(samples)


def test_splits_share_no_video(written: tuple[Path, list[Sample]]) -> None:
    path, samples = written
    videos = {}
    for split, count in (("train", 28), ("validation", 14)):
        dataset = open_dataset(path, split)
        assert len(dataset) == count
        found = [dataset[number].facts for number in range(len(dataset))]
        assert {facts.split for facts in found} == {split}
        videos[split] = {facts.source for facts in found}
    assert not videos["train"] & videos["validation"]
    assert len(open_dataset(path)) == len(samples) == 42


def test_filters_let_through_what_they_say(written: tuple[Path, list[Sample]]) -> None:
    path, samples = written
    # Video k moves by 7 · (k, -k/2) px in a 90-high frame.
    motions = {k: 7 * k * np.sqrt(1.25) * 256 / 90 for k in range(6)}

    def kept(**wanted: float | str | bool) -> Counter[int]:
        numbers = DatasetIndex.load(DataFolder.open(path)).select(SampleFilter(**wanted))
        return Counter(int(samples[number].key.split("-")[0], 16) for number in numbers)

    assert kept(min_motion=motions[3] - 0.5) == {3: 7, 4: 7, 5: 7}
    assert kept(max_motion=motions[1] + 0.5) == {0: 7, 1: 7}
    assert kept(source="video-04.mp4") == {4: 7}
    assert kept(source="elsewhere.mp4") == {}
    # Quality is 1 - start / 1000 in even videos, with starts 0, 8 ... 48; unknown in odd ones.
    assert kept(min_quality=0.97) == {0: 4, 2: 4, 4: 4}
    assert kept(only_whole=True) == dict.fromkeys(range(6), 7)
    assert kept(min_moving=0.5) == dict.fromkeys(range(1, 6), 7)
    dataset = open_dataset(path, "train", wanted=SampleFilter(min_motion=motions[3] - 0.5))
    assert {dataset[number].facts.source for number in range(len(dataset))} == {
        "video-03.mp4",
        "video-04.mp4",
    }


def test_short_samples_can_be_left_out(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", videos=1, chunks=3)
    rewrite_index(tmp_path / "set", "train-000000", lambda entry: entry["facts"].update(count=3), which=1)
    dataset = open_dataset(tmp_path / "set", wanted=SampleFilter(only_whole=True))
    assert [dataset[number].facts.start for number in range(len(dataset))] == [0, 16]


def rewrite_index(path: Path, shard: str, change, which: int) -> None:
    file = path / "shards" / f"{shard}.json"
    content = json.loads(file.read_text())
    change(content["samples"][which])
    file.write_text(json.dumps(content))


def test_a_set_is_read_through_fsspec(written: tuple[Path, list[Sample]]) -> None:
    path, samples = written
    memory = fsspec.filesystem("memory")
    memory.put(str(path), "/sets/small", recursive=True)
    try:
        dataset = open_dataset("memory://sets/small")
        assert names(EpochLoader(dataset, 8, shuffle=False)) == names(
            EpochLoader(open_dataset(path), 8, shuffle=False)
        )
        assert len(dataset) == len(samples)
    finally:
        memory.rm("/sets", recursive=True)


def test_what_cannot_be_read_is_said_in_a_sentence(
    written: tuple[Path, list[Sample]], tmp_path: Path
) -> None:
    path, _ = written
    with pytest.raises(BadInput, match="holds no training set"):
        open_dataset(tmp_path)
    with pytest.raises(BadInput, match=r"no samples for test .it has 28 train, 14 validation, 0 test"):
        open_dataset(path, "test")
    with pytest.raises(BadInput, match="There is no split “half”"):
        open_dataset(path, "half")
    with pytest.raises(BadInput, match="passes the filter"):
        open_dataset(path, wanted=SampleFilter(min_motion=1e6))
    with pytest.raises(BadInput, match="image size"):
        open_dataset(path, image_size=(0, 10))
    with pytest.raises(BadInput, match="The rank must be 0 to 1, not 2"):
        EpochLoader(open_dataset(path), 2, rank=2, ranks=2)


def test_an_incomplete_set_is_read_only_when_that_is_allowed(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "set")
    summary, _ = make_dataset(tmp_path / "set")
    half: DatasetSummary = dataclasses.replace(summary, is_complete=False, shards=summary.shards[:1])
    half.save(folder)
    with pytest.raises(BadInput, match="is not complete; give the same `convert` command again"):
        open_dataset(tmp_path / "set")
    assert len(open_dataset(tmp_path / "set", allow_incomplete=True)) == 8


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_set_is_said_in_a_sentence(tmp_path: Path, workers: int) -> None:
    make_dataset(tmp_path / "set", videos=1, chunks=3)
    shard = tmp_path / "set" / "shards" / "train-000000.tar"
    whole = shard.read_bytes()

    def read_all() -> None:
        for _ in EpochLoader(open_dataset(tmp_path / "set"), 2, workers=workers):
            pass

    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        BadInput, match=r"^The sample \S+ in shards/train-000000.tar of \S+ is damaged; copy the set again.$"
    ):
        read_all()
    shard.write_bytes(bytes(len(whole)))
    with pytest.raises(BadInput, match="is damaged"):
        read_all()
    shard.unlink()
    with pytest.raises(BadInput, match="is gone"):
        read_all()
    (tmp_path / "set" / "shards" / "train-000000.json").unlink()
    with pytest.raises(BadInput, match=r"The index of the shard train-000000 .* is gone"):
        read_all()


def test_a_set_may_move_to_another_folder(written: tuple[Path, list[Sample]], tmp_path: Path) -> None:
    shutil.copytree(written[0], tmp_path / "elsewhere")
    assert len(names(EpochLoader(open_dataset(tmp_path / "elsewhere", "train"), 8, workers=1))) == 28


RANK_PROGRAM = """
import sys
import torch.distributed as distributed
from model.datasets.loader import EpochLoader, open_dataset
folder, meeting, rank = sys.argv[1:]
distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=2)
for batch in EpochLoader(open_dataset(folder), 4, seed=1):
    print(*(f"{facts.source}@{facts.start}" for facts in batch.facts), sep="\\n")
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_processes_of_a_group_share_the_samples(written: tuple[Path, list[Sample]], tmp_path: Path) -> None:
    path, samples = written
    arguments = [sys.executable, "-c", RANK_PROGRAM, str(path), str(tmp_path / "meeting")]
    processes = [
        subprocess.Popen([*arguments, str(rank)], stdout=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    shares = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [len(share) for share in shares] == [21, 21]
    assert Counter(shares[0] + shares[1]) == Counter(
        name_of(sample.facts.source, sample.facts.start) for sample in samples
    )
