"""What several commands share: options made of settings dataclasses (`model.core.settings`), and checks."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

from model.clips.images import SUFFIXES
from model.core.errors import BadInput

Command = TypeVar("Command", bound=Callable[..., Any])
Settings = TypeVar("Settings")


class _Seconds(click.ParamType[float]):
    """A time such as 1/15s, 0.5s or 0.5, in seconds."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return float(Fraction(str(value).strip().removesuffix("s")))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is no time; write seconds, such as 1/15s or 0.5s.", param, ctx)


SECONDS = _Seconds()
PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)

device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:K.")
precision_option = click.option(
    "--precision", default="auto", show_default=True, help="auto, float32 or bfloat16."
)


def check_output(option: str, path: Path | None, *endings: str, inputs: Iterable[Path] = ()) -> None:
    """Refuse a file that cannot or must not be written, before the work rather than after it; None is none.

    endings: of which it must have one, such as ".npz". inputs: files, and folders of images, that are read
    and that no output overwrites. Raises BadInput.
    """
    if path is None:
        return
    if path.suffix.lower() not in endings:
        *others, last = endings
        wanted = f"{', '.join(others)} or {last}" if others else last
        raise BadInput(f"{option} must end in {wanted}, not {path.name}.")
    if path.is_dir():
        raise BadInput(f"{option} is the folder {path}; give the name of a file.")
    if not path.parent.is_dir():
        raise BadInput(f"There is no folder {path.parent} for {path.name}; make it first.")
    if any(_is_part_of(path, given) for given in inputs):
        raise BadInput(f"{option} {path} is an input and would be overwritten; give another name.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise BadInput(
            f"Nothing can be written to the folder {path.parent} ({error.strerror}); give another one for "
            f"{path.name}."
        ) from error


def _is_part_of(path: Path, given: Path) -> bool:
    """Whether an existing file is the given one, under whatever name, or an image in the given folder."""
    if not path.exists() or not given.exists():
        return False
    is_image_within = path.suffix.lower() in SUFFIXES and given.resolve() in path.resolve().parents
    return is_image_within or path.samefile(given)


def options_of(*kinds: type[Any], **defaults: Any) -> Callable[[Command], Command]:
    """Add the options of settings to a command, which gets them by keyword.

    A field of type bool is a flag; one of type tuple may be given several times; an interval is a time.
    defaults: of this command, by the parameter's name.
    """

    def add(command: Command) -> Command:
        for kind in reversed(kinds):
            hints = get_type_hints(kind)
            for field, name in reversed(list(_offered(kind))):
                default = defaults.get(name, field.default)
                command = _option(name, hints[field.name], default, field.metadata["description"])(command)
        return command

    return add


def settings_from(kind: type[Settings], values: Mapping[str, Any], **more: Any) -> Settings:
    """Make settings of a command's parameters. more: fields that come from elsewhere."""
    given = {field.name: values[name] for field, name in _offered(kind) if name in values}
    return kind(**{**given, **more})


def _offered(kind: type[Any]) -> Iterator[tuple[Field[Any], str]]:
    """Yield the fields that are offered, each with the name of its parameter."""
    for field in fields(kind):
        if "description" in field.metadata:
            yield field, field.metadata["option"] or field.name


def _option(name: str, hint: Any, default: Any, description: str) -> Callable[[Command], Command]:
    flag = f"--{name.replace('_', '-')}"
    if hint is bool:
        flag = f"{flag}/--no-{flag[2:]}" if default else flag
        return click.option(flag, name, is_flag=True, default=default, show_default=default, help=description)
    several = get_origin(hint) is tuple
    kind = next((part for part in get_args(hint) if part in (int, float, str)), hint)
    if get_origin(hint) is Literal:
        kind = click.Choice(get_args(hint))
    elif name == "interval":
        kind = SECONDS
    return click.option(
        flag, name, type=kind, multiple=several, default=default, show_default=True, help=description
    )
