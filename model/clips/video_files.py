"""Video files become frames: mp4, mov, avi, webm, mkv and gif.

The frames of a video are its pictures in the order of showing, from the first that can be decoded on. Where
packets have times (mp4, mov, mkv, webm), a picture in the middle that cannot be decoded is the one before it
once more, so that an index means one picture however it is reached; in others (avi, gif) it is left out.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, dropwhile, islice, pairwise
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.clips.containers import Video, open_video
from model.clips.frame_pixels import Display
from model.clips.limits import Limits
from model.core.errors import BadInput
from model.core.progress import Say, say_nothing

_DAMAGED = "The video is damaged: none of its pictures can be decoded; copy or export it again."
# FFmpeg's own decoders leave out the alpha that WebM keeps beside the pictures.
_DECODERS_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


@dataclass(frozen=True)
class _SeekPoint:
    decoding_time: int
    shown_time: int


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video.

    size: (height, width) as displayed, in pixels.
    times: when each is shown, in order, in the stream's time base. unit: its seconds, 0 where unknown.
    average_rate: frames a second, 0 where unknown.
    keyframes: where decoding can begin, in order; empty where frames must be counted from the first one.
    """

    size: tuple[int, int]
    times: "array[int]"
    unit: float
    average_rate: float
    keyframes: tuple[_SeekPoint, ...]

    def seek_point(self, index: int) -> _SeekPoint | None:
        """Return the last keyframe shown no later than frame `index`; None: count from the first frame.

        Frames after it in decoding order may be shown before it and need the keyframe before that one; being
        shown later than it, the wanted frame is not among them.
        """
        after = bisect_right(self.keyframes, self.times[index], key=lambda point: point.shown_time)
        return self.keyframes[after - 1] if after > 1 else None


def probe_video(path: Path, limits: Limits) -> tuple[int, int, int, float]:
    """Find the frames from the packets, and decode the first one only (all, where packets do not tell).

    Returns (height, width, frames, fps): the size as displayed, in pixels; fps on average, 0 where unknown.
    Raises BadInput when the file is no video, is cut short or damaged, or is too small or too large.
    """
    index = frame_index(path, limits)
    return *index.size, len(index.times), index.average_rate


def video_size(path: Path) -> tuple[int, int]:
    """Return the (height, width) of the stored frames, as the header says it. Raises as `probe_video`."""
    with open_video(path) as video:
        return video.stream.codec_context.height, video.stream.codec_context.width


def video_times(path: Path, limits: Limits) -> NDArray[np.float64]:
    """Return when each frame is shown, from its time stamp: float64 `[frames]`, seconds from the first on.

    Raises BadInput as `probe_video`.
    """
    index = frame_index(path, limits)
    times = np.asarray(index.times, np.float64) * index.unit
    return times - times[:1]


def header_frames(path: Path) -> tuple[int, float] | None:
    """Return about how many frames a video has, and how many a second, from its header alone; None where that
    says nothing.

    Raises BadInput when the file is no video.
    """
    with open_video(path) as video:
        stream, container = video.stream, video.container
        rate = stream.average_rate or stream.guessed_rate
        if stream.frames:
            return int(stream.frames), float(rate or 0)
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            seconds = container.duration / av.time_base
        else:
            return None
        return (round(seconds * float(rate)), float(rate)) if rate else None


def read_video(
    path: Path, start: int, step: int, count: int | None, limits: Limits, say: Say = say_nothing
) -> Iterator[NDArray[np.uint8]]:
    """Decode every `step`-th frame from `start` on as uint8 `[H, W, 3]` RGB, upright; at most `count`.

    The file is read once, in order, and one frame is held at a time; a later `start` is reached from the
    keyframe before it where the format allows. Rotation and mirroring from the file's display matrix are
    applied (to quarter turns), and so is the pixel aspect ratio; alpha is laid over white, as for images.

    say: told once of pictures that cannot be decoded.
    Raises BadInput as `probe_video` does, when the read reaches the fault.
    """
    stop = None if count is None else start + (count - 1) * step + 1
    display = size = None
    frames = _frames_from(path, start, limits, say)
    for stream, frame in islice(frames, 0, None if stop is None else stop - start, step):
        if display is None:
            display = Display.of(stream, frame)
        image = display.picture(frame, limits)
        if size is None:
            size = image.shape
        if image.shape != size:
            raise BadInput(
                f"The video changes its size from {size[1]}×{size[0]} to {image.shape[1]}×{image.shape[0]} "
                "pixels on the way; convert it to one size."
            )
        yield image


