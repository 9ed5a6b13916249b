"""Query points that a person gives the command line as a file."""

import csv
import json
from pathlib import Path

from model.core.errors import BadInput

Points = tuple[tuple[float, float], ...]


def read_points(path: Path) -> Points:
    """Read points from a CSV file of x,y, with or without a line of names, or a JSON file of [[x, y], ...].

    In a CSV file with names the columns “x” and “y” count, wherever they stand.
    Raises BadInput when the file is not there or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The points' file {path.name} cannot be read; give a CSV or JSON file.") from error
    try:
        return _from_json(text) if path.suffix.lower() == ".json" else _from_csv(text)
    except (ValueError, TypeError, IndexError, csv.Error, RecursionError) as error:
        raise BadInput(
            f"{path.name} does not hold points: it should have a line x,y for each, or as JSON "
            f"[[x, y], ...] ({error})."
        ) from error


def _from_json(text: str) -> Points:
    return tuple((float(x), float(y)) for x, y in json.loads(text))


def _from_csv(text: str) -> Points:
    rows = [row for row in csv.reader(text.splitlines()) if row]
    names = [name.strip().lower() for name in rows[0]] if rows else []
    if "x" in names and "y" in names:
        x, y = names.index("x"), names.index("y")
        return tuple((float(row[x]), float(row[y])) for row in rows[1:])
    return tuple((float(x), float(y)) for x, y in rows)
