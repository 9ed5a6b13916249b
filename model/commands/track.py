"""`python -m model track`: follow points through a clip."""

from dataclasses import replace
from pathlib import Path

import click

from model.clips.video import probe, read_frames
from model.commands.console import progress_bar, stop_on_interrupt
from model.commands.options import PATH, check_output, device_option, precision_option
from model.commands.partial import Job, load_state, partial_path, save_partial
from model.commands.points import read_points
from model.core.errors import BadInput, Stopped
from model.core.progress import Watch
from model.motion.tracks import Tracks
from model.overlay.html import write_html
from model.overlay.motion import summary
from model.overlay.render import without_camera, write_overlay
from model.tracking.both_ways import DIRECTIONS, Direction
from model.tracking.engine import State
from model.tracking.methods import DEFAULT_METHOD, TRACKERS, check_method, is_prediction, tracker_name
from model.tracking.run import TrackRequest, frame_indices, track_file
from model.tracking.tracker import PartialTracks, Tracker

OVERLAYS = (".html", ".mp4", ".gif")


@click.command("track")
@click.argument("clip", type=PATH)
@click.option("--out", type=PATH, help="Where the tracks go, as .npz.")
@click.option(
    "--overlay",
    "overlays",
    multiple=True,
    type=PATH,
    help="Where a picture of the tracks goes: .html, .mp4 or .gif; may be given several times.",
)
@click.option(
    "--camera",
    type=click.Choice(["filmed", "removed"]),
    default="filmed",
    show_default=True,
    help="What the overlays show: motion as filmed, or with the camera's taken out.",
)
@click.option("--method", default=DEFAULT_METHOD, show_default=True, help=f"{TRACKERS}.")
@click.option("--weights", help="For pips a registered name or a checkpoint file; for raft a file.")
@click.option("--grid", type=int, default=16, show_default=True, help="Query points a side, 1 to 64.")
@click.option(
    "--points",
    "points_file",
    type=PATH,
    help="Query points in place of the grid: a CSV file of x,y or a JSON file of [[x, y], ...], in pixels.",
)
@click.option(
    "--start",
    "--from-frame",
    "start",
    type=int,
    default=0,
    show_default=True,
    help="The frame, from 0, in which the points are given and from which they are followed.",
)
@click.option(
    "--direction",
    type=click.Choice(DIRECTIONS),
    default="forward",
    show_default=True,
    help="Through the frames after that one, those before it, or both.",
)
@click.option(
    "--frames",
    type=int,
    default=8,
    show_default=True,
    help="How many frames in each direction, that one counted; 0 for all.",
)
@click.option("--frame-step", type=int, default=1, show_default=True, help="Take every k-th frame.")
@device_option
@precision_option
def command(
    *,
    clip: Path,
    out: Path | None,
    overlays: tuple[Path, ...],
    camera: str,
    method: str,
    weights: str | None,
    grid: int,
    points_file: Path | None,
    start: int,
    direction: Direction,
    frames: int,
    frame_step: int,
    device: str,
    precision: str,
) -> None:
    """Follow points, a grid or your own, through CLIP: a video, a GIF, or a folder or zip of images.

    Ctrl-C keeps the frames tracked so far in OUT.partial.npz; with PIPs, the same command goes on from there.
    """
    if out is None and not overlays:
        raise BadInput("Say where the result should go: --out FILE.npz, --overlay FILE.html, or both.")
    inputs = [path for path in (clip, points_file, weights and Path(weights)) if path]
    check_output("--out", out, ".npz", inputs=inputs)
    for overlay in overlays:
        check_output("--overlay", overlay, *OVERLAYS, inputs=inputs)
    if is_prediction(method):
        raise BadInput(f"{method} predicts from one image; use `python -m model predict` for that.")
    check_method(method, weights)
    points = None if points_file is None else read_points(points_file)
    request = TrackRequest(grid, start, frames or None, frame_step, points, direction)
    info = probe(clip)
    indices = frame_indices(request, info)
    wanted = 2 * frames - 1 if direction == "both" else frames
    if wanted > len(indices):
        click.echo(
            f"The clip has only {len(indices)} of the {wanted} frames asked for; tracking those.", err=True
        )
    tracker = Tracker.load(tracker_name(method, weights), device, precision)
    remarks = [info.remark] if info.remark else []
    with progress_bar("frames") as report:
        tracks = _track(clip, tracker, request, out, Watch(report, say=remarks.append))
        if out is not None:
            tracks.save(out)
            partial_path(out).unlink(missing_ok=True)
        shown = tracks.scene_motion() if camera == "removed" else tracks
        for overlay in overlays:
            selected = read_frames(clip, start=int(indices[0]), step=frame_step, count=len(tracks.frames))
            if camera == "removed":
                selected = without_camera(selected, tracks)
            if overlay.suffix.lower() == ".html":
                write_html(overlay, selected, shown)
            else:
                write_overlay(overlay, selected, shown, progress=report)
    for remark in remarks:
        click.echo(remark, err=True)
    click.echo(summary(tracks))
    for path in (out, *overlays):
        if path is not None:
            click.echo(f"Wrote {path}")


def _track(clip: Path, tracker: Tracker, request: TrackRequest, out: Path | None, watch: Watch) -> Tracks:
    """Track the clip; an interrupt keeps what is done, and what was kept is gone on from."""
    partial: PartialTracks | None = None
    with stop_on_interrupt() as should_stop:
        try:
            state = _earlier_state(clip, tracker, request, out)
            watch = replace(watch, should_stop=should_stop)
            for partial in track_file(clip, tracker, request, watch, state=state):  # noqa: B007 - used below
                pass
        except Stopped:
            if out is not None and partial is not None:
                _keep(partial, partial_path(out), _job(clip, tracker, request))
            raise
    assert partial is not None  # a clip has frames
    return partial.tracks()


def _job(clip: Path, tracker: Tracker, request: TrackRequest) -> Job:
    indices = frame_indices(request, probe(clip))
    settings = {
        "points": request.grid if request.points is None else [list(point) for point in request.points],
        "frames": [int(indices[0]), request.frame_step, len(indices)],
        "query_frame": request.start,
    }
    return Job.of(clip, settings, tracker.engine.method)


def _earlier_state(clip: Path, tracker: Tracker, request: TrackRequest, out: Path | None) -> State | None:
    """Return what an interrupted run of the same command left, and say so."""
    if out is None or not partial_path(out).exists():
        return None
    try:
        state = load_state(partial_path(out), _job(clip, tracker, request))
    except BadInput as reason:
        click.echo(str(reason), err=True)
        return None
    if state is not None:
        click.echo(f"Going on from {partial_path(out).name}.", err=True)
    return state


def _keep(partial: PartialTracks, path: Path, job: Job) -> None:
    tracks, state = partial.tracks(), partial.state()
    save_partial(path, tracks, state, job)
    done, total = len(tracks.frames), job.settings["frames"][-1]
    then = "goes on from there" if state else "starts again"
    click.echo(f"\nKept {done} of {total} frames in {path}; the same command {then}.", err=True)
