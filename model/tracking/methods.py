"""Which methods there are to find motion, for the command line and the web; needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from model.core.errors import BadInput
from model.weights.registry import find_weights

DEFAULT_METHOD = "pips"
"""The method where none is named."""

PREDICTION = "fcn"
"""The method that looks at one image alone; its tracks say so by this name."""

TITLES = {
    "pips": "PIPs",
    "lk": "Lucas-Kanade",
    "raft": "RAFT",
    "zero": "Zero motion",
    PREDICTION: "FCN predictor",
}
"""Of each method, by its name: what people read."""

RAFT_PREFIX = "raft:"
"""What stands before a checkpoint of RAFT in a tracker's name."""


@dataclass(frozen=True)
class MethodOffer:
    """A method as a person chooses it.

    name: as in the API and on the command line. title: as on the page. summary: one sentence.
    available: it can run now. reason: if not, one sentence that says how to get it.
    from_one_image: it predicts from its first frame, and looks at no other.
    """

    name: str
    title: str
    summary: str
    available: bool = True
    reason: str | None = None
    from_one_image: bool = False


def available_methods(
    pips_weights: str | None = None, predictor_weights: str | None = None
) -> tuple[MethodOffer, ...]:
    """List the methods for the app, the default first.

    RAFT is not among them: it is there for comparisons on the command line, with weights by path alone.

    pips_weights, predictor_weights: name or path of weights from the settings, or None.
    """
    reason = _reason("pips", pips_weights)
    no_prediction = _reason(PREDICTION, predictor_weights)
    return (
        MethodOffer(
            "pips",
            TITLES["pips"],
            "Persistent Independent Particles: a network that follows points through occlusions.",
            available=reason is None,
            reason=reason,
        ),
        MethodOffer(
            "lk",
            TITLES["lk"],
            "Classical pyramid tracker: fast and precise on textured points, lost at occlusions.",
        ),
        MethodOffer("zero", TITLES["zero"], "Every point stays where it is: the baseline to beat."),
        MethodOffer(
            PREDICTION,
            TITLES[PREDICTION],
            "From one single image: where will the points go, and how sure is that?",
            available=no_prediction is None,
            reason=no_prediction,
            from_one_image=True,
        ),
    )


def method_title(method: str) -> str:
    """Return what people read for a method; of one that is not offered, its name."""
    return TITLES.get(method, method)


def is_prediction(method: str) -> bool:
    """Tell whether a method looks at one image alone."""
    return method == PREDICTION


def _reason(name: str, weights: str | None) -> str | None:
    """Say why a method is not available; None when it is."""
    try:
        check_method(name, weights)
    except BadInput as error:
        return str(error)
    return None


def check_method(name: str, weights: str | None = None) -> None:
    """Raise BadInput unless the method exists and has the weights that it needs.

    name: "lk", "pips", "zero", "raft" or "fcn".
    weights: name or path of weights, for "pips" and "fcn"; path of a checkpoint, for "raft".
    """
    if name == "pips":
        find_weights(weights or "pips")
    elif name == PREDICTION:
        find_weights(weights or "predictor")
    elif name == "raft":
        _check_raft(weights)
    elif name not in ("lk", "zero"):
        raise BadInput(f"There is no method “{name[:60]}”; choose one of fcn, lk, pips, raft or zero.")


def tracker_name(method: str, weights: str | None) -> str:
    """Return what `Tracker.load` takes for a method and its weights."""
    if method == "raft":
        return f"{RAFT_PREFIX}{weights}"
    return (weights or "pips") if method == "pips" else method


def _check_raft(weights: str | None) -> None:
    if weights is None:
        raise BadInput(
            "RAFT needs trained weights and comes with none: give a checkpoint of RAFT-small "
            "(raft-small.pth) by its path on the command line."
        )
    if not Path(weights).is_file():
        raise BadInput(f"There is no checkpoint file {Path(weights).name}.")
