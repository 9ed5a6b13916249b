"""Pictures with 16 bits a channel: their values, the range that they fill, and how they become 8 bits."""

from collections.abc import Iterable
from typing import IO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

LARGEST = 65535
BAND = 64
"""Rows that are converted at once: the largest images must not be in memory twice."""

SMALL_SHARE = 0.25
"""Of the range: pictures that fill less of it would show few grey levels, or none."""


class Levels(NamedTuple):
    """The 16-bit values that become 0 and 255."""

    low: int = 0
    high: int = LARGEST

    @property
    def remark(self) -> str:
        """What is to be said of pictures at these levels; "" where they are the whole range."""
        if self == Levels():
            return ""
        return (
            f"The pictures' 16-bit values lie between {self.low:,} and {self.high:,}, a small part of their "
            "range, which is stretched over all 256 levels."
        )

    def apply(self, pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Scale 16-bit values to 8 bits, rounded; those beyond the levels are clipped."""
        values = np.arange(LARGEST + 1, dtype=np.float64)
        scaled = np.clip(np.round((values - self.low) * (255 / (self.high - self.low))), 0, 255).astype(
            np.uint8
        )
        result = np.empty(pixels.shape, np.uint8)
        for row, target in zip(pixels, result, strict=True):  # of all at once, NumPy makes indices of 64 bits
            target[...] = scaled[row]
        return result


def common_levels(ranges: Iterable[tuple[int, int]]) -> Levels:
    """Return the levels for pictures with these (least, largest) values: stretched if they fill little."""
    lows, highs = zip(*ranges, strict=True)
    low, high = min(lows), max(highs)
    return Levels(low, high) if 0 < high - low < SMALL_SHARE * LARGEST else Levels()


def is_deep(image: Image.Image) -> bool:
    """Whether an image that was opened, not loaded, has 16 bits a channel; Pillow keeps 8 of colours."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    return image.mode.startswith("I;16") or any(";16" in str(tile[3]) for tile in tiles)


def deep_pixels(image: Image.Image, file: IO[bytes]) -> NDArray[np.uint16] | None:
    """Return an image's 16-bit values as they are stored, `[H, W]` grey, `[H, W, 3]` RGB or `[H, W, 4]` RGBA.

    None where they cannot be decoded.
    """
    if image.mode.startswith("I;16"):
        grey = np.empty((image.height, image.width), np.uint16)
        for top in range(0, image.height, BAND):
            band = image.crop((0, top, image.width, min(top + BAND, image.height)))
            grey[top : top + BAND] = np.asarray(band)
        return grey
    file.seek(0)
    # Without turning it, which Pillow does.
    pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, order, dst=pixels), np.uint16)


def value_range(pixels: NDArray[np.uint16]) -> tuple[int, int]:
    """Return the least and the largest value of the colours; alpha does not count."""
    colours = pixels if pixels.ndim == 2 else pixels[..., :3]
    return int(colours.min()), int(colours.max())


def as_8_bit(pixels: NDArray[np.uint16], levels: Levels) -> Image.Image:
    """Return 16-bit pixels as an 8-bit image of mode L, RGB or RGBA; alpha always has the whole range."""
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return Image.fromarray(levels.apply(pixels))
    scaled = np.empty(pixels.shape, np.uint8)
    scaled[..., :3] = levels.apply(pixels[..., :3])
    scaled[..., 3] = Levels().apply(pixels[..., 3])
    return Image.fromarray(scaled)
