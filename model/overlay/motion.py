"""What the points of `Tracks` do: displacement, speed, and a line that sums them up."""

import numpy as np
from numpy.typing import NDArray

from model.motion.tracks import Tracks
from model.tracking.methods import is_prediction


def total_displacement(tracks: Tracks) -> NDArray[np.float32]:
    """Displacement of each point from the first to the last frame: float32 `[N, 2]`, pixels."""
    return np.asarray(tracks.points[-1] - tracks.points[0], dtype=np.float32)


def mean_speed(tracks: Tracks) -> NDArray[np.float32]:
    """Length of each point's path over the frames it took: float32 `[N]`, pixels per source frame."""
    length = np.linalg.norm(np.diff(tracks.points, axis=0), axis=2).sum(axis=0)
    return np.asarray(length / max(1, int(tracks.frames[-1] - tracks.frames[0])), dtype=np.float32)


def summary(tracks: Tracks) -> str:
    """Say in one line what the tracks hold, for people who cannot or need not see the picture."""
    count = tracks.points.shape[1]
    points = "1 point" if count == 1 else f"{count:,} points"
    frames = "1 frame" if len(tracks.frames) == 1 else f"{len(tracks.frames):,} frames"
    if count == 0:
        return f"No points over {frames}."
    displacement = np.linalg.norm(total_displacement(tracks), axis=1)
    visible = float(tracks.visible[-1].mean())
    if is_prediction(tracks.method.name):
        ahead = int(tracks.frames[-1] - tracks.frames[0])
        predicted = f"{points} predicted {ahead} frame{'' if ahead == 1 else 's'} ahead from one image"
        if ahead and not displacement.any():  # exactly zero only where the answer is withheld
            return (
                f"{predicted}, which tells too little: the single answer is that nothing moves; hypotheses "
                "and 90 % intervals say where each may go."
            )
        return (
            f"{predicted}; median displacement {np.median(displacement):.1f} px, largest "
            f"{displacement.max():.1f} px; {visible:.0%} expected inside it at the end."
        )
    return (
        f"{points} over {frames}; median displacement {np.median(displacement):.1f} px, "
        f"largest {displacement.max():.1f} px; {visible:.0%} visible at the end."
    )
