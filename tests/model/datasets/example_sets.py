"""Training sets with known content, for the tests that read them."""

from pathlib import Path

import numpy as np

from model.core.jpeg import jpeg
from model.datasets.folder import DataFolder
from model.datasets.sample import MotionSummary, Sample, SampleFacts
from model.datasets.shards import ShardIndex, ShardWriter, archive_name
from model.datasets.summary import SUMMARY, DatasetSummary, ShardSummary
from model.motion.grid import query_grid
from model.motion.tracks import Method, Tracks

SIZE, IMAGE_SIZE, GRID, FRAMES = (90, 160), (72, 128), 4, 8


def make_sample(
    source: int, start: int, split: str, velocity: tuple[float, float], is_upright: bool = False
) -> Sample:
    """A sample whose points all move by `velocity` pixels a frame; the last point is hidden in the end."""
    size, image_size = (SIZE[::-1], IMAGE_SIZE[::-1]) if is_upright else (SIZE, IMAGE_SIZE)
    queries = query_grid(GRID, size)
    steps = np.arange(FRAMES, dtype=np.float32)[:, None, None]
    displacement = (steps * np.array(velocity, np.float32) + np.zeros((1, GRID**2, 1), np.float32)).astype(
        np.float16
    )
    visibility = np.ones((FRAMES, GRID**2), np.float16)
    visibility[-1, -1] = 0.25
    tracks = Tracks(
        queries + displacement.astype(np.float32),
        visibility.astype(np.float32),
        np.arange(FRAMES, dtype=np.int32),
        size,
        25.0,
        (GRID, GRID),
        Method("lk"),
    )
    picture = np.zeros((*image_size, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 255, image_size[1], dtype=np.uint8)
    picture[..., 1] = 40 * (source % 6)
    picture[..., 2] = start % 256
    summary = MotionSummary.of(tracks)
    facts = SampleFacts(
        source=f"video-{source:02d}.mp4",
        source_sha256=f"{source:064x}",
        split=split,
        start=start,
        frame_step=1,
        count=FRAMES,
        horizon=FRAMES,
        fps=25.0,
        size=size,
        image_size=image_size,
        grid=GRID,
        method="lk",
        weights_sha256=None,
        motion=summary.motion,
        moving=summary.moving,
        visible=summary.visible,
        quality=None if source % 2 else 1.0 - start / 1000,
    )
    return Sample(f"{source:016x}-{start:07d}", jpeg(picture), queries, displacement, visibility, None, facts)


def make_dataset(
    path: Path,
    videos: int = 6,
    chunks: int = 5,
    shard_samples: int = 8,
    *,
    tests: int | None = None,
    upright: tuple[int, ...] = (),
) -> tuple[DatasetSummary, list[Sample]]:
    """Write a set: every third video is for validation, the rest for training; video k moves by (k, -k/2).

    tests: the number of a video that is for the test. upright: numbers of videos that are higher than wide.
    """
    split_of = {k: "test" if k == tests else "train" if k % 3 != 2 else "validation" for k in range(videos)}
    folder = DataFolder.open(path)
    shards: list[ShardSummary] = []
    everything: list[Sample] = []
    for split in ("train", "validation", *([] if tests is None else ["test"])):
        chosen = [k for k in range(videos) if split_of[k] == split]
        samples = [
            make_sample(source, 8 * chunk, split, (source, -source / 2), source in upright)
            for source in chosen
            for chunk in range(chunks)
        ]
        everything += samples
        for number, first in enumerate(range(0, len(samples), shard_samples)):
            name = f"{split}-{number:06d}"
            part = samples[first : first + shard_samples]
            with folder.new_file(archive_name(name)) as file:
                writer = ShardWriter(file)
                for sample in part:
                    writer.add(sample)
                size, entries = writer.finish()
            ShardIndex(name, size, entries, (), {}, {"name": "lk"}).save(folder)
            shards.append(ShardSummary(name, split, len(part), size))
    summary = DatasetSummary(
        settings={"grid": GRID, "horizon": FRAMES},
        method={"name": "lk", "weights_sha256": None, "settings": {}},
        shards=tuple(shards),
        is_complete=True,
        videos={split: list(split_of.values()).count(split) for split in ("train", "validation")},
        failures=0,
        skipped={},
    )
    folder.write(SUMMARY, summary.text().encode())
    return summary, everything
