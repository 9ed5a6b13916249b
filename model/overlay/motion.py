"""What the points of `Tracks` do: displacement, speed, and a line that sums them up."""

import numpy as np
from numpy.typing import NDArray

from model.motion.camera import Camera, transform
from model.motion.tracks import Tracks

OWN_MOTION = 2.0
"""Pixels of a 256-high image: a point that is farther from where it would stand still moves on its own."""

STILL_CAMERA = 0.1
"""Pixels a frame of a 256-high image: a camera that moves all corners less stands still."""

DIRECTIONS = (
    *("to the right", "down and to the right", "down", "down and to the left"),
    *("to the left", "up and to the left", "up", "up and to the right"),
)
"""Each an eighth of the circle, from +x towards +y."""


def total_displacement(tracks: Tracks) -> NDArray[np.float32]:
    """Displacement of each point from the first to the last frame: float32 `[N, 2]`, pixels."""
    return np.asarray(tracks.points[-1] - tracks.points[0], dtype=np.float32)


def summary(tracks: Tracks) -> str:
    """Say in one line what tracks hold, for people who cannot or need not see the picture."""
    count = tracks.points.shape[1]
    points = "1 point" if count == 1 else f"{count:,} points"
    frames = "1 frame" if len(tracks.frames) == 1 else f"{len(tracks.frames):,} frames"
    if count == 0:
        return f"No points over {frames}."
    displacement = np.linalg.norm(total_displacement(tracks), axis=1)
    visible = float(tracks.visible[-1].mean())
    taken_out = " with the camera's motion taken out" if tracks.is_scene_motion else ""
    return (
        f"{points} over {frames}{taken_out}; median displacement {np.median(displacement):.1f} px, "
        f"largest {displacement.max():.1f} px; {visible:.0%} visible at the end."
    ) + ("" if tracks.camera is None else f" {_camera_sentence(tracks, tracks.camera)}")


def _camera_sentence(tracks: Tracks, camera: Camera) -> str:
    """Say what the camera does to the picture, and how many of the points move on their own."""
    last = int(np.flatnonzero(camera.is_found)[-1])
    moved = np.linalg.norm(camera.remove(tracks.points)[last] - tracks.points[0], axis=1)
    share = (moved > OWN_MOTION * tracks.size[0] / 256)[tracks.visible[last]].mean()
    return f"The camera {_camera_motion(tracks, camera, last)}; {share:.0%} of the points move on their own."


def _camera_motion(tracks: Tracks, camera: Camera, last: int) -> str:
    height, width = tracks.size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    frames = max(1, int(tracks.frames[last] - tracks.frames[0]))
    steps = (transform(camera.homographies[last], corners) - corners) / frames
    x, y = steps.mean(axis=0)
    if np.linalg.norm(steps, axis=1).max() < STILL_CAMERA * height / 256:
        return "stands still"
    if np.hypot(x, y) < np.linalg.norm(steps - (x, y), axis=1).mean() / 2:
        return "turns, or comes nearer or goes away"
    direction = DIRECTIONS[round(np.arctan2(y, x) / (np.pi / 4)) % 8]
    return f"moves the picture {np.hypot(x, y):.1f} px a frame {direction}"
