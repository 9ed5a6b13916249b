"""Videos become the right frames, and bad files become one sentence."""

import gc
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from model.clips.video import ClipInfo, Limits, probe, read_frame, read_frames
from model.core.errors import BadInput
from tests.media import (
    cut,
    encoded,
    moving_clip,
    moving_frames,
    png_of_size,
    texture,
    write_audio,
    write_image,
    write_video,
)

SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif")


def difference(a, b):
    """Mean absolute difference of two pictures in grey levels."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def clips(folder):
    """One moving clip of 30 frames in each container."""
    return {suffix: moving_clip(folder / f"clip{suffix}", frames=30) for suffix in SUFFIXES}


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


# --- bad input: one sentence each ---


def check_refused(path: Path, pattern: str) -> None:
    for read in (probe, lambda p: list(read_frames(p))):
        with pytest.raises(BadInput, match=pattern) as caught:
            read(path)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert sentence.endswith(".")


def test_missing_file(tmp_path):
    check_refused(tmp_path / "nothing.mp4", r"no file or folder nothing\.mp4")


def test_empty_file(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    check_refused(path, "empty")


@pytest.mark.parametrize(
    "content",
    [
        b"This is a text and no video.\n" * 50,
        b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<html><body>Not found</body></html>",
        b"%PDF-1.7\n" + bytes(1000),
        bytes(5000),
    ],
    ids=["text", "playlist", "concat", "html", "pdf", "zeros"],
)
def test_other_content_renamed_to_mp4(tmp_path, content):
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    check_refused(path, "no video or image that can be read; MP4")


def test_sound_only(tmp_path):
    check_refused(write_audio(tmp_path / "sound.mp4"), "no video in it")


def test_cover_art_is_no_video(tmp_path):
    sound = write_audio(tmp_path / "plain.m4a")
    path = tmp_path / "cover.m4a"
    with av.open(sound) as source, av.open(path, "w", format="mp4") as target:
        audio = target.add_stream_from_template(source.streams.audio[0])
        cover = target.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(encoded(texture(64, 64), "JPEG"))
        packet.stream = cover
        target.mux(packet)
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = audio
                target.mux(packet)
    check_refused(path, "no video in it")


FASTSTART = {"movflags": "+faststart"}


@pytest.fixture(scope="module")
def layouts(folder):
    """The same clip with the index behind and before the pictures."""
    pictures = moving_frames(30)
    return {
        "index last": write_video(folder / "last.mp4", pictures),
        "index first": write_video(folder / "first.mp4", pictures, container_options=FASTSTART),
        "fragments": write_video(
            folder / "fragments.mp4", pictures, container_options={"movflags": "frag_keyframe+empty_moov"}
        ),
    }


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.98])
@pytest.mark.parametrize("layout", ["index last", "index first", "fragments"])
def test_mp4_cut_short(layouts, tmp_path, layout, share):
    path = cut(layouts[layout], tmp_path / "cut.mp4", share)
    check_refused(path, "cut short|no video or image|damaged|no frames|no video in it")
    if share > 0.5:
        check_refused(path, "cut short")


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".avi"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_other_videos_cut_short(clips, tmp_path, suffix, share):
    check_refused(cut(clips[suffix], tmp_path / f"cut{suffix}", share), "cut short")


def test_mp4_with_its_last_packets_gone(layouts, tmp_path):
    """The file has the declared length, as an interrupted download into a reserved file has."""
    content = layouts["index first"].read_bytes()
    path = tmp_path / "reserved.mp4"
    keep = len(content) * 2 // 3
    path.write_bytes(content[:keep] + bytes(len(content) - keep))
    with pytest.raises(BadInput, match="damaged"):
        list(read_frames(path))


def test_a_trimmed_video_counts_what_is_shown(folder):
    """An edit list hides the first frames, as phones write it for a trimmed clip."""
    source = write_video(folder / "untrimmed.mp4", moving_frames(30), options={"crf": "10", "g": "30"})
    path = folder / "trimmed.mp4"
    with av.open(source) as reader, av.open(path, "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        first = None
        for packet in reader.demux(reader.streams.video[0]):
            if packet.dts is None:
                continue
            if first is None:
                first = packet.pts + 10 * packet.duration
            packet.pts, packet.dts = packet.pts - first, packet.dts - first
            packet.stream = stream
            writer.mux(packet)
    whole = list(read_frames(path))
    assert len(whole) == probe(path).frames < 30
    for index in (0, 5, len(whole) - 1):
        assert np.array_equal(read_frame(path, index), whole[index])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_anywhere_is_refused_or_read_in_full(clips, layouts, folder, data):
    sources = [*clips.values(), *layouts.values()]
    content = data.draw(st.sampled_from(sources)).read_bytes()
    path = folder / "anywhere.mp4"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        info = probe(path)
    except BadInput:
        return
    frames = read_frames(path)
    try:
        assert sum(1 for _ in frames) == info.frames
    except BadInput:
        return


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_never_raises_another_error(clips, layouts, folder, data):
    sources = [*clips.values(), *layouts.values()]
    content = bytearray(data.draw(st.sampled_from(sources)).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "damaged.mp4"
    path.write_bytes(content)
    try:
        probe(path)
        for frame in read_frames(path, start=data.draw(st.integers(0, 20))):
            assert frame.shape[2] == 3
    except BadInput:
        return


def test_ffmpeg_stays_silent_about_bad_files(layouts, tmp_path):
    path = cut(layouts["index first"], tmp_path / "cut.mp4", 0.6)
    code = (
        "import sys; from model.clips.video import probe; from model.core.errors import BadInput\n"
        "try: probe(sys.argv[1])\nexcept BadInput as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "cut short" in done.stdout
    assert done.stderr == ""


def test_limits_of_a_video(tmp_path):
    path = moving_clip(tmp_path / "clip.mp4", frames=3)
    with pytest.raises(BadInput, match=r"128×96 pixels; at most 0\.01 million"):
        probe(path, Limits(max_pixels=10_000))
    with pytest.raises(BadInput, match="at least 100×100"):
        probe(path, Limits(min_side=100))


def test_one_by_one_image(tmp_path):
    check_refused(write_image(tmp_path / "one.png", texture(1, 1)), "1×1 pixels; at least 8×8")


def test_twenty_thousand_by_twenty_thousand_image(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_size(20_000, 20_000))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        check_refused(path, "more pixels than the 50 million|at most 50 million")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000  # 400 million pixels would be 400 MB and more
