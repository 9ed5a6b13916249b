"""JSON values to frozen dataclasses, strictly: nothing unknown, nothing of another type, nothing missing."""

from typing import Any, TypeVar

from cattrs import Converter
from cattrs.errors import CattrsError, ForbiddenExtraKeysError

from model.core.errors import BadInput

T = TypeVar("T")


def _exactly(kind: type[Any]) -> Any:
    def take(value: Any, _: Any) -> Any:
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return kind(value)

    return take


_CONVERTER = Converter(forbid_extra_keys=True, detailed_validation=False)
for _kind in (bool, int, float, str):
    _CONVERTER.register_structure_hook(_kind, _exactly(_kind))


def from_json(kind: type[T], values: object, what: str) -> T:
    """Make a dataclass of JSON values; nested dataclasses, tuples, literals and unions with None too.

    what: names the values in sentences, "the settings in checkpoint.pt".
    Raises BadInput when a key is unknown or missing, or a value has another type or is refused.
    """
    try:
        return _CONVERTER.structure(values, kind)
    except BadInput:
        raise
    except ForbiddenExtraKeysError as error:
        names = ", ".join(sorted(error.extra_fields))
        raise BadInput(
            f"This version does not understand {what}: “{names[:80]}” is unknown to it."
        ) from error
    except (CattrsError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"This version does not understand {what} ({error}).") from error
