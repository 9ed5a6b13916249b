"""What an overlay is to show, as asked for in an address: by the names of the viewer's own address."""

from collections.abc import Mapping
from typing import Any, Literal

from marshmallow import validate

from model.overlay.look import COLOURS, Look
from webapp.api.fields import (
    QuerySchema,
    asked_boolean,
    asked_choice,
    asked_integer,
    asked_number,
    asked_text,
)
from webapp.api.schemas import CameraQuery
from webapp.jobs.overlays import OverlayRequest

_USUAL = Look()


class OverlayQuery(CameraQuery):
    """How an overlay looks; what is left out is as usual."""

    hypothesis = asked_integer("hypothesis", 0, "of a prediction: its number, from 0", load_default=None)
    colour = asked_choice("colour", COLOURS, load_default=_USUAL.colour)
    paths = asked_text(
        "paths",
        "all, past (up to the frame), or how many frames (8; 0: none) or seconds (0.5s) they reach back",
        validate=validate.Regexp(
            r"^(all|past|[0-9]{1,6}|[0-9]{1,4}(\.[0-9]{1,4})?s)(?![\s\S])",  # ends there, in ECMAScript too
            error="The paths must be all, past, a number of frames (8) or of seconds (0.5s), not “{input}”.",
        ),
        load_default=_USUAL.paths,
    )
    hidden = asked_choice("hidden", ("dim", "hide"), load_default=_USUAL.hidden)
    size = asked_number("size", "of dots and lines", largest=3, load_default=_USUAL.size)
    shade = asked_number("shade", "brightness of the picture, %", largest=100, load_default=_USUAL.shade)
    picture = asked_boolean("picture", load_default=_USUAL.picture)
    dots = asked_boolean("dots", load_default=_USUAL.dots)
    moving = asked_boolean(
        "moving", "of a prediction: a map of how likely it moves", load_default=_USUAL.moving
    )
    opacity = asked_number("opacity", "of that map, %", largest=100, load_default=_USUAL.opacity)
    first = asked_integer("first", 0, "the clip's frame to begin with", load_default=None)
    last = asked_integer("last", 0, "the clip's frame to end with", load_default=None)
    speed = asked_choice(
        "speed", ("0.1", "0.2", "0.25", "0.5", "0.75", "1", "1.5", "2", "3", "4"), load_default="1"
    )


class ViewQuery(QuerySchema):
    """What an exported viewer shows at first."""

    view = asked_text(
        "view",
        "the part of the page's address after #",
        validate=validate.Length(max=500, error="The view must have at most 500 characters."),
        load_default="",
    )


def overlay_request(kind: Literal["mp4", "gif"], query: Mapping[str, Any]) -> OverlayRequest:
    """Make a request of the values of an `OverlayQuery`."""
    values = dict(query)
    camera, hypothesis = values.pop("camera"), values.pop("hypothesis")
    look = Look(**{**values, "speed": float(values["speed"])})
    return OverlayRequest(kind, camera, hypothesis, look)
