"""Folders and zips of images: natural order, and every way in which a zip can be bad."""

import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.clips.limits import Limits
from model.clips.video import ClipInfo, probe, read_frame, read_frames
from model.core.errors import BadInput
from tests.media import declare_sizes, encoded, png_of_size, set_encrypted, texture, write_zip, zip_of_images

SMALL = [texture(16, 24, seed) for seed in range(12)]


def check_refused(path, pattern, limits=Limits()):  # noqa: B008 - frozen
    for read in (lambda p: probe(p, limits), lambda p: list(read_frames(p, limits=limits))):
        with pytest.raises(BadInput, match=pattern) as caught:
            read(path)
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)


def test_a_zip_is_read_in_natural_order(tmp_path):
    path = zip_of_images(tmp_path / "images.zip", SMALL)
    assert probe(path) == ClipInfo("images", width=24, height=16, frames=12, fps=0.0)
    frames = list(read_frames(path))
    assert all(np.array_equal(a, b) for a, b in zip(frames, SMALL, strict=True))


def test_a_folder_is_read_in_natural_order(tmp_path):
    for index, picture in enumerate(SMALL):
        (tmp_path / f"view {index}.PNG").write_bytes(encoded(picture))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf")
    (tmp_path / "more").mkdir()
    assert probe(tmp_path).frames == 12
    frames = list(read_frames(tmp_path))
    assert all(np.array_equal(a, b) for a, b in zip(frames, SMALL, strict=True))


def test_images_are_found_by_content_too(tmp_path):
    path = write_zip(tmp_path / "z.zip", {"one": encoded(SMALL[0]), "two.dat": encoded(SMALL[1], "JPEG")})
    assert probe(path).frames == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 14), step=st.integers(1, 14), count=st.none() | st.integers(0, 14))
def test_reading_a_part_equals_slicing_the_whole(tmp_path, start, step, count):
    path = tmp_path / "images.zip"
    if not path.exists():
        zip_of_images(path, SMALL)
    part = list(read_frames(path, start=start, step=step, count=count))
    expected = SMALL[start::step][:count]
    assert len(part) == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(part, expected, strict=True))


def test_what_macos_adds_is_left_aside(tmp_path):
    path = write_zip(
        tmp_path / "mac.zip",
        {
            "clip/": b"",
            "clip/b2.png": encoded(SMALL[1]),
            "clip/b10.png": encoded(SMALL[2]),
            "clip/.DS_Store": b"\0\0\0\1Bud1",
            "__MACOSX/clip/._b2.png": b"\0\5\x16\7",
            "clip/readme.txt": b"hello",
        },
    )
    assert probe(path).frames == 2
    assert np.array_equal(read_frame(path, 1), SMALL[2])


def test_nothing_is_written_to_disk(tmp_path):
    path = zip_of_images(tmp_path / "images.zip", SMALL)
    list(read_frames(path))
    probe(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["images.zip"]


@pytest.mark.slow
def test_too_many_entries(tmp_path):
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(100_000):
            archive.writestr(f"{index}.png", b"")
    check_refused(path, "100,000 files; at most 10,000")


def test_a_huge_directory_is_not_read(tmp_path):
    path = tmp_path / "wide.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(600):
            archive.writestr(f"{index:05d}" + "n" * 30_000, b"")
    tracemalloc.start()
    try:
        check_refused(path, "list of files is larger than 16 MiB")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "a/../../evil.png",
        "/etc/evil.png",
        "..\\evil.png",
        "C:\\evil.png",
        "\\\\host\\evil.png",
    ],
)
def test_names_that_lead_elsewhere(tmp_path, name):
    path = write_zip(tmp_path / "evil.zip", {"good.png": encoded(SMALL[0]), name: encoded(SMALL[1])})
    check_refused(path, "unsafe name")
    assert not (tmp_path.parent / "evil.png").exists()


def test_ten_gigabytes_declared(tmp_path):
    path = write_zip(tmp_path / "big.zip", {f"{i}.png": encoded(SMALL[0]) for i in range(3)})
    check_refused(declare_sizes(path, 3_500_000_000), r"unpack to 10\.5 GB; at most 4\.3 GB")


