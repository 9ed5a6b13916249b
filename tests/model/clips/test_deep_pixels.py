"""16-bit pictures whose values fill little of the range are stretched, alike over a clip, and it is said."""

import cv2
import numpy as np
import pytest
from PIL import Image

from model.clips.video import probe, read_frame, read_frames
from model.core.errors import BadInput
from tests.media import texture, write_zip

REMARK = "between 100 and 500"


def counts(seed: int, low: int = 100, high: int = 500) -> np.ndarray:
    """A 16-bit picture, `[H, W, 3]`, whose values are exactly low to high."""
    picture = texture(48, 64, seed).astype(np.float64)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return (low + picture * (high - low)).round().astype(np.uint16)


def write(path, pixels):
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("is_grey", [True, False], ids=["grey", "colour"])
def test_a_picture_of_low_counts_is_stretched(tmp_path, suffix, is_grey):
    pixels = counts(0)
    if is_grey:
        pixels = pixels[..., 0].copy()
        pixels[0, :2] = 100, 500
    path = write(tmp_path / f"a{suffix}", pixels)
    expected = np.round((pixels.astype(np.float64) - 100) * 255 / 400)
    expected = np.dstack([expected] * 3) if is_grey else expected
    assert np.abs(read_frame(path, 0) - expected).max() <= 1
    assert REMARK in probe(path).remark


def test_a_clip_has_one_range(tmp_path):
    """A darker picture stays darker: the range is the clip's, not each picture's."""
    pictures = [counts(0), counts(1, 100, 300), counts(2, 200, 400)]
    for index, pixels in enumerate(pictures):
        write(tmp_path / f"{index}.png", pixels)
    zipped = write_zip(
        tmp_path.parent / f"{tmp_path.name}.zip",
        {f"{index}.png": (tmp_path / f"{index}.png").read_bytes() for index in range(3)},
    )
    for path in (tmp_path, zipped):
        assert REMARK in probe(path).remark
        for index, frame in enumerate(read_frames(path)):
            expected = np.round((pictures[index].astype(np.float64) - 100) * 255 / 400)
            assert np.abs(frame - expected).max() <= 1
            assert np.array_equal(read_frame(path, index), frame)


def test_the_whole_range_is_left_as_it_is(tmp_path):
    path = write(tmp_path / "a.png", counts(0, 0, 65535))
    assert probe(path).remark == ""
    assert np.array_equal(read_frame(path, 0), np.round(counts(0, 0, 65535) / 257))
    flat = write(tmp_path / "flat.png", np.full((16, 16), 300, np.uint16))
    assert probe(flat).remark == ""
    assert (read_frame(flat, 0) == 1).all()


def test_alpha_is_not_stretched(tmp_path):
    alpha = np.full((48, 64), 65535, np.uint16)
    alpha[:, :32] = 0
    pixels = np.dstack([counts(0)[..., ::-1], alpha])
    assert cv2.imwrite(str(tmp_path / "a.png"), pixels)
    frame = read_frame(tmp_path / "a.png", 0)
    assert (frame[:, :32] == 255).all()
    assert np.array_equal(frame[:, 32:], read_frame(write(tmp_path / "b.png", counts(0)), 0)[:, 32:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_sixteen_bit_colour_is_upright(tmp_path, orientation):
    """As Pillow turns the same picture in 8 bits."""
    pixels = counts(0, 0, 65535)
    for suffix in (".png", ".tif"):
        path = write(tmp_path / f"deep{suffix}", pixels)
        exif = Image.Exif()
        exif[0x0112] = orientation
        small = Image.fromarray(np.round(pixels / 257).astype(np.uint8))
        small.save(tmp_path / f"small{suffix}", exif=exif)
        if suffix == ".tif":
            content = bytearray(path.read_bytes())
            entry = content.find(b"\x12\x01\x03\x00\x01\x00\x00\x00")
            if entry < 0:
                continue  # OpenCV's TIFF does not say it
            content[entry + 8] = orientation
            path.write_bytes(content)
        else:
            content = path.read_bytes()
            chunk = (tmp_path / "small.png").read_bytes()
            begin = chunk.index(b"eXIf") - 4
            length = int.from_bytes(chunk[begin : begin + 4], "big") + 12
            path.write_bytes(content[:33] + chunk[begin : begin + length] + content[33:])
        assert np.array_equal(read_frame(path, 0), read_frame(tmp_path / f"small{suffix}", 0))


@pytest.mark.parametrize(
    ("content", "pattern"),
    [(b"\x80\x04\x95abc", "Python pickle, as TAP-Vid's"), (b"\x93NUMPY\1\0", "NumPy array")],
)
def test_arrays_of_data_sets_are_told_how_to_convert(tmp_path, content, pattern):
    path = tmp_path / "tapvid_davis.pkl"
    path.write_bytes(content + bytes(100))
    with pytest.raises(BadInput, match=pattern):
        probe(path)
