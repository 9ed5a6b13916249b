"""The colours of motion, shared by pictures and figures: a circle for direction, a scale for speed."""

import cv2
import numpy as np
from numpy.typing import NDArray

STILL = 0.5
"""Pixels of displacement below which a point has no direction worth a colour."""

STILL_COLOUR = (170, 176, 186)

# OKLCH lightness and chroma: every direction is equally bright, and none leaves sRGB by much.
_LIGHTNESS = 0.76
_CHROMA = 0.155
_HUE_OF_RIGHT = np.deg2rad(29.0)  # red, as in the usual optical flow colour wheel

# OKLab to linear sRGB: https://bottosson.github.io/posts/oklab/ (the author's matrices, public domain).
_LAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)

_SLOWEST = 0.35  # where on the scale speed 0 lies: the darker part is lost on dark frames


def direction_colour(displacements: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colour displacements by their direction; points that hardly moved are grey.

    The hue turns once around the circle, from red (right) over amber (down) and cyan (left) to violet
    (up), at equal lightness.

    displacements: `[N, 2]`, (x, y) in pixels, y downwards.
    Returns uint8 `[N, 3]`, sRGB.
    """
    hue = np.arctan2(displacements[:, 1], displacements[:, 0]).astype(np.float64) + _HUE_OF_RIGHT
    lab = np.stack([np.full_like(hue, _LIGHTNESS), _CHROMA * np.cos(hue), _CHROMA * np.sin(hue)], axis=1)
    linear = np.clip((lab @ _LAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0.0, 1.0)
    # IEC 61966-2-1
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    colours: NDArray[np.uint8] = np.round(encoded * 255).astype(np.uint8)
    colours[np.linalg.norm(displacements, axis=1) < STILL] = STILL_COLOUR
    return colours


def speed_colour(speeds: NDArray[np.floating], top: float) -> NDArray[np.uint8]:
    """Colour speeds on a perceptually even scale, from purple (0) to yellow (`top` and above).

    speeds: `[N]`, not negative, in any unit. top: the upper end of the scale in the same unit, above 0.
    Returns uint8 `[N, 3]`, sRGB.
    Raises ValueError when top is not positive.
    """
    if not top > 0:
        raise ValueError(f"the top of the speed scale must be positive, not {top}.")
    share = np.clip(np.asarray(speeds, dtype=np.float64) / top, 0.0, 1.0)
    levels = np.round((_SLOWEST + (1 - _SLOWEST) * share) * 255).astype(np.uint8)
    if levels.size == 0:
        return np.zeros((0, 3), dtype=np.uint8)
    bgr = cv2.applyColorMap(levels.reshape(-1, 1), cv2.COLORMAP_PLASMA)
    return np.ascontiguousarray(bgr.reshape(-1, 3)[:, ::-1].astype(np.uint8))
