"""Videos that are not what their packets say: one index is one picture, and a lost one costs no other."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from model.clips.video import probe, read_frame, read_frames
from model.core.errors import BadInput
from model.core.progress import Watch
from model.tracking.run import TrackRequest, track_file
from model.tracking.tracker import Tracker
from tests.media import Picture, encoded, moving_frames, texture, write_video

SIZE = (48, 64)
PICTURES = moving_frames(40, SIZE, (1.0, 0.5))


def packets_of(path: Path) -> list[av.Packet]:
    with av.open(path) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def remuxed(source: Path, target: Path, keep: Callable[[int, av.Packet], bytes | None]) -> Path:
    """Copy packets, each with the content that `keep` gives of (its position, it); None: left out."""
    with av.open(source) as reader, av.open(target, "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for index, packet in enumerate(reader.demux(video=0)):
            content = keep(index, packet) if packet.size else None
            if content is not None:
                copy = av.Packet(content)
                copy.stream, copy.pts, copy.dts, copy.time_base = (
                    stream,
                    packet.pts,
                    packet.dts,
                    packet.time_base,
                )
                copy.is_keyframe, copy.duration = packet.is_keyframe, packet.duration
                writer.mux(copy)
    return target


def check_one_index_is_one_picture(path: Path, frames: int) -> list[Picture]:
    """Check the count, and that frames read alone, or as the first of several, are those read in order."""
    whole = list(read_frames(path))
    assert len(whole) == probe(path).frames == frames
    for index in {*range(0, frames, 4), frames - 1}:
        assert np.array_equal(read_frame(path, index), whole[index]), index
    assert np.array_equal(list(read_frames(path, start=frames // 2)), whole[frames // 2 :])
    return whole


def shows(frame: Picture, pictures: Sequence[Picture] = PICTURES) -> int:
    """Which of the pictures a decoded frame is most like."""
    return int(np.argmin([np.abs(frame.astype(int) - picture).mean() for picture in pictures]))


def test_an_open_group_cut_by_copying_has_the_frames_that_decode(tmp_path):
    """A cut at a keyframe that pictures shown before it follow: those have lost what they refer to."""
    options = {"x265-params": "open-gop=1:keyint=10:min-keyint=10:scenecut=0:bframes=3:log-level=none"}
    whole = write_video(tmp_path / "whole.mkv", PICTURES, codec="libx265", options=options)
    key = [index for index, packet in enumerate(packets_of(whole)) if packet.is_keyframe][2]
    cut = remuxed(whole, tmp_path / "cut.mkv", lambda index, packet: bytes(packet) if index >= key else None)
    lost = [packet for packet in packets_of(cut) if packet.pts < packets_of(cut)[0].pts]
    assert lost
    frames = check_one_index_is_one_picture(cut, len(packets_of(cut)) - len(lost))
    assert shows(frames[0]) == 40 - len(frames)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_recording_that_begins_between_keyframes(tmp_path, suffix):
    options = {"g": "15", "keyint_min": "15", "bf": "2", "crf": "10", "x264-params": "scenecut=0"}
    whole = write_video(tmp_path / f"whole{suffix}", PICTURES, options=options)
    cut = remuxed(
        whole, tmp_path / f"cut{suffix}", lambda index, packet: bytes(packet) if index >= 4 else None
    )
    frames = check_one_index_is_one_picture(cut, 25)
    assert [shows(frame) for frame in (frames[0], frames[10])] == [15, 25]


def test_comments_in_a_gif_are_no_frames(tmp_path):
    path = write_video(tmp_path / "clip.gif", PICTURES[:9])
    comment = b"\x21\xfe\x05hello\x00"
    content = path.read_bytes()
    assert content.endswith(b"\x3b")
    path.write_bytes(content[:-1] + comment * 3 + b"\x3b")
    check_one_index_is_one_picture(path, 9)


def motion_jpeg(path: Path, pictures: Sequence[bytes]) -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuvj420p"
        for index, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, index, index, True
            packet.time_base = Fraction(1, 10)
            container.mux(packet)
    return path


def test_frames_that_a_camera_dropped_are_left_out(tmp_path):
    """An AVI has an empty chunk for each."""
    jpegs = [encoded(picture, "JPEG", quality=95) for picture in PICTURES[:12]]
    path = motion_jpeg(tmp_path / "whole.avi", jpegs)
    content = path.read_bytes()
    for position in (5, 6, 11):  # the last one too
        chunk = b"00dc" + struct.pack("<I", len(jpegs[position])) + jpegs[position]
        assert content.count(chunk) == 1
        begin = content.index(chunk)
        # An empty chunk, and a JUNK chunk as long as what was there: nothing else moves.
        rest = len(jpegs[position]) - 8 + len(jpegs[position]) % 2
        empty = b"00dc" + bytes(4) + b"JUNK" + struct.pack("<I", rest) + bytes(rest)
        end = begin + len(chunk) + len(jpegs[position]) % 2
        content = content[:begin] + empty + content[end:]
        entry = content.index(b"idx1") + 8 + 16 * position
        content = content[: entry + 12] + bytes(4) + content[entry + 16 :]
    path.write_bytes(content)
    frames = check_one_index_is_one_picture(path, 9)
    assert [shows(frame) for frame in frames] == [0, 1, 2, 3, 4, 7, 8, 9, 10]


def mpeg4_not_coded(packet: av.Packet) -> bytes:
    """A video object plane that says it is not coded; the time increment is that of 25 frames a second."""
    # Start code; type P (01), no second passed (0), marker, increment, marker, not coded (0), filling.
    bits = "01" + "0" + "1" + "00001" + "1" + "0" + "01111"
    return b"\0\0\1\xb6" + int(bits, 2).to_bytes(2, "big")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_pictures_that_are_not_coded_are_left_out(tmp_path, suffix):
    whole = write_video(
        tmp_path / f"whole{suffix}", PICTURES[:20], codec="mpeg4", options={"g": "1", "bf": "0"}
    )
    path = remuxed(
        whole,
        tmp_path / f"gaps{suffix}",
        lambda index, packet: mpeg4_not_coded(packet) if index in (3, 10, 19) else bytes(packet),
    )
    with av.open(path) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    assert decoded in (17, 18)  # the decoder may show the last picture once more for a plane at the end
    frames = check_one_index_is_one_picture(path, decoded)
    assert [shows(frame) for frame in frames[:4]] == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("suffix", "codec", "lost"),
    [
        (".mkv", "mjpeg", (5, 6, 13)),
        (".mp4", "mpeg4", (9,)),
        (".mkv", "ffv1", (7, 19)),
        (".mp4", "libx264", (11,)),
    ],
)
def test_a_picture_that_cannot_be_decoded_is_the_one_before_it(tmp_path, suffix, codec, lost):
    options = {"mpeg4": {"g": "1"}, "ffv1": {"g": "1"}, "libx264": {"g": "1", "crf": "10"}}.get(codec, {})
    pix_fmt = "yuvj420p" if codec == "mjpeg" else None
    whole = write_video(
        tmp_path / f"whole{suffix}", PICTURES[:20], codec=codec, options=options, pix_fmt=pix_fmt
    )
    path = remuxed(
        whole,
        tmp_path / f"damaged{suffix}",
        lambda index, packet: b"\xff" * 40 if index in lost else bytes(packet),
    )
    remarks: list[str] = []
    frames = list(read_frames(path, say=remarks.append))
    if 19 in lost:
        assert len(frames) == 19  # it ends early
        assert probe(path).frames == 20
    else:
        check_one_index_is_one_picture(path, 20)
    expected = [index - 1 if index in lost else index for index in range(len(frames))]
    expected = [index - 1 if index in lost else index for index in expected]  # two in a row
    assert [shows(frame) for frame in frames] == expected
    assert remarks == ["Some pictures of the video cannot be decoded; each is the one before it once more."]


def test_intra_refresh_has_no_keyframes_to_seek_to(tmp_path):
    options = {"crf": "12", "g": "12", "bf": "0", "x264-params": "intra-refresh=1"}
    path = write_video(tmp_path / "refresh.mp4", PICTURES, options=options)
    check_one_index_is_one_picture(path, 40)


def test_mpeg4_with_b_frames_in_every_container(tmp_path):
    for suffix in (".mp4", ".mkv", ".avi"):
        path = write_video(
            tmp_path / f"b{suffix}", PICTURES, codec="mpeg4", options={"g": "12", "bf": "2", "qscale": "2"}
        )
        frames = check_one_index_is_one_picture(path, 40)
        assert [shows(frame) for frame in frames[::7]] == list(range(0, 40, 7))


# --- which stream is the picture ---


def two_streams(
    path: Path,
    first: Sequence[Picture],
    second: Sequence[Picture],
    dispositions: tuple[int, int] = (1, 1),
    codecs: tuple[str, str] = ("libx264", "libx264"),
) -> Path:
    with av.open(path, "w") as container:
        streams = []
        for pictures, disposition, codec in zip((first, second), dispositions, codecs, strict=True):
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = Disposition(disposition)
            streams.append(stream)
        for stream, pictures in zip(streams, (first, second), strict=True):
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode(None))
    return path


SMALL = moving_frames(10, (32, 32))
LARGE = moving_frames(10, (64, 96))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_default_stream_is_the_picture_wherever_it_stands(tmp_path, suffix):
    default = (0, 1) if suffix == ".mkv" else (1, 1)
    path = two_streams(tmp_path / f"second{suffix}", SMALL, LARGE, default)
    assert (probe(path).height, probe(path).width) == (64, 96)
    path = two_streams(tmp_path / f"first{suffix}", LARGE, SMALL, (1, 0))
    assert read_frame(path, 9).shape == (64, 96, 3)


def test_of_several_default_streams_the_largest_is_the_picture(tmp_path):
    assert probe(two_streams(tmp_path / "two.mkv", SMALL, LARGE)).width == 96
    assert probe(two_streams(tmp_path / "one.mkv", SMALL, LARGE, (1, 0))).width == 32


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_single_large_picture_beside_a_video_is_a_cover(tmp_path, suffix):
    cover = [texture(240, 320)]
    path = two_streams(tmp_path / f"cover{suffix}", cover, LARGE, codecs=("mjpeg", "libx264"))
    assert (probe(path).width, probe(path).frames) == (96, 10)
    assert shows(read_frame(path, 7), LARGE) == 7


def test_stills_in_the_boxes_of_an_mp4_are_images(tmp_path):
    """A phone's picture in tiles is one picture, and a burst is refused in words, under any name."""
    tiled = tmp_path / "tiled.mp4"
    tiled.write_bytes(Path("tests/fixtures/tiled.avif").read_bytes())
    info = probe(tiled)
    assert (info.kind, info.width, info.height, info.frames) == ("image", 512, 512, 1)
    pictures = [Image.fromarray(texture(48, 64, seed)) for seed in range(3)]
    for form in ("AVIF", "HEIF"):
        path = tmp_path / f"burst-{form}.mov"
        pictures[0].save(path, form, save_all=True, append_images=pictures[1:])
        for read in (probe, lambda p: list(read_frames(p))):
            with pytest.raises(BadInput, match="holds 3 pictures"):
                read(path)