@pytest.mark.slow
def test_a_real_bomb_that_lies_about_its_size(tmp_path):
    """1 GB of zeros in 1 MB, declared as 1,000 bytes: reading stops at what is declared."""
    path = tmp_path / "bomb.zip"
    info = zipfile.ZipInfo("bomb.png")
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as archive, archive.open(info, "w") as member:
        member.write(encoded(SMALL[0]))
        for _ in range(1024):
            member.write(bytes(1 << 20))
    declare_sizes(path, 1000)
    tracemalloc.start()
    try:
        check_refused(path, "damaged")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_an_entry_larger_than_any_image(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", encoded(SMALL[0]) + bytes(60 << 20))
    small = Limits(max_pixels=1_000_000)
    tracemalloc.start()
    try:
        check_refused(path, "unpacks to more than 9 MB", small)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000


def test_a_decompression_bomb_inside(tmp_path):
    path = write_zip(tmp_path / "z.zip", {"a.png": png_of_size(20_000, 20_000)})
    check_refused(path, r"The image a\.png in the zip has .*50 million")


@pytest.mark.parametrize("name", ["inner.zip", "inner.png", "inner"])
def test_nested_zip(tmp_path, name):
    inner = zip_of_images(tmp_path / "inner.zip", SMALL[:2]).read_bytes()
    path = write_zip(tmp_path / "outer.zip", {"a.png": encoded(SMALL[0]), name: inner})
    check_refused(path, f"holds another zip \\({name}\\)")


@pytest.mark.parametrize("members", [{}, {"a.txt": b"text"}, {"__MACOSX/._a.png": b"x"}, {"folder/": b""}])
def test_no_images(tmp_path, members):
    check_refused(write_zip(tmp_path / "none.zip", members), "zip holds no images")


def test_folder_without_images(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    check_refused(tmp_path, "folder holds no images")


def test_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    # The tests may run as root, whom no folder refuses.
    monkeypatch.setattr("os.scandir", refuse)
    check_refused(tmp_path, r"folder .* cannot be opened \(Permission denied\)")


def test_folder_with_too_many_images(tmp_path):
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes(encoded(SMALL[0]))
    check_refused(tmp_path, "holds 4 images; at most 3", Limits(max_images=3))


def test_images_of_different_sizes(tmp_path):
    path = zip_of_images(tmp_path / "z.zip", [SMALL[0], SMALL[1], texture(20, 24)])
    check_refused(path, r"frame0\.png has 24×16 pixels and frame2\.png has 24×20; all must be equal")


def test_encrypted(tmp_path):
    check_refused(set_encrypted(zip_of_images(tmp_path / "z.zip", SMALL[:2])), "password")


def test_rare_compression(tmp_path):
    path = write_zip(tmp_path / "z.zip", {"a.png": encoded(SMALL[0])}, zipfile.ZIP_LZMA)
    check_refused(path, "rare compression")


def test_a_damaged_image_inside(tmp_path):
    whole = encoded(texture(64, 64))
    path = write_zip(tmp_path / "z.zip", {"a.png": whole, "b.png": whole[:3000], "c.png": whole})
    with pytest.raises(BadInput, match=r"image b\.png in the zip is damaged or cut short"):
        list(read_frames(path))
    path = write_zip(tmp_path / "y.zip", {"a.png": whole, "b.png": b"not an image at all"})
    check_refused(path, r"image b\.png in the zip is damaged")


def test_cut_zip(tmp_path):
    path = zip_of_images(tmp_path / "z.zip", SMALL)
    path.write_bytes(path.read_bytes()[:-100])
    check_refused(path, "zip is damaged or cut short")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_never_raises_another_error(tmp_path, data):
    source = tmp_path / "whole.zip"
    if not source.exists():
        zip_of_images(source, SMALL[:3])
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.zip"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        probe(path)
        list(read_frames(path))
    except BadInput:
        return


@pytest.mark.slow
def test_one_image_at_a_time_in_memory(tmp_path):
    picture = texture(400, 500)
    path = zip_of_images(tmp_path / "z.zip", [picture] * 60)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_frames(path)) == 60
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * picture.nbytes
