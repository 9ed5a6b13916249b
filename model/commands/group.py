"""Groups of commands: each command's module is imported when it is called, and all end in the same way."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from model.core.errors import BadInput, Stopped, is_gpu_failure, is_out_of_memory


class LazyGroup(click.Group):
    """Imports a command's module only when it is called, so that none waits for another's libraries."""

    def __init__(self, *arguments: Any, places: Mapping[str, str], **options: Any) -> None:
        """Take a group's own arguments, and where further commands are: name -> "module:attribute"."""
        super().__init__(*arguments, context_settings={"help_option_names": ["-h", "--help"]}, **options)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands in the order of their definition."""
        return [*super().list_commands(ctx), *self.places]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name; None where there is none."""
        if cmd_name not in self.places:
            return super().get_command(ctx, cmd_name)
        module, attribute = self.places[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


def run_command(command: click.Command, name: str, arguments: list[str] | None = None) -> int:
    """Run a command or a group of them, and return the exit code.

    0: done; 2: bad input, with one sentence on stderr; 130: stopped (Ctrl-C).
    name: what the user called, for the help. arguments: those of the process where not given.
    """
    try:
        result: Any = command.main(arguments, prog_name=name, standalone_mode=False)
    except (BadInput, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"Error: {message}", err=True)
        return 2
    except OSError as error:  # a full disk, or what may not be read or written
        if error.strerror is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {place}{error.strerror}.", err=True)
        return 2
    except (MemoryError, RuntimeError) as error:  # torch's are RuntimeErrors
        if is_out_of_memory(error):
            click.echo("Error: The memory did not suffice; try fewer frames or points.", err=True)
        elif is_gpu_failure(error):
            click.echo("Error: The GPU failed or went away; try again, or with --device cpu.", err=True)
        else:
            raise
        return 2
    except (Stopped, KeyboardInterrupt, click.Abort):
        click.echo("Stopped; nothing half written is left behind.", err=True)
        return 130
    return result if isinstance(result, int) else 0
