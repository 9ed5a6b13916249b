"""The colours from which the viewer chooses, as CSS colours for JSON."""

import numpy as np
from numpy.typing import NDArray

from model.overlay.colours import STILL_COLOUR, direction_colour, speed_colour

DIRECTIONS = 32
"""Sectors of the circle; sector k is centred at k · 360° / DIRECTIONS, from +x (right) towards +y (down)."""

LEVELS = 32
"""Equal steps of the scale for speed, visibility and error, from its lower end to its upper."""


def palettes() -> dict[str, list[str]]:
    """Return the wheel of directions, the scale of sizes, and the one colour of what stands still."""
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    # Long vectors, so that the colours are those of clear motion.
    wheel = direction_colour(1000 * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    scale = speed_colour((np.arange(LEVELS) + 0.5) / LEVELS, 1.0)
    return {"wheel": _css(wheel), "scale": _css(scale), "still": _css(np.array([STILL_COLOUR], np.uint8))}


def _css(colours: NDArray[np.uint8]) -> list[str]:
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist()]
