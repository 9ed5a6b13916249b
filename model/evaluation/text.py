"""Tables of results as plain text."""

import math
from collections.abc import Sequence


def lay_out(rows: Sequence[Sequence[str]]) -> str:
    """Write columns as wide as they need, the first one to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def cell(value: float, digits: int) -> str:
    """Write a number; "–" for NaN, which is what nothing measured."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
