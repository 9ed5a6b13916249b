"""Positions from several proposals: their median, aligned with the first frame.

The network tells where a point is to within a few pixels, also through occlusions; on smaller frames it sees
larger motion. Lucas-Kanade from frame to frame is exact while it holds, and far off once it slips. Where one
of them is lost, the median of all, in x and in y, is near one of the others. In its place Lucas-Kanade is
taken where it is near and going back led to where it came from. That is aligned with the point's patch in the
chunk's first frame, and what is found is taken where it looks enough like it. Where the network holds the
point for covered, the likeness has to be strong.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.core.parallel import map_pieces
from model.tracking.lucas_kanade import LucasKanade
from model.tracking.pips.alignment import Templates, Window

BATCH = 64


@dataclass(frozen=True)
class RefinementSettings:
    """How refinement works.

    scales: at which the network looks too, beside the working size (see `multiscale.py`).
    radius, spread: of the patches, in pixels of the working image. levels: of the image pyramid, coarse to
    fine. iterations: of the alignment on each level. reach: how far alignment may move a proposal, in pixels
    on the finest level and twice that on the coarser ones.
    least_correlation: with the first frame's patch, for an aligned position to be taken;
    least_correlation_hidden: the same where the network holds the point for hidden.
    agreement: pixels from the median within which Lucas-Kanade is taken in its place while it holds.
    visibility: the weights of `seen_logit`, which then tells visibility; None: the network's logit does.
    """

    scales: tuple[float, ...] = (0.5,)
    radius: int = 10
    spread: float = 6.0
    levels: int = 2
    iterations: int = 5
    reach: float = 4.0
    least_correlation: float = 0.4
    least_correlation_hidden: float = 0.7
    agreement: float = 12.0
    visibility: tuple[float, ...] | None = None


class Refined(NamedTuple):
    """Refined points of a chunk.

    points: float32 `[S, N, 2]`. correlation: float32 `[S, N]`, with the first frame's patch, 1 in it, and -1
    where no alignment was found.
    """

    points: NDArray[np.float32]
    correlation: NDArray[np.float32]


def grey_image(frame: Tensor) -> NDArray[np.uint8]:
    """Return a frame, `[3, H, W]` RGB, 0 to 255, as a grey image, uint8 `[H, W]`."""
    pixels = frame.permute(1, 2, 0).round().to("cpu", torch.uint8).numpy()
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), np.uint8)


def refine(
    images: list[NDArray[np.uint8]],
    queries: NDArray[np.float32],
    proposed: NDArray[np.float32],
    is_hidden: NDArray[np.bool_],
    settings: RefinementSettings,
) -> Refined:
    """Refine the trajectories of a chunk.

    images: grey, uint8 `[H, W]`, one for each frame. queries: float32 `[N, 2]`, in the first one.
    proposed: float32 `[K, S, N, 2]`, the network's trajectories at each size. is_hidden: bool `[S, N]`, what
    it says of them. The result of a point does not depend on the others.
    """
    followed, is_held = _follow(images, queries)
    middle = np.median([*proposed, followed], axis=0).astype(np.float32)
    is_exact = is_held & (np.linalg.norm(followed - middle, axis=-1) < settings.agreement)
    middle = np.where(is_exact[..., None], followed, middle)
    levels = [[torch.from_numpy(image).float() for image in images]]
    while len(levels) < settings.levels:
        levels.append([F.avg_pool2d(image[None, None], 2)[0, 0] for image in levels[-1]])
    pyramid = tuple(zip(*levels, strict=True))  # for each frame, its levels

    def refine_batch(start: int) -> tuple[Tensor, Tensor]:
        chosen = slice(start, start + BATCH)
        parts = (queries[chosen], middle[:, chosen], is_hidden[:, chosen, None])
        first, proposal, hidden = (_padded(torch.from_numpy(np.ascontiguousarray(part))) for part in parts)
        points, correlation = _Batch(pyramid, settings).refine(first, proposal, hidden[..., 0])
        count = len(parts[0])
        return points[:, :count], correlation[:, :count]

    pieces = map_pieces(refine_batch, range(0, len(queries), BATCH), torch.device("cpu"))
    points, correlations = zip(*pieces, strict=True)
    return Refined(torch.cat(points, dim=1).numpy(), torch.cat(correlations, dim=1).numpy())


def seen_logit(
    logits: NDArray[np.float64], refined: Refined, size: tuple[int, int], weights: tuple[float, ...]
) -> NDArray[np.float64]:
    """Return the logit of being visible, float64 `[S, N]`: `visibility_features` times `weights`."""
    weighed: NDArray[np.float64] = visibility_features(logits, refined, size) @ np.asarray(weights)
    return weighed


def visibility_features(
    logits: NDArray[np.float64], refined: Refined, size: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the five numbers that `seen_logit` weighs, float64 `[S, N, 5]`.

    They are 1, l, c, l * c and i, where l is the network's logit clipped to ±8, c the correlation with the
    first frame's patch clipped to 0..1, and i whether the point lies in the image (0 or 1).
    logits: float64 `[S, N]`, the network's. size: (height, width) of the images.
    """
    x, y = refined.points[..., 0], refined.points[..., 1]
    inside = (x >= 0) & (y >= 0) & (x <= size[1] - 1) & (y <= size[0] - 1)
    logit = logits.clip(-8, 8)
    correlation = refined.correlation.astype(np.float64).clip(0, 1)
    return np.stack([np.ones_like(logit), logit, correlation, logit * correlation, inside], axis=-1)


