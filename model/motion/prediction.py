"""`Prediction`: what is expected of a grid of points, and its file. Needs no torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.motion.tracks import Tracks, check_array

INTERVAL = 0.9
"""The share of the truth that `Prediction.interval` is meant to hold, for each coordinate."""

MOVES = 2.0
"""Pixels of a 256-high image; a point that goes further moves."""

_ARRAYS = ("hypotheses", "hypothesis_weights", "interval", "moving")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is expected of a grid of points.

    tracks: the single answer; T = 2 (first and last frame of the horizon), or all frames of the horizon.
        Visibility is the share of the expected positions that lie in the image.
    hypotheses: float32 `[K, T, N, 2]`, positions as in `tracks`, the likeliest first.
    weights: float32 `[K, N]`, how likely each is; a point's sum to 1.
    interval: float32 `[2, T, N, 2]`, the lowest and highest position of each coordinate that are expected
        with a probability of 90 %.
    moving: float32 `[N]`, the probability that a point moves by more than `MOVES`.
    withheld: whether the single answer is that nothing moves since the picture tells nothing.

    Raises ValueError when the shapes or types do not fit together.
    """

    tracks: Tracks
    hypotheses: NDArray[np.float32]
    weights: NDArray[np.float32]
    interval: NDArray[np.float32]
    moving: NDArray[np.float32]
    withheld: bool = False

    def __post_init__(self) -> None:
        shape, kinds = self.tracks.points.shape, len(self.hypotheses)
        check_array("hypotheses", self.hypotheses, np.float32, (max(1, kinds), *shape))
        check_array("weights", self.weights, np.float32, (kinds, shape[1]))
        check_array("interval", self.interval, np.float32, (2, *shape))
        check_array("moving", self.moving, np.float32, shape[1:2])
        if not all(np.isfinite(array).all() for array in (self.hypotheses, self.weights, self.interval)):
            raise ValueError("hypotheses, weights and interval must be finite.")

    def until(self, frame: int) -> "Prediction":
        """Return the positions up to a frame of the clip, included; see `Tracks.until`."""
        tracks = self.tracks.until(frame)
        count = len(tracks.frames)
        return replace(
            self, tracks=tracks, hypotheses=self.hypotheses[:, :count], interval=self.interval[:, :count]
        )

    def save(self, path: str | os.PathLike[str], about: Mapping[str, Any] | None = None) -> None:
        """Write one `.npz`: the tracks, and beside them the fields; `weights` as `hypothesis_weights`.

        about: where it comes from, see `Tracks.save`.
        """
        values = (self.hypotheses, self.weights, self.interval, self.moving)
        arrays = dict(zip(_ARRAYS, values, strict=True))
        self.tracks.save(path, {**arrays, "withheld": np.asarray(self.withheld)}, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Prediction":
        """Read a file that `save` wrote.

        Raises BadInput when the file is missing, damaged, of a newer format version, or holds tracks alone.
        """
        name = Path(path).name
        tracks, content = Tracks.load_with_others(path)
        if content.keys().isdisjoint(_ARRAYS):
            raise BadInput(f"{name} holds tracks, but no prediction; give a file that `predict` wrote.")
        try:
            hypotheses, weights, interval, moving = (content[key] for key in _ARRAYS)
            return cls(tracks, hypotheses, weights, interval, moving, bool(content["withheld"]))
        except (KeyError, ValueError, TypeError) as error:
            raise BadInput(f"{name} is damaged ({error}); predict the image again.") from error
