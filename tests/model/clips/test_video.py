"""Videos become the right frames, whatever their container, rotation and frame rate."""

import gc
from fractions import Fraction

import av
import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from model.clips.video import ClipInfo, probe, read_frame, read_frames
from model.core.errors import BadInput
from tests.media import (
    encoded,
    moving_frames,
    texture,
    write_video,
)
from tests.model.clips.conftest import SUFFIXES


def difference(a, b):
    """Mean absolute difference of two pictures in grey levels."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_container_gives_its_frames(clips, suffix):
    originals = moving_frames(30)
    info = probe(clips[suffix])
    frames = list(read_frames(clips[suffix]))
    assert info == ClipInfo("video", width=128, height=96, frames=30, fps=pytest.approx(25, rel=1e-3))
    assert info.duration == pytest.approx(1.2, rel=1e-3)
    assert len(frames) == 30
    assert all(frame.dtype == np.uint8 and frame.shape == (96, 128, 3) for frame in frames)
    assert all(frame.flags.c_contiguous for frame in frames)
    # rgb8 in the GIF has 8 levels of red and green and 4 of blue; the others lose little.
    limit = 25 if suffix == ".gif" else 6
    for index in (0, 13, 29):
        assert difference(frames[index], originals[index]) < limit
        others = [difference(frames[index], originals[other]) for other in range(30)]
        assert int(np.argmin(others)) == index


def test_kind_is_found_from_content_not_from_the_name(clips, tmp_path):
    for suffix in SUFFIXES:
        renamed = tmp_path / f"really{suffix}.png"
        renamed.write_bytes(clips[suffix].read_bytes())
        assert probe(renamed).frames == 30
    picture = tmp_path / "picture.mp4"
    picture.write_bytes(encoded(texture(20, 30)))
    assert probe(picture) == ClipInfo("image", width=30, height=20, frames=1, fps=0.0)


def test_awkward_names_are_only_names(clips, tmp_path):
    for name in ("http:a%03d.mp4", "pipe:0", "конь 🐎.mp4", "-i.mp4", "concat:a|b.mp4"):
        path = tmp_path / name
        path.write_bytes(clips[".mp4"].read_bytes())
        assert probe(path).frames == 30


# What a viewer sees for each display matrix, from the stored picture.
TURNED = {
    (90, False, False): lambda p: np.rot90(p, 1),
    (180, False, False): lambda p: np.rot90(p, 2),
    (-90, False, False): lambda p: np.rot90(p, 3),
    (0, True, False): lambda p: p[:, ::-1],
    (0, False, True): lambda p: p[::-1],
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("matrix", TURNED, ids=str)
def test_display_matrix_is_applied(folder, suffix, matrix):
    rotation, hflip, vflip = matrix
    path = folder / f"turned{rotation}{hflip}{vflip}{suffix}"
    stored = moving_frames(3)
    write_video(path, stored, rotation=rotation, hflip=hflip, vflip=vflip)
    expected = TURNED[matrix](stored[2])
    assert difference(list(read_frames(path))[2], expected) < 6
    info = probe(path)
    assert (info.height, info.width) == expected.shape[:2]


def test_motion_jpeg_with_exif_is_upright(folder):
    """A camera's AVI: FFmpeg attaches side data of a kind that PyAV does not know."""
    path = folder / "camera.avi"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = texture(48, 64)
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for index in range(3):
            packet = av.Packet(encoded(picture, "JPEG", quality=95, exif=exif.tobytes()))
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, index, index, True
            packet.time_base = Fraction(1, 10)
            container.mux(packet)
    frames = list(read_frames(path))
    assert len(frames) == probe(path).frames == 3
    assert difference(frames[0], np.rot90(picture, 3)) < 6


def test_variable_frame_rate_goes_by_index_and_averages(folder):
    times = [0, 40, 80, 500, 540, 1500, 1540, 2000]
    path = write_video(folder / "variable.mkv", moving_frames(8), times=times)
    info = probe(path)
    assert info.frames == len(list(read_frames(path))) == 8
    assert info.fps == pytest.approx(7 / 2.0, rel=1e-3)
    assert difference(read_frame(path, 5), moving_frames(8)[5]) < 6


def test_alpha_of_a_video_is_laid_over_white(folder):
    picture = np.dstack([np.full((32, 48, 3), 40, np.uint8), np.full((32, 48), 255, np.uint8)])
    picture[:, 24:, 3] = 0
    path = write_video(folder / "alpha.mkv", [picture] * 2, codec="ffv1", pix_fmt="bgra")
    frame = read_frame(path, 1)
    assert (frame[:, :24] == 40).all()
    assert (frame[:, 24:] == 255).all()