def probabilities(logits: NDArray[np.float64] | Tensor) -> NDArray[np.float32]:
    """Return the sigmoid of logits as float32.

    It is taken in float64: torch's float32 sigmoid rounds the last few elements of an array differently, so
    that a point's bits would depend on how many points there are.
    """
    result: NDArray[np.float32] = torch.sigmoid(torch.as_tensor(logits).double()).float().cpu().numpy()
    return result


def _follow(
    images: list[NDArray[np.uint8]], queries: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Follow points by Lucas-Kanade from frame to frame: float32 `[S, N, 2]`, and whether it held so far."""
    lucas_kanade = LucasKanade()
    points, is_held = [queries], [np.ones(len(queries), bool)]
    for previous, current in pairwise(images):
        step = lucas_kanade.step(previous, current, points[-1])
        points.append(step.points)
        is_held.append(is_held[-1] & step.consistent)
    return np.stack(points), np.stack(is_held)


def _padded(values: Tensor) -> Tensor:
    """Repeat the last point of `[..., n, C]` until there are `BATCH`."""
    missing = BATCH - values.shape[-2]
    return torch.cat([values, values[..., -1:, :].expand(*values.shape[:-2], missing, -1)], dim=-2)


@dataclass(frozen=True)
class _Batch:
    """A batch of points in a chunk: pyramid holds each frame's levels, finest first."""

    pyramid: tuple[tuple[Tensor, ...], ...]
    settings: RefinementSettings

    def refine(self, queries: Tensor, proposed: Tensor, is_hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return points `[S, P, 2]` and correlations `[S, P]`.

        proposed: `[S, P, 2]`. is_hidden: bool `[S, P]`, whether the network holds a point for hidden.
        """
        settings = self.settings
        window = Window.of(settings.radius, settings.spread, queries.device)
        templates = [
            Templates.of(image, _on_level(queries, level), window)
            for level, image in enumerate(self.pyramid[0])
        ]
        linear = torch.eye(2).expand(len(queries), 2, 2)
        points, correlations = [queries], [torch.ones(len(queries))]
        for images, proposal, hidden in zip(self.pyramid[1:], proposed[1:], is_hidden[1:], strict=True):
            best, best_linear, score = self._aligned(templates, images, proposal, linear)
            least = torch.where(hidden, settings.least_correlation_hidden, settings.least_correlation)
            is_taken = score > least
            points.append(torch.where(is_taken[:, None], best, proposal))
            linear = torch.where(is_taken[:, None, None], best_linear, linear)
            correlations.append(score)
        return torch.stack(points), torch.stack(correlations)

    def _aligned(
        self, templates: list[Templates], images: tuple[Tensor, ...], proposal: Tensor, linear: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Align from coarse to fine: points, linear parts, and correlations, -1 where it went astray."""
        points, found = proposal, linear
        for level in reversed(range(len(images))):
            aligned = templates[level].find(
                images[level], _on_level(points, level), found, self.settings.iterations
            )
            moved = _on_level(aligned.points, -level)
            reach = self.settings.reach * (2 if level else 1)
            is_near = (moved - proposal).square().sum(dim=1) < reach**2
            is_found = is_near & torch.isfinite(aligned.correlation)
            points = torch.where(is_found[:, None], moved, points)
            found = torch.where(is_found[:, None, None], aligned.linear, found)
        return points, found, torch.where(is_found, aligned.correlation, -1.0)


def _on_level(points: Tensor, level: int) -> Tensor:
    """Map pixels of the image to pixels of a level that is smaller by 2**level; negative: back."""
    return (points + 0.5) * 2.0**-level - 0.5