# --- pixels ---


def test_an_unknown_colour_matrix_is_a_sentence(tmp_path):
    options = {"crf": "10", "x264-params": "colormatrix=YCgCo"}
    path = write_video(tmp_path / "ycgco.mp4", PICTURES[:3], options=options, pix_fmt="yuv444p")
    for read in (probe, lambda p: list(read_frames(p)), lambda p: read_frame(p, 2)):
        with pytest.raises(BadInput, match=r"colours cannot be converted .*yuv444p, colour matrix 8"):
            read(path)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_beside_the_pictures_is_laid_over_white(tmp_path, codec):
    alpha = np.full(SIZE, 255, np.uint8)
    alpha[:, :32] = 0
    pictures = [np.dstack([picture, alpha]) for picture in PICTURES[:10]]
    path = write_video(
        tmp_path / "alpha.webm",
        pictures,
        codec=codec,
        pix_fmt="yuva420p",
        options={"b": "2M", "auto-alt-ref": "0"},
    )
    for frame in (read_frame(path, 0), read_frame(path, 9)):
        assert frame[:, :28].min() > 250
        assert frame[:, 36:].mean() < 200


def matrix_of(path: Path) -> str:
    """Whether a video of one saturated green was decoded by BT.601 or by BT.709."""
    red, green, blue = read_frame(path, 0).mean(axis=(0, 1))
    return "BT.709" if abs(red - 0) + abs(green - 255) + abs(blue - 0) < 12 else "BT.601"


