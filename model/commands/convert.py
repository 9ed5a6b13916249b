"""`python -m model convert`: from a folder of videos to a training set."""

from typing import Any

import click

from model.commands.console import watched
from model.commands.options import device_option, options_of
from model.convert.estimating import ConversionEstimate, estimate_conversion
from model.convert.ledger import load_profile
from model.convert.locking import locked
from model.convert.run import Conversion, run
from model.convert.settings import ConvertSettings, with_weights
from model.convert.work import WorkerSettings
from model.datasets.folder import DataFolder
from model.datasets.summary import SPLITS, DatasetSummary


def conversion_options(command: Any) -> Any:
    """Add what every way to convert asks for: what is made of which videos, and where it goes."""
    out = "The training set's folder, or a URL such as s3://bucket/name."
    command = options_of(ConvertSettings)(command)
    command = click.option("--out", required=True, help=out)(command)
    return click.argument("inputs", nargs=-1, required=True)(command)


@click.command("convert")
@conversion_options
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Of each process; a fair share without it.")
@device_option
@click.option("--estimate", is_flag=True, help="Only say how long and how large it would be; writes nothing.")
def command(
    *,
    inputs: tuple[str, ...],
    out: str,
    workers: int,
    threads: int | None,
    device: str,
    estimate: bool,
    **settings: Any,
) -> None:
    """Make a training set of videos: every chunk of 8 frames becomes a first frame and its points' motion.

    INPUTS are videos, GIFs, zips of images, folders of any of these or of images, patterns, lists (@FILE), or
    URLs (s3://, https://). Ctrl-C, a crash or a full disk lose at most the shards under way: the same command
    goes on from there, and ends with the same bytes.
    """
    if estimate:
        with watched("") as watch:
            work = WorkerSettings(workers, threads, device)
            outlook = estimate_conversion(inputs, with_weights(settings), work, watch)
        click.echo(describe_estimate(outlook))
        return
    folder = DataFolder.open(out)
    with locked(folder), watched("chunks") as watch:
        conversion = Conversion.prepare(inputs, folder, with_weights(settings), watch)
        is_finished = not conversion.tasks()
        run(conversion, WorkerSettings(workers, threads, device), watch)
    click.echo(describe(conversion, is_finished))


def describe(conversion: Conversion, was_finished: bool) -> str:
    """Say what there is now, and where the time went."""
    summary = DatasetSummary.load(conversion.folder)
    samples = ", ".join(f"{summary.samples(split)} {split}" for split in SPLITS)
    lines = [
        f"{conversion.folder.url}: {summary.samples()} samples ({samples}) of "
        f"{sum(summary.videos.values())} videos in {len(summary.shards)} shards, "
        f"{sum(shard.bytes for shard in summary.shards) / 1e6:.1f} MB."
    ]
    if summary.failures:
        lines.append(f"Videos that could not be used: {summary.failures}; errors.jsonl says why.")
    if summary.skipped:
        lines.append(
            "Left out: " + ", ".join(f"{count} {why}" for why, count in summary.skipped.items()) + "."
        )
    if was_finished:
        return "\n".join([*lines, "Everything was there already."])
    profile = load_profile(conversion.folder)
    return "\n".join(
        [*lines, profile.table(), f"  {profile.chunks_per_second:.2f} chunks/s a worker", profile.verdict()]
    )


def describe_estimate(estimate: ConversionEstimate) -> str:
    """Show an estimate as a table."""
    lines = [
        f"{estimate.videos} videos, about {estimate.frames:,} frames, {estimate.source_bytes / 1e9:.2f} GB, "
        f"which are read once before the work; {estimate.timed} chunks were converted to see.",
        *(f"Cannot be used: {name}: {reason}" for name, reason in estimate.failures),
        f"{'':28}{'chunks':>10}{'time':>11}{'on disk':>11}{'memory':>10}{'mean motion':>13}",
    ]
    for outlook in estimate.outlooks:
        lines.append(
            f"{outlook.name:28}{outlook.chunks:>10,}{_duration(outlook.seconds):>11}"
            f"{outlook.bytes / 1e6:>8,.0f} MB{outlook.memory_bytes / 1e9:>7.1f} GB{outlook.motion:>10.1f} px"
        )
    lines.append(
        "Mean motion: from a point's first to its last position, in pixels of a 256-high image. Every other "
        "chunk keeps the same kind of motion and half of the samples; every other frame lengthens the "
        "motion, and halves the samples, too."
    )
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
