"""Which images form a clip: one rule for folders, zips and uploads of several files.

The images of a clip lie in one folder, the one that is common to all of them; those in folders below it are
left aside, as masks or thumbnails. Where they lie in several folders, or in one folder with the same numbers
twice (pictures and masks side by side), it is not clear which are meant, and a person has to say so. They
come in natural order (2 before 10), small letters like large ones.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import PurePosixPath
from typing import TypeVar

from natsort import natsorted, ns

from model.core.errors import BadInput

Item = TypeVar("Item")

_SYSTEM_NAMES = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
    | {"thumbs.db", "ehthumbs.db", "desktop.ini"}
)
_SHARED_NUMBERS = 2  # one may be chance


def is_system_file(name: str) -> bool:
    """Whether a system made a file, not a person: hidden ones, and those of macOS, Windows and Synology."""
    return any(part.startswith(".") or part.casefold() in _SYSTEM_NAMES for part in path_parts(name))


def path_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a relative path, whatever system wrote it."""
    return PurePosixPath(name.replace("\\", "/")).parts


def natural_order(items: Iterable[Item], name: Callable[[Item], str]) -> list[Item]:
    """Sort by names in natural order, small letters like large ones."""
    return natsorted(items, key=name, alg=ns.IGNORECASE)


def select_sequence(items: Iterable[Item], name: Callable[[Item], str], what: str) -> list[Item]:
    """Return the images that form one clip, in order.

    items: images, without those of the system. name: gives an item's path within `what`.
    what: names the whole at the start of an error's sentence ("The zip").
    Raises BadInput when it is not clear which images are meant.
    """
    folders = defaultdict(list)
    for item in items:
        folders[path_parts(name(item))[:-1]].append(item)
    common = _common(list(folders))
    if common not in folders:
        names = natsorted({"/".join(folder[: len(common) + 1]) for folder in folders})
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        raise BadInput(
            f"{what} holds images in several folders ({', '.join(names[:4])}{more}); give one of them."
        )
    chosen = natural_order(folders[common], name)
    _check_one_sequence([path_parts(name(item))[-1] for item in chosen], what)
    return chosen


def _common(folders: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder in which all of the folders lie."""
    first, last = min(folders), max(folders)
    differing = (k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[: next(differing, min(len(first), len(last)))]


def _check_one_sequence(names: list[str], what: str) -> None:
    """Raise BadInput when images have the same numbers and names that differ otherwise."""
    numbered: dict[tuple[int, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        pattern, numbers = re.sub(r"\d+", "#", name).casefold(), tuple(map(int, re.findall(r"\d+", name)))
        if pattern in numbered[numbers] and name == numbered[numbers][pattern]:
            raise BadInput(f"{what} holds two images named {name}; give the images of one folder.")
        numbered[numbers][pattern] = name
    pairs = Counter(
        pair for same in numbered.values() if len(same) > 1 for pair in combinations(sorted(same), 2)
    )
    for (first, second), count in pairs.most_common(1):
        if count >= _SHARED_NUMBERS:
            example = next(same for same in numbered.values() if first in same and second in same)
            raise BadInput(
                f"{what} holds two sequences with the same numbers, as {example[first]} and "
                f"{example[second]}; give one of them."
            )
