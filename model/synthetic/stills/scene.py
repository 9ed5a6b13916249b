"""A scene for a still: pictures in layers, and how each moves; motion is known in closed form."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Cue = Literal["heading", "follow", "forward", "pan", "fall", "unclear"]


@dataclass(frozen=True)
class Path:
    """Motion of a picture over the frame; lengths in pixels, times in frames, 0 at the still.

    start: (x, y) of the picture's centre at time 0. velocity, acceleration: at time 0, and from then on.
    stop: when the motion ends (a fall at the ground). zoom: frame pixels for one of the picture.
    turn: radians, at time 0. mirrored: the picture is. radius: of a rolling disc; 0 does not roll.
    approach: share of the distance to the camera that is covered in a frame, at time 0; what comes nearer
        grows, and moves away from `focus`, (x, y), where the camera is heading to.
    """

    start: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    acceleration: tuple[float, float] = (0.0, 0.0)
    stop: float = np.inf
    zoom: float = 1.0
    turn: float = 0.0
    mirrored: bool = False
    radius: float = 0.0
    approach: float = 0.0
    focus: tuple[float, float] = (0.0, 0.0)

    def moved(self, time: float) -> NDArray[np.float64]:
        """Return how far the centre is from its start at a time: float64 `[2]`."""
        passed = min(time, self.stop)
        return np.asarray(self.velocity) * passed + np.asarray(self.acceleration) * passed**2 / 2

    def to_frame(self, time: float, picture: tuple[int, int]) -> NDArray[np.float64]:
        """Return the map from a picture's pixels to the frame's, float64 `[2, 3]`.

        picture: its (height, width).
        """
        moved = self.moved(time)
        rolled = np.copysign(np.hypot(*moved), moved[0]) / self.radius if self.radius else 0.0
        cos, sin = np.cos(self.turn + rolled), np.sin(self.turn + rolled)
        mirror = -1.0 if self.mirrored else 1.0
        nearer = 1 / (1 - self.approach * time)
        linear = nearer * self.zoom * np.array([[cos * mirror, -sin], [sin * mirror, cos]])
        middle = (np.array([picture[1], picture[0]]) - 1) / 2
        focus = np.asarray(self.focus)
        centre = focus + nearer * (np.asarray(self.start) + moved - focus)
        return np.column_stack([linear, centre - linear @ middle])


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture and its path.

    picture: uint8 `[h, w, 4]`, alpha straight. fills: it goes on, reflected, beyond its border.
    """

    picture: NDArray[np.uint8]
    path: Path
    fills: bool = False


@dataclass(frozen=True, eq=False)
class StillScene:
    """Layers from back to front, and how long the exposure lasts, in frames."""

    cue: Cue
    layers: tuple[Layer, ...]
    shutter: float


@dataclass(frozen=True, eq=False)
class Pictures:
    """What scenes are made of. surfaces: uint8 `[K, S, S, 3]`. objects: uint8 `[J, s, s, 4]`."""

    surfaces: NDArray[np.uint8]
    objects: NDArray[np.uint8]
