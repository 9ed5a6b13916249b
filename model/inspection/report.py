"""One HTML file that shows what a training set looks like, and needs nothing else: no server, no network."""

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from model.datasets.index import motion_at_reference
from model.datasets.sample import SampleFacts
from model.datasets.summary import SPLITS
from model.inspection.figures import MOST_VIDEOS, draw_figures, svg
from model.inspection.inspect import DrawnSample, Inspection
from model.inspection.samples import SampleHistogram
from model.inspection.statistics import MotionStatistics, pixels
from model.overlay.colours import direction_colour
from model.overlay.figure import jpeg_url
from model.overlay.html import styles, write_page

HERE = Path(__file__).parent
FIGURE_WIDTH = 5.2
"""Inches of a figure that is as wide as half of the page."""

BODY = """<main>
<h1>{title}</h1>
<p class="lead">{lead}</p>
{warnings}
<dl class="numbers">{numbers}</dl>
<dl class="settings">{settings}</dl>
{sections}
</main>
<dialog><img alt=""><p></p></dialog>
<script type="module">{script}</script>"""

LEAD = (
    "Each sample is the first frame of a piece of video, and where its points go from there. Lengths are in "
    "pixels of a 256-high image, so that videos of different sizes can be compared; a point moves when it "
    "goes further than 1 px. Only points that are visible and inside the frame count."
)


def write_report(path: str | os.PathLike[str], inspection: Inspection) -> None:
    """Write a report; the file appears whole or not at all."""
    title = f"Training set {inspection.url.rstrip('/').rsplit('/', 1)[-1]}"
    body = BODY.format(
        title=escape(title),
        lead=LEAD,
        warnings="".join(f'<p class="warning">{escape(text)}</p>' for text in _warnings(inspection)),
        numbers=_definitions(_numbers(inspection)),
        settings=_definitions(_settings(inspection)),
        sections="\n".join(_sections(inspection)),
        script=_text("report.js"),
    )
    write_page(path, title, styles("theme") + _text("report.css"), body)


def _warnings(inspection: Inspection) -> list[str]:
    warnings = []
    summary = inspection.summary
    if not summary.is_complete:
        warnings.append(
            "The conversion of this set has not ended; the report shows what there was at this moment."
        )
    if inspection.scene_motion:
        warnings.append(
            "The camera's motion is taken out of what is drawn and of the motion of points; samples in which "
            "no camera was found are left out of these. Motion by sample is as filmed."
        )
    elif inspection.motion.samples < inspection.samples:
        warnings.append(
            f"The statistics of points are of {inspection.motion.samples:,} samples, chosen at random."
        )
    if summary.failures:
        warnings.append(f"Videos that could not be used: {summary.failures:,}; they are listed at the end.")
    return warnings


def _numbers(inspection: Inspection) -> list[tuple[str, str, str]]:
    """Return the most important numbers, as (name, value, remark)."""
    summary, motion = inspection.summary, inspection.motion
    bytes_ = sum(shard.bytes for shard in summary.shards)
    return [
        ("Samples", f"{inspection.samples:,}", _by_split(map(summary.samples, SPLITS))),
        (
            "Videos",
            f"{len(inspection.videos):,}",
            _by_split(summary.videos.get(split, 0) for split in SPLITS),
        ),
        ("Size", readable_bytes(bytes_), f"{len(summary.shards):,} shards"),
        ("Median displacement", pixels(motion.quantile(0.5)), f"95 %: {pixels(motion.quantile(0.95))}"),
        ("Moving points", f"{motion.moving:.0%}", f"of {motion.trajectories:,} visible to the end"),
        ("Visible at the end", f"{motion.visible[-1]:.0%}", "of all points"),
    ]


def _by_split(counts: Iterable[int]) -> str:
    return ", ".join(f"{count:,} {split}" for split, count in zip(SPLITS, counts, strict=True) if count)


def _settings(inspection: Inspection) -> list[tuple[str, str, str]]:
    summary = inspection.summary
    settings, method = summary.settings, summary.method
    sha256 = method.get("weights_sha256")
    pairs = [
        ("Method", f"{method['name']}{f' ({sha256[:12]}…)' if sha256 else ''}"),
        ("Grid", f"{settings['grid']} × {settings['grid']}"),
        ("Frames", str(settings["horizon"])),
        ("Frame step", settings.get("frame_step")),
        ("Overlap", settings.get("overlap")),
        ("Chunk step", settings.get("chunk_step")),
        ("Shot cuts", {True: "respected", False: "not looked for"}.get(settings.get("cuts", ""))),
        ("Least motion", settings.get("min_motion") or None),
        ("Checked backwards", settings.get("check")),
    ]
    pairs += [(f"Left out ({reason})", f"{count:,}") for reason, count in summary.skipped.items() if count]
    return [(name, str(value), "") for name, value in pairs if value is not None]


def _definitions(entries: Sequence[tuple[str, str, str]]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}"
        + (f"<small>{escape(remark)}</small>" if remark else "")
        + "</dd></div>"
        for name, value, remark in entries
    )


