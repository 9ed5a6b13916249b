"""Trajectories drawn over the frames, as an MP4 or a GIF."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.core.errors import BadInput
from model.core.files import atomic_path
from model.core.progress import Progress, ReportProgress, ignore_progress
from model.motion.grid import rescale_points
from model.motion.tracks import NO_CAMERA, Tracks
from model.overlay.look import BACKDROP, Look, moving_map, paint_map, step_colours


@dataclass(frozen=True)
class _Format:
    """How pictures become a file. longest_side: pixels; larger frames are made smaller. fastest: frames/s."""

    longest_side: int
    fastest: float
    codec: Literal["libx264", "gif"]
    pixels: str
    encoder: dict[str, str]
    container: dict[str, str]


_FORMATS = {
    # The index goes to the front, so that a browser can play while it loads.
    ".mp4": _Format(
        1280, 120.0, "libx264", "yuv420p", {"crf": "18", "preset": "fast"}, {"movflags": "+faststart"}
    ),
    # More pixels are too heavy for the pages that GIFs are made for; viewers slow down below 2/100 s a frame.
    ".gif": _Format(640, 50.0, "gif", "pal8", {}, {}),
}

FPS_OF_IMAGES = 10.0
"""Frames per second of the picture where the clip has no frame rate of its own (images)."""

_USUAL = Look()
_FRACTION_BITS = 4  # OpenCV draws at sixteenths of a pixel
_HIDDEN_OPACITY = 0.4
_OUTLINE = (16, 18, 24)
_OUTLINE_OPACITY = 0.6


def write_overlay(
    path: str | os.PathLike[str],
    frames: Iterable[NDArray[np.uint8]],
    tracks: Tracks,
    *,
    fps: float | None = None,
    look: Look = _USUAL,
    chance: NDArray[np.float32] | None = None,
    about: Mapping[str, Any] | None = None,
    progress: ReportProgress = ignore_progress,
) -> None:
    """Draw each point's trajectory over its frame, and write an MP4 (H.264, yuv420p) or a GIF.

    By default the trajectory so far, in the colour of the point's total displacement; dim where it is hidden.
    Frames are drawn one at a time, so a long clip needs no more memory than a short one. The file appears
    whole or not at all.

    path: ends in .mp4 (longest side at most 1280 pixels) or .gif (640).
    frames: the T frames of `tracks`, in order, uint8 `[H, W, 3]` RGB of the tracks' size.
    fps: frames per second of the result; by default those of the clip, divided by its frame step.
    look: what is shown, and how. chance: how likely each point moves, float32 `[N]`, where that is shown.
    about: what the file says of itself, as JSON in its comment.
    progress: told the stage "drawing" after each frame.
    Raises BadInput for another ending, a folder that cannot be written to, or a look that the tracks lack
    something for; ValueError when the frames do not fit the tracks.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in _FORMATS:
        raise BadInput(f"An overlay ends in .mp4 or .gif, not in {target.suffix or 'nothing'}.")
    if len(tracks.frames) == 0:
        raise ValueError("tracks without frames cannot be drawn.")
    asked = _rate(tracks, fps) * look.speed
    rate = Fraction(min(asked, _FORMATS[kind].fastest)).limit_denominator(1001)
    painter = _Painter.of(tracks, look, chance, _result_size(tracks.size, _FORMATS[kind].longest_side))
    pictures = _drawn(frames, painter, progress)
    if not os.access(target.parent, os.W_OK):
        raise BadInput(f"The folder {target.parent} is not there or cannot be written to.")
    with atomic_path(target) as temporary:
        write_video(temporary, pictures, rate, kind, json.dumps(about) if about else "")


def without_camera(frames: Iterable[NDArray[np.uint8]], tracks: Tracks) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of `tracks.scene_motion()`, warped so that still things stay where they first are.

    frames: those of `tracks`, uint8 `[H, W, 3]`. Black where a frame does not reach.
    Raises BadInput when the tracks have no camera.
    """
    if tracks.camera is None:
        raise BadInput(NO_CAMERA)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for frame, homography, share in zip(frames, *tracks.camera, strict=True):
        if share > 0:
            size = (frame.shape[1], frame.shape[0])
            yield np.asarray(cv2.warpPerspective(frame, homography, size, flags=flags), np.uint8)


def draw_trajectories(picture: NDArray[np.uint8], tracks: Tracks) -> NDArray[np.uint8]:
    """Draw whole trajectories over one picture, with heads where points end; colours as in `write_overlay`.

    picture: uint8 `[h, w, 3]` RGB, any size. Returns a new picture of that size.
    """
    look = Look(paths="all", first=int(tracks.frames[-1]))
    painter = _Painter.of(tracks, look, None, (picture.shape[0], picture.shape[1]))
    return painter.paint(picture, len(tracks.frames) - 1)


def _rate(tracks: Tracks, fps: float | None) -> float:
    if fps is not None:
        if not fps > 0:
            raise BadInput(f"The frames per second must be above 0, not {fps}.")
        return fps
    steps = np.diff(tracks.frames)
    return (tracks.fps or FPS_OF_IMAGES) / (float(steps.mean()) if len(steps) and tracks.fps else 1.0)


def _drawn(
    frames: Iterable[NDArray[np.uint8]], painter: "_Painter", progress: ReportProgress
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames that are to be seen with lines and heads on them, at the size of the result."""
    tracks, total, rows = painter.tracks, len(painter.tracks.frames), painter.rows
    position = -1
    for position, frame in enumerate(frames):
        if position >= total or frame.shape != (*tracks.size, 3):
            raise ValueError(
                f"frame {position} of shape {frame.shape} does not fit {total} of {tracks.size}."
            )
        if position in rows:
            yield painter.paint(frame, position)
        progress(Progress("drawing", position + 1, total))
    if position + 1 != total:
        raise ValueError(f"there are {position + 1} frames for {total} rows of tracks.")


