"""Single images: an encoded picture becomes 8-bit RGB as a viewer would show it."""

from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from model.clips.deep_pixels import BAND, Levels, as_8_bit, common_levels, deep_pixels, is_deep, value_range
from model.clips.limits import Limits
from model.core.errors import BadInput

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".hif"}
    | {".avif"}
)
"""File name endings that mark a member of a folder or zip as an image; a single file goes by its content."""

KINDS = "PNG, JPEG, WebP, TIFF, BMP, HEIC and AVIF"
"""The kinds of images that are read, for sentences."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "HEIF", "AVIF")
# Brands of files that hold pictures in the boxes of an MP4 (ISO/IEC 23008-12, 10; AV1 Image File Format, 6).
_STILL_BRANDS = frozenset(
    {b"mif1", b"mif2", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
    | {b"avif", b"avis", b"miaf"}
)
_SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that swap width and height

# What Pillow raises for damaged files, found by damaging many: its decoders let more than OSError through.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, RuntimeError)

register_heif_opener()  # Pillow itself reads AVIF, but no HEIC


def looks_like_image(head: bytes) -> bool:
    """Whether a file that starts with `head` (64 bytes, or all) is an image of a kind that is read here."""
    return (
        head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*"))
        or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")
        or (head.startswith(b"BM") and head[6:10] == b"\0\0\0\0")
        or (head[4:8] == b"ftyp" and not _STILL_BRANDS.isdisjoint(_brands(head)))
    )


def _brands(head: bytes) -> set[bytes]:
    """The major and compatible brands in a file type box, as far as `head` goes (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}


def image_size(file: IO[bytes], limits: Limits, what: str = "The image") -> tuple[int, int]:
    """Return (height, width) in pixels, upright, from the header alone: nothing is decoded.

    file: an open, seekable file; it stays open.
    what: names the image at the start of an error's sentence.
    Raises BadInput when it cannot be read or is too small or too large.
    """
    image, orientation = _open(file, limits, what)
    with image:
        width, height = _upright_size(image, orientation)
    return height, width


def read_image(
    file: IO[bytes], limits: Limits, what: str = "The image", levels: Levels | None = None
) -> NDArray[np.uint8]:
    """Decode one image to uint8 `[H, W, 3]` RGB.

    The EXIF orientation is applied (in a PNG, where it stands before the pixels). 16-bit values are scaled to
    8 bits (v / 257, rounded), never clipped; those that fill a small part of their range are stretched.
    Alpha is composited over white, which is what a browser or a document shows behind a transparent picture,
    so points are tracked on what people see.

    file: an open, seekable file; it stays open.
    what: names the image at the start of an error's sentence.
    levels: of the clip that a 16-bit image belongs to; None: its own.
    Raises BadInput when it cannot be read or is too small or too large.
    """
    image, orientation = _open(file, limits, what)
    with image:
        try:
            if is_deep(image):
                pixels = _deep(image, file, what)
                upright = as_8_bit(pixels, levels or common_levels([value_range(pixels)]))
            else:
                image.load()
                upright = image
            if orientation != 1:
                upright.getexif()[ExifTags.Base.Orientation] = orientation
                ImageOps.exif_transpose(upright, in_place=True)
        except _DAMAGE as error:
            raise _damaged(what) from error
        return _to_rgb(upright, what)


def image_range(file: IO[bytes], limits: Limits, what: str = "The image") -> tuple[int, int] | None:
    """Return the least and the largest value of a 16-bit image; None for others. Raises as `read_image`."""
    image, _ = _open(file, limits, what)
    with image:
        return value_range(_deep(image, file, what)) if is_deep(image) else None


def _deep(image: ImageFile.ImageFile, file: IO[bytes], what: str) -> NDArray[np.uint16]:
    try:
        pixels = deep_pixels(image, file)
    except (*_DAMAGE, cv2.error) as error:
        raise _damaged(what) from error
    if pixels is None:
        raise _damaged(what)
    return pixels


def composite_over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay uint8 `[H, W, 4]` pixels with straight (not premultiplied) alpha over white: uint8 `[H, W, 3]`."""
    colour = rgba[..., :3].astype(np.uint16)
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _open(file: IO[bytes], limits: Limits, what: str) -> tuple[ImageFile.ImageFile, int]:
    """Open an image whose header is in order, with the orientation still to be applied."""
    try:
        image = Image.open(file, formats=_FORMATS)
        orientation = _orientation(image)
        pictures = int(getattr(image, "n_frames", 1))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInput(
            f"{what} has more pixels than the {limits.max_pixels / 1e6:g} million that are accepted; "
            "make it smaller first."
        ) from error
    except UnidentifiedImageError as error:
        raise BadInput(f"{what} is damaged or of an unknown kind; {KINDS} are read.") from error
    except _DAMAGE as error:
        raise _damaged(what) from error
    limits.check_size(*_upright_size(image, orientation), what)
    if is_deep(image) and image.mode in ("RGB", "RGBA", "LA"):  # 6 or 8 bytes a pixel, beside the 8-bit ones
        _check_deep_colours(image, limits, what)
    # MPO is what many phones write: a JPEG that carries further pictures (a depth map) behind the photograph.
    if image.format != "MPO" and pictures > 1:
        raise BadInput(
            f"{what} holds {pictures} pictures (an animation or several pages); save it as a GIF, a video or "
            "single images."
        )
    return image, orientation


def _check_deep_colours(image: Image.Image, limits: Limits, what: str) -> None:
    if 2 * image.width * image.height > limits.max_pixels:
        raise BadInput(
            f"{what} has {image.width}×{image.height} pixels in 16-bit colour; at most "
            f"{limits.max_pixels / 2e6:g} million are accepted, so make it smaller or save it with 8 bits."
        )


def _damaged(what: str) -> BadInput:
    return BadInput(f"{what} is damaged or cut short; export or copy it again.")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation still to be applied, 1 (upright) to 8."""
    if image.format == "TIFF":
        return 1  # Pillow turns a TIFF itself and reports its size as turned
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the pixels to look behind them
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if value in range(1, 9) else 1


def _upright_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """(width, height)."""
    return (image.height, image.width) if orientation in _SIDEWAYS else image.size


def _to_rgb(image: Image.Image, what: str) -> NDArray[np.uint8]:
    if image.mode in ("I", "F"):
        raise BadInput(
            f"{what} has 32 bits a channel, whose range is not defined; save it with 8 or 16 bits."
        )
    has_alpha = image.has_transparency_data
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, BAND):
        band = image.crop((0, top, image.width, min(top + BAND, image.height)))
        pixels = np.asarray(band.convert("RGBA" if has_alpha else "RGB"))
        rgb[top : top + BAND] = composite_over_white(pixels) if has_alpha else pixels
    return rgb
