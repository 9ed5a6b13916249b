"""Clips as frames: what a file holds, and its frames in order, whatever kind of file it is."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.clips.deep_pixels import common_levels
from model.clips.image_sequences import (
    ImageSequence,
    check_same_size,
    common_size,
    looks_like_zip,
    open_folder,
    open_zip,
    sequence_levels,
)
from model.clips.images import image_range, image_size, looks_like_image, read_image
from model.clips.limits import Limits
from model.clips.video_files import header_frames, probe_video, read_video, video_size, video_times
from model.core.errors import BadInput
from model.core.progress import Say, say_nothing

Kind = Literal["video", "image", "images"]
ClipPath = str | os.PathLike[str]

_DEFAULT_LIMITS = Limits()
_IMAGE_BYTES = 16  # for each pixel: 16-bit RGBA as it is decoded, and as 8 bits on the way to RGB
_VIDEO_BYTES = 32  # for each pixel: some frames in a decoder of several threads


@dataclass(frozen=True)
class ClipInfo:
    """What a clip holds.

    kind: "video" (a GIF too), "image" (one image file) or "images" (a folder or zip of images).
    width, height: of a frame as displayed (after rotation), pixels.
    frames: how many.
    fps: frames per second, on average where it varies; 0 for images.
    remark: a sentence for people on how its pictures are shown, if they are not as they are stored; or "".
    """

    kind: Kind
    width: int
    height: int
    frames: int
    fps: float
    remark: str = ""

    @property
    def duration(self) -> float:
        """Seconds; 0 where fps is 0."""
        return self.frames / self.fps if self.fps else 0.0


def probe(path: ClipPath, limits: Limits = _DEFAULT_LIMITS) -> ClipInfo:
    """Find out what a clip holds; only its first frame is decoded.

    A video's frames are counted by reading through its packets, because headers may be wrong, and by decoding
    them where those do not tell; the headers of all images are read. The kind is found from the content, not
    from the file's name.

    path: a video, a GIF, an image, a zip of images, or a folder of images (natural order of their names).
    Raises BadInput when it cannot be used: missing, empty, damaged, cut short, of an unknown kind, without
    pictures, with images of different sizes, or beyond `limits`.
    """
    clip = Path(path)
    kind = clip_kind(clip)
    if kind == "video":
        height, width, frames, fps = probe_video(clip, limits)
        return ClipInfo(kind, width, height, frames, fps)
    if kind == "image":
        with clip.open("rb") as file:
            found = image_range(file, limits)
            height, width = read_image(file, limits).shape[:2]
        remark = common_levels([found]).remark if found else ""
        return ClipInfo(kind, width, height, frames=1, fps=0.0, remark=remark)
    with _open_sequence(clip, limits) as sequence:
        height, width = common_size(sequence)
        levels = sequence_levels(sequence)
        sequence.read(0, levels)
        remark = levels.remark if levels else ""
        return ClipInfo(kind, width, height, frames=len(sequence.names), fps=0.0, remark=remark)


def decoding_bytes(path: ClipPath, limits: Limits = _DEFAULT_LIMITS) -> int:
    """Return about how much memory it takes to decode one frame of a clip, from headers alone.

    Raises BadInput as `probe`, as far as headers tell.
    """
    clip = Path(path)
    kind = clip_kind(clip)
    if kind == "video":
        return _VIDEO_BYTES * int(np.prod(video_size(clip)))
    if kind == "image":
        with clip.open("rb") as file:
            return _IMAGE_BYTES * int(np.prod(image_size(file, limits)))
    with _open_sequence(clip, limits) as sequence:
        return _IMAGE_BYTES * int(np.prod(sequence.size(0)))


def quick_probe(path: ClipPath) -> tuple[int, float]:
    """Return about how many frames a clip has, and how many a second, from a video's header; images have 0.

    It is quick, and believes the header; `probe` is exact. Raises BadInput as `probe`.
    """
    clip = Path(path)
    told = header_frames(clip) if clip_kind(clip) == "video" else None
    if told is not None:
        return told
    info = probe(clip)
    return info.frames, info.fps


def frame_times(path: ClipPath) -> NDArray[np.float64]:
    """Return when each frame of a video is shown: float64 `[frames]`, seconds from the first one on.

    Raises BadInput as `probe`, and for images, which have no times.
    """
    clip = Path(path)
    if clip_kind(clip) != "video":
        raise BadInput("Images have no times; name the frames by number instead.")
    return video_times(clip, _DEFAULT_LIMITS)


def read_frames(
    path: ClipPath,
    *,
    start: int = 0,
    step: int = 1,
    count: int | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    say: Say = say_nothing,
) -> Iterator[NDArray[np.uint8]]:
    """Read frames `start`, `start + step`, ... in order, at most `count` of them, as the slice of a list.

    The file is read once, in order; one frame is held in memory at a time, however long the clip. Frames
    go by index also where the frame rate varies. Beyond the clip's end there is nothing; a damaged video may
    end before the last of the frames that `probe` counts.

    say: told once of pictures that cannot be decoded.
    Yields uint8 `[H, W, 3]`, RGB, upright, alpha composited over white, 16 bits scaled to 8 (the range that
    the clip fills, where that is small).
    Raises BadInput as `probe`, when the read reaches the fault; ValueError for a negative start or count,
    or a step below 1.
    """
    if start < 0 or step < 1 or (count is not None and count < 0):
        raise ValueError(f"start {start}, step {step}, count {count} do not name frames of a clip.")
    if count == 0:
        return iter(())
    clip = Path(path)
    kind = clip_kind(clip)
    if kind == "video":
        return read_video(clip, start, step, count, limits, say)
    if kind == "image":
        return iter([_read_single(clip, limits)] if start == 0 else [])
    return islice(_read_sequence(clip, start, step, limits), count)


def read_frame(path: ClipPath, index: int, limits: Limits = _DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Read one frame, uint8 `[H, W, 3]` RGB as `read_frames` gives it.

    A long video is not decoded from its start where its format allows to seek.

    Raises BadInput as `probe`, and when the clip has no frame `index` (they count from 0).
    """
    if index >= 0:
        for frame in read_frames(path, start=index, count=1, limits=limits):
            return frame
    raise BadInput(
        f"The clip has no frame {index}; its frames count from 0 to {probe(path, limits).frames - 1}."
    )


