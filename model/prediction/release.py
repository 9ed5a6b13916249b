"""What a file of predictor weights says of itself: the network, and how it is used. Needs no torch."""

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from model.core.errors import BadInput
from model.prediction.config import PredictorConfig
from model.weights.metadata import read_description
from model.weights.registry import find_weights, weights_file

METADATA_KEY = "stillmotion-predictor"
OLD_NAMES = {
    "spread": "scale_factor",
    **dict.fromkeys(("doubt", "stay_prior", "least_gain", "abstain_below", "modes")),
}
"""What older files call fields; None for what they were fitted with and is no more."""
GIVEN_UP = {"camera": False, "point": "median"}
"""Choices of older files that are no more, and what all other networks chose."""
_GIVEN_UP_HEAD = "mixture"

_SIDE_STEP = 16  # working sizes are multiples of this, so that maps of all depths cover the same picture
_SMALLEST_SIDE, _LARGEST_SIDE = 64, 2048


@dataclass(frozen=True)
class PredictorUse:
    """How a network is used.

    height, width: pixels of the images in training. An image is brought to as many pixels (height · width),
        keeping its shape, so that things are as large as they were there.
    scale_factor: multiplies the Laplace scales, so that 90 % intervals cover 90 % of validation samples.
    temperature, moving_bias: of bins, whose scales are fixed; see `Mixture.tempered`. They make probabilities
        as likely as they say.
    mirror: average with the prediction of the mirrored image, which makes predictions symmetric.

    Raises ValueError.
    """

    height: int = 256
    width: int = 448
    scale_factor: float = 1.0
    mirror: bool = False
    temperature: float = 1.0
    moving_bias: float = 0.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, not {self.temperature}")

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) to which an image of a size is brought."""
        scale = math.sqrt(self.height * self.width / (size[0] * size[1]))
        height, width = (
            min(_LARGEST_SIDE, max(_SMALLEST_SIDE, _SIDE_STEP * round(side * scale / _SIDE_STEP)))
            for side in size
        )
        return height, width


@dataclass(frozen=True)
class PredictorRelease:
    """A network and its use."""

    config: PredictorConfig = field(default_factory=PredictorConfig)
    use: PredictorUse = field(default_factory=PredictorUse)

    def to_metadata(self) -> dict[str, str]:
        """Return what goes into a safetensors file's metadata."""
        return {METADATA_KEY: json.dumps(asdict(self))}


def predictor_file(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of weights that a name or path means; see `find_weights` and `weights_file`."""
    found = find_weights(os.fspath(name_or_path))
    return found if isinstance(found, Path) else weights_file(found)


def read_release(path: str | os.PathLike[str]) -> PredictorRelease:
    """Read what a file of weights says of itself.

    Raises BadInput when it says nothing, or what this version does not understand.
    """
    release = read_description(path, METADATA_KEY, PredictorRelease, OLD_NAMES, GIVEN_UP)
    if release is None:
        name = os.path.basename(path)
        raise BadInput(f"{name} holds no predictor; give a file that `train-predictor` wrote.")
    return release


def read_usable_release(path: str | os.PathLike[str]) -> PredictorRelease:
    """Do the same for a file to predict with; of a head that is no more only the backbone is of use.

    Raises BadInput for such a head, too.
    """
    release = read_release(path)
    if release.config.head == _GIVEN_UP_HEAD:
        raise BadInput(
            f"{os.path.basename(path)} has the head “{_GIVEN_UP_HEAD}”, which is no more; train a predictor "
            "again, with bins."
        )
    return release
