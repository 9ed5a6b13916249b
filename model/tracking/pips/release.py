"""What a file of PIPs weights says of itself: the network's size, and how the network is used."""

import json
import math
import os
from dataclasses import asdict, dataclass, field
from typing import Literal

from torch import Tensor

from model.motion.grid import WORKING_SIZE
from model.tracking.pips.network import LEVELS, Pips, PipsConfig
from model.tracking.pips.refinement import RefinementSettings
from model.weights.checkpoints import read_state_dict
from model.weights.metadata import read_description

METADATA_KEY = "stillmotion-pips"

_OLD_NAMES = {"support": None, "preference": None}


@dataclass(frozen=True)
class PipsUse:
    """How a network is used; the defaults are the authors' demos'.

    iterations: of the network. resize: "fixed" brings every frame to 360×640, whatever its shape; "area"
    keeps the shape and reduces larger frames to as many pixels as 360×640 has; smaller ones stay as they are.
    antialias: smooth what is made smaller. refinement: see `model.tracking.pips.refinement`; None leaves it
    out.
    """

    iterations: int = 6
    resize: Literal["fixed", "area"] = "fixed"
    antialias: bool = False
    refinement: RefinementSettings | None = None

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) at which frames of a size are tracked."""
        if self.resize == "fixed":
            return WORKING_SIZE
        scale = min(1.0, math.sqrt(math.prod(WORKING_SIZE) / math.prod(size)))
        smallest = 2 ** (LEVELS - 1) * 4 * 2  # twice what the network's pyramid needs at a stride of 4
        height, width = (max(smallest, round(side * scale)) for side in size)
        return height, width


@dataclass(frozen=True)
class PipsRelease:
    """The size of a network and its use."""

    config: PipsConfig = field(default_factory=PipsConfig)
    use: PipsUse = field(default_factory=PipsUse)

    def to_metadata(self) -> dict[str, str]:
        """Return what goes into a safetensors file's metadata."""
        return {METADATA_KEY: json.dumps(asdict(self))}


def read_release(path: str | os.PathLike[str]) -> PipsRelease:
    """Read what a file of weights says of itself; one that says nothing is taken for the authors'.

    Settings named `support` are ignored: files from before 2027 have them, for support points, which were
    given up because they pull points of moving objects to the background (docs/decisions/0009-support.md);
    so is `preference` of the refinement, which chose between two proposals where now there are three.
    Raises BadInput when the file says what this version does not understand.
    """
    return read_description(path, METADATA_KEY, PipsRelease, _OLD_NAMES) or PipsRelease()


def read_network(path: str | os.PathLike[str]) -> tuple[Pips, PipsUse]:
    """Make the network of a file of weights ready for inference, and say how it is used.

    Raises BadInput where the file is missing, is damaged, or holds another network.
    """
    release = read_release(path)
    return Pips.from_state_dict(read_weights(path), config=release.config), release.use


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the network's tensors; see `read_state_dict`.

    Tensors named `visibility.*` are left out: they belong to a network that weighed support points.
    """
    tensors = read_state_dict(path)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("visibility.")}
