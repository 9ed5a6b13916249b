"""PIPs' update network prepared for inference on the CPU, in batches of one fixed size.

torch's own float32 linear goes through MKL: 82 GFLOP/s a core where oneDNN reaches 108 (AMD EPYC with
AVX-512, 256 rows, 512 to 2048; docs/performance.md). torch offers oneDNN's form, with the weights laid out
once and GELU taken on the way out, only through the operators that its compiler uses, so they are called by
name here and nowhere else.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.tracking.pips.mixer import ChannelMixing, DeltaBlock, FrameMixing, MixerBlock


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Say whether packed layers work on this device with this build of torch.

    In bfloat16 oneDNN refuses CPUs that have neither AVX-512 nor AVX-NE-CONVERT.
    """
    if device.type != "cpu" or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@dataclass(frozen=True)
class PackedLinear:
    """A linear layer for inputs of a fixed number of rows.

    weight: in oneDNN's own layout, which nothing else can read. bias: `[out]`.
    activation: "none" or "gelu" (the exact one, with erf), applied to the result.
    """

    weight: Tensor
    bias: Tensor
    activation: str = "none"

    @classmethod
    def pack(cls, layer: nn.Linear, rows: int, activation: str = "none") -> "PackedLinear":
        """Lay out a layer's weights for inputs `[rows, in]`; costs about a copy of them."""
        weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), rows)
        return cls(weight, layer.bias.detach(), activation)

    def __call__(self, x: Tensor) -> Tensor:
        """Map `[..., in]`, in the weights' type, to `[..., out]`."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], "none"
        )
        return result


@dataclass(frozen=True)
class PackedFrameMixing:
    """A `FrameMixing` whose two products are made for inference.

    first: `[4 S, S]`, second: `[S, 4 S]`, with their biases as columns.
    """

    norm: nn.LayerNorm
    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor

    @classmethod
    def pack(cls, mixing: FrameMixing) -> "PackedFrameMixing":
        """Take the weights out of the 1×1 convolutions."""
        (first, first_bias), (second, second_bias) = (
            (layer.weight[:, :, 0], cast(Tensor, layer.bias)[:, None]) for layer in mixing.layers
        )
        return cls(mixing.norm, first, first_bias, second, second_bias)

    def add_to(self, x: Tensor) -> None:
        """Add the mixing of x to x, float32 `[S, P, width]`, in place."""
        y = self.norm(x).to(self.first.dtype).view(len(x), -1)
        hidden = F.gelu((self.first @ y).add_(self.first_bias))
        x.view(len(x), -1).add_((self.second @ hidden).add_(self.second_bias))


@dataclass(frozen=True)
class PackedChannelMixing:
    """A `ChannelMixing` with both linear layers packed."""

    norm: nn.LayerNorm
    first: PackedLinear
    second: PackedLinear

    @classmethod
    def pack(cls, mixing: ChannelMixing, rows: int) -> "PackedChannelMixing":
        """Pack for inputs of `rows` rows."""
        first, second = mixing.layers
        return cls(mixing.norm, PackedLinear.pack(first, rows, "gelu"), PackedLinear.pack(second, rows))

    def add_to(self, x: Tensor) -> None:
        """Add the mixing of x to x, float32 `[S, P, width]`, in place."""
        y = self.norm(x).to(self.first.bias.dtype)
        x.add_(self.second(self.first(y)))


@dataclass(frozen=True)
class PackedDelta:
    """A `DeltaBlock` for batches of a fixed number of points, the same numbers but for rounding."""

    frames: int
    first: PackedLinear
    mixings: tuple[PackedFrameMixing | PackedChannelMixing, ...]
    norm: nn.LayerNorm
    last: PackedLinear

    @classmethod
    def pack(cls, block: DeltaBlock, points: int) -> "PackedDelta":
        """Lay out all weights for batches of `points` points; costs about a copy of them."""
        first, *blocks, norm, last = block.to_delta.values()
        rows = block.frames * points
        mixings: list[PackedFrameMixing | PackedChannelMixing] = []
        for over_frames, over_channels in cast(list[MixerBlock], blocks):
            mixings.append(PackedFrameMixing.pack(cast(FrameMixing, over_frames)))
            mixings.append(PackedChannelMixing.pack(cast(ChannelMixing, over_channels), rows))
        return cls(
            block.frames,
            PackedLinear.pack(cast(nn.Linear, first), rows),
            tuple(mixings),
            cast(nn.LayerNorm, norm),
            PackedLinear.pack(cast(nn.Linear, last), points),
        )

    def __call__(self, tokens: Tensor) -> Tensor:
        """Map tokens, float32 `[S, P, inputs]`, to steps `[S, P, 2 + channels]`, float32."""
        x = self.first(tokens)
        for mixing in self.mixings:
            mixing.add_to(x)
        steps = self.last(self.norm(x).mean(dim=0))
        return steps.view(len(steps), self.frames, -1).transpose(0, 1)
