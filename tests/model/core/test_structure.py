"""JSON to dataclasses: what fits is taken with its types, all else is one sentence."""

from dataclasses import asdict, dataclass
from typing import Literal

import pytest

from model.core.errors import BadInput
from model.core.structure import from_json


@dataclass(frozen=True)
class Inner:
    count: int
    names: tuple[str, ...] = ()
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    share: float = 0.5
    other: Inner | None = None

    def __post_init__(self) -> None:
        if self.share > 1:
            raise BadInput("A share is at most 1.")


def test_nested_values_are_taken():
    values = {"inner": {"count": 3, "names": ["x", "y"]}, "share": 1, "other": {"count": 4, "kind": "b"}}
    made = from_json(Outer, values, "it")
    assert made == Outer(Inner(3, ("x", "y")), 1.0, Inner(4, kind="b"))
    assert isinstance(made.share, float)
    assert from_json(Outer, asdict(made), "it") == made


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"inner": {"count": 1, "size": 2}}, "does not understand the card: “size” is unknown"),
        ({"inner": {}}, "count"),
        ({"inner": {"count": "1"}}, "'1' is no int"),
        ({"inner": {"count": True}}, "True is no int"),
        ({"inner": {"count": 1.5}}, "1.5 is no int"),
        ({"inner": {"count": 1, "kind": "c"}}, "c not in literal"),
        ({"inner": 3}, "does not understand the card"),
        (None, "does not understand the card"),
        ({"inner": {"count": 1}, "share": 2.0}, "^A share is at most 1.$"),
    ],
)
def test_what_does_not_fit_is_one_sentence(values, sentence):
    with pytest.raises(BadInput, match=sentence):
        from_json(Outer, values, "the card")
