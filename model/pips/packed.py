"""Linear layers with weights laid out once for oneDNN's kernels, for inference on the CPU.

torch's own float32 linear goes through MKL: 82 GFLOP/s a core where oneDNN reaches 108 (AMD EPYC with
AVX-512, 256 rows, 512 to 2048; docs/performance.md). torch offers oneDNN's form only through the operators
that its compiler uses, so they are called by name here and nowhere else.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PackedLinear:
    """A linear layer for inputs of a fixed number of rows.

    weight: in oneDNN's own layout, which nothing else can read. bias: `[out]`.
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def pack(cls, layer: nn.Linear, rows: int) -> "PackedLinear":
        """Lay out a layer's weights for inputs `[rows, in]`; costs about a copy of them."""
        weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), rows)
        return cls(weight, layer.bias.detach())

    def __call__(self, x: Tensor) -> Tensor:
        """Map `[..., in]` to `[..., out]`."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return result


def can_pack(device: torch.device) -> bool:
    """Say whether packed layers work on this device with this build of torch."""
    return device.type == "cpu" and hasattr(torch.ops.mkldnn, "_linear_pointwise")
