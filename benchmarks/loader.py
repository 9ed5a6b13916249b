"""The loader of a training set against opening the videos and seeking to each sample's first frame.

python -m benchmarks.loader FOLDER [--samples 300] [--method lk] [--workers 0]
FOLDER holds videos. They are converted first; then the same samples are read in the same random order

- by `open_dataset` and `EpochLoader`: first frame at the working size, trajectories, visibility, facts;
- by `model.clips.video.read_frames(path, start=...)`, which finds each frame exactly, whatever the container;
- by plain PyAV: open, seek to the keyframe before the frame's time, decode up to it. It trusts the
  container's times and would miss frames where those are irregular.

The two that seek get the first frame only, at its full size, and no trajectories: tracking would come on top.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av

from model.clips.video import read_frames
from model.convert.run import Conversion, run
from model.convert.settings import with_weights
from model.convert.work import WorkerSettings
from model.datasets.folder import DataFolder
from model.datasets.loader import EpochLoader, MotionDataset, open_dataset
from model.datasets.sample import SampleFacts
from model.motion.grid import WORKING_SIZE

BATCH = 16


def main() -> None:
    """Convert, then measure the three ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--method", default="lk")
    parser.add_argument("--workers", type=int, default=0, help="of the loader")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        convert(arguments.videos, name, arguments.method)
        dataset = open_dataset(name, image_size=WORKING_SIZE)
        order = EpochLoader(dataset, BATCH).sampler
        facts = [dataset[number].facts for number, _ in zip(order, range(arguments.samples), strict=False)]
        print(f"{len(facts)} of {len(dataset)} samples of {len({fact.source for fact in facts})} videos")
        print(f"{'':<34} samples/s   ms/sample")
        ours = report(
            f"loader, {arguments.workers or 'no'} workers", *read_set(dataset, len(facts), arguments.workers)
        )
        for label, seek in (("read_frames(start=...)", seek_exactly), ("plain PyAV, seek", seek_plainly)):
            rate = report(label, *read_videos(arguments.videos, facts, seek))
            print(f"{'':<34} the loader is {ours / rate:.1f} times as fast")


def convert(videos: Path, out: str, method: str) -> None:
    """Make a training set of a folder of videos."""
    settings = with_weights({"method": method, "check": "none"})
    run(Conversion.prepare([str(videos)], DataFolder.open(out), settings), WorkerSettings())


def read_set(dataset: MotionDataset, count: int, workers: int) -> tuple[int, float]:
    """Read the first samples of an epoch; return how many, and the seconds."""
    loader = EpochLoader(dataset, BATCH, workers=workers)
    if workers:
        next(iter(loader))  # the workers' start belongs to no epoch
    begin, read = time.perf_counter(), 0
    for batch in loader:
        read += len(batch.facts)
        if read >= count:
            break
    return read, time.perf_counter() - begin


def read_videos(
    folder: Path, facts: Sequence[SampleFacts], seek: Callable[[Path, SampleFacts], object]
) -> tuple[int, float]:
    """Seek to each sample's first frame; return how many there are, and the seconds."""
    begin = time.perf_counter()
    for fact in facts:
        seek(folder.absolute().parent / fact.source, fact)  # names begin with the folder's own
    return len(facts), time.perf_counter() - begin


def seek_exactly(path: Path, facts: SampleFacts) -> object:
    """Read a sample's first frame as the rest of Stillmotion does."""
    return next(iter(read_frames(path, start=facts.start, count=1)))


def seek_plainly(path: Path, facts: SampleFacts) -> object:
    """Read a sample's first frame by its time."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate, base = stream.average_rate, stream.time_base
        if rate is None or base is None:
            raise ValueError(f"{path} does not tell its times")
        wanted = round(facts.start / rate / base) + (stream.start_time or 0)
        container.seek(wanted, stream=stream)
        frame = next(frame for frame in container.decode(stream) if (frame.pts or 0) >= wanted)
        return frame.to_ndarray(format="rgb24")


def report(label: str, count: int, seconds: float) -> float:
    """Print a line and return the samples per second."""
    print(f"{label:<34} {count / seconds:9.1f} {1000 * seconds / count:11.1f}", flush=True)
    return count / seconds


if __name__ == "__main__":
    main()
