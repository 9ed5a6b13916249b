"""Tracks in formats that other programs read."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.motion.tracks import Tracks


def tracks_json(tracks: Tracks, about: Mapping[str, Any]) -> str:
    """Return everything in a `Tracks` as one JSON object; points as `[T][N][2]`, rounded to 1/1000 pixel.

    "handovers" holds, for each point, the frames in which one chunk of frames handed it on to the next; it is
    null for a method without chunks. "camera" has a homography [3][3] from the first frame to each, null in
    frames without, and each frame's share of points that follow it; it is null where there is none.
    about: where the tracks come from, kept under that name.
    """
    handovers, camera = tracks.handovers, tracks.camera
    return json.dumps(
        {
            "about": dict(about),
            "size": {"height": tracks.size[0], "width": tracks.size[1]},
            "fps": tracks.fps,
            "grid": None if tracks.grid is None else list(tracks.grid),
            "method": {
                "name": tracks.method.name,
                "weights_sha256": tracks.method.weights_sha256,
                "settings": dict(tracks.method.settings),
            },
            "query_frame": int(tracks.frames[0]) if tracks.query_frame is None else tracks.query_frame,
            "frames": tracks.frames.tolist(),
            "points": np.round(tracks.points.astype(np.float64), 3).tolist(),
            "visibility": np.round(tracks.visibility.astype(np.float64), 3).tolist(),
            "handovers": None
            if handovers is None
            else [tracks.frames[column].tolist() for column in handovers.T],
            "camera": None
            if camera is None
            else {
                "homographies": [
                    one.tolist() if is_found else None
                    for one, is_found in zip(camera.homographies, camera.is_found, strict=True)
                ],
                "share": np.round(camera.share.astype(np.float64), 4).tolist(),
            },
        }
    )


def tracks_csv(tracks: Tracks, about: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table, one frame at a time: point, frame, x, y (pixels), visibility (0 to 1), scene_x, scene_y.

    The last two are the position with the camera's motion taken out, in pixels of the first frame; empty
    where it is not known. about: where the tracks come from; one comment of "# name: JSON value" each, before
    the table.
    """
    yield "".join(f"# {name}: {json.dumps(value, ensure_ascii=False)}\r\n" for name, value in about.items())
    yield "point,frame,x,y,visibility,scene_x,scene_y\r\n"
    places: NDArray[np.float32] = tracks.points
    scene = np.full_like(places, np.nan) if tracks.camera is None else tracks.camera.remove(places)
    for frame, points, visibility, still in zip(tracks.frames, places, tracks.visibility, scene, strict=True):
        ends = [""] * len(points) if np.isnan(still).any() else [f"{x:.3f},{y:.3f}" for x, y in still]
        yield "".join(
            f"{index},{frame},{x:.3f},{y:.3f},{visible:.3f},{end or ','}\r\n"
            for index, ((x, y), visible, end) in enumerate(zip(points, visibility, ends, strict=True))
        )
