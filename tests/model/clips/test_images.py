"""Single images become 8-bit RGB as a viewer shows them."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.clips.images import composite_over_white, image_size, looks_like_image, read_image
from model.clips.limits import Limits
from model.clips.video import ClipInfo, probe, read_frame, read_frames
from model.core.errors import BadInput
from tests.media import encoded, png_of_size, texture, write_image

LIMITS = Limits()


def decode(content: bytes):
    return read_image(io.BytesIO(content), LIMITS)


def rgb16_png(picture: np.ndarray) -> bytes:
    """A PNG with 16 bits a channel and `picture`'s channels (2: grey and alpha, 3: RGB, 4: RGBA)."""
    height, width, channels = picture.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_give_the_exact_pixels(form):
    picture = texture(20, 31)
    content = encoded(picture, form, **({"lossless": True} if form == "WEBP" else {}))
    assert looks_like_image(content[:16])
    assert np.array_equal(decode(content), picture)
    assert image_size(io.BytesIO(content), LIMITS) == (20, 31)


def test_jpeg_is_close():
    picture = texture(64, 64)
    frame = decode(encoded(picture, "JPEG", quality=98, subsampling=0))
    assert np.abs(frame.astype(int) - picture).mean() < 2


def test_grey_becomes_three_equal_channels():
    grey = texture(20, 30)[..., 0]
    frame = decode(encoded(grey))
    assert (frame == grey[..., None]).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(form):
    values = np.linspace(0, 65535, 24 * 32).round().astype(np.uint16).reshape(24, 32)
    frame = decode(encoded(values, form))
    expected = np.round(values / 257)
    assert (frame == expected[..., None]).all()
    assert frame.min() == 0
    assert frame.max() == 255


def test_sixteen_bit_colour_is_scaled_not_clipped():
    values = (texture(20, 30).astype(np.uint16) * 257)[..., :3]
    assert np.array_equal(decode(rgb16_png(values)), texture(20, 30))


def test_sixteen_bit_alpha_is_laid_over_white():
    values = np.zeros((16, 16, 4), np.uint16)
    values[:, :8, 3] = 65535
    frame = decode(rgb16_png(values))
    assert (frame[:, :8] == 0).all()
    assert (frame[:, 8:] == 255).all()


@given(colour=st.integers(0, 255), alpha=st.integers(0, 255))
def test_alpha_is_composited_over_white(colour, alpha):
    pixel = np.array([[[colour, colour, colour, alpha]]], np.uint8)
    expected = colour * alpha / 255 + 255 - alpha
    assert np.abs(composite_over_white(pixel) - expected).max() <= 0.5


def test_rgba_grey_alpha_and_palette_transparency():
    rgba = np.dstack([np.full((16, 16, 3), 100, np.uint8), np.full((16, 16), 51, np.uint8)])
    assert (decode(encoded(rgba)) == round(100 * 0.2 + 255 * 0.8)).all()

    buffer = io.BytesIO()
    Image.fromarray(rgba).convert("LA").save(buffer, "PNG")
    assert (decode(buffer.getvalue()) == round(100 * 0.2 + 255 * 0.8)).all()

    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([0, 0, 0, 200, 10, 20, 7, 7, 7])
    palette.paste(2, (0, 0, 8, 16))
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", transparency=2)
    frame = decode(buffer.getvalue())
    assert (frame[:, :8] == 255).all()
    assert (frame[:, 8:] == (200, 10, 20)).all()


def test_one_bit_and_palette():
    bits = np.zeros((16, 16), bool)
    bits[:, 8:] = True
    frame = decode(encoded(bits))
    assert (frame[:, :8] == 0).all()
    assert (frame[:, 8:] == 255).all()


def test_cmyk_jpeg():
    buffer = io.BytesIO()
    Image.new("CMYK", (32, 32), (255, 0, 0, 0)).save(buffer, "JPEG", quality=95)
    frame = decode(buffer.getvalue())
    assert np.abs(frame.astype(int) - (0, 255, 255)).max() < 6


UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: np.rot90(p, 2),
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 3),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_orientation(form, orientation):
    stored = texture(24, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif.tobytes() if form != "TIFF" else exif}
    if form in ("JPEG", "WEBP"):
        options |= {"quality": 97}
    content = encoded(stored, form, **options)
    expected = UPRIGHT[orientation](stored)
    frame = decode(content)
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 5
    assert image_size(io.BytesIO(content), LIMITS) == expected.shape[:2]


def test_multi_picture_photograph_of_a_phone():
    buffer = io.BytesIO()
    photograph, depth = (Image.fromarray(texture(32, 48, seed)) for seed in (0, 1))
    photograph.save(buffer, "MPO", save_all=True, append_images=[depth], quality=97)
    frame = decode(buffer.getvalue())
    assert np.abs(frame.astype(int) - texture(32, 48)).mean() < 4


def test_an_image_is_a_clip_of_one_frame(tmp_path):
    path = write_image(tmp_path / "one.png", texture(20, 30))
    info = probe(path)
    assert info == ClipInfo("image", width=30, height=20, frames=1, fps=0.0)
    assert info.duration == 0.0
    assert np.array_equal(read_frame(path, 0), texture(20, 30))
    assert [len(list(read_frames(path, start=start, count=1))) for start in (0, 1)] == [1, 0]
    with pytest.raises(BadInput, match="no frame 1"):
        read_frame(path, 1)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_animations_and_pages_are_refused_in_words(form):
    buffer = io.BytesIO()
    first, second = (Image.fromarray(texture(16, 16, seed)) for seed in (0, 1))
    first.save(buffer, form, save_all=True, append_images=[second])
    with pytest.raises(BadInput, match="holds 2 pictures"):
        decode(buffer.getvalue())


def test_floating_point_pixels_are_refused_in_words():
    with pytest.raises(BadInput, match="32 bits a channel"):
        decode(encoded(np.ones((16, 16), np.float32), "TIFF"))


@pytest.mark.parametrize("side", [10_000, 20_000, 60_000])
def test_decompression_bomb_is_seen_in_the_header(side):
    content = png_of_size(side, side) if side <= 20_000 else png_of_size(side, 8000)
    with pytest.raises(BadInput, match="million"):
        decode(content)


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 7)])
def test_too_small(size):
    with pytest.raises(BadInput, match="at least 8×8"):
        decode(encoded(texture(*size)))


FORMS = {
    "PNG": encoded(texture(24, 24)),
    "JPEG": encoded(texture(24, 24), "JPEG"),
    "WEBP": encoded(texture(24, 24), "WEBP"),
    "TIFF": encoded(texture(24, 24), "TIFF", compression="tiff_lzw"),
    "BMP": encoded(texture(24, 24), "BMP"),
}


# Pillow warns of damaged metadata and reads on.
DAMAGED_METADATA = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@DAMAGED_METADATA
@settings(max_examples=200, deadline=None)
@given(data=st.data(), form=st.sampled_from(sorted(FORMS)))
def test_a_cut_image_is_refused_or_whole(data, form):
    content = FORMS[form]
    piece = content[: data.draw(st.integers(0, len(content)))]
    try:
        frame = decode(piece)
    except BadInput:
        return
    assert np.array_equal(frame, decode(content))


@DAMAGED_METADATA
@settings(max_examples=300, deadline=None)
@given(data=st.data(), form=st.sampled_from(sorted(FORMS)))
def test_damage_anywhere_never_raises_another_error(data, form):
    content = bytearray(FORMS[form])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decode(bytes(content)).shape[2] == 3
    except BadInput:
        return
