"""Video files through PyAV: mp4, mov, avi, webm, mkv and gif become frames."""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile, islice, pairwise
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.clips.images import composite_over_white
from model.clips.limits import Limits
from model.core.errors import BadInput

# Nothing else is let in: among FFmpeg's other formats are playlists that make it open further files and
# addresses.
_DEMUXERS = "mov,mp4,avi,matroska,webm,gif"
_SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # avi and gif do not seek to an exact frame
_CUT_SHORT = "The video is cut short: its end is missing; copy or download it again."
_DAMAGED = "The video is damaged and cannot be read to its end; copy or export it again."


def probe_video(path: Path, limits: Limits) -> tuple[int, int, int, float]:
    """Count the frames by reading through the file, and decode the first one only.

    Returns (height, width, frames, fps): the size as displayed, in pixels; fps on average, 0 where unknown.
    Raises BadInput when the file is no video, is cut short or damaged, or is too small or too large.
    """
    packets = _scan(path)
    if not packets.shown:
        raise BadInput("The video holds no frames.")
    first = next(read_video(path, 0, 1, 1, limits), None)
    if first is None:
        raise BadInput(_DAMAGED)
    return first.shape[0], first.shape[1], len(packets.shown), packets.average_rate


def header_frames(path: Path) -> int | None:
    """Return about how many frames a video has, from its header alone; None where that says nothing.

    Raises BadInput when the file is no video.
    """
    with _open(path) as (container, stream):
        if stream.frames:
            return int(stream.frames)
        rate = stream.average_rate or stream.guessed_rate
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            seconds = container.duration / av.time_base
        else:
            return None
        return round(seconds * float(rate)) if rate else None


def read_video(
    path: Path, start: int, step: int, count: int | None, limits: Limits
) -> Iterator[NDArray[np.uint8]]:
    """Decode every `step`-th frame from `start` on as uint8 `[H, W, 3]` RGB, upright; at most `count`.

    The file is read once, in order, and one frame is held at a time; a later `start` is reached from the
    keyframe before it where the format allows. Rotation and mirroring from the file's display matrix are
    applied (to quarter turns); alpha is composited over white, as for images. Pixels are the stored ones:
    a pixel aspect ratio is not applied.

    Raises BadInput as `probe_video` does, when the read reaches the fault.
    """
    stop = None if count is None else start + (count - 1) * step + 1
    size = upright = None
    for frame in islice(_frames_from(path, start, limits), 0, None if stop is None else stop - start, step):
        if upright is None:
            # Asked of one frame only: the matrix belongs to the whole video, and PyAV's side data refers
            # back to its frame, so that each frame would stay in memory until Python's cycle collector runs.
            upright = _Turn.of(frame)
        image = np.ascontiguousarray(upright.apply(_to_rgb(frame)))
        if size is None:
            limits.check_size(image.shape[1], image.shape[0], "The video")
            size = image.shape
        if image.shape != size:
            raise BadInput(
                f"The video changes its size from {size[1]}×{size[0]} to {image.shape[1]}×{image.shape[0]} "
                "pixels on the way; convert it to one size."
            )
        yield image


@dataclass(frozen=True)
class _Packets:
    """The packets of the shown frames, in the order of decoding; times in the stream's time base."""

    shown: "array[int]"
    decoding: "array[int]"
    keyframes: "array[int]"  # positions in `shown`
    average_rate: float
    format: str


@dataclass(frozen=True)
class _SeekPoint:
    decoding_time: int
    shown_time: int


def _scan(path: Path) -> _Packets:
    """Read through the packets of a whole file without decoding."""
    shown, decoding, keyframes = array("q"), array("q"), array("q")
    timed = True
    with _open(path) as (container, stream):
        for packet in _packets(container, stream):
            if packet.is_discard or _is_hidden(packet, stream):
                continue
            shown_time = packet.dts if packet.pts is None else packet.pts
            decoding_time = packet.pts if packet.dts is None else packet.dts
            timed = timed and shown_time is not None
            if packet.is_keyframe:
                keyframes.append(len(shown))
            shown.append(shown_time or 0)
            decoding.append(decoding_time or 0)
        if 0 < len(shown) < stream.frames and container.format.name == "avi":
            raise BadInput(_CUT_SHORT)
        rate = float(stream.average_rate or 0)
        if timed and len(shown) > 1 and stream.time_base and max(shown) > min(shown):
            rate = float((len(shown) - 1) / ((max(shown) - min(shown)) * stream.time_base))
        return _Packets(shown, decoding, keyframes, rate, container.format.name)


def _frames_from(path: Path, index: int, limits: Limits) -> Iterator[VideoFrame]:
    if index > 0:
        packets = _scan(path)
        if index >= len(packets.shown):
            return
        point = _seek_point(packets, index)
        if point is not None:
            with _open(path) as (container, stream):
                _seek(container, stream, point)
                target = point.shown_time
                frames = dropwhile(
                    lambda frame: frame.pts is None or frame.pts < target, _decode(container, stream, limits)
                )
                first = next(frames, None)
                if first is not None and first.pts == target:
                    yield first
                    yield from frames
                    return
            # The file's index led elsewhere; counting from the first frame is slower and always right.
    with _open(path) as (container, stream):
        yield from islice(_decode(container, stream, limits), index, None)


