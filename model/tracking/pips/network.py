"""The PIPs network: from 8 frames and query points to trajectories and visibility.

Written from the paper (Harley, Fang and Fragkiadaki, ECCV 2022) and from the facts of the authors' release;
it loads the authors' checkpoints key for key and agrees with their code to float32 rounding.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.core.devices import Precision
from model.core.parallel import map_pieces
from model.tracking.pips.correlation import SIDE, PyramidLevel, local_correlation, pyramid, sample
from model.tracking.pips.encoder import Encoder
from model.tracking.pips.mixer import DeltaBlock
from model.tracking.pips.packed import PackedDelta, can_pack
from model.weights.checkpoints import as_float32, load_strictly

LEVELS = 4
CPU_BATCH = 32
CUDA_BATCHES = (512, 128, CPU_BATCH)
"""On a GPU the first; the next where its memory does not suffice."""


@dataclass(frozen=True)
class PipsConfig:
    """The network's size; the defaults are the authors'.

    frames: S, the length of a chunk. stride: of the feature map, in pixels. channels: of a feature.
    width, depth: of the mixer. encoder_widths: channels of the encoder's four layers.
    frequencies: how many the position embedding has, in radians per feature pixel: evenly spaced from 0 to
        `highest_frequency`, or geometrically from `lowest_frequency` on where that is above 0.
    """

    frames: int = 8
    stride: int = 4
    channels: int = 128
    width: int = 512
    depth: int = 12
    encoder_widths: tuple[int, int, int, int] = (64, 96, 128, 128)
    frequencies: int = 32
    lowest_frequency: float = 0.0
    highest_frequency: float = 968.75

    def embedding_frequencies(self) -> Tensor:
        """Return the frequencies of the position embedding, float32 `[frequencies]`."""
        if self.lowest_frequency == 0:
            spaced = torch.linspace(0, self.highest_frequency, self.frequencies, dtype=torch.float64)
        else:
            ends = math.log(self.lowest_frequency), math.log(self.highest_frequency)
            spaced = torch.linspace(*ends, self.frequencies, dtype=torch.float64).exp()
        return spaced.float()


class PipsOutput(NamedTuple):
    """What the network says of a chunk.

    trajectories: float32 `[iterations, S, N, 2]`, (x, y) in pixels of the given frames, after each iteration.
    visibility_logits: float32 `[S, N]`; the sigmoid is the probability of being visible.
    feature: float32 `[N, C]`, the points' appearance in the first frame, to go on with in the next chunk.
    """

    trajectories: Tensor
    visibility_logits: Tensor
    feature: Tensor


class Pips(nn.Module):
    """Persistent Independent Particles.

    The result of a point does not depend on which points are tracked with it, nor on the number of cores:
    points go through the network in batches of one fixed size, the last one padded, each on one thread
    (docs/decisions/0004-fixed-batches.md).
    """

    def __init__(self, config: PipsConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PipsConfig()
        channels = config.channels
        inputs = channels + LEVELS * SIDE**2 + 3 * (2 * config.frequencies) + 3
        self.fnet = Encoder(channels, config.stride, config.encoder_widths)
        self.delta_block = DeltaBlock(config.frames, channels, inputs, config.width, config.depth)
        self.norm = nn.GroupNorm(1, channels)
        self.ffeat_updater = nn.Sequential(nn.Linear(channels, channels), nn.GELU())
        self.vis_predictor = nn.Sequential(nn.Linear(channels, 1))
        self.precision: Precision = "float32"
        # Not parameters and not in the checkpoint: they follow from the configuration alone.
        self.register_buffer("frequencies", config.embedding_frequencies(), persistent=False)
        self.register_buffer("times", torch.linspace(0, config.frames, config.frames), persistent=False)
        self.frequencies: Tensor
        self.times: Tensor

    @classmethod
    def from_state_dict(
        cls, mapping: Mapping[str, Tensor | NDArray[np.float32]], config: PipsConfig | None = None
    ) -> "Pips":
        """Make a network with the given weights, ready for inference on the CPU in float32.

        mapping: tensors or arrays by the authors' keys, with or without the prefix `module.` of a
            DataParallel model.
        config: None for the authors'.
        Raises BadInput when keys are missing, unexpected or of another shape, and names them.
        """
        network = cls(config)
        given = {key.removeprefix("module."): torch.as_tensor(value) for key, value in mapping.items()}
        load_strictly(network, as_float32(given), "The checkpoint does not fit PIPs")
        return network.requires_grad_(False).eval()

    def with_precision(self, precision: Precision) -> "Pips":
        """Compute the encoder, the correlations and the mixing layers in `precision`; return self.

        Coordinates, their embedding, features and visibility stay float32 in any case. Going from bfloat16
        back to float32 does not bring the digits back.
        """
        dtype = getattr(torch, precision)
        self.fnet.to(dtype)
        self.delta_block.round_weights(dtype)
        self.precision = precision
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.times.device

    def track(
        self,
        frames: Tensor,
        queries: Tensor,
        iterations: int = 6,
        feature: Tensor | None = None,
        on_batch: Callable[[int, int], None] | None = None,
    ) -> PipsOutput:
        """Track points through one chunk.

        frames: `[S, 3, H, W]`, RGB, 0 to 255, uint8 or (resized) float32; H and W at least 8 strides.
        queries: float32 `[N, 2]`, (x, y) in pixels of frame 0; they may lie outside.
        iterations: how often the trajectories are refined, at least 1.
        feature: float32 `[N, C]`, the points' appearance where it comes from an earlier chunk.
        on_batch: called with (batches done, batches in all); what it raises ends the work.
        Raises ValueError for a wrong number of frames or too small ones.
        """
        return self.track_features(self.encode(frames), queries, iterations, feature, on_batch)

    def encode(self, frames: Tensor, on_frame: Callable[[int, int], None] | None = None) -> Tensor:
        """Encode frames, one at a time.

        frames: `[T, 3, H, W]`, RGB, 0 to 255, uint8 or (resized) float32.
        on_frame: called with (frames done, frames in all); what it raises ends the work.
        Returns `[T, C, H // stride, W // stride]` in the network's precision, on its device.
        """
        smallest = 2 ** (LEVELS - 1) * self.config.stride
        if min(frames.shape[-2:]) < smallest:
            raise ValueError(f"Frames must be at least {smallest} pixels high and wide.")
        dtype = getattr(torch, self.precision)
        # Pixel after pixel spares oneDNN its reordering before and after each convolution.
        layout = torch.channels_last if self.device.type == "cpu" else torch.contiguous_format

        def encode_one(frame: Tensor) -> Tensor:
            encoded: Tensor = self.fnet(frame[None].to(self.device, dtype).contiguous(memory_format=layout))
            return encoded

        # cuDNN would otherwise round float32 inputs to TF32's 10 bits; matrix products never do by default.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return torch.cat(map_pieces(encode_one, list(frames), self.device, on_frame))

    def track_features(
        self,
        features: Tensor,
        queries: Tensor,
        iterations: int = 6,
        feature: Tensor | None = None,
        on_batch: Callable[[int, int], None] | None = None,
    ) -> PipsOutput:
        """Track points through one chunk of encoded frames (as from `encode`); see `track`."""
        if len(features) != self.config.frames:
            raise ValueError(f"A chunk has {self.config.frames} frames, not {len(features)}.")
        queries = queries.to(self.device, torch.float32)
        with torch.inference_mode():
            levels = pyramid(features, LEVELS)
            if feature is None:
                feature = sample(features[0], queries / self.config.stride)
            else:
                feature = feature.to(self.device, torch.float32)
        return self._in_batches(levels, queries, feature, iterations, _batches(self.device), on_batch)

    def _in_batches(
        self,
        levels: tuple[PyramidLevel, ...],
        queries: Tensor,
        feature: Tensor,
        iterations: int,
        batches: tuple[int, ...],
        on_batch: Callable[[int, int], None] | None,
    ) -> PipsOutput:
        """Track points; batches: how many at a time, then how many where the memory does not suffice."""
        batch = batches[0]
        with torch.inference_mode():
            packs = can_pack(self.device, getattr(torch, self.precision))
            update = PackedDelta.pack(self.delta_block, batch) if packs else self.delta_block

        def track_batch(start: int) -> tuple[Tensor, Tensor]:
            chosen = slice(start, start + batch)
            count = len(queries[chosen])
            trajectories, logits = self._refine(
                levels, update, _padded(queries[chosen], batch), _padded(feature[chosen], batch), iterations
            )
            return trajectories[:, :, :count], logits[:, :count]

        try:
            parts = map_pieces(track_batch, range(0, len(queries), batch), self.device, on_batch)
        except torch.OutOfMemoryError:
            if len(batches) == 1:
                raise
            parts = None
        if parts is None:  # here the error no longer holds what did not fit
            torch.cuda.empty_cache()
            return self._in_batches(levels, queries, feature, iterations, batches[1:], on_batch)
        return PipsOutput(
            torch.cat([trajectories for trajectories, _ in parts], dim=2),
            torch.cat([logits for _, logits in parts], dim=1),
            feature,
        )

    def _refine(
        self,
        levels: tuple[PyramidLevel, ...],
        update: Callable[[Tensor], Tensor],
        queries: Tensor,
        feature: Tensor,
        iterations: int,
    ) -> tuple[Tensor, Tensor]:
        """Track one batch: trajectories `[iterations, S, P, 2]` in pixels, visibility logits `[S, P]`."""
        start = queries / self.config.stride
        coordinates = start.expand(self.config.frames, -1, -1).clone()
        features = feature.expand(self.config.frames, -1, -1).clone()  # [S, P, C]
        trajectories = []
        for _ in range(iterations):
            correlation = local_correlation(levels, features.to(levels[0].flat.dtype), coordinates)
            motion = self.embed(coordinates - coordinates[:1])
            step = update(torch.cat([features, correlation, motion], dim=2))
            normed = self.norm(step[..., 2:].reshape(-1, features.shape[2])).view_as(features)
            features = features + self.ffeat_updater(normed)
            coordinates = coordinates + step[..., :2]
            coordinates[0] = start
            trajectories.append(coordinates * self.config.stride)
        return torch.stack(trajectories), self.vis_predictor(features)[..., 0]

    def embed(self, displacement: Tensor) -> Tensor:
        """Embed displacement `[S, P, 2]`, in feature pixels, and time by waves: `[S, P, 6 F + 3]`."""
        times = self.times[:, None, None].expand(-1, displacement.shape[1], 1)
        values = torch.cat([displacement, times], dim=2)  # [S, P, 3]
        angles = values[..., None] * self.frequencies
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # sines at even places
        return torch.cat([waves.flatten(2), values], dim=2)


def _batches(device: torch.device) -> tuple[int, ...]:
    return (CPU_BATCH,) if device.type == "cpu" else CUDA_BATCHES


def _padded(rows: Tensor, count: int) -> Tensor:
    """Repeat the last row until there are `count`."""
    return torch.cat([rows, rows[-1:].expand(count - len(rows), -1)])