def test_ten_bit_video_is_scaled_to_eight(folder):
    pictures = [np.full((32, 48, 3), level, np.uint8) for level in (0, 128, 255)]
    path = write_video(folder / "deep.mkv", pictures, codec="ffv1", pix_fmt="yuv444p10le")
    assert [int(frame.mean()) for frame in read_frames(path)] == pytest.approx([0, 128, 255], abs=2)


def test_hidden_vp8_frames_are_not_counted(folder):
    """VP8's alternate reference frames are packets of their own that show nothing."""
    shown = write_video(folder / "vp8.webm", moving_frames(12), codec="libvpx")
    hidden = folder / "hidden.webm"
    with av.open(shown) as source, av.open(hidden, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size == 0:
                continue
            content = bytearray(bytes(packet))
            if index in (4, 7):
                content[0] &= ~0x10  # show_frame, RFC 6386 section 9.1
            copy = av.Packet(bytes(content))
            copy.stream, copy.pts, copy.dts = stream, packet.pts, packet.dts
            copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
            target.mux(copy)
    assert probe(hidden).frames == len(list(read_frames(hidden))) == 10


@pytest.fixture(scope="module")
def seekable(folder):
    """Clips whose frames are hard to seek: several GOPs, B-frames, open GOPs, intra only."""
    pictures = moving_frames(40, (48, 64), (1.0, 0.5))
    x264 = {"crf": "12", "g": "9", "bf": "3"}
    paths = [
        write_video(folder / "closed.mp4", pictures, options=x264),
        write_video(
            folder / "open.mp4",
            pictures,
            options=x264 | {"x264-params": "open-gop=1:scenecut=0:b-pyramid=strict"},
        ),
        write_video(folder / "open.mkv", pictures, options=x264 | {"x264-params": "open-gop=1:scenecut=0"}),
        write_video(folder / "intra.mov", pictures, options={"crf": "12", "g": "1"}),
        write_video(folder / "vp9.webm", pictures, options={"g": "10", "lag-in-frames": "8"}),
        write_video(folder / "simple.avi", pictures, options={"g": "10"}),
        write_video(folder / "simple.gif", pictures),
    ]
    return [(path, list(read_frames(path))) for path in paths]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 6),
    start=st.integers(0, 45),
    step=st.integers(1, 12),
    count=st.none() | st.integers(0, 45),
)
def test_reading_a_part_equals_slicing_the_whole(seekable, which, start, step, count):
    path, whole = seekable[which]
    expected = whole[start::step][:count]
    part = list(read_frames(path, start=start, step=step, count=count))
    assert len(part) == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(part, expected, strict=True))


def test_every_single_frame_can_be_read_alone(seekable):
    for path, whole in seekable:
        for index in range(0, 40, 3):
            assert np.array_equal(read_frame(path, index), whole[index]), (path.name, index)


def test_a_frame_beyond_the_end_is_named(clips):
    for index in (30, -1):
        with pytest.raises(BadInput, match=rf"no frame {index}; .* 0 to 29"):
            read_frame(clips[".mp4"], index)


@pytest.mark.parametrize("wrong", [{"start": -1}, {"step": 0}, {"count": -1}])
def test_wrong_arguments_are_refused_at_once(clips, wrong):
    with pytest.raises(ValueError, match="do not name frames"):
        read_frames(clips[".mp4"], **wrong)


@pytest.mark.slow
def test_a_long_video_needs_no_more_memory_than_a_short_one(folder):
    """Of the whole process, FFmpeg's own memory included, and without help from the cycle collector."""
    picture = texture(480, 640)
    path = write_video(
        folder / "long.mp4", [picture] * 600, options={"preset": "ultrafast", "crf": "30", "g": "250"}
    )
    process = psutil.Process()
    frames = read_frames(path)
    gc.collect()
    gc.disable()
    try:
        for _ in range(60):  # until the decoder's threads have their frames
            next(frames)
        before = process.memory_info().rss
        assert sum(1 for _ in frames) == 540
        grown = process.memory_info().rss - before
    finally:
        gc.enable()
    assert grown < 50 * picture.nbytes


def test_reading_half_and_dropping_the_rest_closes_the_file(clips):
    frames = read_frames(clips[".mp4"])
    next(frames)
    frames.close()
