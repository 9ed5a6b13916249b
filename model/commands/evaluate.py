"""`python -m model evaluate`: measure a method on clips whose truth is known."""

import re
from pathlib import Path
from typing import Any, Literal

import click

from model.commands.console import progress_bar
from model.commands.evaluate_predictor import command as predictor
from model.commands.options import PATH, check_output, device_option, precision_option
from model.core.errors import BadInput
from model.core.progress import Watch
from model.evaluation.annotations import AnnotatedClip, read_annotated, reduce_clip
from model.evaluation.badja import from_first_frame, has_areas, read_badja
from model.evaluation.objects import evaluate_objects, read_masked
from model.evaluation.trackers.compare import EvaluationProtocol
from model.evaluation.trackers.report import (
    object_table,
    objects_to_json,
    pck_table,
    results_to_json,
    table,
    write_json,
)
from model.evaluation.trackers.run import MethodResult, evaluate
from model.tracking.methods import TRACKERS, check_method, tracker_name
from model.tracking.tracker import Tracker

SMALLEST_MAX_SIDE = 32


@click.group("evaluate")
def command() -> None:
    """Measure methods on clips whose true motion is known."""


command.add_command(predictor)


@command.command("tracker")
@click.argument("clips", nargs=-1, type=PATH)
@click.option(
    "--method",
    "methods",
    multiple=True,
    help=f"{TRACKERS}; may be given several times. Zero motion is always measured too. By default lk, "
    "and what weights are given for.",
)
@click.option(
    "--weights",
    multiple=True,
    help="For pips: a registered name or a checkpoint file; may be given several times, to compare.",
)
@click.option("--raft-weights", help="For raft: a checkpoint file of RAFT-small.")
@click.option(
    "--queries",
    type=click.Choice(["first", "strided"]),
    help="Ask for each point where it is first visible (the default), or in every 5th frame; as in TAP-Vid.",
)
@click.option(
    "--badja",
    type=PATH,
    help="In place of CLIPS: a BADJA sequence's JSON, or a folder of them; from annotation to annotation.",
)
@click.option(
    "--masks",
    type=PATH,
    help="In place of CLIPS: real footage without tracks; a folder of object masks per sequence.",
)
@click.option("--chunk-step", type=click.IntRange(1), help="For --masks: take every k-th chunk only.")
@click.option("--frames-folder", type=PATH, help="For --badja and --masks: a folder of frames per sequence.")
@click.option(
    "--annotated-size", metavar="WIDTHxHEIGHT", help="For --badja: of the images that were annotated."
)
@click.option("--max-side", type=int, help="Reduce larger frames to this many pixels on the longer side.")
@device_option
@precision_option
@click.option("--out", type=PATH, help="Where every metric of every clip goes, as .json.")
def tracker(
    *,
    clips: tuple[Path, ...],
    methods: tuple[str, ...],
    weights: tuple[str, ...],
    raft_weights: str | None,
    queries: Literal["first", "strided"] | None,
    badja: Path | None,
    masks: Path | None,
    chunk_step: int | None,
    frames_folder: Path | None,
    annotated_size: str | None,
    max_side: int | None,
    device: str,
    precision: str,
    out: Path | None,
) -> None:
    """Measure trackers on real footage (--masks, --badja), or on CLIPS with true tracks.

    docs/evaluation.md has the formats and what the figures mean.
    """
    check_output(
        "--out", out, ".json", inputs=[path for path in (*clips, badja, masks, frames_folder) if path]
    )
    _check_options(clips, badja, masks, chunk_step, frames_folder, annotated_size, queries, max_side)
    names = _tracker_names(methods, weights, raft_weights)
    settings: dict[str, Any]
    to_the_end: list[MethodResult] = []
    if masks is not None and frames_folder is not None:
        sequences = read_masked(masks, frames_folder)
        settings = {"masks": [sequence.name for sequence in sequences], "chunk_step": chunk_step or 1}
        trackers = _load(names, device, precision)
        with progress_bar("runs") as report:
            on_objects = evaluate_objects(sequences, trackers, chunk_step or 1, Watch(report))
        said, content = object_table(on_objects), objects_to_json(on_objects)
    else:
        protocol: EvaluationProtocol = "chained" if badja else queries or "first"
        if badja is not None and frames_folder is not None:
            opened = _open_badja(badja, frames_folder, annotated_size)
        else:
            opened = [clip for path in clips for clip in read_annotated(path)]
        if max_side is not None:
            opened = [reduce_clip(clip, max_side) for clip in opened]
        settings = {"clips": [clip.name for clip in opened], "protocol": protocol, "max_side": max_side}
        trackers = _load(names, device, precision)
        followed = [from_first_frame(clip) for clip in opened if has_areas(clip)]
        with progress_bar("runs") as report:
            results = evaluate(opened, trackers, protocol, Watch(report))
            if followed:
                to_the_end = evaluate(followed, trackers, "first", Watch(report))
        said = table(results, each_clip=badja is not None)
        content = results_to_json(results)
        if to_the_end:
            said += f"\n\n{pck_table(to_the_end)}"
    if out is not None:
        write_json(out, settings, content, results_to_json(to_the_end))
        click.echo(f"Wrote {out}", err=True)
    click.echo(said)


