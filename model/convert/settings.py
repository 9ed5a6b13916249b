"""What a training set is made of, and how: everything that its bytes depend on."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from model.core.errors import BadInput
from model.core.settings import setting
from model.core.structure import from_json
from model.motion.grid import check_grid
from model.tracking.methods import DEFAULT_METHOD, TRACKERS, find_method

Check = Literal["none", "sparse", "full"]
LONGEST_HORIZON = 64


@dataclass(frozen=True)
class ConvertSettings:
    """How videos become samples; the names of methods and weights as `Tracker.load` has them.

    weights_sha256: of the weights; `with_weights` finds it out.
    interval: the frames nearest to these times are taken; None: by frame_step.
    cuts: looked for; a chunk never crosses one.
    group: a regular expression with one group in parentheses; videos in whose names (without ending) it finds
        the same are one source: they go to the same split. "": each video is a source of its own.
    jpeg_quality: of the first frames, 1 to 95.
    Raises BadInput when a value is out of range.
    """

    method: str = setting(DEFAULT_METHOD, f"{TRACKERS}.")
    weights: str | None = setting(None, "For pips a registered name or a checkpoint file; for raft a file.")
    weights_sha256: str | None = None
    precision: str = setting("auto", "auto, float32 or bfloat16.")
    grid: int = setting(16, "Query points a side, 1 to 64.")
    horizon: int = setting(8, "Frames of a sample, 2 to 64.")
    frame_step: int = setting(1, "Take every k-th frame.")
    interval: float | None = setting(None, "Instead: so many seconds apart, such as 1/15s.")
    overlap: int = setting(0, "Frames that chunks share.")
    chunk_step: int = setting(1, "Take every k-th chunk.")
    cuts: bool = setting(True, "Never cross a shot cut.")
    min_motion: float = setting(
        0.0, "Leave out samples that move less on average; pixels of a 256-high image."
    )
    check: Check = setting(  # noqa: RUF009 - makes a field
        "sparse", "Points also tracked backwards, for the quality: every second row and column, or all."
    )
    validation: float = setting(0.1, "Share of the videos.")
    test: float = setting(0.1, "Share of the videos.")
    group: str = setting(
        "", "Which videos are of one source, and go to one split: a pattern such as '(.*)__'."
    )
    shard_samples: int = setting(256, "Chunks of a shard; what a crash can cost.")
    jpeg_quality: int = 90

    def __post_init__(self) -> None:
        check_grid(self.grid)
        for name, value, smallest, largest in (
            ("horizon", self.horizon, 2, LONGEST_HORIZON),
            ("frame step", self.frame_step, 1, 1000),
            ("overlap", self.overlap, 0, self.horizon - 1),
            ("chunk step", self.chunk_step, 1, 1000),
            ("number of samples of a shard", self.shard_samples, 1, 100_000),
            ("JPEG quality", self.jpeg_quality, 1, 95),
        ):
            if not smallest <= value <= largest:
                raise BadInput(f"The {name} must be {smallest} to {largest}, not {value}.")
        if self.interval is not None and not 0.001 <= self.interval <= 60:
            raise BadInput(f"The interval must be 0.001 to 60 seconds, not {self.interval}.")
        if self.interval is not None and self.frame_step != 1:
            raise BadInput("Give an interval in seconds or a frame step, not both.")
        try:
            groups = re.compile(self.group).groups
        except re.error as error:
            raise BadInput(f"The group “{self.group[:60]}” is no regular expression ({error}).") from error
        if self.group and groups != 1:
            raise BadInput(f"The group needs one pair of parentheses around the source's name, not {groups}.")
        if not 0 <= self.min_motion < float("inf"):
            raise BadInput(f"The least motion must be 0 px or more, not {self.min_motion}.")
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):
            raise BadInput(
                "The shares for validation and test must be 0 or more and together less than 1, not "
                f"{self.validation} and {self.test}."
            )
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise BadInput(
                f"There is no precision “{self.precision[:60]}”; choose auto, float32 or bfloat16."
            )
        if self.check not in get_args(Check):
            raise BadInput(f"The check must be none, sparse or full, not “{self.check[:60]}”.")

    @property
    def stride(self) -> int:
        """From a chunk's start to the next one's, in sampled frames."""
        return (self.horizon - self.overlap) * self.chunk_step

    @property
    def digest(self) -> str:
        """8 hexadecimal digits of everything that the content of a sample depends on."""
        values = [
            self.method,
            self.weights_sha256,
            self.precision,
            self.grid,
            self.horizon,
            self.frame_step,
            self.check,
            self.jpeg_quality,
            *([] if self.interval is None else [self.interval]),
        ]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:8]

    def source_of(self, video: str) -> str:
        """Return the name of the source that a video, by its name, is a part of."""
        stem = re.sub(r"\.[^./]*$", "", video)
        found = re.search(self.group, stem) if self.group else None
        return video if found is None else found[1]

    def split_of(self, video: str, sha256: str) -> str:
        """Return the split of a video; it depends on the shares, and on its content or its source's name."""
        source = self.source_of(video)
        digest = sha256 if source == video else hashlib.sha256(source.encode()).hexdigest()
        place = int(digest[:12], 16) / 16**12
        if place < self.test:
            return "test"
        return "validation" if place < self.test + self.validation else "train"

    def differences(self, other: "ConvertSettings") -> list[str]:
        """Name what differs, each as "grid 16, not 32"; the same weights by another name do not."""
        names = [field.name for field in fields(self) if field.name != "weights"]
        return [
            f"{name.replace('_', ' ')} {getattr(self, name)}, not {getattr(other, name)}"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]


def with_weights(values: Mapping[str, Any]) -> ConvertSettings:
    """Make settings with the sha256 of the weights that they name; needs no torch.

    Raises BadInput for a method or weights that are not there, and for unknown or ill-typed settings.
    """
    method, weights = values.get("method", DEFAULT_METHOD), values.get("weights")
    sha256 = find_method(method).weights_sha256(weights)
    return from_json(ConvertSettings, {**values, "weights_sha256": sha256}, "the settings")
