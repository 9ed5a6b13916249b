"""A folder of sample clips of the tests' own making."""

import json
from pathlib import Path

import numpy as np

from model.motion.grid import query_grid
from model.motion.tracks import Method, Tracks
from tests.media import moving_clip

SIZE, VELOCITY, FRAMES = (180, 320), (2.0, 1.0), 12


def true_motion_of_sample(side: int = 8) -> Tracks:
    """Where the points of a grid really are in the sample clip."""
    points = query_grid(side, SIZE) + np.arange(FRAMES)[:, None, None] * np.array(VELOCITY, np.float32)
    inside = ((points >= 0) & (points <= [SIZE[1] - 1, SIZE[0] - 1])).all(axis=2)
    return Tracks(
        points.astype(np.float32),
        inside.astype(np.float32),
        np.arange(FRAMES, dtype=np.int32),
        SIZE,
        25.0,
        (side, side),
        Method("truth"),
    )


def make_samples(folder: Path) -> Path:
    """Write two samples: “drift”, whose true motion is known, and “other”, where it is not."""
    folder.mkdir()
    moving_clip(folder / "drift.mp4", frames=FRAMES, size=SIZE, velocity=VELOCITY)
    true_motion_of_sample().save(folder / "drift.tracks.npz")
    moving_clip(folder / "other.mp4", frames=5, size=SIZE, velocity=(0.0, 3.0))
    entries = [
        {
            "file": f"{name}.mp4",
            "title": title,
            "description": f"A texture that {what} as a whole.",
            "licence": "MIT",
        }
        for name, title, what in (("drift", "Drift", "drifts"), ("other", "Fall", "falls"))
    ]
    (folder / "samples.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder
