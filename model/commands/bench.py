"""`python -m model bench`: measurements against a stated baseline, in one run."""

from importlib.util import find_spec

import click

from model.commands.group import LazyGroup
from model.core.errors import BadInput


class _Benchmarks(LazyGroup):
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if find_spec("benchmarks") is None:
            raise BadInput("The folder benchmarks/ is not here; run this in Stillmotion's source tree.")
        return super().get_command(ctx, cmd_name)


@click.group(
    "bench",
    cls=_Benchmarks,
    places={name: f"benchmarks.{name}:command" for name in ("pips", "split", "predict")},
)
def command() -> None:
    """Measure speed and memory; works in the source tree, where `benchmarks/` is."""
