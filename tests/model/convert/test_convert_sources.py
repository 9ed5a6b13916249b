"""Finding the videos that folders, lists, patterns and URLs name, and noticing when they change."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from model.convert.scan import CATALOGUE, scan
from model.convert.sources import Changed, Place, content_sha256, find_places, remove_fetched
from model.core.errors import BadInput, Stopped
from model.core.progress import Progress, Watch
from model.datasets.folder import DataFolder
from tests.media import encoded, moving_clip, texture, write_image, zip_of_images


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with videos, images, other things, hidden things, and links."""
    root = tmp_path / "tree"
    for folder in ("b", "b/deep", "images", "images10", "images2", "both", "empty", ".hidden", "with below"):
        (root / folder).mkdir(parents=True)
    for name in ("a10.mp4", "a2.MP4", "a1.webm", "b/c.gif", "b/deep/d.zip", "both/v.mkv", ".hidden/x.mp4"):
        (root / name).write_bytes(b"not looked into")
    for name in ("notes.txt", "b/readme", "._a.mp4", ".DS_Store"):
        (root / name).write_bytes(b"no video")
    for folder in ("images", "images2", "images10", "both", "with below"):
        for number in (1, 10, 2):
            write_image(root / folder / f"{number}.png", texture(16, 16, number))
    (root / "with below" / "thumbnails").mkdir()
    (root / "with below" / "thumbnails" / "readme.txt").write_text("no images")
    return root


def names(places: list[Place]) -> list[str]:
    return [place.name + "/" * place.is_folder for place in places]


EVERYTHING = [
    "tree/a1.webm",
    "tree/a2.MP4",
    "tree/a10.mp4",
    "tree/b/c.gif",
    "tree/b/deep/d.zip",
    "tree/both/v.mkv",
    "tree/images/",
    "tree/images2/",
    "tree/images10/",
    "tree/with below/",
]


def test_a_folder_is_searched_with_everything_below_in_natural_order(tree: Path) -> None:
    assert names(find_places([str(tree)])) == EVERYTHING
    assert names(find_places([str(tree / "images2")])) == ["images2/"]


def test_links_are_followed_once(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "e.mp4").write_bytes(b"")
    (tree / "link").symlink_to(tmp_path / "elsewhere")
    (tree / "loop").symlink_to(tree)
    (tree / "b" / "up").symlink_to("..")
    found = names(find_places([str(tree)]))
    assert "tree/link/e.mp4" in found
    assert sorted(found) == sorted([*EVERYTHING, "tree/link/e.mp4"])