@dataclass(frozen=True)
class _Painter:
    """Paints frames at the size of the result, in order.

    points: float32 `[T, N, 2]`, pixels of the result. colours: uint8 `[1 or T, N, 3]`. likely: a map of the
    picture, or None. lines: those of the frame before, uint8 `[h, w, 4]`, colour times coverage, coverage.
    """

    tracks: Tracks
    look: Look
    size: tuple[int, int]
    rows: range
    points: NDArray[np.float32]
    colours: NDArray[np.uint8]
    likely: NDArray[np.float32] | None
    line_width: int
    head_radius: float
    lines: NDArray[np.uint8]

    @classmethod
    def of(
        cls, tracks: Tracks, look: Look, chance: NDArray[np.float32] | None, size: tuple[int, int]
    ) -> "_Painter":
        look.check(tracks, chance)
        # Far beyond the border nothing shows, and OpenCV's fixed-point coordinates would overflow.
        points = np.clip(rescale_points(tracks.points, tracks.size, size), -4.0 * max(size), 5.0 * max(size))
        count = points.shape[1]
        scale = max(size) / 1280
        # A dense grid gets thinner strokes, so that the picture stays visible between them.
        density = 1.0 if count <= 1024 else 0.7
        return cls(
            tracks=tracks,
            look=look,
            size=size,
            rows=look.rows(tracks),
            points=points.astype(np.float32),
            colours=step_colours(tracks, look.colour, chance),
            likely=moving_map(tracks, chance, size) if look.moving and chance is not None else None,
            line_width=max(1, round(2.4 * scale * density * min(1.5, max(0.6, look.size)))),
            head_radius=max(1.4, 4.2 * scale * density * look.size),
            lines=np.zeros((*size, 4), np.uint8),
        )

    def paint(self, frame: NDArray[np.uint8], position: int) -> NDArray[np.uint8]:
        """Return a frame, of any size, with all that is shown in it; frames come in order."""
        picture = self._below(frame)
        if self.likely is not None:
            picture = paint_map(picture, self.likely, self.look.opacity)
        self._draw_lines(position)
        picture = _over(self.lines, picture)
        if self.look.dots:
            self._draw_heads(picture, position)
        return picture

    def _below(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        share = self.look.shade / 100 if self.look.picture else 0.0
        picture = _resized(frame, self.size)
        if share == 1:
            return picture
        return np.asarray(np.round(picture * share + np.array(BACKDROP) * (1 - share)), np.uint8)

    def _draw_lines(self, position: int) -> None:
        first, last = self.look.window(self.tracks, position)
        grows = self.look.paths in ("all", "past")  # then only what is new is drawn
        if grows and position > self.rows.start:
            first = last if self.look.paths == "all" else position - 1
        elif not grows:
            self.lines[...] = 0
        places = _fixed(self.points[first : last + 1])
        steps = np.stack([places[:-1], places[1:]], axis=2)  # [step, point, end, coordinate]
        visible = self.tracks.visible
        seen = visible[first:last] & visible[first + 1 : last + 1]
        colours = np.broadcast_to(
            self.colours if len(self.colours) == 1 else self.colours[first + 1 : last + 1], (*seen.shape, 3)
        )
        # Hidden steps first, so that what is seen lies on top.
        hidden = [] if self.look.hidden == "hide" else [(~seen, _HIDDEN_OPACITY)]
        for chosen, opacity in (*hidden, (seen, 1.0)):
            packed = colours[chosen].astype(np.int32) @ [1 << 16, 1 << 8, 1]
            ways = steps[chosen]
            for number in np.unique(packed):
                red, green, blue = int(number) >> 16, int(number) >> 8 & 255, int(number) & 255
                shade = tuple(float(value) * opacity for value in (red, green, blue, 255))
                own = list(ways[packed == number])
                cv2.polylines(self.lines, own, False, shade, self.line_width, cv2.LINE_AA, _FRACTION_BITS)

    def _draw_heads(self, picture: NDArray[np.uint8], position: int) -> None:
        """Mark where the points are: filled and outlined where visible, a faint ring where hidden."""
        visible = self.tracks.visible[position]
        colours = self.colours[min(position, len(self.colours) - 1)]
        for index in np.argsort(visible, kind="stable"):  # hidden ones first: what is seen lies on top
            if visible[index] or self.look.hidden == "dim":
                place, radius = self.points[position, index], self.head_radius
                _stamp(picture, place, colours[index], radius, visible[index])


def _stamp(
    picture: NDArray[np.uint8],
    centre: NDArray[np.float32],
    colour: NDArray[np.uint8],
    radius: float,
    filled: bool | np.bool_,
) -> None:
    """Blend one anti-aliased head into the picture. OpenCV's circles of few pixels come out as diamonds."""
    x, y = float(centre[0]), float(centre[1])
    reach = int(radius) + 2
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    patch = picture[top : max(0, round(y) + reach + 1), left : max(0, round(x) + reach + 1)]
    if patch.size == 0:
        return
    rows, columns = np.ogrid[top : top + patch.shape[0], left : left + patch.shape[1]]
    distance = np.hypot(rows - y, columns - x)[..., None]
    disc = np.clip(radius + 0.5 - distance, 0.0, 1.0)
    if filled:
        border = _OUTLINE_OPACITY * np.clip(radius + 1.5 - distance, 0.0, 1.0)
        below = patch + border * (np.array(_OUTLINE) - patch)
    else:
        disc = _HIDDEN_OPACITY * (disc - np.clip(radius - 0.5 - distance, 0.0, 1.0))
        below = patch.astype(np.float64)
    patch[...] = np.round(below + disc * (colour - below))


def _result_size(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """(height, width) with the longest side at most so many pixels, both even as yuv420p needs."""
    scale = min(1.0, longest_side / max(size))
    return max(2, int(size[0] * scale) // 2 * 2), max(2, int(size[1] * scale) // 2 * 2)


def _resized(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if frame.shape[:2] == size:
        return frame.copy()
    return np.asarray(cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _over(lines: NDArray[np.uint8], frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay premultiplied lines `[H, W, 4]` over a frame `[H, W, 3]`."""
    rest = cv2.merge([255 - lines[..., 3]] * 3)
    below = cv2.multiply(frame, rest, scale=1 / 255)
    return np.asarray(cv2.add(below, np.ascontiguousarray(lines[..., :3])), dtype=np.uint8)


def _fixed(points: NDArray[np.float32]) -> NDArray[np.int32]:
    return np.round(points * (1 << _FRACTION_BITS)).astype(np.int32)


def write_video(
    path: Path, pictures: Iterator[NDArray[np.uint8]], rate: Fraction, kind: str, comment: str = ""
) -> None:
    """Write pictures, uint8 `[H, W, 3]` RGB with even sides, as H.264 (kind ".mp4") or as a GIF (".gif").

    rate: frames per second. comment: text that the file carries.
    """
    form = _FORMATS[kind]
    with av.open(str(path), "w", format=kind[1:], options=form.container) as container:
        if comment:
            container.metadata["comment"] = comment
        first = next(pictures)
        stream = container.add_stream(form.codec, rate=rate, options=form.encoder)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = form.pixels
        frames = (VideoFrame.from_ndarray(picture, format="rgb24") for picture in chain([first], pictures))
        for frame in _with_palettes(frames, stream, 1 / rate) if kind == ".gif" else frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if comment and kind == ".gif":
        _add_gif_comment(path, comment.encode())


def _add_gif_comment(path: Path, comment: bytes) -> None:
    """Put a comment extension before the trailer, which FFmpeg does not write: blocks of up to 255 bytes."""
    blocks = (comment[at : at + 255] for at in range(0, len(comment), 255))
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00\x3b")


def _with_palettes(
    frames: Iterable[VideoFrame], stream: VideoStream, time_base: Fraction
) -> Iterator[VideoFrame]:
    """Give each frame the 256 colours that suit it best (FFmpeg's palettegen and paletteuse)."""
    graph = Graph()
    source = graph.add_buffer(
        width=stream.width, height=stream.height, format=VideoFormat("rgb24"), time_base=time_base
    )
    split = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(graph.add("buffersink"))
    graph.configure()
    for position, frame in enumerate(frames):
        frame.pts, frame.time_base = position, time_base
        graph.vpush(frame)
        yield from _ready(graph)
    graph.vpush(None)
    yield from _ready(graph)


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    """Yield the frames that the graph has ready; it may hold one back until the next comes."""
    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            yield graph.vpull()
