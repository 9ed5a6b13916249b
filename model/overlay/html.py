"""One HTML file that shows tracks over their frames, and needs nothing else: no server, no network."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

from model.core.files import write_whole
from model.motion.prediction import Prediction
from model.motion.tracks import Tracks
from model.overlay.expectation import describe
from model.overlay.figure import figure_json, jpeg_url
from model.overlay.motion import summary
from model.overlay.numbers import shown_first
from model.tracking.methods import is_prediction

VIEWER_FOLDER = Path(__file__).parent / "viewer"
"""Holds the viewer's modules and styles, which the web serves as well."""

MODULES = (
    *(
        "numbers",
        "plotly",
        "theme",
        "variants",
        "colours",
        "settings",
        "address",
        "paths",
        "dots",
        "picture",
        "field",
        "painter",
        "stage",
    ),
    *("frames", "clock", "controls", "transport", "points", "selection", "saving", "keys", "viewer"),
)
"""The viewer's modules, each after those that it imports from."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

_STYLE = """
main { max-width: 1500px; margin: 0 auto; padding: 20px; }
main > h1 { margin: 0 0 14px; font-size: 20px; }
"""

_BODY = """<main><h1>{title}</h1><div id="viewer"><p>{summary}</p></div></main>
<script type="application/json" id="figure">{figure}</script>
<script type="application/json" id="frames">{frames}</script>
<script>{plotly}</script>
<script type="module">{viewer}
const content = (id) => JSON.parse(document.getElementById(id).textContent);
const frames = content("frames");
if (!location.hash) location.hash = {view};
await showViewer(document.getElementById("viewer"), content("figure"), (position) => frames[position]);
</script>"""


def write_page(path: str | os.PathLike[str], title: str, style: str, body: str) -> None:
    """Write an HTML file; it appears whole or not at all. title: as text. style, body: as CSS and HTML."""
    page = PAGE.format(title=escape(title), style=style, body=body)
    write_whole(Path(path), page.encode())


def write_html(
    path: str | os.PathLike[str],
    frames: Iterable[NDArray[np.uint8]],
    tracks: Tracks,
    prediction: Prediction | None = None,
    *,
    view: str = "",
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the viewer with its frames and numbers as one file; it appears whole or not at all.

    frames: the T frames of the tracks, uint8 `[H, W, 3]` RGB; stored as JPEG with at most 1280 pixels a side.
    prediction: whose answer the tracks are; its intervals and hypotheses go with them.
    view: what the viewer shows at first, as in its address: "frame=3&colour=speed".
    about: what the file says of itself, see `figure_json`.
    Raises ValueError when the number of frames is not that of the tracks.
    """
    pictures = [jpeg_url(frame) for frame in frames]
    if len(pictures) != len(tracks.frames):
        raise ValueError(f"there must be {len(tracks.frames)} frames, as in the tracks, not {len(pictures)}.")
    title = _title(tracks)
    body = _BODY.format(
        title=escape(title),
        summary=escape(summary(tracks) if prediction is None else describe(prediction)),
        figure=_in_script(
            figure_json(tracks, pictures[0], position=shown_first(tracks), prediction=prediction, about=about)
        ),
        frames=_in_script(json.dumps(pictures)),
        plotly=get_plotlyjs(),
        viewer=viewer_script(),
        view=_in_script(json.dumps(view)),
    )
    write_page(path, title, styles("theme", "viewer") + _STYLE, body)


def styles(*names: str) -> str:
    """Return style sheets of `VIEWER_FOLDER` as one, for a page that has no other files."""
    return "".join(_text(f"{name}.css") for name in names)


def viewer_script() -> str:
    """Return the viewer's modules as one, for a page that has no other files.

    No two of them use the same name for different things, so they can share one scope.
    """
    modules = "\n".join(_text(f"{name}.js") for name in MODULES)
    return re.sub(r"^(import [^;]*;\n|export )", "", modules, flags=re.MULTILINE)


def _text(name: str) -> str:
    return (VIEWER_FOLDER / name).read_text(encoding="utf-8")


def _title(tracks: Tracks) -> str:
    """Say how the motion was found; a prediction's first frame is all that was seen."""
    found = "predicted" if is_prediction(tracks.method.name) else "tracked"
    return f"Motion {found} with {tracks.method.name}"


def _in_script(content: str) -> str:
    """Keep JSON from ending the script element that holds it."""
    return content.replace("<", "\\u003c")
