"""`python -m model bench`: measurements against a stated baseline, in one run."""

from importlib import import_module

import click

from model.errors import BadInput


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
@click.option("--precision", default="float32", show_default=True, help="Of our form: float32 or bfloat16.")
def pips(points: str, only_ours: str, precision: str) -> None:
    """Compare the PIPs engine with the plain dense form: 8 frames of 360×640, stride 4, 6 iterations."""
    try:
        counts = [int(count) for count in points.split(",") if count]
        ours = [int(count) for count in only_ours.split(",") if count]
    except ValueError as error:
        raise BadInput("--points and --only-ours take whole numbers with commas, such as 100,256.") from error
    try:
        benchmark = import_module("benchmarks.pips")
    except ModuleNotFoundError as error:
        raise BadInput(
            "The folder benchmarks/ is not here; run this in Stillmotion's source tree."
        ) from error
    benchmark.compare(counts, ours, precision)
