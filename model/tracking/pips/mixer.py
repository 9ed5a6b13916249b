"""PIPs' update network: an MLP-Mixer over the frames of a chunk (Tolstikhin et al. 2021).

Tensors are frame-major, `[S, P, width]` for S frames and P points: so mixing over frames is one product
with an `[S, P * width]` matrix and mixing over channels is one with `[S * P, width]` rows, without a
transpose between them.

In bfloat16 only the weights of the two perceptrons are rounded: what runs along the residual path, the norms,
and the first and last layers stay float32, so that positions and their embedding keep their digits.

This is the plain form, for training and for CUDA; on the CPU tracking goes through `packed.py`.

The names of the parameters are the authors': numbers are places in a Sequential, some of which hold nothing
to learn (GELU, dropout, mean).
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrameMixing(nn.Module):
    """Pre-norm residual perceptron over the frames, the same for every channel."""

    def __init__(self, frames: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = nn.ModuleDict(
            {"0": nn.Conv1d(frames, 4 * frames, 1), "3": nn.Conv1d(4 * frames, frames, 1)}
        )

    @property
    def layers(self) -> tuple[nn.Conv1d, nn.Conv1d]:
        """The two 1×1 convolutions."""
        return cast(nn.Conv1d, self.fn["0"]), cast(nn.Conv1d, self.fn["3"])

    def forward(self, x: Tensor) -> Tensor:
        """Map `[S, P, width]` to the same shape."""
        first, second = self.layers
        y = self.norm(x).to(first.weight.dtype).view(len(x), -1)
        y = F.gelu(_mix(first, y))
        return x + _mix(second, y).view_as(x)


def _mix(layer: nn.Conv1d, y: Tensor) -> Tensor:
    """Apply a 1×1 convolution over the rows of `[rows, anything]`."""
    bias = cast(Tensor, layer.bias)
    return layer.weight[:, :, 0] @ y + bias[:, None]


class ChannelMixing(nn.Module):
    """Pre-norm residual perceptron over the channels, the same for every frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = nn.ModuleDict({"0": nn.Linear(width, 4 * width), "3": nn.Linear(4 * width, width)})

    @property
    def layers(self) -> tuple[nn.Linear, nn.Linear]:
        """The two linear layers."""
        return cast(nn.Linear, self.fn["0"]), cast(nn.Linear, self.fn["3"])

    def forward(self, x: Tensor) -> Tensor:
        """Map `[S, P, width]` to the same shape."""
        first, second = self.layers
        y: Tensor = second(F.gelu(first(self.norm(x).to(first.weight.dtype))))
        return x + y


class MixerBlock(nn.Sequential):
    """Mixing over frames, then over channels."""

    def __init__(self, frames: int, width: int) -> None:
        super().__init__(FrameMixing(frames, width), ChannelMixing(width))


class DeltaBlock(nn.Module):
    """From what is known of a point in every frame, its step in position and in feature."""

    def __init__(self, frames: int, channels: int, inputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.frames, self.channels = frames, channels
        first, norm, last = (
            nn.Linear(inputs, width),
            nn.LayerNorm(width),
            nn.Linear(width, frames * (channels + 2)),
        )
        blocks = {str(index): MixerBlock(frames, width) for index in range(1, depth + 1)}
        # Place depth + 2 is the mean over the frames.
        self.to_delta = nn.ModuleDict({"0": first, **blocks, str(depth + 1): norm, str(depth + 3): last})

    def round_weights(self, dtype: torch.dtype) -> None:
        """Keep the mixing layers' weights, where nearly all the work is, in `dtype`."""
        for module in self.modules():
            if isinstance(module, FrameMixing | ChannelMixing):
                module.fn.to(dtype)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[S, P, inputs]` to steps `[S, P, 2 + channels]`, float32."""
        first, *blocks, norm, last = self.to_delta.values()
        x = first(tokens)
        for block in blocks:
            x = block(x)
        steps: Tensor = last(norm(x).mean(dim=0))
        return steps.view(-1, self.frames, self.channels + 2).transpose(0, 1)