def _load(names: dict[str, str], device: str, precision: str) -> dict[str, Tracker]:
    return {label: Tracker.load(name, device, precision) for label, name in names.items()}


def _check_options(
    clips: tuple[Path, ...],
    badja: Path | None,
    masks: Path | None,
    chunk_step: int | None,
    frames_folder: Path | None,
    annotated_size: str | None,
    queries: str | None,
    max_side: int | None,
) -> None:
    if not clips and badja is None and masks is None:
        raise BadInput(
            "Name at least one clip with true tracks or a folder of them, BADJA's JSON with --badja, or "
            "object masks with --masks."
        )
    for option, folder in (("--badja", badja), ("--masks", masks)):
        if folder is not None and (clips or queries or (badja and masks)):
            raise BadInput(f"{option} stands alone: without CLIPS, and without --queries.")
        if folder is not None and frames_folder is None:
            raise BadInput(f"{option} needs --frames-folder DIR, with a folder of frames for each sequence.")
    if frames_folder is not None and badja is None and masks is None:
        raise BadInput("--frames-folder belongs to --badja and --masks.")
    if annotated_size is not None and badja is None:
        raise BadInput("--annotated-size belongs to --badja.")
    if masks is None and chunk_step is not None:
        raise BadInput("--chunk-step belongs to --masks.")
    if masks is not None and max_side is not None:
        raise BadInput("--masks measures at 512×288, without --max-side.")
    if max_side is not None and max_side < SMALLEST_MAX_SIDE:
        raise BadInput(f"--max-side must be at least {SMALLEST_MAX_SIDE}, not {max_side}.")


def _tracker_names(
    methods: tuple[str, ...], weights: tuple[str, ...], raft_weights: str | None
) -> dict[str, str]:
    """What the table calls each tracker, and what `Tracker.load` takes for it; zero motion comes first."""
    wanted = list(dict.fromkeys(("zero", *(methods or ("lk",)))))
    wanted += ["pips"] if weights and "pips" not in wanted else []
    wanted += ["raft"] if raft_weights and "raft" not in wanted else []
    names: dict[str, str] = {}
    for method in wanted:
        given: tuple[str | None, ...] = {"pips": weights or (None,), "raft": (raft_weights,)}.get(
            method, (None,)
        )
        for choice in given:
            check_method(method, choice)
            label = f"{method} {choice}" if method == "pips" and choice else method
            names[label] = tracker_name(method, choice)
    return names


def _open_badja(badja: Path, frames_folder: Path, annotated_size: str | None) -> list[AnnotatedClip]:
    size = None
    if annotated_size is not None:
        match = re.fullmatch(r"([1-9]\d{0,5})[x×]([1-9]\d{0,5})", annotated_size)
        if match is None:
            raise BadInput(
                f"--annotated-size must be WIDTHxHEIGHT, such as 1920x1080, not {annotated_size[:60]}."
            )
        size = int(match[2]), int(match[1])
    opened = read_badja(badja, frames_folder, size)
    if opened.without_frames:
        click.echo(f"Without frames, left out: {', '.join(opened.without_frames)}.", err=True)
    return opened.clips
