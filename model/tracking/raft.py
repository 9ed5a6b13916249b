"""RAFT-small as a tracking engine: optical flow from frame to frame, chained (for comparison only).

Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020; the network is
torchvision's.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.optical_flow import raft_small

from model.core.devices import find_device
from model.motion.tracks import Method
from model.tracking.frame_to_frame import FrameToFrame, Size, Step
from model.weights.checkpoints import load_strictly, read_state_dict
from model.weights.registry import file_sha256

SMALLEST_SIDE = 128
"""Below it the coarsest level of the correlation pyramid would be a single cell."""

# The authors' names and torchvision's, for what is not called the same in both.
_RENAMED = (
    (r"^module\.", ""),  # of DataParallel
    (r"^fnet\.", "feature_encoder."),
    (r"^cnet\.", "context_encoder."),
    (r"^(\w+_encoder)\.conv1\.", r"\1.convnormrelu.0."),
    (r"^(\w+_encoder)\.conv2\.", r"\1.conv."),
    (r"(\.layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
    (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
    (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.gru\.", "update_block.recurrent_block.convgru1."),
)


def torchvision_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the authors' checkpoint of RAFT-small to torchvision's names.

    weights: tensors by the authors' names, with or without `module.` in front; a state dict that already has
        torchvision's names is returned as it is.
    """
    if any(key.startswith("feature_encoder.convnormrelu.") for key in weights):
        return dict(weights)
    renamed = {}
    for key, tensor in weights.items():
        new = key
        for pattern, replacement in _RENAMED:
            new = re.sub(pattern, replacement, new)
        renamed[new] = tensor
    return renamed


def load_raft(path: str | os.PathLike[str]) -> nn.Module:
    """Read RAFT-small's weights, of the authors or of torchvision, on the CPU, ready to run.

    Raises BadInput when the file is missing or damaged, or lacks, has too many, or has unfitting tensors.
    """
    network: nn.Module = raft_small()
    what = f"{os.path.basename(path)} does not fit RAFT-small of the authors or of torchvision"
    load_strictly(network, torchvision_names(read_state_dict(path)), what)
    return network.requires_grad_(False).eval()


class _Flow(NamedTuple):
    """Flow forward and back between two frames, float32 `[H', W', 2]` in pixels of the working image."""

    forward: NDArray[np.float32]
    backward: NDArray[np.float32]


@dataclass(frozen=True)
class RaftEngine(FrameToFrame[Tensor]):
    """RAFT-small between neighbouring frames, sampled bilinearly at the points and summed up, in float32.

    A step is consistent if the flow back returned to where it came from: |f + b|² ≤ 0.01 (|f|² + |b|²) + 0.5,
    in pixels of the working image (Sundaram, Brox and Keutzer, ECCV 2010).

    network: maps two batches of images to a list of flows, the last of which is used.
    weights_sha256: of the checkpoint.
    flow_updates: iterations for each pair of frames.
    longest_side: larger frames are reduced to this, bilinearly with antialiasing. Then the last row and
        column are repeated until both sides are multiples of 8 and at least 128.
    """

    network: nn.Module
    weights_sha256: str
    device: torch.device
    flow_updates: int = 12
    longest_side: int = 640

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], device: str = "auto", _precision: str = "auto"
    ) -> "RaftEngine":
        """Load a checkpoint, in float32; see `load_raft` and `model.core.devices.find_device`."""
        place = find_device(device)
        return cls(load_raft(path).to(place), file_sha256(path), place)

    @property
    def method(self) -> Method:
        """The name `raft`, the weights and the settings."""
        return Method(
            "raft",
            weights_sha256=self.weights_sha256,
            settings={
                "flow_updates": self.flow_updates,
                "longest_side": self.longest_side,
                "device": self.device.type,
            },
        )

    def working_image(self, frame: NDArray[np.uint8]) -> tuple[Tensor, Size]:
        """Return a frame as the network takes it, float32 `[3, H', W']` in [-1, 1], reduced and padded."""
        image = torch.from_numpy(np.ascontiguousarray(frame)).to(self.device).permute(2, 0, 1)[None].float()
        height, width = frame.shape[:2]
        scale = self.longest_side / max(height, width)
        if scale < 1:
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
            image = F.interpolate(image, (height, width), mode="bilinear", antialias=True)
        padding = (0, _padded(width) - width, 0, _padded(height) - height)
        return F.pad(image / 127.5 - 1, padding, mode="replicate")[0], (height, width)

    def step(self, previous: Tensor, current: Tensor, points: NDArray[np.float32]) -> Step:
        """Move points along the flow; consistent is where the flow back agrees."""
        flow = self._flow(previous, current)
        forward = _sample(flow.forward, points)
        after = points + forward
        backward = _sample(flow.backward, after)
        gap = ((forward + backward) ** 2).sum(axis=1)
        allowed = 0.01 * ((forward**2).sum(axis=1) + (backward**2).sum(axis=1)) + 0.5
        return Step(after.astype(np.float32), gap <= allowed)

    def _flow(self, first: Tensor, second: Tensor) -> _Flow:
        """Both directions as one batch of two."""
        pair = torch.stack([first, second])
        with torch.inference_mode():
            flow = self.network(pair, pair.flip(0), num_flow_updates=self.flow_updates)[-1]
        forward, backward = flow.permute(0, 2, 3, 1).cpu().numpy()
        return _Flow(forward, backward)


def _sample(flow: NDArray[np.float32], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sample `[H, W, 2]` bilinearly at (x, y) points `[N, 2]`; outside, as at the nearest border pixel."""
    height, width = flow.shape[:2]
    x = np.clip(points[:, 0].astype(np.float64), 0, width - 1)
    y = np.clip(points[:, 1].astype(np.float64), 0, height - 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    upper = flow[top, left] * (1 - across) + flow[top, right] * across
    lower = flow[bottom, left] * (1 - across) + flow[bottom, right] * across
    sampled: NDArray[np.float64] = upper * (1 - down) + lower * down
    return sampled


def _padded(side: int) -> int:
    """The next multiple of 8, and at least the smallest side."""
    return max(SMALLEST_SIDE, -(-side // 8) * 8)
