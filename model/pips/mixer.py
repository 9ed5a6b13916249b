"""PIPs' update network: an MLP-Mixer over the frames of a chunk (Tolstikhin et al. 2021).

Tensors are frame-major, `[S, P, width]` for S frames and P points: so mixing over frames is one product
with an `[S, P * width]` matrix and mixing over channels is one with `[S * P, width]` rows, without a
transpose between them.

In bfloat16 only the weights of the two perceptrons are rounded: what runs along the residual path, the norms,
and the first and last layers stay float32, so that positions and their embedding keep their digits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrameMixing(nn.Module):
    """Pre-norm residual perceptron over the frames, the same for every channel."""

    def __init__(self, frames: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        # The indices are the authors' (a GELU at 1, dropouts at 2 and 4); 1×1 convolutions over frames.
        self.fn = nn.ModuleDict({"0": nn.Conv1d(frames, 4 * frames, 1), "3": nn.Conv1d(4 * frames, frames, 1)})

    def forward(self, x: Tensor) -> Tensor:
        """Map `[S, P, width]` to the same shape."""
        frames = x.shape[0]
        first, second = self.fn["0"], self.fn["3"]
        y = self.norm(x).to(first.weight.dtype).view(frames, -1)
        y = F.gelu(first.weight[:, :, 0] @ y + first.bias[:, None])
        y = second.weight[:, :, 0] @ y + second.bias[:, None]
        return x + y.view_as(x)


class ChannelMixing(nn.Module):
    """Pre-norm residual perceptron over the channels, the same for every frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = nn.ModuleDict({"0": nn.Linear(width, 4 * width), "3": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """Map `[S, P, width]` to the same shape."""
        y = F.gelu(self.fn["0"](self.norm(x).to(self.fn["0"].weight.dtype)))
        out: Tensor = x + self.fn["3"](y)
        return out


class DeltaBlock(nn.Module):
    """From what is known of a point in every frame, its step in position and in feature."""

    def __init__(self, frames: int, channels: int, inputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.frames, self.channels, self.depth = frames, channels, depth
        layers: dict[str, nn.Module] = {"0": nn.Linear(inputs, width)}
        for index in range(1, depth + 1):
            layers[str(index)] = nn.Sequential(FrameMixing(frames, width), ChannelMixing(width))
        layers[str(depth + 1)] = nn.LayerNorm(width)
        # Index depth + 2 is the authors' mean over the frames.
        layers[str(depth + 3)] = nn.Linear(width, frames * (channels + 2))
        self.to_delta = nn.ModuleDict(layers)

    def round_weights(self, dtype: torch.dtype) -> None:
        """Keep the mixing layers' weights, where nearly all the work is, in `dtype`."""
        for module in self.modules():
            if isinstance(module, FrameMixing | ChannelMixing):
                module.fn.to(dtype)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[S, P, inputs]` to steps `[S, P, 2 + channels]`, float32."""
        x = self.to_delta["0"](tokens)
        for index in range(1, self.depth + 1):
            x = self.to_delta[str(index)](x)
        x = self.to_delta[str(self.depth + 1)](x).mean(dim=0)
        steps: Tensor = self.to_delta[str(self.depth + 3)](x)
        return steps.view(-1, self.frames, self.channels + 2).transpose(0, 1)
