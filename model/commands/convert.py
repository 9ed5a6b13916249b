"""`python -m model convert`: from a folder of videos to a training set."""

from typing import Any

import click

from model.commands.console import progress_bar
from model.commands.partial import stop_on_interrupt
from model.convert.ledger import load_profile
from model.convert.run import Conversion, run
from model.convert.settings import with_weights
from model.convert.workers import WorkerSettings
from model.dataset.folder import DataFolder
from model.dataset.summary import SPLITS, DatasetSummary
from model.methods import DEFAULT_METHOD


def conversion_options(command: Any) -> Any:
    """Add the options of every way to convert: what is made of the videos, and where it goes."""
    share = click.FloatRange(0, 1, max_open=True)
    for option in reversed(
        (
            click.argument("inputs", nargs=-1, required=True),
            click.option(
                "--out", required=True, help="The training set's folder, or a URL such as s3://bucket/name."
            ),
            click.option(
                "--method", default=DEFAULT_METHOD, show_default=True, help="pips, lk, raft or zero."
            ),
            click.option(
                "--weights", help="For pips a registered name or a checkpoint file; for raft a file."
            ),
            click.option("--precision", default="auto", show_default=True, help="auto, float32 or bfloat16."),
            click.option(
                "--grid", type=int, default=16, show_default=True, help="Query points a side, 1 to 64."
            ),
            click.option(
                "--horizon", type=int, default=8, show_default=True, help="Frames of a sample, 2 to 64."
            ),
            click.option(
                "--frame-step", type=int, default=1, show_default=True, help="Take every k-th frame."
            ),
            click.option(
                "--overlap", type=int, default=0, show_default=True, help="Frames that chunks share."
            ),
            click.option(
                "--chunk-step", type=int, default=1, show_default=True, help="Take every k-th chunk."
            ),
            click.option("--cuts/--no-cuts", default=True, show_default=True, help="Never cross a shot cut."),
            click.option(
                "--min-motion",
                type=float,
                default=0.0,
                show_default=True,
                help="Leave out samples that move less on average; pixels of a 256-high image.",
            ),
            click.option(
                "--check",
                type=click.Choice(["none", "sparse", "full"]),
                default="sparse",
                show_default=True,
                help="Points also tracked backwards, for the quality: every second row and column, or all.",
            ),
            click.option(
                "--validation", type=share, default=0.1, show_default=True, help="Share of the videos."
            ),
            click.option("--test", type=share, default=0.1, show_default=True, help="Share of the videos."),
            click.option(
                "--shard-samples",
                type=int,
                default=256,
                show_default=True,
                help="Chunks of a shard; what a crash can cost.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command("convert")
@conversion_options
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Of each process; a fair share without it.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
def command(
    *, inputs: tuple[str, ...], out: str, workers: int, threads: int | None, device: str, **settings: Any
) -> None:
    """Make a training set of videos: every chunk of 8 frames becomes a first frame and its points' motion.

    INPUTS are videos, GIFs, zips of images, folders of any of these or of images, patterns, lists (@FILE), or
    URLs (s3://, https://). Ctrl-C, a crash or a full disk lose at most the shards under way: the same command
    goes on from there, and ends with the same bytes.
    """
    with progress_bar("chunks") as report, stop_on_interrupt() as should_stop:
        conversion = Conversion.prepare(
            inputs, DataFolder.open(out), with_weights(settings), report, should_stop
        )
        is_finished = not conversion.tasks()
        run(conversion, WorkerSettings(workers, threads, device), report, should_stop)
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
        lines.append(f"{summary.failures} videos could not be used; errors.jsonl says why.")
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
