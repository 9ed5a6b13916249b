"""`python -m model inspect`: what a training set looks like, as one page and as pictures for a paper."""

from pathlib import Path

import click

from model.commands.console import watched
from model.commands.options import check_output
from model.datasets.folder import DataFolder
from model.datasets.summary import SPLITS
from model.inspection.inspect import Inspection, inspect
from model.inspection.statistics import pixels


@click.command("inspect")
@click.argument("dataset")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="Where the report goes: one HTML file that needs nothing else.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for the figures as PNG and PDF, for a paper.",
)
@click.option(
    "--scene-motion",
    is_flag=True,
    help="Take the camera's motion out; samples without a camera are left out.",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    help="Read only so many samples for the statistics of points, chosen at random.",
)
def command(
    *, dataset: str, out: Path, pictures: Path | None, scene_motion: bool, samples: int | None
) -> None:
    """Show what is in the training set DATASET, a folder or a URL such as s3://bucket/name."""
    from model.inspection.paper import write_pictures
    from model.inspection.report import write_report

    check_output("--out", out, ".html", ".htm")
    folder = DataFolder.open(dataset)
    with watched("parts") as watch:
        found = inspect(folder, scene_motion=scene_motion, most_samples=samples, watch=watch)
    write_report(out, found)
    click.echo(describe(found))
    click.echo(f"Wrote {out}")
    if pictures is not None:
        for path in write_pictures(pictures, found):
            click.echo(f"Wrote {path}")


def describe(found: Inspection) -> str:
    """Say in a few lines what there is."""
    motion, summary = found.motion, found.summary
    splits = ", ".join(f"{summary.samples(split):,} {split}" for split in SPLITS)
    return (
        f"{found.url}: {found.samples:,} samples ({splits}) of {len(found.videos):,} videos"
        f"{'' if summary.is_complete else '; its conversion has not ended'}.\n"
        f"Displacement in a 256-high image: median {pixels(motion.quantile(0.5))}, 95 % "
        f"{pixels(motion.quantile(0.95))}; {motion.moving:.0%} of the points move, {motion.visible[-1]:.0%} "
        "are visible at the end."
    )
