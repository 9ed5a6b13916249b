"""A clip's frames from a later one to an earlier one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.clips.video import ClipInfo, read_frames
from model.core.errors import BadInput

BLOCK_BYTES = 256 * 1024**2
"""Bytes of frames held at once: files are read forwards, block after block from the back."""


def read_backwards(
    path: Path, info: ClipInfo, *, start: int, step: int, count: int
) -> Iterator[NDArray[np.uint8]]:
    """Read the `count` frames `start`, `start - step`, ..., as `read_frames` gives them.

    info: what `probe` says of the clip.
    Raises BadInput as `read_frames`, and where the clip ends before one of them.
    """
    at_once = max(1, BLOCK_BYTES // (3 * info.width * info.height))
    for done in range(0, count, at_once):
        wanted = min(at_once, count - done)
        earliest = start - (done + wanted - 1) * step
        block = list(read_frames(path, start=earliest, step=step, count=wanted))
        if len(block) < wanted:
            raise BadInput(
                f"The clip ends before frame {start - done * step}: its file is damaged or was changed while "
                "it was read."
            )
        while block:
            yield block.pop()