def test_files_patterns_and_lists(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert names(find_places(["notes.txt"])) == ["notes.txt"]  # what is named is taken at its word
    assert names(find_places(["a*.mp4", "a1.webm", "./a1.webm"])) == ["a1.webm", "a10.mp4"]
    assert names(find_places([str(tree / "**" / "*.gif")])) == ["c.gif"]
    assert names(find_places(["images*"])) == ["images/", "images2/", "images10/"]
    listed = tmp_path / "list.txt"
    listed.write_text("\ufeff# my videos\n\n  a10.mp4 \nb\na?.MP4\n@home.mp4\n", encoding="utf-8")
    (tree / "@home.mp4").write_bytes(b"")
    expected = ["@home.mp4", "a2.MP4", "a10.mp4", "b/c.gif", "b/deep/d.zip"]
    assert names(find_places([f"@{listed}"])) == expected
    (tree / "odd [1].mp4").write_bytes(b"")
    assert names(find_places(["odd [1].mp4"])) == ["odd [1].mp4"]  # a name before it is a pattern


def test_every_video_comes_once_however_often_it_is_named(tree: Path) -> None:
    places = find_places([str(tree / "b"), str(tree), str(tree / "a*"), f"file://{tree}/a10.mp4"])
    paths = [place.path for place in places]
    assert len(set(paths)) == len(paths) == len(EVERYTHING)


def test_videos_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("x/a", "x/b", "y/a", "z"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "v.mp4").write_bytes(b"")
    (tmp_path / "z" / "other.mp4").write_bytes(b"")
    inputs = [str(path) for path in tmp_path.rglob("*.mp4")]
    assert names(find_places(inputs)) == ["b/v.mp4", "other.mp4", "x/a/v.mp4", "y/a/v.mp4", "z/v.mp4"]
    folders = [str(tmp_path / "x" / "a"), str(tmp_path / "y" / "a")]
    assert names(find_places(folders)) == ["x/a/v.mp4", "y/a/v.mp4"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nothing.mp4", "There is no file or folder nothing.mp4"),
        ("*.xyz", "The pattern \\*.xyz fits no file or folder"),
        ("a**b/[", "fits no file or folder|There is no file"),
        ("empty", "The folder empty holds no video"),
        ("@nothing.txt", "The list nothing.txt cannot be read"),
        ("@a.bin", "The list a.bin cannot be read"),
        ("nonsense://a/b.mp4", "nonsense://a/b.mp4 cannot be used"),
        ("memory://nothing-here/*", "holds no video"),
    ],
)
def test_what_names_nothing_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.bin").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadInput, match=sentence):
        find_places([text])


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_remote_folders_are_searched_alike(tree: Path, memory: fsspec.AbstractFileSystem) -> None:
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(tree).parts):
            memory.pipe_file(f"/bucket/tree/{path.relative_to(tree).as_posix()}", path.read_bytes())
    assert names(find_places(["memory://bucket/tree"])) == EVERYTHING
    assert names(find_places(["memory://bucket/tree/*.mp4"])) == ["a10.mp4"]


def test_remote_videos_are_fetched_and_removed(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    clip = moving_clip(tmp_path / "clip.mp4", frames=3)
    memory.pipe_file("/bucket/clip.mp4", clip.read_bytes())
    for number in (1, 2):
        memory.pipe_file(f"/bucket/images/{number}.png", b"image")
    memory.pipe_file("/bucket/images/notes.txt", b"no image")
    video, images = find_places(["memory://bucket"])
    with video.fetched() as path:
        assert path.read_bytes() == clip.read_bytes()
        assert path.suffix == ".mp4"
    assert not path.exists()
    with images.fetched() as folder:
        assert sorted(entry.name for entry in folder.iterdir()) == ["1.png", "2.png"]
    assert not folder.exists()
    before = images.fingerprint()
    memory.pipe_file("/bucket/images/notes.txt", b"still no image")
    assert images.fingerprint() == before
    memory.pipe_file("/bucket/images/2.png", b"another image")
    assert images.fingerprint() != before
    with pytest.raises(Stopped), video.fetched(lambda: True):
        pass
    memory.rm("/bucket/clip.mp4")
    with pytest.raises(FileNotFoundError):
        video.fingerprint()


def test_a_fingerprint_tells_changes(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"one")
    images = tmp_path / "images"
    images.mkdir()
    (images / "1.png").write_bytes(b"one")
    places = [Place("clip.mp4", str(clip)), Place("images", str(images), is_folder=True)]
    seen = [{place.fingerprint()} for place in places]
    for change in (
        lambda path: path.write_bytes(b"four"),
        lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns + 1)),
        lambda path: path.write_bytes(b"1"),
    ):
        for path, place, marks in zip((clip, images / "1.png"), places, seen, strict=True):
            change(path)
            assert place.fingerprint() not in marks
            marks.add(place.fingerprint())
    (images / "2.png").write_bytes(b"")
    assert places[1].fingerprint() not in seen[1]


@pytest.mark.timeout(20)
def test_a_pipe_or_a_device_is_never_opened(tmp_path: Path) -> None:
    pipe, device = tmp_path / "pipe.mp4", tmp_path / "device.mp4"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for place in find_places([str(tmp_path)]):
        with pytest.raises(BadInput, match="a folder, a pipe or a device, not a file"):
            place.fingerprint()
        with pytest.raises(BadInput, match="not a file"), place.fetched():
            pass


