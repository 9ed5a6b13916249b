"""The methods to find motion: one table for the command line, the API and the pages; needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from model.core.errors import BadInput
from model.tracking.engine import Engine
from model.weights.registry import REGISTRY, WeightsEntry, file_sha256, find_weights, is_here, known_sha256


@dataclass(frozen=True)
class Pace:
    """What work costs, see `model.tracking.estimate`.

    start: seconds before the first frame. frame: seconds to read, encode and store a frame. point: seconds to
    follow a point through a chunk, or 7 frames. memory: bytes at the peak, but for the positions.
    """

    start: float
    frame: float
    point: float
    memory: int


@dataclass(frozen=True)
class MethodEntry:
    """A method as a person chooses it; a new one is an entry of `METHODS`.

    name: as in the API and on the command line. title: as on the page. summary: one sentence.
    engine: "module:class", an `Engine`, or `model.prediction.predictor:Predictor`.
    pace: about that of 640×360 frames on two cores, for as long as nothing was measured.
    weights: the kind of registered weights that it takes, also the name of its default ones; "file": a
        checkpoint, by its path; None: it takes none.
    uses_torch: it computes with torch. encodes_frames: its engine can, once for all chunks that a frame is
        in, as `PipsEngine` does. from_one_image: it predicts from its first frame and looks at no other.
    fill: at each frame beyond the first chunk, about as many points are computed in vain, to fill a batch.
    in_app: it is offered there; else it is there for comparisons on the command line.
    """

    name: str
    title: str
    summary: str
    engine: str
    pace: Pace
    weights: Literal["pips", "predictor", "file"] | None = None
    uses_torch: bool = False
    encodes_frames: bool = False
    from_one_image: bool = False
    fill: int = 0
    in_app: bool = True

    def find_weights(self, weights: str | None) -> WeightsEntry | Path | None:
        """Return the weights that it needs, None where it takes none; raises BadInput unless they are there.

        weights: registered name or path; None for the default of their kind.
        """
        if self.weights is None:
            return None
        if self.weights == "file":
            if weights is None:
                raise BadInput(
                    f"{self.title} needs trained weights and comes with none: give a checkpoint "
                    f"({self.name}-small.pth) by its path on the command line."
                )
            if not Path(weights).is_file():
                raise BadInput(f"There is no checkpoint file {Path(weights).name}.")
            return Path(weights)
        return find_weights(weights or self.weights)

    def weights_sha256(self, weights: str | None) -> str | None:
        """Return the sha256 of what `find_weights` finds; raises as it does."""
        found = self.find_weights(weights)
        if found is None:
            return None
        return known_sha256(found) if isinstance(found, WeightsEntry) else file_sha256(found)

    def load(self, weights: str | None, device: str, precision: str) -> Engine:
        """Make a tracking method ready to run; raises BadInput as `find_weights`, or for another device.

        Its module is imported here: torch takes seconds that the other methods need not wait.
        """
        module, name = self.engine.split(":")
        kind = getattr(import_module(module), name)
        if self.weights is None:
            return cast(Engine, kind())
        self.find_weights(weights)
        return cast(Engine, kind.load(weights or self.weights, device, precision))


METHODS: tuple[MethodEntry, ...] = (
    MethodEntry(
        "pips",
        "PIPs",
        "Persistent Independent Particles: a network that follows points through occlusions.",
        "model.tracking.pips.tracker:PipsEngine",
        Pace(0.3, 0.1, 6e-3, 900_000_000),
        "pips",
        uses_torch=True,
        encodes_frames=True,
        fill=36,
    ),
    MethodEntry(
        "lk",
        "Lucas-Kanade",
        "Classical pyramid tracker: fast and precise on textured points, lost at occlusions.",
        "model.tracking.lucas_kanade:LucasKanade",
        Pace(0.1, 0.01, 3e-4, 200_000_000),
    ),
    MethodEntry(
        "raft",
        "RAFT",
        "Optical flow of RAFT-small from frame to frame, chained.",
        "model.tracking.raft:RaftEngine",
        Pace(0.3, 0.3, 0.0, 900_000_000),
        "file",
        uses_torch=True,
        in_app=False,
    ),
    MethodEntry(
        "zero",
        "Zero motion",
        "Every point stays where it is: the baseline to beat.",
        "model.tracking.frame_to_frame:ZeroMotion",
        Pace(0.1, 0.01, 0.0, 200_000_000),
    ),
    MethodEntry(
        "fcn",
        "FCN predictor",
        "From one single image: where will the points go, and how sure is that?",
        "model.prediction.predictor:Predictor",
        Pace(2.0, 0.0, 0.0, 1_000_000_000),
        "predictor",
        uses_torch=True,
        from_one_image=True,
    ),
)

DEFAULT_METHOD = METHODS[0].name
"""The method where none is named."""


def find_method(name: str) -> MethodEntry:
    """Return the method of a name; raises BadInput for another name."""
    for entry in METHODS:
        if entry.name == name:
            return entry
    raise BadInput(f"There is no method “{name[:60]}”; choose one of {_listed(METHODS)}.")


def _listed(entries: tuple[MethodEntry, ...]) -> str:
    *names, last = sorted(entry.name for entry in entries)
    return f"{', '.join(names)} or {last}"


TRACKERS = _listed(tuple(entry for entry in METHODS if not entry.from_one_image))
"""The names of the tracking methods, as a phrase."""


def method_title(method: str) -> str:
    """Return what people read for a method; of one that is not in the table, its name."""
    return next((entry.title for entry in METHODS if entry.name == method), method)


def is_prediction(method: str) -> bool:
    """Tell whether a method looks at one image alone; a name that is not in the table is a tracker's."""
    return any(entry.name == method and entry.from_one_image for entry in METHODS)


def check_method(name: str, weights: str | None = None) -> None:
    """Raise BadInput unless the method exists and has the weights that it needs."""
    find_method(name).find_weights(weights)


def tracker_name(method: str, weights: str | None) -> str:
    """Return what `Tracker.load` takes for a method and its weights."""
    return f"{method}:{weights}" if weights and find_method(method).weights else method


def load_engine(name: str, device: str, precision: str) -> Engine:
    """Make what `tracker_name` names ready to run; see `model.tracking.tracker.Tracker.load`."""
    method, _, weights = name.partition(":")
    for entry in METHODS:
        if entry.name == method and not entry.from_one_image and (entry.weights or not weights):
            return entry.load(weights or None, device, precision)
    return METHODS[0].load(name, device, precision)


@dataclass(frozen=True)
class MethodOffer:
    """A method as the app offers it.

    name, title, summary: of its entry. available: it can run now. reason: if not, one sentence that says how
    to get it. from_one_image: it predicts from its first frame, and looks at no other.
    weights: names of the registered ones that are here and that it can be run with.
    """

    name: str
    title: str
    summary: str
    available: bool
    reason: str | None
    from_one_image: bool
    weights: tuple[str, ...]


def available_methods(weights: Mapping[str, str | None]) -> tuple[MethodOffer, ...]:
    """List the methods for the app, the default first.

    weights: of each kind, the name or path of those in the settings, or None.
    """
    return tuple(_offer(entry, weights) for entry in METHODS if entry.in_app)


def _offer(entry: MethodEntry, weights: Mapping[str, str | None]) -> MethodOffer:
    reason = None
    try:
        entry.find_weights(weights.get(entry.weights or ""))
    except BadInput as error:
        reason = str(error)
    here = tuple(each.name for each in REGISTRY if each.kind == entry.weights and is_here(each))
    return MethodOffer(
        entry.name, entry.title, entry.summary, reason is None, reason, entry.from_one_image, here
    )
