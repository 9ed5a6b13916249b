"""Tracks in formats that other programs read."""

import json
from collections.abc import Iterator

import numpy as np

from model.motion.tracks import Tracks


def tracks_json(tracks: Tracks) -> str:
    """Return everything in a `Tracks` as one JSON object; points as `[T][N][2]`, rounded to 1/1000 pixel.

    "handovers" holds, for each point, the frames in which one chunk of frames handed it on to the next; it is
    null for a method without chunks.
    """
    handovers = tracks.handovers
    return json.dumps(
        {
            "size": {"height": tracks.size[0], "width": tracks.size[1]},
            "fps": tracks.fps,
            "grid": None if tracks.grid is None else list(tracks.grid),
            "method": {
                "name": tracks.method.name,
                "weights_sha256": tracks.method.weights_sha256,
                "settings": dict(tracks.method.settings),
            },
            "frames": tracks.frames.tolist(),
            "points": np.round(tracks.points.astype(np.float64), 3).tolist(),
            "visibility": np.round(tracks.visibility.astype(np.float64), 3).tolist(),
            "handovers": None
            if handovers is None
            else [tracks.frames[column].tolist() for column in handovers.T],
        }
    )


def tracks_csv(tracks: Tracks) -> Iterator[str]:
    """Yield a table, one frame at a time: point, frame, x, y (pixels) and visibility (0 to 1)."""
    yield "point,frame,x,y,visibility\r\n"
    for frame, points, visibility in zip(tracks.frames, tracks.points, tracks.visibility, strict=True):
        yield "".join(
            f"{index},{frame},{x:.3f},{y:.3f},{visible:.3f}\r\n"
            for index, ((x, y), visible) in enumerate(zip(points, visibility, strict=True))
        )