@pytest.mark.parametrize(("size", "expected"), [((576, 720), "BT.601"), ((720, 1280), "BT.709")])
def test_untagged_video_has_the_matrix_of_its_size(tmp_path, size, expected):
    """Green is (173, 42, 26) in BT.709, whatever is said or not; BT.601 makes another colour of it."""
    height, width = size
    with av.open(tmp_path / "green.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv444p"
        planes = np.empty((3, height, width), np.uint8)
        planes[:] = np.array([173, 42, 26], np.uint8)[:, None, None]
        frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert matrix_of(tmp_path / "green.mkv") == expected


@pytest.mark.parametrize(("aspect", "shape"), [(Fraction(4, 3), (48, 85)), (Fraction(1, 2), (96, 64))])
def test_pixels_become_square(tmp_path, aspect, shape):
    """None is lost: wide ones widen the picture, narrow ones make it higher."""
    path = tmp_path / "anamorphic.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for picture in PICTURES[:3]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    assert (probe(path).height, probe(path).width) == shape
    frame = read_frame(path, 2)
    expected = np.asarray(Image.fromarray(PICTURES[2]).resize(shape[::-1], Image.Resampling.BILINEAR))
    assert np.abs(frame.astype(int) - expected).mean() < 8


def test_a_clip_that_ends_early_is_tracked_as_far_as_it_goes(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", PICTURES[:20], codec="ffv1", options={"g": "1"})
    path = remuxed(
        whole, tmp_path / "short.mkv", lambda index, packet: b"\xff" * 40 if index > 12 else bytes(packet)
    )
    remarks: list[str] = []
    watch = Watch(say=remarks.append)
    request = TrackRequest(grid=3, frames=None)
    *_, last = track_file(path, Tracker.load("zero"), request, watch)
    assert list(last.tracks().frames) == list(range(13))
    assert remarks == [
        "The clip ends early: only 13 of the 20 frames asked for can be read, and those were tracked."
    ]
