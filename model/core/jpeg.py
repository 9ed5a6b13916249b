"""Pictures as JPEG, for pages and for training sets."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHOWN_SIDE, SHOWN_QUALITY = 1280, 88
"""Pixels and quality of the JPEGs that pages show."""


def jpeg(
    picture: NDArray[np.uint8], quality: int = SHOWN_QUALITY, longest_side: int | None = SHOWN_SIDE
) -> bytes:
    """Encode uint8 `[H, W, 3]` RGB as JPEG, made smaller where a side has more pixels than `longest_side`."""
    image = Image.fromarray(picture)
    if longest_side is not None:
        image.thumbnail((longest_side, longest_side), Image.Resampling.BILINEAR)
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=quality)
    return packed.getvalue()
