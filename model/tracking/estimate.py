"""Before the work: about how long tracking takes, and how much memory. Needs no torch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from model.tracking.methods import is_prediction
from model.tracking.pips.work import CHUNK, PipsWork, chunks
from model.weights.registry import find_entry

# Seconds as measured on the machine of docs/performance.md; earlier runs on this one correct them.
START = {"pips": 0.7, "fcn": 2.0}
SECONDS_PER_MEGAPIXEL = 0.017
"""To decode a frame, and to store its picture."""

LK_SECONDS_PER_MEGAPIXEL = 0.011
LK_SECONDS_PER_POINT = 21e-6
LK_LONGEST_SIDE = 1024
CPU_SPEED, CUDA_SPEED = 80.0, 5000.0
"""GFLOP a second of PIPs: of one core, and of a GPU."""

FRAME_SECONDS, POINT_SECONDS = 0.1, 0.003
"""Of one core, beside the counted operations: for a frame, and for a point in a chunk."""

PREDICTION_SECONDS = 1.2
"""Of one core, for the network; images are brought to one size before."""

PROCESS_BYTES = 140_000_000
TORCH_BYTES = 480_000_000
PREDICTION_BYTES = 830_000_000
"""Of torch, FCN-ResNet50's weights and its maps at 256×448."""

BYTES_PER_PIXEL = 48
"""Of the frames being decoded, resized and stored."""

BYTES_PER_POSITION = 50
"""Of the result: position, visibility and handover, listed, stacked and mapped to the original frame."""


@dataclass(frozen=True)
class Plan:
    """What is to be tracked or predicted.

    method: "lk", "pips", "fcn" or another name. weights: registered name or path, or None for the usual.
    points, frames: how many. size: (height, width) of the frames in pixels.
    """

    method: str
    weights: str | None
    points: int
    frames: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Estimate:
    """What a plan will cost, about.

    seconds: once it has begun. memory_bytes: at its peak. is_rough: there was no earlier run to go by.
    """

    seconds: float
    memory_bytes: int
    is_rough: bool


def estimate(plan: Plan, earlier: Sequence[tuple[Plan, float]] = (), device: str = "auto") -> Estimate:
    """Say about what tracking costs.

    earlier: plans of the same method that were carried out on this machine, and the seconds that each took;
        what they took beside what they usually take corrects the estimate.
    device: as for `Tracker.load`; "auto" is held for the CPU: a web process must not look for a GPU.
    """
    paces = [seconds / usual_seconds(done, device) for done, seconds in earlier]
    pace = median(paces) if paces else 1.0
    return Estimate(pace * usual_seconds(plan, device), usual_memory(plan), is_rough=not paces)


def usual_seconds(plan: Plan, device: str = "auto") -> float:
    """Return the seconds that a plan takes on a machine like that of docs/performance.md."""
    megapixels = plan.size[0] * plan.size[1] / 1e6
    read = 1 if is_prediction(plan.method) else plan.frames
    seconds = START.get(plan.method, 0.1) + read * megapixels * SECONDS_PER_MEGAPIXEL
    if plan.method == "lk":
        reduced = megapixels * min(1.0, LK_LONGEST_SIDE / max(plan.size)) ** 2
        each = reduced * LK_SECONDS_PER_MEGAPIXEL + plan.points * LK_SECONDS_PER_POINT
        seconds += plan.frames * each
    elif is_prediction(plan.method):
        if not device.startswith("cuda"):
            seconds += PREDICTION_SECONDS / len(os.sched_getaffinity(0))
    elif plan.method == "pips":
        operations = _work(plan).clip(plan.frames, plan.points)
        if device.startswith("cuda"):
            return seconds + operations / CUDA_SPEED
        rest = plan.frames * FRAME_SECONDS + plan.points * chunks(plan.frames) * POINT_SECONDS
        seconds += (operations / CPU_SPEED + rest) / len(os.sched_getaffinity(0))
    return seconds


def usual_memory(plan: Plan) -> int:
    """Return about how many bytes the tracking process has at its peak."""
    pixels = plan.size[0] * plan.size[1]
    held = PROCESS_BYTES + pixels * BYTES_PER_PIXEL + plan.frames * plan.points * BYTES_PER_POSITION
    if is_prediction(plan.method):
        return held + PREDICTION_BYTES
    if plan.method != "pips":
        return held
    work = _work(plan)
    # Weights as read and as laid out; maps of two chunks, and of one with its pyramid; the encoder's layers.
    networks = 2 * 4 * work.weights
    maps = 4 * work.map_values * min(plan.frames, CHUNK) * 4
    layers = 20 * 4 * work.map_values * len(os.sched_getaffinity(0))
    return held + TORCH_BYTES + networks + maps + layers


def _work(plan: Plan) -> PipsWork:
    """Count for the plan's weights; a file of unknown size is held for the authors'."""
    entry = find_entry(plan.weights or "pips")
    return PipsWork.of({} if entry is None else entry.architecture)
