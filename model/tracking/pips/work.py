"""How much PIPs has to compute, from the network's size alone; needs no torch, so the web may ask too."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from model.motion.grid import WORKING_SIZE

CORRELATION = 4 * 49
"""Correlation values that a point's token holds: 4 levels of 7×7."""

CHUNK = 8
ITERATIONS = 6


@dataclass(frozen=True)
class PipsWork:
    """Operations and numbers of a network of some size; one multiplication with its addition counts as two.

    frame: GFLOP to encode a frame of the working size. point: GFLOP to track a point through one chunk.
    map_values: how many numbers a frame's feature map holds. weights: how many the network learnt.
    """

    frame: float
    point: float
    map_values: int
    weights: int

    @classmethod
    def of(cls, architecture: Mapping[str, Any], iterations: int = ITERATIONS) -> "PipsWork":
        """Count for the size that `PipsConfig(**architecture)` describes; {} is the authors'."""
        stride, channels = architecture.get("stride", 4), architecture.get("channels", 128)
        width, depth = architecture.get("width", 512), architecture.get("depth", 12)
        frames = architecture.get("frames", CHUNK)
        widths = tuple(architecture.get("encoder_widths", (64, 96, 128, 128)))
        inputs = channels + CORRELATION + 3 * 2 * architecture.get("frequencies", 32) + 3

        encoder = _encoder(widths, channels, stride)
        outputs = frames * (channels + 2)
        frame_mixing, channel_mixing = (
            8 * frames**2,
            8 * width**2,
        )  # multiplications for a channel, for a frame
        token = inputs * width + depth * channel_mixing
        point = frames * (token + channels**2) + depth * width * frame_mixing + width * outputs
        mixer = inputs * width + depth * (channel_mixing + frame_mixing) + width * outputs
        return cls(
            frame=2e-9 * sum(weights * places for weights, places in encoder),
            point=2e-9 * iterations * point,
            map_values=channels * (WORKING_SIZE[0] // stride) * (WORKING_SIZE[1] // stride),
            weights=sum(weights for weights, _ in encoder) + mixer + channels**2,
        )

    def clip(self, frames: int, points: int) -> float:
        """Return the GFLOP of a clip: each frame encoded once, each point handed on every 7th frame."""
        return frames * self.frame + points * chunks(frames) * self.point


def chunks(frames: int) -> int:
    """Return through how many chunks a point goes in so many frames if it is never lost."""
    return max(1, ceil((frames - 1) / (CHUNK - 1)))


def _encoder(widths: tuple[int, ...], channels: int, stride: int) -> list[tuple[int, int]]:
    """List the encoder's convolutions as (weights, places at which they are applied)."""
    height, width = (ceil(side / 2) for side in WORKING_SIZE)
    layers = [(3 * 49 * widths[0], height * width)]
    for index, (before, after) in enumerate(zip((widths[0], *widths), widths, strict=False)):
        if index > 0:
            height, width = ceil(height / 2), ceil(width / 2)
            layers.append((before * after, height * width))
        layers.append((9 * before * after + 3 * 9 * after * after, height * width))
    places = (WORKING_SIZE[0] // stride) * (WORKING_SIZE[1] // stride)
    return [*layers, (9 * sum(widths) * 2 * channels, places), (2 * channels * channels, places)]
