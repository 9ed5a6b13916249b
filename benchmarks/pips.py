"""Seconds and peak memory of the PIPs engine beside the plain dense form, each in a process of its own.

python -m model bench pips
python -m benchmarks.pips ours 1024 float32 result.npy     (one measurement)
"""

import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks import dense_pips
from model.grid import WORKING_SIZE
from model.pips.network import Pips
from tests.fixtures.pseudo_weights import pseudo_weights

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
SEED = 20221023


@dataclass(frozen=True)
class Measurement:
    """One run: wall seconds of tracking (encoding included), peak memory of the whole process in MB."""

    seconds: float
    peak_mb: float


def make_case(points: int) -> tuple[Pips, torch.Tensor, torch.Tensor]:
    """Make the authors' network with the tests' weights, 8 smooth random frames of 360×640, and query points.

    Those weights damp the embedding's high frequencies: undamped random ones turn the rounding that differs
    between the two forms into pixels (docs/decisions/0004-fixed-batches.md).
    """
    generator = torch.Generator().manual_seed(SEED)
    shapes = json.loads((FIXTURES / "pips_state_dict.json").read_text())["state_dict"]
    network = Pips.from_state_dict(
        {key: torch.from_numpy(value) for key, value in pseudo_weights(shapes).items()}
    )
    height, width = WORKING_SIZE
    coarse = torch.rand(8, 3, height // 8, width // 8, generator=generator)
    frames = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    queries = torch.rand(points, 2, generator=generator) * torch.tensor([width - 1.0, height - 1.0])
    return network, (frames * 255).to(torch.uint8), queries


def measure_here(form: str, points: int, precision: str, result: Path) -> Measurement:
    """Run one case in this process and save its last trajectory to `result` (.npy)."""
    network, frames, queries = make_case(points)
    if precision == "bfloat16":
        network.with_precision("bfloat16")
    started = time.perf_counter()
    output = dense_pips.track(network, frames, queries) if form == "dense" else network.track(frames, queries)
    seconds = time.perf_counter() - started
    np.save(result, output.trajectories[-1].numpy())
    return Measurement(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(form: str, points: int, precision: str, result: Path) -> Measurement:
    """Run one case in a fresh process, so that its peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.pips", form, str(points), precision, str(result)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return Measurement(**json.loads(answer.stdout))


def compare(points: list[int], only_ours: list[int], precision: str) -> None:
    """Print a table: both forms at each of `points`, ours alone at each of `only_ours`."""
    print(
        f"8 frames of {WORKING_SIZE[1]}×{WORKING_SIZE[0]}, stride 4, 6 iterations; "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}; "
        f"ours in {precision}, dense in float32."
    )
    print(f"{'points':>7} {'dense s':>9} {'MB':>7} {'ours s':>9} {'MB':>7} {'ratio':>7} {'largest gap':>20}")
    with tempfile.TemporaryDirectory() as folder:
        dense_result, our_result = Path(folder) / "dense.npy", Path(folder) / "ours.npy"
        for count in points:
            dense = measure("dense", count, "float32", dense_result)
            ours = measure("ours", count, precision, our_result)
            distance = np.linalg.norm(np.load(dense_result) - np.load(our_result), axis=-1).max()
            print(
                f"{count:7} {_cells(dense)} {_cells(ours)} {dense.seconds / ours.seconds:6.2f}x "
                f"{distance:17.2e} px",
                flush=True,
            )
        for count in only_ours:
            ours = measure("ours", count, precision, our_result)
            print(f"{count:7} {'':17} {_cells(ours)}", flush=True)


def _cells(measured: Measurement) -> str:
    return f"{measured.seconds:9.2f} {measured.peak_mb:7.0f}"


if __name__ == "__main__":
    _, chosen_form, count_text, chosen_precision, target = sys.argv
    measured = measure_here(chosen_form, int(count_text), chosen_precision, Path(target))
    print(json.dumps({"seconds": measured.seconds, "peak_mb": measured.peak_mb}))
