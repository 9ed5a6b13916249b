"""From a decoded video frame to the upright RGB picture that a viewer shows."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.clips.images import composite_over_white
from model.clips.limits import Limits
from model.core.errors import BadInput

_UNSPECIFIED = 2  # ISO/IEC 23091-2, MatrixCoefficients


@dataclass(frozen=True)
class Display:
    """How the frames of one video are shown.

    turn: from the stored to the upright picture. pixel_aspect: width of a stored pixel by its height.
    """

    turn: "_Turn"
    pixel_aspect: Fraction

    @classmethod
    def of(cls, stream: VideoStream, frame: VideoFrame) -> "Display":
        """Read it from one frame only: it belongs to the whole video.

        PyAV's side data refers back to its frame, so that each frame would stay in memory until Python's
        cycle collector runs.
        """
        return cls(_Turn.of(frame), stream.sample_aspect_ratio or Fraction(1))

    def picture(self, frame: VideoFrame, limits: Limits) -> NDArray[np.uint8]:
        """Return a frame as uint8 `[H, W, 3]` RGB, upright, with square pixels (none is lost).

        Raises BadInput when it is too small or too large, or its colours cannot be converted.
        """
        width, height = frame.width, frame.height
        if self.pixel_aspect > 1:
            width = round(width * self.pixel_aspect)
        else:
            height = round(height / self.pixel_aspect)
        limits.check_size(width, height, "The video")
        return np.ascontiguousarray(self.turn.apply(_to_rgb(frame, width, height)))


def _to_rgb(frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """Return a frame at that size, uint8 `[H, W, 3]` RGB, alpha laid over white."""
    kind = frame.format
    has_alpha = kind.has_palette or any(component.is_alpha for component in kind.components)
    options: dict[str, Any] = {"width": width, "height": height, "format": "rgba" if has_alpha else "rgb24"}
    # Where nothing is said, players take BT.709 for HD and BT.601, which is swscale's default, below it.
    is_hd = frame.width >= 1280 or frame.height > 576
    if is_hd and frame.colorspace == _UNSPECIFIED and not kind.is_rgb and not kind.has_palette:
        options["src_colorspace"] = Colorspace.ITU709
    try:
        pixels = np.asarray(frame.to_ndarray(**options), dtype=np.uint8)
    except (av.error.FFmpegError, ValueError) as error:
        raise BadInput(
            f"The video's colours cannot be converted to RGB (pixel format {kind.name}, colour matrix "
            f"{int(frame.colorspace)}); export it with the usual ones, yuv420p and BT.709."
        ) from error
    return composite_over_white(pixels) if has_alpha else pixels


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
