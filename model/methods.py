"""Which tracking methods there are, for the command line and the web; needs no torch."""

from dataclasses import dataclass

from model.errors import BadInput
from model.weights import find_weights

DEFAULT_METHOD = "lk"
"""The method where none is named; `pips` once trained weights are bundled."""


@dataclass(frozen=True)
class MethodOffer:
    """A tracking method as a person chooses it.

    name: as in the API and on the command line. title: as on the page. summary: one sentence.
    available: it can run now. reason: if not, one sentence that says how to get it.
    """

    name: str
    title: str
    summary: str
    available: bool = True
    reason: str | None = None


def available_methods(pips_weights: str | None = None) -> tuple[MethodOffer, ...]:
    """List the tracking methods, the default first.

    pips_weights: name or path of the PIPs weights from the settings, or None.
    """
    reason = None
    try:
        check_method("pips", pips_weights)
    except BadInput as error:
        reason = str(error)
    return (
        MethodOffer(
            "lk",
            "Lucas-Kanade",
            "Classical pyramid tracker: fast and precise on textured points, lost at occlusions.",
        ),
        MethodOffer(
            "pips",
            "PIPs",
            "Persistent Independent Particles: a network that follows points through occlusions.",
            available=reason is None,
            reason=reason,
        ),
        MethodOffer("zero", "Zero motion", "Every point stays where it is: the baseline to beat."),
    )


def check_method(name: str, weights: str | None = None) -> None:
    """Raise BadInput unless the method exists and has the weights that it needs.

    name: "lk", "pips" or "zero".
    weights: name or path of weights, for "pips".
    """
    if name == "pips":
        find_weights(weights or "pips")
    elif name not in ("lk", "zero"):
        raise BadInput(f"There is no method “{name[:60]}”; choose one of lk, pips or zero.")


def tracker_name(method: str, weights: str | None) -> str:
    """Return what `Tracker.load` takes for a method and its weights."""
    return (weights or "pips") if method == "pips" else method