def clip_kind(path: Path) -> Kind:
    """Return the kind of clip that a file or folder is, by its first bytes; "video" for what is unknown.

    Raises BadInput when it is missing, empty, or of a kind that is known not to be read.
    """
    try:
        if path.is_dir():
            return "images"
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError as error:
        raise BadInput(f"There is no file or folder {path.name}.") from error
    except OSError as error:
        raise BadInput(f"The file {path.name} cannot be opened ({error.strerror}).") from error
    if not head:
        raise BadInput("The file is empty; choose a video, an image or a zip of images.")
    if looks_like_zip(head):
        return "images"
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        raise BadInput(
            "The file is a Python pickle, as TAP-Vid's data sets are, and is not read, since that could run "
            "code; in Python, save each clip's `video` as images and its `points` and `occluded` with "
            "numpy.savez as tracks.npz beside them, which `evaluate tracker` takes (docs/evaluation.md)."
        )
    if head.startswith(b"\x93NUMPY"):
        raise BadInput("The file is a NumPy array; save its pictures as images or as a video.")
    return "image" if looks_like_image(head) else "video"


def _read_single(path: Path, limits: Limits) -> NDArray[np.uint8]:
    with path.open("rb") as file:
        return read_image(file, limits)


def _open_sequence(path: Path, limits: Limits) -> AbstractContextManager[ImageSequence]:
    return open_folder(path, limits) if path.is_dir() else open_zip(path, limits)


def _read_sequence(path: Path, start: int, step: int, limits: Limits) -> Iterator[NDArray[np.uint8]]:
    with _open_sequence(path, limits) as sequence:
        size = sequence.size(0)
        levels = sequence_levels(sequence)
        for index in range(start, len(sequence.names), step):
            image = sequence.read(index, levels)
            check_same_size(sequence, index, (image.shape[0], image.shape[1]), size)
            yield image