def _sections(inspection: Inspection) -> list[str]:
    quality = inspection.histograms["quality"]
    drawn = {name: svg(figure) for name, figure in draw_figures(inspection, FIGURE_WIDTH).items()}
    return [
        _section(
            "Samples",
            "First frames with the trajectories of their points; a dot marks where a point ends, a faint "
            "ring where it is hidden then. From as many videos as possible.",
            _colour_key() + _tiles(inspection.sheet),
        ),
        _section(
            "Motion of the points",
            "",
            _cards(
                drawn,
                ("displacement", "How far points move", _about_displacement(inspection.motion)),
                (
                    "directions",
                    "Where to",
                    "Of the moving points, in the colours of the trajectories.",
                ),
                ("distance", "How motion grows", "Over the frames of a sample."),
                ("visibility", "How long points stay visible", "Over the frames of a sample."),
            ),
        ),
        _section(
            "Motion over the picture",
            "",
            _cards(
                drawn,
                (
                    "grid-motion",
                    "Mean motion of each grid cell",
                    "Colour: how far points go. Arrows: their mean displacement, short where directions "
                    f"cancel out; the longest is {pixels(_longest_arrow(inspection))}.",
                ),
                (
                    "grid-visible",
                    "Visible points of each grid cell",
                    "The share that is visible in the last frame.",
                ),
            ),
        ),
        _section(
            "The samples one by one",
            "",
            _cards(
                drawn,
                (
                    "motion",
                    "Mean motion",
                    "Of the points that are visible at the end.",
                ),
                ("moving", "Moving points", "Of all points of a sample."),
                ("visible", "Visible points", "Of all points of a sample, in its last frame."),
                *([("quality", "Quality", _about_quality(quality))] if quality.total else []),
            ),
        ),
        _section(
            "Videos",
            f"The {MOST_VIDEOS} with the most samples, of {len(inspection.videos):,}."
            if len(inspection.videos) > MOST_VIDEOS
            else "",
            _cards(drawn, ("videos", "Samples of each video", ""), whole=True),
        ),
        _section(
            "The worst samples by quality",
            "Look here for what the tracker cannot follow, or for cuts that were missed."
            if inspection.worst
            else "No sample was checked; convert with --check to have them compared.",
            _tiles(inspection.worst),
        ),
        *([_failures(inspection)] if inspection.failures else []),
    ]


def _about_quality(histogram: SampleHistogram) -> str:
    what = "The share of checked points that come back to within 2 px when tracked backwards."
    return f"{what} {histogram.missing:,} samples were not checked." if histogram.missing else what


def _longest_arrow(inspection: Inspection) -> float:
    lengths = np.linalg.norm(inspection.motion.cell_motion, axis=2)
    return float(np.nanmax(lengths)) if np.isfinite(lengths).any() else 0.0


def _about_displacement(motion: MotionStatistics) -> str:
    share = motion.displacement[0] / max(1, motion.trajectories)
    return f"From the first to the last frame. {share:.0%} move by less than 0.1 px: left of the scale."


def _section(title: str, hint: str, content: str) -> str:
    shown = f'<p class="hint">{escape(hint)}</p>' if hint else ""
    return f"<section><h2>{escape(title)}</h2>{shown}{content}</section>"


def _cards(figures: Mapping[str, str], *cards: tuple[str, str, str], whole: bool = False) -> str:
    """Lay figures side by side. cards: name of the figure, title and hint."""
    kind = "card whole" if whole else "card"
    shown = "".join(
        f'<div class="{kind}" id="figure-{name}"><h3>{escape(title)}</h3><p class="hint">{escape(hint)}</p>'
        f"{figures[name]}</div>"
        for name, title, hint in cards
    )
    return f'<div class="figures">{shown}</div>'


def _colour_key() -> str:
    directions = {"right": (1, 0), "down": (0, 1), "left": (-1, 0), "up": (0, -1), "still": (0, 0)}
    colours = direction_colour(1000 * np.array(list(directions.values()), np.float32)).tolist()
    items = "".join(
        f'<span><i style="background: rgb({red},{green},{blue})"></i>{name}</span>'
        for name, (red, green, blue) in zip(directions, colours, strict=True)
    )
    return f'<p class="directions">{items}</p>'


def _tiles(drawn: Sequence[DrawnSample]) -> str:
    return '<div class="tiles">' + "".join(_tile(sample) for sample in drawn) + "</div>"


def _tile(drawn: DrawnSample) -> str:
    facts = drawn.facts
    lines = "".join(f"<span>{escape(line)}</span>" for line in describe_facts(facts))
    return (
        f'<figure class="tile"><button type="button" title="Show it large">'
        f'<img src="{jpeg_url(drawn.picture)}" alt="First frame with trajectories"></button>'
        f"<figcaption><b>&lrm;{escape(facts.source)}</b>{lines}</figcaption></figure>"
    )


def describe_facts(facts: SampleFacts) -> tuple[str, str]:
    """Say in two lines what there is to know of a sample."""
    last = facts.start + (facts.count - 1) * facts.frame_step
    shares = [f"{facts.moving:.0%} moving", f"{facts.visible:.0%} visible"]
    if facts.quality is not None:
        shares.append(f"quality {facts.quality:.0%}")
    return (
        f"frames {facts.start} to {last} · motion {motion_at_reference(facts):.1f} px",
        " · ".join(shares),
    )


def _failures(inspection: Inspection) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(failure['file']))}</td><td>{escape(str(failure['reason']))}</td></tr>"
        for failure in inspection.failures
    )
    hint = f"{inspection.summary.failures:,} in all; errors.jsonl of the set has the list."
    return _section(
        "Videos that could not be used",
        hint,
        f"<table><thead><tr><th>Video</th><th>Reason</th></tr></thead><tbody>{rows}</tbody></table>",
    )


def readable_bytes(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
