"""`python -m model weights`: what weights there are, and what each is good for; fetches some."""

import click

from model.commands.console import progress_bar
from model.weights.registry import REGISTRY, WeightsEntry, fetch, is_here, known_sha256, weights_file

FETCHED = {entry.name: entry for entry in REGISTRY if entry.url and not entry.sha256}
"""Weights whose bytes nothing but loading them can verify; all of them are of PIPs."""


@click.command("weights")
@click.option(
    "--download", type=click.Choice(list(FETCHED)), help="Fetch these weights, if they are not here."
)
def command(*, download: str | None) -> None:
    """List the registered weights, or fetch some into the cache.

    What is fetched is kept only if it fits the network, to the last tensor; its sha256 is recorded beside it.
    """
    if download is None:
        for entry in REGISTRY:
            click.echo(describe(entry))
        return
    entry = FETCHED[download]
    if not is_here(entry):
        from model.tracking.pips.release import read_network  # here, not above: it imports torch

        with progress_bar("bytes") as report:
            fetch(entry, check=read_network, progress=report)
    click.echo(f"{entry.name} is at {weights_file(entry)}, sha256 {known_sha256(entry)}")


def describe(entry: WeightsEntry) -> str:
    """Describe an entry in a few lines: name, kind, where it is, licence, metrics."""
    if entry.by_hand:
        place = "given as a file"
    elif entry.url is None:
        place = "bundled"
    elif is_here(entry):
        place = "downloaded"
    elif entry.name in FETCHED:
        place = f"fetched by `python -m model weights --download {entry.name}`"
    else:
        place = f"downloaded at first use from {entry.url}"
    lines = [
        f"{entry.name}  ({entry.kind}, {place})",
        f"    {entry.summary}",
        f"    licence: {entry.licence}; sha256: {known_sha256(entry) or 'known when it is here'}",
    ]
    if entry.metrics:
        lines.append("    " + ", ".join(f"{name} {value:g}" for name, value in entry.metrics.items()))
    return "\n".join(lines)
