"""Clips with true tracks, of the tests' own making."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.motion.grid import query_grid
from model.motion.tracks import Method, Tracks
from tests.media import Picture, moving_frames, write_image


def write_frames(folder: Path, pictures: Sequence[Picture]) -> Path:
    """Write pictures as 00000.png, 00001.png, ... into a new folder."""
    folder.mkdir(parents=True)
    for index, picture in enumerate(pictures):
        write_image(folder / f"{index:05d}.png", picture)
    return folder


def moving_truth(
    frames: int, size: tuple[int, int], velocity: tuple[float, float], points_per_side: int = 5
) -> Tracks:
    """The true tracks of `tests.media.moving_frames`: a grid, visible while in the frame."""
    queries = query_grid(points_per_side, size)
    points = (queries + np.arange(frames)[:, None, None] * np.array(velocity)).astype(np.float32)
    x, y = points[..., 0], points[..., 1]
    inside = (x >= -0.5) & (x <= size[1] - 0.5) & (y >= -0.5) & (y <= size[0] - 0.5)
    return Tracks(
        points=points,
        visibility=inside.astype(np.float32),
        frames=np.arange(frames, dtype=np.int32),
        size=size,
        fps=0.0,
        grid=None,
        method=Method("truth"),
    )


def moving_folder(
    folder: Path,
    frames: int = 8,
    size: tuple[int, int] = (96, 128),
    velocity: tuple[float, float] = (2.0, 1.0),
) -> Tracks:
    """Write a moving texture as a folder of frames with its true tracks; return those."""
    truth = moving_truth(frames, size, velocity)
    write_frames(folder, moving_frames(frames, size, velocity))
    truth.save(folder / "tracks.npz")
    return truth


def write_badja(
    path: Path, joints: NDArray[np.floating], visible: NDArray[np.bool_], frames: Sequence[int]
) -> Path:
    """Write joints `[A, N, 2]` (x, y) of the annotated frames as BADJA does: [y, x], with images' paths."""
    records = [
        {
            "segmentation_path": f"DAVIS/Annotations/Full-Resolution/{path.stem}/{frame:05d}.png",
            "image_path": f"DAVIS/JPEGImages/Full-Resolution/{path.stem}/{frame:05d}.jpg",
            "joints": joints[row, :, ::-1].tolist(),
            "visibility": visible[row].tolist(),
        }
        for row, frame in enumerate(frames)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records))
    return path
