"""PIPs' image encoder `fnet`: one frame in, one feature map at 1/stride of its size out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with instance norm and ReLU, added to the input, then ReLU again."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        # A Sequential, so that the keys are the authors' (`downsample.0.weight`).
        self.downsample = (
            nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride=stride)) if stride != 1 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, in, H, W]` to `[B, out, ceil(H / stride), ceil(W / stride)]`."""
        y = F.relu(_normalise(self.conv1(x)), inplace=True)
        y = F.relu(_normalise(self.conv2(y)), inplace=True)
        if self.downsample is not None:
            x = _normalise(self.downsample(x))
        return F.relu(x + y, inplace=True)


class Encoder(nn.Module):
    """The residual network of pips.md section 1, with the authors' parameter names."""

    def __init__(
        self, channels: int, stride: int, widths: tuple[int, int, int, int] = (64, 96, 128, 128)
    ) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3)
        self.layer1 = _layer(widths[0], widths[0], stride=1)
        self.layer2 = _layer(widths[0], widths[1], stride=2)
        self.layer3 = _layer(widths[1], widths[2], stride=2)
        self.layer4 = _layer(widths[2], widths[3], stride=2)
        self.conv2 = nn.Conv2d(sum(widths), 2 * channels, 3, padding=1)
        self.conv3 = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames.

        frames: `[B, 3, H, W]`, RGB, 0 to 255, in the weights' floating-point type.
        Returns `[B, channels, H // stride, W // stride]`.
        """
        size = (frames.shape[2] // self.stride, frames.shape[3] // self.stride)
        x = F.relu(_normalise(self.conv1(2 * frames / 255 - 1)), inplace=True)
        scales = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            scales.append(F.interpolate(x, size, mode="bilinear", align_corners=True))
        x = F.relu(_normalise(self.conv2(torch.cat(scales, dim=1))), inplace=True)
        features: Tensor = self.conv3(x)
        return features


def _normalise(x: Tensor) -> Tensor:
    """Instance norm without parameters."""
    if x.device.type != "cpu":
        return F.instance_norm(x)
    # The same with groups of one channel; torch's kernel for it is up to five times faster on the CPU, and
    # leaves the layout in memory as it is.
    return F.group_norm(x, x.shape[1])


def _layer(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlock(in_channels, out_channels, stride), ResidualBlock(out_channels, out_channels, 1)
    )
