"""Peak memory of `convert` over a 10-minute video beside a 10-second one.

python -m benchmarks.convert_memory [--method lk] [--fps 25] [--chunk-step 1] [--grid 16]

The videos are synthetic, 160×120; one worker, in a process of its own. PIPs takes long on a CPU: with
`--fps 5 --chunk-step 8` it reads all of the video and tracks every eighth chunk.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clips import write_clip

LONG_SECONDS, SHORT_SECONDS = 600, 10
SIZE = (120, 160)


@dataclass(frozen=True)
class Measurement:
    """One conversion: wall seconds, chunks, and the process's peak of resident memory in MB."""

    seconds: float
    chunks: int
    peak_mb: float


def main() -> None:
    """Measure both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--method", default="lk")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--chunk-step", type=int, default=1)
    parser.add_argument("--grid", type=int, default=16)
    arguments = parser.parse_args()
    print(f"{arguments.method}, {arguments.fps} fps, every {arguments.chunk_step}. chunk:")
    print(f"{'video':>8} {'frames':>7} {'chunks':>7} {'s':>8} {'peak MB':>9}", flush=True)
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        for seconds in (SHORT_SECONDS, LONG_SECONDS):
            frames = seconds * arguments.fps
            clip = Path(name) / f"{seconds}.mp4"
            write_clip(clip, frames, SIZE, arguments.fps)
            options = ["--method", arguments.method, "--chunk-step", str(arguments.chunk_step)]
            measured = measure(clip, Path(name) / str(seconds), [*options, "--grid", str(arguments.grid)])
            peaks.append(measured.peak_mb)
            cells = f"{frames:7} {measured.chunks:7} {measured.seconds:8.1f} {measured.peak_mb:9.0f}"
            print(f"{seconds:6} s {cells}", flush=True)
    print(f"{peaks[1] / peaks[0]:.2f} times the peak")


def measure(clip: Path, out: Path, options: list[str]) -> Measurement:
    """Convert in a process of its own."""
    command = [sys.executable, "-m", "model", "convert", str(clip), "--out", str(out), *options]
    begin = time.monotonic()
    process = subprocess.Popen(
        [*command, "--device", "cpu"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"convert ended with {process.returncode}")
    chunks = json.loads((out / "stats.json").read_text())["counts"]["chunks"]
    return Measurement(time.monotonic() - begin, chunks, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
