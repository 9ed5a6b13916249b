"""Ways of colouring the points of `Tracks` with a handful of colours, since a WebGL line has one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.motion.tracks import Tracks
from model.overlay.colours import STILL, direction_colour, speed_colour
from model.overlay.motion import mean_speed, total_displacement

DIRECTIONS = 16
"""Sectors of the circle; points in one sector share one trace, because a WebGL line has one colour."""

SPEEDS = 16
"""Equal steps of the speed scale, from 0 to its top."""


@dataclass(frozen=True)
class ColourBins:
    """One way of colouring points with a handful of colours.

    bins: uint8 `[N]`, the colour's index for each point.
    colours: CSS colours, one for each index.
    top: the value at the upper end of the scale (px/frame), or None for a circular scale.
    """

    bins: NDArray[np.uint8]
    colours: tuple[str, ...]
    top: float | None = None


def colourings(tracks: Tracks) -> dict[str, ColourBins]:
    """Colour points by the direction of their total displacement, and by their mean speed."""
    return {
        "direction": direction_bins(total_displacement(tracks)),
        "speed": speed_bins(mean_speed(tracks)),
    }


def direction_bins(displacements: NDArray[np.float32]) -> ColourBins:
    """Sort displacements `[N, 2]` into sectors of the circle; the last index holds the still points.

    Sector k is centred at k · 360° / DIRECTIONS, measured from +x (right) towards +y (down).
    """
    sector = 2 * np.pi / DIRECTIONS
    angles = np.arctan2(displacements[:, 1], displacements[:, 0])
    bins = np.round(angles / sector).astype(np.int64) % DIRECTIONS
    bins[np.linalg.norm(displacements, axis=1) < STILL] = DIRECTIONS
    centres = np.arange(DIRECTIONS) * sector
    # Long vectors, so that the colours are those of clear motion; a zero vector for the still points.
    samples = np.concatenate([np.stack([np.cos(centres), np.sin(centres)], axis=1) * 1000, np.zeros((1, 2))])
    colours = direction_colour(samples.astype(np.float32))
    return ColourBins(bins.astype(np.uint8), _css(colours))


def speed_bins(speeds: NDArray[np.float32]) -> ColourBins:
    """Sort speeds `[N]` (px/frame) into equal steps from 0 to a round number near the 98th percentile."""
    top = _round_up(float(np.percentile(speeds, 98))) if speeds.size else 1.0
    bins = np.clip(np.floor(speeds / top * SPEEDS), 0, SPEEDS - 1)
    centres = (np.arange(SPEEDS) + 0.5) / SPEEDS * top
    return ColourBins(bins.astype(np.uint8), _css(speed_colour(centres.astype(np.float32), top)), top)


def _css(colours: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist())


def _round_up(value: float) -> float:
    """Round up to 1, 1.5, 2, 3, 5 or 7 times a power of ten, and to at least 0.1."""
    value = max(value, 0.1)
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= value * 0.999))
