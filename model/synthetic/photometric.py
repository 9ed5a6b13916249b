"""What a camera and the light do to the colours of synthetic clips; positions stay as they are."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def degrade(generator: Generator, frames: Tensor) -> Tensor:
    """Change each clip's light, focus and noise at random.

    generator: on the CPU; it also seeds the noise, which is drawn on the frames' device.
    frames: float32 `[B, T, 3, H, W]` in [0, 1].
    Returns the same shape and range.
    """
    frames = _shadow(generator, frames)
    frames = _colour_drift(generator, frames)
    frames = _defocus(generator, frames)
    return _noise(generator, frames).clamp(0, 1)


def _sometimes(generator: Generator, share: float, strength: Tensor) -> Tensor:
    """Set the strengths `[B, ...]` of all but a share of the clips to 0."""
    chosen = torch.rand(len(strength), generator=generator) < share
    return strength * chosen.view(-1, *[1] * (strength.ndim - 1))


def _shadow(generator: Generator, frames: Tensor) -> Tensor:
    """Darken soft regions that wander through the clip."""
    count, length, _, height, width = frames.shape
    first, last = torch.randn(2, count, 1, 4, 5, generator=generator).unbind(0)
    share = torch.linspace(0, 1, length)[None, :, None, None]
    coarse = (first + share * (last - first)).to(frames.device)
    soft = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    strength = _sometimes(generator, 0.4, 0.6 * torch.rand(count, 1, 1, 1, generator=generator))
    dark = 1 - strength.to(frames.device) * torch.sigmoid(4 * soft)
    return frames * dark[:, :, None]


def _colour_drift(generator: Generator, frames: Tensor) -> Tensor:
    """Change gain, offset and gamma for each clip, and gain and offset a little from frame to frame."""
    count, length = frames.shape[:2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    drift = torch.linspace(0, 1, length)[None, :, None] * 0.08 * normal(count, 1, 3)
    flicker = _sometimes(generator, 0.3, 0.03 * normal(count, length, 1))
    gain = 1 + 0.15 * normal(count, 1, 1) + 0.05 * normal(count, 1, 3) + drift + flicker
    offset = 0.05 * normal(count, 1, 1) + 0.02 * normal(count, 1, 3)
    gamma = (0.25 * normal(count, 1, 1)).exp()
    gain, offset, gamma = (value[..., None, None].to(frames.device) for value in (gain, offset, gamma))
    return (frames.clamp(1e-4, 1) ** gamma * gain + offset).clamp(0, 1)


def _defocus(generator: Generator, frames: Tensor) -> Tensor:
    """Blur half of the clips by a Gaussian of up to 1.5 px."""
    count, channels = len(frames), frames.shape[2]
    sigma = _sometimes(generator, 0.5, 1.5 * torch.rand(count, 1, generator=generator)).clamp(min=0.05)
    offsets = torch.arange(-4, 5)
    kernel = torch.softmax(-0.5 * (offsets / sigma) ** 2, dim=1).to(frames.device)  # [B, 9]
    images = frames.transpose(0, 1).flatten(1, 2)  # [T, B * 3, H, W]
    rows = kernel.repeat_interleave(channels, 0)[:, None, :, None]
    groups = count * channels
    padded = F.pad(images, (4, 4, 4, 4), mode="reflect")
    blurred = F.conv2d(F.conv2d(padded, rows, groups=groups), rows.mT, groups=groups)
    return blurred.view(len(images), count, channels, *blurred.shape[2:]).transpose(0, 1)


def _noise(generator: Generator, frames: Tensor) -> Tensor:
    strength = _sometimes(generator, 0.7, 0.03 * torch.rand(len(frames), 1, 1, 1, 1, generator=generator))
    seed = int(torch.randint(2**31, (1,), generator=generator))
    own = torch.Generator(frames.device).manual_seed(seed)
    noise = torch.randn(frames.shape, generator=own, device=frames.device)
    return frames + strength.to(frames.device) * noise