def _seek_point(packets: _Packets, index: int) -> _SeekPoint | None:
    """The last keyframe shown no later than frame `index`, or None where one must count from the start.

    Frames after it in decoding order may be shown before it and need the keyframe before that one; being
    shown later than it, the wanted frame is not among them.
    """
    order = sorted(packets.shown)
    if packets.format not in _SEEKABLE or any(a == b for a, b in pairwise(order)):
        return None
    target = order[index]
    before = [position for position in packets.keyframes if packets.shown[position] <= target]
    if not before or before[-1] == 0:
        return None
    return _SeekPoint(packets.decoding[before[-1]], target)


def _seek(container: InputContainer, stream: VideoStream, point: _SeekPoint) -> None:
    try:
        container.seek(point.decoding_time, stream=stream)
    except av.error.FFmpegError as error:
        raise BadInput(_DAMAGED) from error


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the container and choose its video stream."""
    _check_complete(path)
    try:
        # An absolute path: FFmpeg would take "a:b.mp4" for a protocol. Odd bytes in titles do no harm.
        container = av.open(
            str(path.absolute()),
            options={"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except av.error.FFmpegError as error:
        raise BadInput(
            "The file is no video or image that can be read; MP4, MOV, AVI, WebM, MKV, GIF, PNG, JPEG, WebP, "
            "TIFF, BMP and zips of images are."
        ) from error
    with container:
        yield container, _video_stream(container)


def _video_stream(container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise BadInput("The file has no video in it, only sound or other data; choose a file with pictures.")
    stream = streams[0]
    if stream.codec_context is None:
        raise BadInput("The video is stored with a codec that is not known here; convert it to H.264 (MP4).")
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all
    return stream


def _packets(container: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream]"]:
    """The stream's packets; the last one is the empty packet that makes a decoder give what it holds."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            raise BadInput(_DAMAGED) from error
        if packet is None:
            return
        if packet.is_corrupt:
            raise BadInput(_CUT_SHORT)
        yield packet


def _decode(container: InputContainer, stream: VideoStream, limits: Limits) -> Iterator[VideoFrame]:
    context = stream.codec_context
    limits.check_size(context.width, context.height, "The video")
    context.thread_type = "AUTO"
    context.options = {"max_pixels": str(limits.max_pixels)}  # the size may grow on the way
    for packet in _packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            raise BadInput(_DAMAGED) from error
        yield from frames


def _is_hidden(packet: "Packet[VideoStream]", stream: VideoStream) -> bool:
    """Whether the packet shows no frame: the empty last one, or by VP8's show_frame bit (RFC 6386, 9.1)."""
    return packet.size == 0 or (stream.codec_context.name == "vp8" and not bytes(packet)[0] & 0x10)


def _to_rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    if any(component.is_alpha for component in frame.format.components) or frame.format.has_palette:
        image = composite_over_white(np.asarray(frame.to_ndarray(format="rgba"), dtype=np.uint8))
    else:
        image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    return image


@dataclass(frozen=True)
class _Turn:
    """From the stored picture to the upright one: first transposed or not, then mirrored or not."""

    transposed: bool = False
    mirrored_down: bool = False
    mirrored_across: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> "_Turn":
        """Read the display matrix: x' = a·x + c·y, y' = b·x + d·y; only quarter turns and mirrors count.

        Its nine 32-bit numbers are a b u, c d v, x y w (ISO/IEC 14496-12, 6.2.2; libavutil/display.h).
        """
        try:
            matrix = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:
            # PyAV 18 cannot list side data when one is of a kind it does not know (EXIF in Motion JPEG); it
            # still reads the rotation (counter-clockwise), though not a mirroring.
            turns = round(frame.rotation / 90) % 4
            return cls(turns % 2 == 1, turns in (1, 2), turns in (2, 3))
        if not isinstance(matrix, SideData):
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, mirrored_down=d < 0, mirrored_across=a < 0)
        return cls(True, mirrored_down=b < 0, mirrored_across=c < 0)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a stored picture `[H, W, 3]` upright; a view of it."""
        if self.transposed:
            image = image.transpose(1, 0, 2)
        return image[:: -1 if self.mirrored_down else 1, :: -1 if self.mirrored_across else 1]


def _check_complete(path: Path) -> None:
    """Raise BadInput when the outermost structure declares more bytes than the file has."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            missing = _mp4_end(file, size) > size
        elif head.startswith(b"RIFF"):
            missing = int.from_bytes(head[4:8], "little") > size
        elif head.startswith(b"\x1a\x45\xdf\xa3"):
            missing = _matroska_end(head) > size
        else:
            missing = False
    if missing:
        raise BadInput(_CUT_SHORT)


def _mp4_end(file: IO[bytes], size: int) -> int:
    """Where the last box with media or its index ends, by its own account (ISO/IEC 14496-12, 4.2)."""
    position = end = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the length follows in 64 bits
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return max(end, size)
        position += length
        if header[4:8] in (b"moov", b"mdat", b"moof"):
            end = position
    return end


def _matroska_end(head: bytes) -> int:
    """Where the segment ends, by its own account, 0 where it is not told (RFC 8794; RFC 9559, 5.1)."""
    position = 4
    length, position = _ebml_number(head, position)
    position += length
    if head[position : position + 4] != b"\x18\x53\x80\x67":
        return 0
    length, position = _ebml_number(head, position + 4)
    return position + length


def _ebml_number(head: bytes, position: int) -> tuple[int, int]:
    """A variable-length number and the position behind it; all ones mean an unknown length, given as 0."""
    first = head[position] if position < len(head) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(head[position : position + width], "big") & ((1 << 7 * width) - 1)
    return (0 if value == (1 << 7 * width) - 1 else value), position + width
