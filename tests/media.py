"""Real media files of the tests' own making, good and bad. Every writer returns the path it wrote."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

CODECS = {
    ".mp4": "libx264",
    ".mov": "libx264",
    ".mkv": "libx264",
    ".avi": "mpeg4",
    ".webm": "libvpx-vp9",
    ".gif": "gif",
}


def texture(height: int, width: int, seed: int = 0) -> Picture:
    """A picture with structure at several scales, uint8 `[H, W, 3]`: every place looks different."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), dtype=np.float32)
    for cell in (32, 16, 8):
        coarse = random.random((height // cell + 2, width // cell + 2, 3), dtype=np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.round(picture * 255).astype(np.uint8)


def moving_frames(
    frames: int = 16, size: tuple[int, int] = (96, 128), velocity: tuple[float, float] = (2.0, 1.0)
) -> list[Picture]:
    """A texture that moves as a whole: what is at (x, y) in frame 0 is at (x, y) + t · velocity in frame t.

    size: (height, width). velocity: (x, y), pixels per frame.
    """
    height, width = size
    margin_x, margin_y = (int(abs(v) * frames) + 2 for v in velocity)
    large = texture(height + 2 * margin_y, width + 2 * margin_x)
    result = []
    for t in range(frames):
        shift = np.array(
            [[1, 0, velocity[0] * t - margin_x], [0, 1, velocity[1] * t - margin_y]], dtype=np.float64
        )
        result.append(cv2.warpAffine(large, shift, (width, height), flags=cv2.INTER_LINEAR).astype(np.uint8))
    return result


def moving_clip(
    path: Path,
    frames: int = 16,
    size: tuple[int, int] = (96, 128),
    velocity: tuple[float, float] = (2.0, 1.0),
    fps: int = 25,
) -> Path:
    """Write `moving_frames` as a video of the kind that the path's ending names."""
    return write_video(path, moving_frames(frames, size, velocity), fps=fps)


def write_video(
    path: Path,
    pictures: Sequence[Picture],
    *,
    fps: int = 25,
    codec: str | None = None,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    pix_fmt: str | None = None,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    hflip: bool = False,
    vflip: bool = False,
) -> Path:
    """Encode pictures, near-lossless by default; the path's ending chooses container and codec.

    times: a time for each frame in 1/1000 s, for a variable frame rate.
    rotation, hflip, vflip: the display matrix; degrees counter-clockwise.
    """
    codec = codec or CODECS[path.suffix]
    if options is None:
        options = {"libx264": {"crf": "10", "g": "12", "bf": "2"}, "mpeg4": {"qscale": "2"}}.get(codec, {})
    with av.open(path, "w", options=dict(container_options or {})) as container:
        stream = container.add_stream(codec, rate=fps, options=dict(options))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt or {"gif": "rgb8", "ffv1": "yuv444p"}.get(codec, "yuv420p")
        if codec == "mpeg4":
            stream.bit_rate = 4_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation or hflip or vflip:
            stream.set_display_rotation(rotation, hflip=hflip, vflip=vflip)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgba" if picture.shape[2] == 4 else "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path, seconds: float = 0.5, rate: int = 16_000) -> Path:
    """A file with sound and no picture."""
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        samples = np.sin(np.arange(int(seconds * rate)) * 0.1).astype(np.float32)[None]
        for start in range(0, samples.shape[1], 1024):
            block = np.ascontiguousarray(samples[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(source: Path, target: Path, share: float) -> Path:
    """Write the first share (0 to 1) of a file's bytes."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


def write_image(path: Path, picture: NDArray[np.generic], **options: object) -> Path:
    """Write pixels with Pillow; the path's ending chooses the format."""
    Image.fromarray(picture).save(path, **options)
    return path


def encoded(picture: NDArray[np.generic], form: str = "PNG", **options: object) -> bytes:
    """A picture's bytes as a file of that Pillow format."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A small, valid PNG of black pixels of any size: 20,000×20,000 are some 50 kB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    row = bytes(1 + (width + 7) // 8)  # one bit a pixel
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def write_zip(
    path: Path,
    members: Mapping[str, bytes] | Iterable[tuple[str, bytes]],
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Write a zip with these names, as they are, and contents."""
    pairs = members.items() if isinstance(members, Mapping) else members
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return path


def zip_of_images(path: Path, pictures: Sequence[Picture], name: str = "frame{}.png") -> Path:
    """A zip of PNGs named frame0.png, frame1.png, ... frame10.png: natural order is not that of letters."""
    return write_zip(path, {name.format(index): encoded(picture) for index, picture in enumerate(pictures)})


def declare_sizes(path: Path, size: int) -> Path:
    """Make a zip lie: every entry declares `size` unpacked bytes, in its header and in the directory."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        directory = archive.start_dir
    position = directory
    for entry in entries:
        struct.pack_into("<I", content, entry.header_offset + 22, size)
        struct.pack_into("<I", content, position + 24, size)
        name, extra, comment = struct.unpack_from("<HHH", content, position + 28)
        position += 46 + name + extra + comment
    path.write_bytes(content)
    return path


def set_encrypted(path: Path) -> Path:
    """Mark every entry of a zip as encrypted."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        position = archive.start_dir
    for entry in entries:
        content[entry.header_offset + 6] |= 1
        content[position + 8] |= 1
        name, extra, comment = struct.unpack_from("<HHH", content, position + 28)
        position += 46 + name + extra + comment
    path.write_bytes(content)
    return path
