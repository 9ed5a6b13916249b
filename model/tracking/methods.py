"""The methods to find motion: one table for the command line, the API and the pages; needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from model.core.errors import BadInput
from model.tracking.engine import Engine
from model.weights.registry import find_weights

WeightsKind = Literal["pips", "predictor"]
"""A kind of registered weights, and the name of its default ones."""


@dataclass(frozen=True)
class MethodEntry:
    """A method as a person chooses it; a new one is an entry of `METHODS`.

    name: as in the API and on the command line. title: as on the page. summary: one sentence.
    engine: "module:class" of a tracking method; None for the one that predicts from its first frame and looks
        at no other (`model.prediction.predictor`).
    weights: the kind of registered weights that it takes; "file": a checkpoint, by its path; None: it takes
        none.
    in_app: it is offered there; else it is there for comparisons on the command line.
    """

    name: str
    title: str
    summary: str
    engine: str | None
    weights: WeightsKind | Literal["file"] | None = None
    in_app: bool = True

    def check(self, weights: str | None) -> None:
        """Raise BadInput unless the weights that it needs are there.

        weights: registered name or path; None for the default of their kind.
        """
        if self.weights == "file":
            if weights is None:
                raise BadInput(
                    f"{self.title} needs trained weights and comes with none: give a checkpoint "
                    f"({self.name}-small.pth) by its path on the command line."
                )
            if not Path(weights).is_file():
                raise BadInput(f"There is no checkpoint file {Path(weights).name}.")
        elif self.weights is not None:
            find_weights(weights or self.weights)

    def load(self, weights: str | None, device: str, precision: str) -> Engine:
        """Make a tracking method ready to run; raises BadInput as `check` does, or for another device.

        Its module is imported here: torch takes seconds that the other methods need not wait.
        """
        assert self.engine is not None
        module, name = self.engine.split(":")
        kind = getattr(import_module(module), name)
        if self.weights is None:
            return cast(Engine, kind())
        self.check(weights)
        return cast(Engine, kind.load(weights or self.weights, device, precision))


METHODS: tuple[MethodEntry, ...] = (
    MethodEntry(
        "pips",
        "PIPs",
        "Persistent Independent Particles: a network that follows points through occlusions.",
        "model.tracking.pips.tracker:PipsEngine",
        "pips",
    ),
    MethodEntry(
        "lk",
        "Lucas-Kanade",
        "Classical pyramid tracker: fast and precise on textured points, lost at occlusions.",
        "model.tracking.lucas_kanade:LucasKanade",
    ),
    MethodEntry(
        "raft",
        "RAFT",
        "Optical flow of RAFT-small from frame to frame, chained.",
        "model.tracking.raft:RaftEngine",
        "file",
        in_app=False,
    ),
    MethodEntry(
        "zero",
        "Zero motion",
        "Every point stays where it is: the baseline to beat.",
        "model.tracking.frame_to_frame:ZeroMotion",
    ),
    MethodEntry(
        "fcn",
        "FCN predictor",
        "From one single image: where will the points go, and how sure is that?",
        None,
        "predictor",
    ),
)

DEFAULT_METHOD = METHODS[0].name
"""The method where none is named."""

PREDICTION = "fcn"
"""The method that looks at one image alone; its tracks say so by this name."""


def find_method(name: str) -> MethodEntry:
    """Return the method of a name; raises BadInput for another name."""
    for entry in METHODS:
        if entry.name == name:
            return entry
    raise BadInput(f"There is no method “{name[:60]}”; choose one of {_listed(METHODS)}.")


def _listed(entries: tuple[MethodEntry, ...]) -> str:
    *names, last = sorted(entry.name for entry in entries)
    return f"{', '.join(names)} or {last}"


TRACKERS = _listed(tuple(entry for entry in METHODS if entry.engine))
"""The names of the tracking methods, as a phrase."""


def method_title(method: str) -> str:
    """Return what people read for a method; of one that is not in the table, its name."""
    return next((entry.title for entry in METHODS if entry.name == method), method)


def is_prediction(method: str) -> bool:
    """Tell whether a method looks at one image alone; a name that is not in the table is a tracker's."""
    return method == PREDICTION


def check_method(name: str, weights: str | None = None) -> None:
    """Raise BadInput unless the method exists and has the weights that it needs; see `MethodEntry.check`."""
    find_method(name).check(weights)


def tracker_name(method: str, weights: str | None) -> str:
    """Return what `Tracker.load` takes for a method and its weights."""
    entry = find_method(method)
    if entry.weights is None:
        return method
    return f"{method}:{weights}" if entry.weights == "file" else weights or entry.weights


def load_engine(name: str, device: str, precision: str) -> Engine:
    """Make what `tracker_name` names ready to run; see `model.tracking.tracker.Tracker.load`."""
    for entry in METHODS:
        if entry.engine and name == entry.name:
            return entry.load(None, device, precision)
        if entry.weights == "file" and name.startswith(f"{entry.name}:"):
            return entry.load(name.removeprefix(f"{entry.name}:"), device, precision)
    return find_method("pips").load(name, device, precision)


@dataclass(frozen=True)
class MethodOffer:
    """A method as the app offers it.

    name, title, summary: of its entry. available: it can run now. reason: if not, one sentence that says how
    to get it. from_one_image: it predicts from its first frame, and looks at no other.
    """

    name: str
    title: str
    summary: str
    available: bool
    reason: str | None
    from_one_image: bool


def available_methods(weights: Mapping[WeightsKind, str | None]) -> tuple[MethodOffer, ...]:
    """List the methods for the app, the default first.

    weights: of each kind, the name or path of those in the settings, or None.
    """
    return tuple(_offer(entry, weights) for entry in METHODS if entry.in_app)


def _offer(entry: MethodEntry, weights: Mapping[WeightsKind, str | None]) -> MethodOffer:
    reason = None
    try:
        entry.check(None if entry.weights in (None, "file") else weights[cast(WeightsKind, entry.weights)])
    except BadInput as error:
        reason = str(error)
    return MethodOffer(
        entry.name, entry.title, entry.summary, reason is None, reason, from_one_image=entry.engine is None
    )
