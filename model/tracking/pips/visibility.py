"""How likely points are to be visible: a small network weighs all that is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.core.errors import BadInput

PREFIX = "visibility."
"""Of the names of its tensors in a file of weights, beside those of PIPs."""


@dataclass(frozen=True, eq=False)
class VisibilityNetwork:
    """Linear layers with rectifiers between; the last has one output, above 0 for visible.

    layers: (weight, bias) of each, float64 `[inputs, outputs]` and `[outputs]`. The network is the same for
    each point and frame; `model.training.trackers.fit_visibility` fits it, and says what goes in.
    """

    layers: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]

    @property
    def inputs(self) -> int:
        """How many numbers it weighs."""
        return len(self.layers[0][0])

    def logits(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weigh evidence, float64 `[..., inputs]`: float64 `[...]`."""
        values = evidence
        for number, (weight, bias) in enumerate(self.layers):
            values = _linear(values if number == 0 else np.maximum(values, 0), weight, bias)
        return values[..., 0]

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "VisibilityNetwork":
        """Take what `to_tensors` gave. Raises BadInput when the shapes do not fit together."""
        layers = []
        for number in range(len(tensors) // 2):
            names = [f"{PREFIX}{number}.{kind}" for kind in ("weight", "bias")]
            if not all(name in tensors for name in names):
                raise BadInput(f"The weights for visibility lack {' or '.join(names)}.")
            weight, bias = (tensors[name].double().cpu().numpy() for name in names)
            layers.append((weight, bias))
        widths = [weight.shape for weight, _ in layers]
        fits = (
            len(tensors) == 2 * len(layers) > 0
            and all(weight.ndim == 2 and bias.shape == weight.shape[1:] for weight, bias in layers)
            and all(one[1] == other[0] for one, other in pairwise(widths))
            and widths[-1][1] == 1
        )
        if not fits:
            raise BadInput(f"The weights for visibility do not fit together: {widths}.")
        return cls(tuple(layers))

    def to_tensors(self) -> dict[str, Tensor]:
        """Return float32 tensors by their names in a file of weights."""
        return {
            f"{PREFIX}{number}.{kind}": torch.from_numpy(np.ascontiguousarray(values, np.float32))
            for number, layer in enumerate(self.layers)
            for kind, values in zip(("weight", "bias"), layer, strict=True)
        }


def split_weights(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], VisibilityNetwork | None]:
    """Take the weights of a file apart: PIPs' own, and the network for visibility where there is one."""
    own = {name: value for name, value in tensors.items() if not name.startswith(PREFIX)}
    rest = {name: value for name, value in tensors.items() if name.startswith(PREFIX)}
    return own, VisibilityNetwork.from_tensors(rest) if rest else None


def _linear(
    values: NDArray[np.float64], weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Input by input: the rounding of a matrix product would depend on how many points there are."""
    total = np.broadcast_to(bias, (*values.shape[:-1], len(bias))).copy()
    for row, column in zip(weight, np.moveaxis(values, -1, 0), strict=True):
        total += column[..., None] * row
    return total