def test_the_content_of_a_folder_is_its_images_and_their_names(tmp_path: Path) -> None:
    digests = set()
    for folder, files in {
        "one": {"1.png": b"a", "2.png": b"b"},
        "other names": {"1.png": b"a", "3.png": b"b"},
        "other content": {"1.png": b"a", "2.png": b"c"},
        "moved border": {"1.png": b"ab", "2.png": b""},
        "fewer": {"1.png": b"a"},
    }.items():
        (tmp_path / folder).mkdir()
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(content)
        digests.add(content_sha256(tmp_path / folder))
    assert len(digests) == 5
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    (tmp_path / "copy" / "notes.txt").write_text("no image")
    assert content_sha256(tmp_path / "copy") == content_sha256(tmp_path / "one")


def test_videos_of_killed_processes_are_removed_from_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / "stillmotion-source-4194999-abc"  # above the largest process id
    live = tmp_path / f"stillmotion-source-{os.getpid()}-abc"
    other = tmp_path / "stillmotion-source-whatever"
    for folder in (dead, live, other):
        folder.mkdir()
        (folder / "clip.mp4").write_bytes(b"")
    remove_fetched()
    assert [folder.exists() for folder in (dead, live, other)] == [False, True, True]


def test_each_video_is_looked_at_once(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    moving_clip(videos / "a.mp4", frames=5)
    zip_of_images(videos / "b.zip", [texture(16, 16, k) for k in range(3)])
    (videos / "bad.mp4").write_text("no video")
    (videos / "single.zip").write_bytes(encoded(texture(16, 16)))
    folder = DataFolder.open(tmp_path / "out")
    told: list[Progress] = []
    found = scan(find_places([str(videos)]), folder, Watch(told.append))
    assert [(source.place.name, source.frames, source.size) for source in found.sources] == [
        ("videos/a.mp4", 5, (96, 128)),
        ("videos/b.zip", 3, (16, 16)),
    ]
    assert [failure.source for failure in found.failures] == ["videos/bad.mp4", "videos/single.zip"]
    assert "a single picture" in found.failures[1].reason
    assert [(where.done, where.total) for where in told] == [(k, 4) for k in range(5)]
    assert (tmp_path / "out" / CATALOGUE).exists()

    content = (videos / "a.mp4").read_bytes()
    known = (videos / "a.mp4").stat()
    (videos / "a.mp4").write_bytes(bytes(len(content)))
    os.utime(videos / "a.mp4", ns=(known.st_atime_ns, known.st_mtime_ns))
    assert scan(find_places([str(videos)]), folder) == found  # not read again
    os.utime(videos / "a.mp4")
    assert len(scan(find_places([str(videos)]), folder).failures) == 3
    (tmp_path / "out" / CATALOGUE).write_text("{damaged")
    (videos / "a.mp4").write_bytes(content)
    again = scan(find_places([str(videos)]), folder)
    assert [source.sha256 for source in again.sources] == [source.sha256 for source in found.sources]
    with pytest.raises(Stopped):
        scan(find_places([str(videos)]), folder, Watch(should_stop=lambda: True))


def test_a_video_that_grows_while_it_is_looked_at_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = moving_clip(tmp_path / "clip.mp4", frames=5)

    def grow(path: Path) -> str:
        with path.open("ab") as file:
            file.write(b"more")
        return content_sha256(path)

    monkeypatch.setattr("model.convert.scan.content_sha256", grow)
    folder = DataFolder.open(tmp_path / "out")
    found = scan(find_places([str(clip)]), folder)
    assert found.sources == ()
    assert "changed while it was read" in found.failures[0].reason
    assert found.failures[0].may_pass
    text = (tmp_path / "out" / "tracebacks" / f"{found.failures[0].traceback}.txt").read_text()
    assert Changed.__name__ in text
