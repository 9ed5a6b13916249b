"""What a file of PIPs weights says of itself: the network's size, and how the network is used."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from model.core.errors import BadInput
from model.motion.grid import WORKING_SIZE
from model.tracking.pips.network import LEVELS, PipsConfig
from model.tracking.pips.refinement import RefinementSettings
from model.tracking.pips.support import SupportSettings
from model.weights.metadata import read_metadata

METADATA_KEY = "stillmotion-pips"


@dataclass(frozen=True)
class PipsUse:
    """How a network is used; the defaults are the authors' demos'.

    iterations: of the network. resize: "fixed" brings every frame to 360×640, whatever its shape; "area"
    keeps the shape and reduces larger frames to as many pixels as 360×640 has; smaller ones stay as they are.
    antialias: smooth what is made smaller. refinement, support: see `model.tracking.pips.refinement` and
    `model.tracking.pips.support`; None leaves it out.
    """

    iterations: int = 6
    resize: Literal["fixed", "area"] = "fixed"
    antialias: bool = False
    refinement: RefinementSettings | None = None
    support: SupportSettings | None = None

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

    Raises BadInput when it says what this version does not understand.
    """
    text = read_metadata(path).get(METADATA_KEY)
    if text is None:
        return PipsRelease()
    try:
        said = json.loads(text)
        use = dict(said["use"])
        for name, kind in (("refinement", RefinementSettings), ("support", SupportSettings)):
            if use.get(name) is not None:
                use[name] = _made(kind, use[name])
        return PipsRelease(_made(PipsConfig, said["config"]), _made(PipsUse, use))
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{os.path.basename(path)} describes its network in a way that this version does not "
            "understand; use a newer version of Stillmotion, or other weights."
        ) from error


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    """Make a frozen dataclass of JSON values; unknown names are a TypeError."""
    unknown = values.keys() - {known.name for known in fields(kind)}
    if unknown:
        raise TypeError(f"unknown settings: {sorted(unknown)}")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
