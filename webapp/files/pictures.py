"""Frames as the JPEGs that the pages show."""

from pathlib import Path

from model.clips.video import decoding_bytes, read_frame
from model.core.jpeg import jpeg
from webapp.files.decoding import DecodingBudget


def clip_picture(clip: Path, index: int, decoding: DecodingBudget) -> bytes:
    """Return a clip's frame as a JPEG; frames count from 0. Raises BadInput as `read_frame`."""
    with decoding.reserve(decoding_bytes(clip)):
        return jpeg(read_frame(clip, index))
