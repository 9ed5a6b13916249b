"""What a predictor learns from: a picture, points, where they go, and how much each position counts.

Flips and crops change picture, points and motion together.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from model.datasets.loader import MotionSample
from model.prediction.config import PredictorConfig

HIDDEN = 0.8
"""What a hidden position within the frame counts; a visible one counts 1.

Trackers call what moves fast hidden. Without it, little would seem to move: of 29,184 half-second tracks 21 %
of the visible ones moved, and 30 % of all. On the objects of the twelve DAVIS sequences 83 % of the
positions said to be hidden lay on the object, and 99 % of the visible ones (docs/predictor.md).
"""

_SMALLEST_CROP = 0.7  # of the sides of the widest window
_SMALLEST_QUALITY = 0.2  # of the weight of a sample whose checked points did not come back


class Example(NamedTuple):
    """One picture, or with a leading B a batch of them; lengths in pixels of the picture.

    picture: uint8 `[3, H, W]`, RGB. points: float32 `[N, 2]`.
    motion: float32 `[N, T, 2]`, displacements from the query, T being the config's steps.
    counts: float32 `[N, T]`, 0 to 1: what a position is worth, times the sample's quality; 0 where nothing is
    known, or the position lies outside the frame.
    """

    picture: Tensor
    points: Tensor
    motion: Tensor
    counts: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        return self.picture.shape[-2], self.picture.shape[-1]


def as_example(sample: MotionSample, config: PredictorConfig, hidden: float = HIDDEN) -> Example:
    """Take from a sample of a training set what a predictor of a config learns.

    hidden: what a hidden position within the frame counts, 0 to 1.
    """
    length = min(config.horizon, len(sample.displacement))
    shape = (config.horizon, len(sample.queries))
    motion, trust = torch.zeros(*shape, 2), torch.zeros(shape)
    motion[:length] = sample.displacement[:length]
    trust[:length] = sample.in_frame[:length] * (hidden + (1 - hidden) * sample.visibility[:length])
    motion, trust = motion[-config.steps :], trust[-config.steps :]
    quality = 1.0 if sample.facts.quality is None else max(_SMALLEST_QUALITY, sample.facts.quality)
    return Example(
        sample.picture,
        sample.queries,
        motion.transpose(0, 1).contiguous(),
        (trust * quality).T.contiguous(),
    )


def mirrored(example: Example) -> Example:
    """Mirror the picture, its points and their motion."""
    width = example.picture.shape[-1]
    back = torch.tensor([-1.0, 1.0])
    return Example(
        example.picture.flip(-1),
        example.points * back + torch.tensor([width - 1.0, 0.0]),
        example.motion * back,
        example.counts,
    )


@dataclass(frozen=True)
class Window:
    """A part of a picture: left, top, width and height in pixels, borders included; not whole numbers."""

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def widest(cls, picture: tuple[int, int], shape: tuple[int, int]) -> "Window":
        """Return the largest window of a shape (height, width) in the middle of a picture's."""
        scale = min(picture[0] / shape[0], picture[1] / shape[1])
        height, width = shape[0] * scale, shape[1] * scale
        return cls((picture[1] - width) / 2, (picture[0] - height) / 2, width, height)

    def shrunk(self, share: float, x: float, y: float, picture: tuple[int, int]) -> "Window":
        """Return a window with a share of the sides, at a place 0 to 1 of the room in the picture."""
        width, height = self.width * share, self.height * share
        return replace(
            self, left=x * (picture[1] - width), top=y * (picture[0] - height), width=width, height=height
        )


def cropped(example: Example, window: Window, size: tuple[int, int]) -> Example:
    """Cut a window out and bring it to a size (height, width); points outside count no more."""
    zoom = torch.tensor([size[1] / window.width, size[0] / window.height])
    corner = torch.tensor([window.left, window.top])
    points = (example.points + 0.5 - corner) * zoom - 0.5
    inside = ((points >= -0.5) & (points <= torch.tensor([size[1] - 0.5, size[0] - 0.5]))).all(dim=-1)
    return Example(
        _cut(example.picture, window, size),
        points,
        example.motion * zoom,
        example.counts * inside[:, None],
    )


def _cut(picture: Tensor, window: Window, size: tuple[int, int]) -> Tensor:
    """Resize a window of uint8 `[3, H, W]` to a size, smoothed where it gets smaller."""
    height, width = picture.shape[1:]
    if window == Window(0, 0, width, height) and size == (height, width):
        return picture
    # Reduced as a whole first, since sampling alone would alias; then the window is sampled from it.
    scale = min(1.0, size[1] / window.width)
    values = picture[None].float()
    if scale < 1:
        reduced = (max(1, round(height * scale)), max(1, round(width * scale)))
        values = F.interpolate(values, reduced, mode="bilinear", antialias=True, align_corners=False)
    x = (window.left + (torch.arange(size[1]) + 0.5) * window.width / size[1]) / width
    y = (window.top + (torch.arange(size[0]) + 0.5) * window.height / size[0]) / height
    places = torch.stack([x.expand(size), y[:, None].expand(size)], dim=-1) * 2 - 1
    cut = F.grid_sample(values, places[None], padding_mode="border", align_corners=False)[0]
    return cut.round().clamp(0, 255).byte()


def jittered(example: Example, rng: Generator) -> Example:
    """Change brightness, contrast, saturation and the balance of the colours."""
    values = example.picture.float()
    brightness, contrast, saturation = (float(value) for value in rng.uniform(0.75, 1.25, 3))
    balance = torch.from_numpy(rng.uniform(0.9, 1.1, (3, 1, 1)).astype(np.float32))
    grey = values.mean(dim=0, keepdim=True)
    values = grey + saturation * (values - grey)
    values = values.mean() + contrast * (values - values.mean())
    return example._replace(picture=(values * brightness * balance).round().clamp(0, 255).byte())


def plain_view(example: Example, size: tuple[int, int]) -> Example:
    """Bring an example to a size without chance: the widest window in its middle."""
    return cropped(example, Window.widest(example.shape, size), size)


def random_view(example: Example, size: tuple[int, int], rng: Generator) -> Example:
    """Flip, crop and recolour an example at random, and bring it to a size."""
    if rng.random() < 0.5:
        example = mirrored(example)
    share, x, y = rng.uniform(_SMALLEST_CROP, 1.0), rng.random(), rng.random()
    picture = example.shape
    window = Window.widest(picture, size).shrunk(float(share), float(x), float(y), picture)
    return jittered(cropped(example, window, size), rng)


def stack(examples: list[Example]) -> Example:
    """Make a batch of examples of one size."""
    return Example(*(torch.stack(parts) for parts in zip(*examples, strict=True)))
