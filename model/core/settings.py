"""Fields of settings dataclasses that say of themselves what commands and people need to know."""

from dataclasses import field
from typing import Any


def setting(default: Any, description: str, *, option: str | None = None) -> Any:
    """Make a dataclass field that `model.commands.options` offers as an option of a command.

    description: what it is, in what unit. option: the parameter's name where it is not the field's.
    """
    return field(default=default, metadata={"description": description, "option": option})
