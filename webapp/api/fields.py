"""Fields of the API's schemas: what is shown, and what is asked for, whose every error is one sentence."""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError, fields, validate

LARGEST_INTEGER = 2**31 - 1
MOST_LISTED = 500

Messages = dict[str, str | list[Any] | dict[Any, Any]]
Kind = TypeVar("Kind", bound=fields.Field[Any])


def shown(kind: type[Kind], about: str = "", *, null: bool = False, **options: Any) -> Kind:
    """Declare a field of an answer. about: what it says, for the OpenAPI document. null: it may be null."""
    return kind(allow_none=null, metadata=_described(about), **options)


def text(about: str = "", *, null: bool = False, **options: Any) -> fields.String:
    """Declare a text of an answer."""
    return shown(fields.String, about, null=null, **options)


def integer(about: str = "", *, null: bool = False) -> fields.Integer:
    """Declare a whole number of an answer."""
    return shown(fields.Integer, about, null=null)


class Number(fields.Float):
    """A number of an answer; NaN, which JSON does not have, is null."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> str | float | None:
        shown_as = super()._serialize(value, attr, obj, **options)
        return None if isinstance(shown_as, float) and math.isnan(shown_as) else shown_as


def number(about: str = "", *, null: bool = False) -> Number:
    """Declare a number of an answer."""
    return shown(Number, about, null=null)


def list_of(item: type[Schema], about: str) -> type[Schema]:
    """Make the schema of a list. item: the schema of its items. about: what they are, one sentence."""
    name = item.__name__.replace("Schema", "ListSchema")
    content = {"items": fields.List(fields.Nested(item)), "total": fields.Integer()}
    return type(name, (Schema,), {"__doc__": about, **content})


class BodySchema(Schema):
    """What a request holds as JSON."""

    error_messages = {"type": "The body must be a JSON object: {…}."}  # noqa: RUF012  # as marshmallow has it


class QuerySchema(Schema):
    """The part of an address behind “?”; names that nobody knows are passed over."""

    class Meta:
        """Options of the schema."""

        unknown = "exclude"

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Accept digits: in a query everything is text."""
        if isinstance(field_obj, fields.Integer):
            field_obj.strict = False


def asked_text(name: str, about: str = "", **options: Any) -> fields.String:
    """Ask for a text."""
    messages: Messages = {
        "invalid": f"The {name} must be a text.",
        "null": f"The {name} must not be null.",
        "required": f"The {name} is missing.",
    }
    return fields.String(error_messages=messages, metadata=_described(about), **options)


def asked_boolean(name: str, about: str = "", **options: Any) -> fields.Boolean:
    """Ask for true or false."""
    sentence = f"The value of “{name}” must be true or false."
    messages: Messages = {"invalid": sentence, "null": sentence}
    return fields.Boolean(error_messages=messages, metadata=_described(about), **options)


class Line(fields.String):
    """A line for people, without space around it."""

    def _deserialize(self, value: Any, *others: Any, **options: Any) -> str:
        """Take off the space around it."""
        return str(super()._deserialize(value, *others, **options)).strip()


def asked_line(name: str, most: int, least: int = 1, **options: Any) -> Line:
    """Ask for a text of one line that people read."""
    length = validate.Length(least, most, error=f"The {name} must have {least} to {most} characters.")
    readable = validate.Predicate("isprintable", error=f"The {name} must be one line of readable characters.")
    messages: Messages = {"invalid": f"The {name} must be a text.", "null": f"The {name} must not be null."}
    return Line(validate=[length, readable], error_messages=messages, **options)


def asked_choice(name: str, values: Sequence[str], **options: Any) -> fields.String:
    """Ask for one of some texts."""
    sentence = f"The {name} must be one of {', '.join(values)}, not “{{input}}”."
    return fields.String(validate=validate.OneOf(values, error=sentence), **options)


class Points(fields.Field[tuple[tuple[float, float], ...]]):
    """Pairs of numbers, which may be thousands; where they may lie, the clip says."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[tuple[float, float], ...]:
        """Accept a list of [x, y], both numbers."""
        if not isinstance(value, list):
            raise self.make_error("invalid")
        for index, point in enumerate(value):
            is_pair = isinstance(point, list) and len(point) == 2
            if not is_pair or not all(type(part) in (int, float) and abs(part) < 1e9 for part in point):
                raise ValidationError(f"Point {index} must be [x, y], two numbers in pixels of the frame.")
        return tuple((float(x), float(y)) for x, y in value)


def asked_points(name: str, about: str) -> Points:
    """Ask for points, or none."""
    messages: Messages = {"invalid": f"The {name} must be a list of [x, y], in pixels of the frame."}
    described = _described(about) | {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    return Points(load_default=None, allow_none=True, error_messages=messages, metadata=described)


def asked_integer(
    name: str, smallest: int, about: str = "", *, largest: int = LARGEST_INTEGER, **options: Any
) -> fields.Integer:
    """Ask for a whole number."""
    limits = f"from {smallest} to {largest}" if largest < LARGEST_INTEGER else f"of at least {smallest}"
    sentence = f"The {name} must be a whole number {limits}, not “{{input}}”."
    too_large = sentence if largest < LARGEST_INTEGER else f"The {name} is too large: “{{input}}”."
    return fields.Integer(
        strict=True,
        validate=[validate.Range(smallest, error=sentence), validate.Range(max=largest, error=too_large)],
        error_messages={"invalid": sentence, "too_large": sentence, "null": f"The {name} must not be null."},
        metadata=_described(about),
        **options,
    )


def asked_number(name: str, about: str = "", *, largest: float | None = None, **options: Any) -> fields.Float:
    """Ask for a number from 0 to `largest`."""
    limits = "of at least 0" if largest is None else f"from 0 to {largest:g}"
    sentence = f"The {name} must be a number {limits}, not “{{input}}”."
    messages: Messages = {
        "invalid": sentence,
        "too_large": sentence,
        "special": f"The {name} must be a number {limits}.",  # NaN or infinite; marshmallow tells no more
    }
    in_range = validate.Range(0, largest, error=sentence)
    return fields.Float(validate=in_range, error_messages=messages, metadata=_described(about), **options)


def _described(about: str) -> dict[str, Any]:
    return {"description": about} if about else {}
