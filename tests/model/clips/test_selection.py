"""Which images form a clip: the same answer for a folder and a zip; the upload's is in tests/webapp."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from model.clips.selection import select_sequence
from model.clips.video import probe, read_frames
from model.core.errors import BadInput
from tests.media import encoded, texture, write_zip

CONTENT = {index: encoded(texture(16, 24, index)) for index in range(1, 8)}


def as_folder(base: Path, names: list[str]) -> Path:
    folder = base / "folder"
    for index, name in enumerate(names, 1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT[index])
    return folder


def as_zip(base: Path, names: list[str]) -> Path:
    return write_zip(base / "clip.zip", {name: CONTENT[index] for index, name in enumerate(names, 1)})


@pytest.fixture(params=[as_folder, as_zip], ids=["folder", "zip"])
def made(request, tmp_path):
    return lambda names: request.param(tmp_path, names)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["b10.png", "b2.png", "b1.png"], [3, 2, 1]),
        (["IMG_10.PNG", "img_9.png", "Img_2.Png"], [3, 2, 1]),
        (["clip/2.png", "clip/1.png"], [2, 1]),
        (["a/b/2.png", "a/b/1.png"], [2, 1]),
        (["1.png", "2.png", "masks/1.png", "masks/2.png"], [1, 2]),
        (["clip/1.png", "clip/2.png", "clip/depth/1.png"], [1, 2]),
        (["1.png", "2.png", "@eaDir/1.png", "@EADIR/2.png"], [1, 2]),
        (["c/1.png", "c/2.png", "__MACOSX/c/1.png", "c/.thumb/2.png"], [1, 2]),
        (["IMG_1.png", "IMG_2.png", "DSC_3.png", "DSC_4.png"], [3, 4, 1, 2]),
        (["2024-01-05.png", "2024-02-05.png", "2024-10-01.png"], [1, 2, 3]),
        (["a.png", "b.png", "c.png"], [1, 2, 3]),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_one_sequence_is_found(made, names, order):
    path = made(names)
    assert probe(path).frames == len(order)
    expected = [texture(16, 24, index) for index in order]
    for frame, picture in itertools.zip_longest(read_frames(path), expected):
        assert np.array_equal(frame, picture)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["cam1/1.png", "cam1/2.png", "cam2/1.png"], r"several folders \(cam1, cam2\)"),
        (["r/cam1/1.png", "r/cam2/x/1.png"], r"several folders \((r/)?cam1, (r/)?cam2\)"),
        (["JPEGImages/a/1.jpg", "Annotations/a/1.png"], r"several folders \(Annotations, JPEGImages\)"),
        (["1.jpg", "2.jpg", "1.png", "2.png"], r"two sequences with the same numbers, as 1\.jpg and 1\.png"),
        (["f1.png", "f1_mask.png", "f2.png", "f2_mask.png"], "f1.png and f1_mask.png"),
        (["left_1.png", "right_1.png", "left_2.png", "right_2.png"], "left_1.png and right_1.png"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_where_it_is_not_clear_a_person_is_asked(made, names, pattern):
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(BadInput, match=pattern) as caught:
            read(made(names))
        assert str(caught.value).endswith("give one of them.")


def test_backslashes_are_folders_too(tmp_path):
    """As .NET's and some Windows' zips have them."""
    path = as_zip(tmp_path, ["c\\2.png", "c\\1.png", "__MACOSX\\c\\1.png"])
    assert probe(path).frames == 2


def test_the_same_name_twice_is_refused():
    with pytest.raises(BadInput, match=r"two images named 1\.png"):
        select_sequence(["1.png", "2.png", "1.png"], str, "The upload")
