"""Seconds and peak memory of the PIPs engine beside the plain dense form, each in a process of its own.

python -m model bench pips
python -m benchmarks.pips ours small 1024 float32 result.npy     (one measurement)
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

import click
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import dense_pips
from model.core.errors import BadInput
from model.motion.grid import WORKING_SIZE
from model.tracking.pips.network import Pips
from model.tracking.pips.sizes import SIZES, find_size
from tests.fixtures.pseudo_weights import pseudo_weights

SEED = 20221023


@dataclass(frozen=True)
class Measurement:
    """One run: wall seconds of tracking (encoding included), peak memory of the whole process in MB."""

    seconds: float
    peak_mb: float


def make_case(points: int, size: str = "authors") -> tuple[Pips, torch.Tensor, torch.Tensor]:
    """Make a network of that size with random weights, 8 smooth random frames of 360×640, and queries.

    The authors' size has the tests' weights, which damp the embedding's high frequencies: undamped ones
    turn the rounding that differs between the forms into pixels (docs/decisions/0004-fixed-batches.md).
    """
    torch.manual_seed(SEED)
    network = Pips(SIZES[size]).requires_grad_(False).eval()
    if size == "authors":
        shapes = {key: value.shape for key, value in network.state_dict().items()}
        weights = {key: torch.from_numpy(value) for key, value in pseudo_weights(shapes).items()}
        network.load_state_dict(weights)
    generator = torch.Generator().manual_seed(SEED)
    height, width = WORKING_SIZE
    coarse = torch.rand(8, 3, height // 8, width // 8, generator=generator)
    frames = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    queries = torch.rand(points, 2, generator=generator) * torch.tensor([width - 1.0, height - 1.0])
    return network, (frames * 255).to(torch.uint8), queries


def measure_here(form: str, size: str, points: int, precision: str, result: Path) -> Measurement:
    """Run one case in this process and save its last trajectory to `result` (.npy)."""
    network, frames, queries = make_case(points, size)
    if precision == "bfloat16":
        network.with_precision("bfloat16")
    started = time.perf_counter()
    output = dense_pips.track(network, frames, queries) if form == "dense" else network.track(frames, queries)
    seconds = time.perf_counter() - started
    np.save(result, output.trajectories[-1].numpy())
    return Measurement(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(form: str, size: str, points: int, precision: str, result: Path) -> Measurement:
    """Run one case in a fresh process, so that its peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.pips", form, size, str(points), precision, str(result)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return Measurement(**json.loads(answer.stdout))


def compare(points: list[int], only_ours: list[int], sizes: list[str], precisions: list[str]) -> None:
    """Print a table: ours in all sizes and precisions, at each of `points` beside the dense form.

    Its ratios are of the seconds of the dense form in the authors' size and float32, whatever the row's own
    size; its gaps are the largest distances from the same size's float32 result: from the dense form's in the
    authors' size, and of our bfloat16 from our float32 in others.
    """
    print(
        f"8 frames of {WORKING_SIZE[1]}×{WORKING_SIZE[0]}, stride 4, 6 iterations; "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}."
    )
    print(f"{'points':>7}  {'form':24} {'s':>8} {'MB':>7} {'ratio':>7} {'largest gap':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for count in [*points, *only_ours]:
            _compare_at(count, count in points, sizes, precisions, Path(folder))


def _compare_at(count: int, has_dense: bool, sizes: list[str], precisions: list[str], folder: Path) -> None:
    """Print the rows for one number of points."""
    result = folder / "result.npy"
    exact: dict[str, NDArray[np.float32]] = {}  # by size
    dense = None
    if has_dense:
        dense = measure("dense", "authors", count, "float32", result)
        exact["authors"] = np.load(result)
        print(f"{count:7}  {'authors, dense':24} {_cells(dense)}", flush=True)
    for size in sizes:
        for precision in precisions:
            ours = measure("ours", size, count, precision, result)
            row = f"{count:7}  {f'{size}, {precision}':24} {_cells(ours)}"
            row += f" {dense.seconds / ours.seconds:6.2f}x" if dense else " " * 8
            points = np.load(result)
            if size in exact:
                row += f" {np.linalg.norm(points - exact[size], axis=-1).max():11.2e} px"
            elif precision == "float32":
                exact[size] = points
            print(row, flush=True)


def _cells(measured: Measurement) -> str:
    return f"{measured.seconds:8.2f} {measured.peak_mb:7.0f}"


@click.command("pips")
@click.option(
    "--points", default="100,256,1024", show_default=True, help="Numbers of points, for both forms."
)
@click.option(
    "--only-ours", default="4096", show_default=True, help="Numbers of points that the dense form dies at."
)
@click.option("--sizes", default="authors,small", show_default=True, help="Of our form.")
@click.option("--precision", default="float32,bfloat16", show_default=True, help="Of our form.")
def command(points: str, only_ours: str, sizes: str, precision: str) -> None:
    """Compare PIPs with the plain dense form of the authors' size: 8 frames of 360×640, 6 iterations."""
    try:
        counts, ours = ([int(count) for count in _items(text)] for text in (points, only_ours))
    except ValueError as error:
        raise BadInput("--points and --only-ours take whole numbers with commas, such as 100,256.") from error
    chosen_sizes, precisions = _items(sizes), _items(precision)
    for size in chosen_sizes:
        find_size(size)
    if not set(precisions) <= {"float32", "bfloat16"}:
        raise BadInput("--precision takes float32, bfloat16 or both with a comma.")
    compare(counts, ours, chosen_sizes, precisions)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


if __name__ == "__main__":
    _, chosen_form, chosen_size, count_text, chosen_precision, target = sys.argv
    measured = measure_here(chosen_form, chosen_size, int(count_text), chosen_precision, Path(target))
    print(json.dumps({"seconds": measured.seconds, "peak_mb": measured.peak_mb}))