def frame_index(path: Path, limits: Limits) -> FrameIndex:
    """Read through a whole file, and decode it only where the packets do not tell what is shown.

    Raises BadInput when it is no video, is cut short, or nothing of it can be decoded.
    """
    times, keyframes = array("q"), []
    is_certain, is_timed = True, True
    with open_video(path) as video:
        for packet in video.packets():
            if video.is_hidden(packet):
                continue
            is_certain = is_certain and not video.is_doubtful(packet)
            shown_time, decoding_time = _times(packet)
            is_timed = is_timed and shown_time is not None
            times.append(shown_time or 0)
            if packet.is_keyframe:
                keyframes.append(_SeekPoint(decoding_time or 0, shown_time or 0))
        average_rate = float(video.stream.average_rate or 0)
        time_base = video.stream.time_base
        can_seek = video.is_timed
    with open_video(path) as video:
        decoded = _shown(video, limits)
        first, frame = next(decoded, (0, None))
        if frame is None:
            raise BadInput(_DAMAGED)
        height, width = Display.of(video.stream, frame).picture(frame, limits).shape[:2]
        if not is_certain:
            times = array("q", chain([first], (time for time, _ in decoded)))
        elif can_seek and is_timed:
            times = array("q", sorted(time for time in times if time >= first))
    is_distinct = all(a < b for a, b in pairwise(times))
    if is_timed and time_base and times[-1] > times[0]:
        average_rate = float((len(times) - 1) / ((times[-1] - times[0]) * time_base))
    if not (is_certain and can_seek and is_timed and is_distinct):
        keyframes = []
    return FrameIndex(
        (height, width),
        times,
        float(time_base or 0),
        average_rate,
        tuple(sorted((p for p in keyframes if p.shown_time >= first), key=lambda p: p.shown_time)),
    )


def _times(packet: "Packet[VideoStream]") -> tuple[int | None, int | None]:
    """When a packet's picture is shown, and when it is decoded."""
    shown = packet.dts if packet.pts is None else packet.pts
    return shown, packet.pts if packet.dts is None else packet.dts


def _frames_from(
    path: Path, index: int, limits: Limits, say: Say
) -> Iterator[tuple[VideoStream, VideoFrame]]:
    if index > 0:
        known = frame_index(path, limits)
        if index >= len(known.times):
            return
        point = known.seek_point(index)
        if point is not None:
            with open_video(path) as video:
                target = known.times[index]
                frames = dropwhile(lambda shown: shown[0] < target, _shown_from(point, video, limits, say))
                first = next(frames, None)
                if first is not None and first[0] == target and not first[1].is_corrupt:
                    yield from ((video.stream, frame) for _, frame in chain([first], frames))
                    return
            # The file's index led elsewhere; counting from the first frame is slower and always right.
    with open_video(path) as video:
        shown = _shown(video, limits, say)
        first = next(shown, None)
        if first is None:
            raise BadInput(_DAMAGED)
        yield from ((video.stream, frame) for _, frame in islice(chain([first], shown), index, None))


def _shown_from(
    point: _SeekPoint, video: Video, limits: Limits, say: Say
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield what `_shown` does from a keyframe on; nothing where the container does not get there."""
    try:
        video.container.seek(point.decoding_time, stream=video.stream)
    except av.error.FFmpegError:
        return
    yield from _shown(video, limits, say)


def _shown(video: Video, limits: Limits, say: Say = say_nothing) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from where the container stands, and yield (time, frame) in the order of showing.

    A timed packet whose picture does not come is the picture before it once more: pictures come in the order
    of their times, so that those still waited for when a later one comes are lost.
    """
    decoder = _decoder(video, limits)
    waiting: list[int] = []  # times of the packets whose pictures are to come
    last: VideoFrame | None = None
    has_said = False
    for packet in chain(video.packets(), [None]):
        frames = _decoded(decoder, packet)
        if packet is not None and video.is_timed and not video.is_hidden(packet):
            time, _ = _times(packet)
            if time is not None and not video.is_doubtful(packet):
                insort(waiting, time)
        has_failed = frames is None and not video.is_timed
        for frame in frames or ():
            lost = _lost_before(waiting, frame.pts)
            if last is not None:
                has_failed = has_failed or bool(lost)
                for time in lost:
                    yield time, last
            yield frame.pts or 0, frame
            last = frame
        if has_failed and last is not None and not has_said:
            has_said = True
            say(
                "Some pictures of the video cannot be decoded; "
                + ("each is the one before it once more." if video.is_timed else "they are left out.")
            )


def _lost_before(waiting: list[int], time: int | None) -> list[int]:
    """Take the picture of that time off the list, and return (and take off) the times before it."""
    position = bisect_left(waiting, time) if time is not None else 0
    if position == len(waiting) or waiting[position] != time:
        del waiting[:1]  # a decoder that gives other times than the packets': it is the next one
        return []
    lost = waiting[:position]
    del waiting[: position + 1]
    return lost


def _decoder(video: Video, limits: Limits) -> VideoCodecContext:
    stream = video.stream
    decoder = stream.codec_context
    limits.check_size(decoder.width, decoder.height, "The video")
    if stream.metadata.get("alpha_mode") == "1" and decoder.name in _DECODERS_WITH_ALPHA:
        extradata = decoder.extradata
        decoder = cast(VideoCodecContext, VideoCodecContext.create(_DECODERS_WITH_ALPHA[decoder.name], "r"))
        decoder.extradata = extradata
    decoder.thread_type = "AUTO"
    decoder.options = {"max_pixels": str(limits.max_pixels)}  # the size may grow on the way
    return decoder


def _decoded(decoder: VideoCodecContext, packet: "Packet[VideoStream] | None") -> list[VideoFrame] | None:
    """The pictures that come out of a decoder when a packet goes in (None: the last ones); None: a fault."""
    try:
        return decoder.decode(packet)
    except av.error.FFmpegError:
        return None
