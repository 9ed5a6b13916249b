"""What a file of weights says of itself, read without torch."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import safetensors

from model.core.errors import BadInput
from model.core.structure import from_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Whether a file is of that kind, by its content: the length of a JSON object, and the object.

    Raises BadInput when it cannot be opened, or holds a text in place of weights.
    """
    with refusing_bad_files(path), open(path, "rb") as file:
        head = file.read(64)
    if not head or head.lstrip()[:1] == b"<" or head.startswith(b"version https://git-lfs"):
        kind = {b"": "is empty", b"<": "is a web page"}.get(head.lstrip()[:1], "is a pointer of Git LFS")
        raise BadInput(f"{Path(path).name} {kind}, not weights; download the file itself.")
    return head[8:9] == b"{"


@contextmanager
def refusing_bad_files(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise BadInput for a file that cannot be opened, or is a damaged safetensors file."""
    name = Path(path).name
    try:
        yield
    except FileNotFoundError as error:
        raise BadInput(f"There is no checkpoint file {name}.") from error
    except OSError as error:
        raise BadInput(f"{name} cannot be read ({error.strerror or error}).") from error
    except safetensors.SafetensorError as error:
        raise BadInput(
            f"{name} is damaged or is not a safetensors file; copy or download it again."
        ) from error


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata of a safetensors file; {} for a torch file and where there is none.

    Raises BadInput when the file is missing or damaged.
    """
    if not is_safetensors(path):
        return {}
    with refusing_bad_files(path), safetensors.safe_open(path, framework="np") as file:
        return dict(file.metadata() or {})


def read_description(
    path: str | os.PathLike[str],
    key: str,
    kind: type[T],
    renamed: Mapping[str, str | None] | None = None,
    given_up: Mapping[str, object] | None = None,
) -> T | None:
    """Return what a file's metadata says under a key, as a dataclass; None where it says nothing.

    renamed: names of older versions, to what they are called now; None for what is left out.
    given_up: names of older versions that must have this value, and are left out then.
    Raises BadInput when the file is missing or damaged, or says what this version does not understand.
    """
    text = read_metadata(path).get(key)
    if text is None:
        return None
    what = f"what {Path(path).name} says of its network"
    only = given_up or {}
    names: dict[str, str | None] = {**(renamed or {}), **dict.fromkeys(only)}

    def renew(values: dict[str, Any]) -> dict[str, Any]:
        for name in values.keys() & only.keys():
            if values[name] != only[name]:
                raise BadInput(f"This version does not understand {what}: {name} is {values[name]!r}.")
        return {now: value for name, value in values.items() if (now := names.get(name, name)) is not None}

    try:
        said = json.loads(text, object_hook=renew)
        missing = {each.name for each in fields(kind)} - said.keys()
    except BadInput:
        raise
    except (ValueError, AttributeError) as error:
        raise BadInput(f"This version does not understand {what}; it is no JSON object.") from error
    if missing:
        raise BadInput(f"This version does not understand {what}: {', '.join(missing)} is missing.")
    return from_json(kind, said, what)
