"""Video files through PyAV: the container is opened, is whole, and has one stream that is the picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from model.clips.images import KINDS
from model.core.errors import BadInput

# Nothing else is let in: among FFmpeg's other formats are playlists that make it open further files and
# addresses.
_DEMUXERS = "mov,mp4,avi,matroska,webm,gif"
# In these each packet has the time of its picture, and one can seek to it; avi has decoding times only.
_TIMED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
_NO_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_CUT_SHORT = (
    "The video is cut short: its end is missing; copy or download it again, or wait until it is recorded."
)
_UNFINISHED = (
    "The recording was not finished: the list of its pictures (moov), which is written at the end, is "
    "missing; stop the recording properly, wait until it is copied, or repair the file."
)
# Codecs whose smallest pictures are smaller than this many bytes: a codec's own "as before".
_TERSE_CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
_NOT_CODED_BYTES = 9


@dataclass(frozen=True)
class Video:
    """An open video file and its stream of pictures."""

    container: InputContainer
    stream: VideoStream

    @property
    def is_timed(self) -> bool:
        """Whether pictures are known by their times, so that one can seek to them."""
        return self.container.format.name in _TIMED

    def packets(self) -> Iterator["Packet[VideoStream]"]:
        """Yield the packets with content, in the order of decoding, as far as the container can be read.

        Raises BadInput when it ends within a packet.
        """
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                return  # where the container is damaged, the video ends early
            if packet is None:
                return
            if packet.is_corrupt:
                raise BadInput(_CUT_SHORT)
            if packet.size > 0:  # frames that a camera dropped are empty; so is the sign of the end
                yield packet

    def is_hidden(self, packet: "Packet[VideoStream]") -> bool:
        """Whether a packet shows no picture: before the trimmed start, or by VP8's bit (RFC 6386, 9.1)."""
        return packet.is_discard or (self.stream.codec_context.name == "vp8" and not bytes(packet)[0] & 0x10)

    def is_doubtful(self, packet: "Packet[VideoStream]") -> bool:
        """Whether only a decoder can tell if a packet shows a picture.

        GIFs have packets of comments; MPEG-4 and others say "not coded" in a few bytes.
        """
        codec = self.stream.codec_context.name
        return codec == "gif" or (packet.size <= _NOT_CODED_BYTES and codec not in _TERSE_CODECS)


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Open a video file and choose its stream of pictures.

    Raises BadInput when it is no video, is not finished or cut short, or has no pictures that can be decoded.
    """
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
            "The file is no video or image that can be read; MP4, MOV, AVI, WebM, MKV, GIF, "
            f"{KINDS}, and zips of images are."
        ) from error
    with container:
        stream = _picture_stream(path, container)
        if stream.codec_context is None:
            raise BadInput(
                "The video is stored with a codec that is not known here; convert it to H.264 (MP4)."
            )
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        yield Video(container, stream)


def _picture_stream(path: Path, container: InputContainer) -> VideoStream:
    """The default stream, else the largest; no cover, no thumbnail, and no single picture beside a video."""
    streams = [stream for stream in container.streams.video if not stream.disposition & _NO_PICTURE]
    if not streams:
        raise BadInput("The file has no video in it, only sound or other data; choose a file with pictures.")
    if len(streams) > 1:
        moving = _moving_streams(path)
        streams = [stream for stream in streams if stream.index in moving] or streams
    streams = [stream for stream in streams if stream.disposition & Disposition.default] or streams
    return max(streams, key=lambda stream: stream.width * stream.height if stream.codec_context else 0)


def _moving_streams(path: Path) -> set[int]:
    """The indices of the streams that have more than one packet."""
    seen: set[int] = set()
    moving: set[int] = set()
    with av.open(str(path.absolute()), options={"format_whitelist": _DEMUXERS}) as container:
        videos = container.streams.video
        try:
            for packet in container.demux(videos):
                if packet.size:
                    (moving if packet.stream.index in seen else seen).add(packet.stream.index)
                if len(moving) == len(videos):
                    break
        except av.error.FFmpegError:
            pass  # what is left cannot be read anyway
    return moving


def _check_complete(path: Path) -> None:
    """Raise BadInput when the outermost structure declares more bytes than there are, or lacks its index."""
    size = path.stat().st_size
    is_unfinished = False
    with path.open("rb") as file:
        head = file.read(64)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end, kinds = _mp4_boxes(file, size)
            is_unfinished = b"mdat" in kinds and not kinds & {b"moov", b"moof"}
        elif head.startswith(b"RIFF"):
            end = _riff_end(file, size)
        elif head.startswith(b"\x1a\x45\xdf\xa3"):
            end = _matroska_end(head)
        else:
            end = 0
    if end > size:
        raise BadInput(_CUT_SHORT)
    if is_unfinished:
        raise BadInput(_UNFINISHED)


def _mp4_boxes(file: IO[bytes], size: int) -> tuple[int, set[bytes]]:
    """Where the last box with media or its index ends, and which kinds there are (ISO/IEC 14496-12, 4.2)."""
    position = end = 0
    kinds = set()
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        kinds.add(header[4:8])
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the length follows in 64 bits
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return max(end, size), kinds
        position += length
        if header[4:8] in (b"moov", b"mdat", b"moof"):
            end = position
    return end, kinds


def _riff_end(file: IO[bytes], size: int) -> int:
    """Where the file, and each of its lists, ends by its own account (AVI RIFF File Reference)."""
    file.seek(4)
    end = int.from_bytes(file.read(4), "little")
    position = 12
    while position + 8 <= size:
        file.seek(position + 4)
        length = int.from_bytes(file.read(4), "little")
        end = max(end, position + 8 + length)
        position += 8 + length + length % 2
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
