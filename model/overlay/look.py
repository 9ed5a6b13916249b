"""What an overlay shows of tracks: those of the viewer's settings that a drawn file has too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.motion.tracks import Tracks
from model.overlay.colours import STILL, direction_colour, speed_colour
from model.overlay.motion import total_displacement

COLOURS = ("direction", "direction-now", "speed", "speed-now", "visibility", "chance", "index")
"""Ways of colouring points: by the direction or speed of the whole path or of each step, ..."""

BACKDROP = (7, 9, 12)
"""The colour behind the picture."""

_STILL_STEP = 0.2  # pixels of one step, below which it has no direction worth a colour


@dataclass(frozen=True)
class Look:
    """How tracks are drawn, by the names that the viewer's address has for it.

    colour: one of `COLOURS`. paths: "all", "past" (up to the frame), frames ("8", "0" for none) or seconds
    ("0.5s") that they reach back. hidden: whether hidden points are dimmed or left out. size: of dots and
    lines. shade: brightness of the picture in %. picture, dots: whether they are there. moving: whether a map
    tells how likely the picture moves, with so much opacity in %. first, last: the clip's frames to begin and
    end with. speed: how many times as fast as filmed.
    """

    colour: str = "direction"
    paths: str = "past"
    hidden: Literal["dim", "hide"] = "dim"
    size: float = 1.0
    shade: float = 100.0
    picture: bool = True
    dots: bool = True
    moving: bool = False
    opacity: float = 80.0
    first: int | None = None
    last: int | None = None
    speed: float = 1.0

    def window(self, tracks: Tracks, position: int) -> tuple[int, int]:
        """Return the first and the last row whose points the lines join."""
        if self.paths == "all":
            return 0, len(tracks.frames) - 1
        if self.paths == "past":
            return 0, position
        if not self.paths.endswith("s"):
            return max(0, position - int(self.paths)), position
        earliest = tracks.frames[position] - float(self.paths[:-1]) * tracks.fps - 1e-6
        return int(np.argmax(tracks.frames >= earliest)), position

    def check(self, tracks: Tracks, chance: NDArray[np.float32] | None) -> None:
        """Raise BadInput when tracks lack what is to be shown. chance: how likely each point moves."""
        if not self.rows(tracks):
            raise BadInput(
                f"The tracks have no frame from {self.first} to {self.last}; they reach from "
                f"{tracks.frames[0]} to {tracks.frames[-1]}."
            )
        if chance is None and (self.moving or self.colour == "chance"):
            raise BadInput("How likely the points move is not known; show something else of them.")
        if self.moving and tracks.grid is None:
            raise BadInput("A map of what is likely to move needs a grid of points.")

    def rows(self, tracks: Tracks) -> range:
        """Return the rows to draw."""
        first = 0 if self.first is None else int(np.searchsorted(tracks.frames, self.first))
        last = (
            len(tracks.frames)
            if self.last is None
            else int(np.searchsorted(tracks.frames, self.last, "right"))
        )
        return range(first, last)


def step_colours(tracks: Tracks, colour: str, chance: NDArray[np.float32] | None) -> NDArray[np.uint8]:
    """Colour each point, or each step of each, as the viewer does: uint8 `[1 or T, N, 3]`.

    colour: one of `COLOURS`. chance: of each point, how likely it moves, `[N]`, for that colour.
    """
    count, points = tracks.points.shape[:2]
    before = np.maximum(np.arange(count), 1) - 1  # the first frame has the first step's colours
    after = np.minimum(before + 1, count - 1)
    steps = tracks.points[after] - tracks.points[before]
    between = np.maximum(tracks.frames[after] - tracks.frames[before], 1)[:, None]
    angles = np.arange(points) / max(1, points) * 2 * np.pi
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ways: dict[str, Callable[[], NDArray[np.uint8]]] = {
        "direction": lambda: direction_colour(total_displacement(tracks))[None],
        "direction-now": lambda: direction_colour(_clear(steps).reshape(-1, 2)).reshape(count, points, 3),
        "speed": lambda: _scaled(_mean_speed(tracks)[None]),
        "speed-now": lambda: _scaled(np.linalg.norm(steps, axis=2) / between),
        "visibility": lambda: _scaled(tracks.visibility, 1.0),
        "chance": lambda: _scaled(np.asarray(chance)[None], 1.0),
        "index": lambda: direction_colour(1000 * around)[None],
    }
    return ways[colour]()


def _mean_speed(tracks: Tracks) -> NDArray[np.floating]:
    """Return the length of each point's path over the frames it took: `[N]`, pixels per source frame."""
    length = np.linalg.norm(np.diff(tracks.points, axis=0), axis=2).sum(axis=0)
    return np.asarray(length / max(1, int(tracks.frames[-1] - tracks.frames[0])))


def _clear(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make steps `[T, N, 2]` long enough for `direction_colour` to see motion, or zero."""
    length = np.linalg.norm(steps, axis=2, keepdims=True)
    moves = length >= _STILL_STEP
    return np.asarray(np.where(moves, 2 * STILL * steps / np.maximum(length, 1e-6), 0), np.float32)


def _scaled(values: NDArray[np.floating], top: float | None = None) -> NDArray[np.uint8]:
    """Colour values `[T, N]` from 0 to a top, by default a round number near the 98th percentile."""
    top = round_top(values) if top is None else top
    return speed_colour(values.ravel(), top).reshape(*values.shape, 3)


def round_top(values: NDArray[np.floating]) -> float:
    """Return 1, 1.5, 2, 3, 5, 7 or 10 times a power of ten, near the 98th percentile and at least 0.1."""
    value = max(0.1, float(np.percentile(values, 98, method="lower"))) if values.size else 0.1
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= value * 0.999))


def moving_map(tracks: Tracks, chance: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return how likely each pixel moves, between the grid's points and beyond the outer ones: `[h, w]`."""
    assert tracks.grid is not None
    rows, columns = tracks.grid
    first, last = tracks.points[0][0], tracks.points[0][-1]
    y, x = (
        (np.arange(side) + 0.5) / side * whole - 0.5 for side, whole in zip(size, tracks.size, strict=True)
    )
    across = (x - first[0]) / max(1e-6, last[0] - first[0]) * (columns - 1)
    down = (y - first[1]) / max(1e-6, last[1] - first[1]) * (rows - 1)
    map_x, map_y = np.meshgrid(across.astype(np.float32), down.astype(np.float32))
    grid = chance.reshape(rows, columns).astype(np.float32)
    mapped = cv2.remap(grid, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(mapped, np.float32)


def paint_map(picture: NDArray[np.uint8], chance: NDArray[np.float32], opacity: float) -> NDArray[np.uint8]:
    """Lay a map `[h, w]` over a picture, the likelier the brighter and the more opaque; opacity in %."""
    colours = speed_colour(chance.ravel(), 1.0).reshape(*chance.shape, 3)
    share = (chance * (opacity / 100))[..., None]
    return np.asarray(np.round(picture * (1 - share) + colours * share), np.uint8)
