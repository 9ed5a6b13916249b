"""What each iteration of PIPs brings, and what stopping the iterations of settled points would save and cost.

python -m benchmarks.iterations small weights.safetensors FOLDER [--clips 5]
FOLDER holds clips with true tracks (docs/evaluation.md); the first 8 frames of each are tracked.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.evaluation.annotations import AnnotatedClip, read_annotated
from model.motion.grid import WORKING_SIZE, rescale_points
from model.tracking.pips.network import Pips
from model.tracking.pips.release import read_weights
from model.tracking.pips.sizes import find_size
from model.tracking.pips.tracker import resize

ITERATIONS = 6
THRESHOLDS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pixels of the working size: a point has settled when an iteration moves it by less in all frames."""


def track_clip(network: Pips, clip: AnnotatedClip) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Track the points seen in the first frame.

    Returns trajectories `[I, S, n, 2]` in pixels of the working size, and errors `[I, n]` in pixels of the
    clip: the mean distance from the truth over the later frames in which a point is visible.
    """
    length = network.config.frames
    frames = torch.stack([resize(frame) for frame, _ in zip(clip.read(), range(length), strict=False)])
    chosen = np.flatnonzero(clip.visible[0] & clip.visible[1:length].any(axis=0))
    queries = rescale_points(clip.points[0, chosen], clip.size, WORKING_SIZE)
    tracked = network.track(frames, torch.from_numpy(queries), ITERATIONS).trajectories.numpy()
    distance = np.linalg.norm(
        rescale_points(tracked, WORKING_SIZE, clip.size) - clip.points[:length, chosen], axis=-1
    )[:, 1:]
    seen = clip.visible[1:length, chosen]
    return tracked, np.where(seen, distance, 0).sum(axis=1) / seen.sum(axis=0)


def report(network: Pips, clips: list[AnnotatedClip]) -> None:
    """Print two tables: the error after each iteration, and of stopping points at each threshold."""
    results = [track_clip(network, clip) for clip in clips]
    errors = np.concatenate([error for _, error in results], axis=1)  # [I, points]
    # How far each iteration moved each point at most; an iteration's result is used as soon as it is small.
    moves = np.concatenate(
        [np.linalg.norm(np.diff(tracked, axis=0), axis=-1).max(axis=1) for tracked, _ in results], axis=1
    )
    points = np.arange(errors.shape[1])
    print(f"{len(clips)} clips, {len(points)} points; error in px over visible frames")
    print("iterations      mean   median")
    for index, error in enumerate(errors):
        print(f"{index + 1:10}  {error.mean():8.3f} {np.median(error):8.3f}")
    print("settled below  iterations on average      mean   median")
    for threshold in THRESHOLDS:
        is_settled = np.concatenate([moves < threshold, np.ones((1, len(points)), bool)])
        # Row i of `moves` is what iteration i + 2 moved; the last row stands for never settling.
        used = np.minimum(is_settled.argmax(axis=0) + 2, ITERATIONS)
        error = errors[used - 1, points]
        print(f"{threshold:10} px {used.mean():22.2f}  {error.mean():8.3f} {np.median(error):8.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("size")
    parser.add_argument("weights")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, help="only so many")
    arguments = parser.parse_args()
    report(
        Pips.from_state_dict(read_weights(arguments.weights), config=find_size(arguments.size)),
        read_annotated(arguments.folder)[: arguments.clips],
    )
