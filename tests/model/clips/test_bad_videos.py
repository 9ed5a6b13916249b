"""Bad video files become one sentence, wherever they are cut or damaged."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.clips.limits import Limits
from model.clips.video import probe, read_frame, read_frames
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


def test_mp4_with_its_last_packets_gone_gives_what_it_has(layouts, tmp_path):
    """The file has the declared length, as an interrupted download into a reserved file has."""
    content = layouts["index first"].read_bytes()
    path = tmp_path / "reserved.mp4"
    keep = len(content) * 2 // 3
    path.write_bytes(content[:keep] + bytes(len(content) - keep))
    assert 10 < len(list(read_frames(path))) < probe(path).frames


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


@pytest.mark.slow
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
