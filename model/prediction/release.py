"""What a file of predictor weights says of itself: the network, and how it is used. Needs no torch."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.core.errors import BadInput
from model.prediction.config import PredictorConfig
from model.weights.metadata import read_metadata
from model.weights.registry import find_weights, weights_file

if TYPE_CHECKING:
    from torch import Tensor

METADATA_KEY = "stillmotion-predictor"
_SIDE_STEP = 16  # working sizes are multiples of this, so that maps of all depths cover the same picture
_SMALLEST_SIDE, _LARGEST_SIDE = 64, 2048


@dataclass(frozen=True)
class PredictorUse:
    """How a network is used.

    height, width: images are brought to as many pixels, keeping their shape: that is how large things were
        in training.
    spread: what the scales of the answers are multiplied by, so that intervals cover what they say; fitted
        on validation data.
    mirror: also look at the mirrored image, so that its prediction is exactly the mirrored one.
    point: the single answer of a mixture: "median" (least expected distance) or "best" (largest weight).
    doubt: the weight, 0 to below 1, that "it stays" gets beside the network's hypotheses when the median is
        taken, so that a point moves only where enough of them agree on a way. Networks are too sure of
        pictures unlike those that they learned from; fitted on others (`calibrate-predictor`).
    least_gain: 0 to 1. Of a picture whose `gain` (`model.prediction.predictor.Expectation`) is less, the
        single answer is that nothing moves: it tells too little. Fitted likewise.
    """

    height: int = 256
    width: int = 448
    spread: float = 1.0
    mirror: bool = False
    point: str = "median"
    doubt: float = 0.0
    least_gain: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.doubt < 1:
            raise ValueError(f"doubt must be at least 0 and below 1, not {self.doubt}")
        if not 0 <= self.least_gain <= 1:
            raise ValueError(f"least_gain must be 0 to 1, not {self.least_gain}")

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
    name = os.path.basename(path)
    text = read_metadata(path).get(METADATA_KEY)
    if text is None:
        raise BadInput(f"{name} holds no predictor; give a file that `train-predictor` wrote.")
    try:
        said = json.loads(text)
        return PredictorRelease(_made(PredictorConfig, said["config"]), _made(PredictorUse, said["use"]))
    except BadInput:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{name} describes its network in a way that this version does not understand; use a newer "
            "version of Stillmotion, or other weights."
        ) from error


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    """Make a frozen dataclass of JSON values; unknown names are a TypeError."""
    unknown = values.keys() - {known.name for known in fields(kind)}
    if unknown:
        raise TypeError(f"unknown settings: {sorted(unknown)}")
    return kind(**values)


def as_float32(tensors: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Return tensors as they are computed with: float16 ones as float32."""
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
