"""Videos to measure with."""

from pathlib import Path

import av
import numpy as np


def write_clip(
    path: Path, frames: int, size: tuple[int, int] = (90, 120), fps: int = 25, seed: int = 0
) -> None:
    """Write a video of a coarse pattern that moves by (2, 1) pixels a frame; size: (height, width)."""
    height, width = size
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 3, width // 3, 3), np.uint8)
    picture = coarse.repeat(4, 0).repeat(4, 1)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(frames):
            shifted = np.roll(picture, (number, 2 * number), (0, 1))[:height, :width]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shifted), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
