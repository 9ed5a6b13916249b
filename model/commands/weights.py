"""`python -m model weights`: what weights there are, and what each is good for."""

import click

from model.weights.registry import REGISTRY, WeightsEntry, cache_folder


@click.command("weights")
def command() -> None:
    """List the registered weights."""
    for entry in REGISTRY:
        click.echo(describe(entry))


def describe(entry: WeightsEntry) -> str:
    """Describe an entry in a few lines: name, kind, where it is, licence, metrics."""
    if entry.by_hand:
        place = "given as a file"
    elif entry.url is None:
        place = "bundled"
    elif (cache_folder() / entry.file).is_file():
        place = "downloaded"
    else:
        place = f"downloaded at first use from {entry.url}"
    lines = [
        f"{entry.name}  ({entry.kind}, {place})",
        f"    {entry.summary}",
        f"    licence: {entry.licence}; sha256: {entry.sha256}",
    ]
    if entry.metrics:
        lines.append("    " + ", ".join(f"{name} {value:g}" for name, value in entry.metrics.items()))
    return "\n".join(lines)
