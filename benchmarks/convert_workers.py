"""`convert` with one worker against two (or more), one thread each, in one run; the bytes must be the same.

python -m benchmarks.convert_workers VIDEOS... [--workers 2] [--repeats 2] [--method pips] [--grid 16]
Each measurement is the whole command, `python -m model convert ... --threads 1`, from start to end, into
an empty folder; looking at the videos comes before, as it is done once, whatever the number of workers. They
take turns, and the fastest of each counts. Give at least twice as many videos as workers, or long ones: a
worker takes up to 8 shards of one video in one go.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.convert.run import Conversion
from model.convert.settings import with_weights
from model.datasets.folder import DataFolder


def main() -> None:
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--method", default="pips")
    parser.add_argument("--grid", type=int, default=16)
    parser.add_argument("--shard-samples", type=int, default=8)
    arguments = parser.parse_args()
    settings = {
        "method": arguments.method,
        "grid": arguments.grid,
        "shard_samples": arguments.shard_samples,
    }
    fastest: dict[int, float] = {}
    first: dict[str, bytes] | None = None
    for number in range(arguments.repeats):
        for workers in (1, arguments.workers):
            with tempfile.TemporaryDirectory() as out:
                chunks = prepare(arguments.videos, out, settings)
                seconds = convert(arguments.videos, out, settings, workers)
                made = shards(Path(out))
            print(f"run {number + 1}, {workers} workers: {chunks} chunks in {seconds:.1f} s", flush=True)
            fastest[workers] = min(seconds, fastest.get(workers, seconds))
            first = first or made
            if made != first:
                sys.exit("The shards differ.")
    one, more = fastest[1], fastest[arguments.workers]
    print(f"1 worker: {chunks / one:.3f} chunks/s; {arguments.workers} workers: {chunks / more:.3f} chunks/s")
    print(f"ratio {one / more:.2f}; the {len(first or {})} files of the shards are the same in all runs")


def prepare(videos: Sequence[str], out: str, settings: dict[str, Any]) -> int:
    """Look at the videos and plan the shards; return how many chunks there are."""
    return Conversion.prepare(videos, DataFolder.open(out), with_weights(settings)).chunks


def convert(videos: Sequence[str], out: str, settings: dict[str, Any], workers: int) -> float:
    """Run the command and return its seconds."""
    options = [
        part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    command = [sys.executable, "-m", "model", "convert", *videos, "--out", out, *options]
    begin = time.perf_counter()
    subprocess.run(
        [*command, "--workers", str(workers), "--threads", "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def shards(out: Path) -> dict[str, bytes]:
    """Return the content of the shards and their indices by name."""
    return {path.name: path.read_bytes() for path in (out / "shards").iterdir()}


if __name__ == "__main__":
    main()
