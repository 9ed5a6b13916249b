"""`python -m model bench`: measurements against a stated baseline, in one run."""

from importlib import import_module
from typing import Any

import click

from model.core.errors import BadInput
from model.tracking.pips.sizes import find_size


@click.group("bench")
def command() -> None:
    """Measure speed and memory; works in the source tree, where `benchmarks/` is."""


@command.command("pips")
@click.option(
    "--points", default="100,256,1024", show_default=True, help="Numbers of points, for both forms."
)
@click.option(
    "--only-ours", default="4096", show_default=True, help="Numbers of points that the dense form dies at."
)
@click.option("--sizes", default="authors,small", show_default=True, help="Of our form.")
@click.option("--precision", default="float32,bfloat16", show_default=True, help="Of our form.")
def pips(points: str, only_ours: str, sizes: str, precision: str) -> None:
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
    _benchmark("pips").compare(counts, ours, chosen_sizes, precisions)


@command.command("split")
@click.option("--weights", default="pips", show_default=True, help="Name or path of PIPs weights.")
def split(weights: str) -> None:
    """Track 100 points whole, in 10 pieces and one by one: how far the positions differ, and why."""
    _benchmark("split").compare(weights)


@command.command("predict")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True)
def predict(repeats: int) -> None:
    """Predict motion from one image, beside the plain way: every operation on all threads."""
    _benchmark("predict").compare(repeats)


def _benchmark(name: str) -> Any:
    try:
        return import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        raise BadInput(
            "The folder benchmarks/ is not here; run this in Stillmotion's source tree."
        ) from error


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
