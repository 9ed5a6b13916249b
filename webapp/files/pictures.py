"""Frames as the JPEGs that the pages show."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.clips.video import decoding_bytes, read_frame
from webapp.files.decoding import DecodingBudget

LONGEST_SIDE = 1280
"""Pixels; what a page shows need not be larger."""

QUALITY = 88


def jpeg(frame: NDArray[np.uint8]) -> bytes:
    """Encode a frame, uint8 `[H, W, 3]` RGB, made smaller if a side is longer than `LONGEST_SIDE`."""
    image = Image.fromarray(frame)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def clip_picture(clip: Path, index: int, decoding: DecodingBudget) -> bytes:
    """Return a clip's frame as such a JPEG; frames count from 0. Raises BadInput as `read_frame`."""
    with decoding.reserve(decoding_bytes(clip)):
        return jpeg(read_frame(clip, index))
