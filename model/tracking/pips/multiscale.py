"""The network at several sizes of the frames: fast motion is clear on small ones, detail on large ones."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.motion.grid import rescale_points
from model.tracking.pips.network import LEVELS, Pips

OnPart = Callable[[int, int], None]


class MultiscaleOutput(NamedTuple):
    """What the network says of a chunk at K sizes.

    points: float32 `[K, S, N, 2]`, all in pixels of the given frames. logits: float64 `[S, N]`, above 0 for
    visible, the mean over sizes. feature: float32 `[N, K·C]`, the appearance in the chunk's first frame.
    """

    points: NDArray[np.float32]
    logits: NDArray[np.float64]
    feature: Tensor


def encode_at_scales(
    network: Pips, frames: Sequence[Tensor], scales: Sequence[float], on_frame: OnPart | None = None
) -> list[tuple[Tensor, ...]]:
    """Encode frames, `[3, H, W]` each, RGB, 0 to 255, as they are and at each of `scales` times their size.

    Returns each frame's 1 + len(scales) feature maps, `[C, h, w]`.
    """
    all_frames = torch.stack(list(frames))
    parts = len(scales) + 1
    maps = [network.encode(all_frames, _part(on_frame, 0, parts))]
    for number, scale in enumerate(scales, 1):
        size = scaled_size((all_frames.shape[2], all_frames.shape[3]), scale, network.config.stride)
        smaller = torch.stack([resize_colours(frame, size, antialias=True) for frame in frames])
        maps.append(network.encode(smaller, _part(on_frame, number, parts)))
    return list(zip(*maps, strict=True))


def track_at_scales(
    network: Pips,
    features: Sequence[tuple[Tensor, ...]],
    size: tuple[int, int],
    scales: Sequence[float],
    queries: NDArray[np.float32],
    iterations: int,
    feature: Tensor | None = None,
    on_batch: OnPart | None = None,
) -> MultiscaleOutput:
    """Track points through a chunk at each size.

    features: of `encode_at_scales`, for each frame. size: (height, width) of the given frames.
    queries: float32 `[N, 2]`, in their pixels. feature: as `MultiscaleOutput.feature` of an earlier chunk.
    """
    parts = len(scales) + 1
    given = [None] * parts if feature is None else feature.chunk(parts, dim=1)
    points, logits, appearances = [], [], []
    for number, scale in enumerate((1.0, *scales)):
        own = size if number == 0 else scaled_size(size, scale, network.config.stride)
        asked = queries if number == 0 else rescale_points(queries, size, own)
        output = network.track_features(
            torch.stack([maps[number] for maps in features]),
            torch.from_numpy(asked),
            iterations,
            given[number],
            _part(on_batch, number, parts),
        )
        found = output.trajectories[-1].cpu().numpy()
        points.append(found if number == 0 else rescale_points(found, own, size))
        logits.append(output.visibility_logits.double().cpu().numpy())
        appearances.append(output.feature)
    return MultiscaleOutput(np.stack(points), np.mean(logits, axis=0), torch.cat(appearances, dim=1))


def scaled_size(size: tuple[int, int], scale: float, stride: int) -> tuple[int, int]:
    """Scale (height, width), to no less than the network needs."""
    smallest = 2 ** (LEVELS - 1) * stride
    return max(smallest, round(size[0] * scale)), max(smallest, round(size[1] * scale))


def resize_colours(colours: Iterable[Tensor], size: tuple[int, int], *, antialias: bool) -> Tensor:
    """Resize `[H, W]` each, bilinearly: float32 `[C, h, w]`.

    One by one: all together torch rounds differently on one thread than on several.
    """
    resized = (
        F.interpolate(colour[None, None].float(), size, mode="bilinear", antialias=antialias)[0]
        for colour in colours
    )
    return torch.cat(list(resized))


def _part(report: OnPart | None, number: int, parts: int) -> OnPart | None:
    """Turn the reports of one of several equal parts into those of the whole."""
    if report is None:
        return None
    return lambda done, total: report(number * total + done, parts * total)
