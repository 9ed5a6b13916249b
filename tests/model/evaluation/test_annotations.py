"""Readers of true tracks: every format as people have it, and sentences for what cannot be used."""

import dataclasses
import json

import numpy as np
import pytest

from model.core.errors import BadInput
from model.evaluation.annotations import read_annotated, reduce_clip
from model.evaluation.badja import read_badja
from model.motion.tracks import Tracks
from tests.media import moving_clip, moving_frames, texture, write_image, zip_of_images
from tests.model.evaluation.annotated import moving_folder, moving_truth, write_badja, write_frames

SIZE = (96, 128)


def test_a_folder_of_frames_with_tracks(tmp_path):
    truth = moving_folder(tmp_path / "clip")
    (clip,) = read_annotated(tmp_path / "clip")
    assert (clip.name, clip.size, clip.frame_count) == ("clip", SIZE, 8)
    np.testing.assert_array_equal(clip.points, truth.points)
    np.testing.assert_array_equal(clip.visible, truth.visible)
    assert clip.annotated.all()
    for frame, expected in zip(clip.read(), moving_frames(8), strict=True):
        np.testing.assert_array_equal(frame, expected)


def test_tracks_of_some_frames_and_of_another_size(tmp_path):
    truth = moving_folder(tmp_path / "clip")
    chosen = np.array([1, 3, 6])
    half = dataclasses.replace(
        truth,
        points=((truth.points[chosen] + 0.5) / 2 - 0.5).astype(np.float32),
        visibility=truth.visibility[chosen],
        frames=chosen.astype(np.int32),
        size=(48, 64),
    )
    half.save(tmp_path / "clip" / "tracks.npz")
    (clip,) = read_annotated(tmp_path / "clip")
    np.testing.assert_allclose(clip.points, truth.points[chosen], atol=1e-4)
    pictures = moving_frames(8)
    for frame, index in zip(clip.read(), chosen, strict=True):
        np.testing.assert_array_equal(frame, pictures[index])


def test_a_set_holds_folders_videos_and_zips(tmp_path):
    moving_folder(tmp_path / "set" / "clip-10")
    moving_folder(tmp_path / "set" / "clip-2")
    moving_clip(tmp_path / "set" / "film.mp4", frames=5)
    moving_truth(5, SIZE, (2.0, 1.0)).save(tmp_path / "set" / "film.tracks.npz")
    zip_of_images(tmp_path / "set" / "pictures.zip", moving_frames(4))
    moving_truth(4, SIZE, (2.0, 1.0)).save(tmp_path / "set" / "pictures.tracks.npz")
    (tmp_path / "set" / "empty").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("not a clip")
    clips = read_annotated(tmp_path / "set")
    assert [clip.name for clip in clips] == ["set/clip-2", "set/clip-10", "set/film", "set/pictures"]
    assert [len(list(clip.read())) for clip in clips] == [8, 8, 5, 4]
    (alone,) = read_annotated(tmp_path / "set" / "film.mp4")
    assert (alone.name, alone.frame_count) == ("film", 5)


def test_a_folder_with_one_video(tmp_path):
    (tmp_path / "clip").mkdir()
    moving_clip(tmp_path / "clip" / "film.mp4", frames=5)
    moving_truth(5, SIZE, (2.0, 1.0)).save(tmp_path / "clip" / "tracks.npz")
    (clip,) = read_annotated(tmp_path / "clip")
    assert len(list(clip.read())) == 5
    (same,) = read_annotated(tmp_path / "clip" / "film.mp4")
    np.testing.assert_array_equal(same.points, clip.points)


@pytest.mark.parametrize("shares", [False, True])
def test_tap_vid_arrays_in_pixels_and_in_shares_of_the_frame(tmp_path, shares):
    write_frames(tmp_path / "clip", moving_frames(6))
    truth = moving_truth(6, SIZE, (9.0, 1.0))
    points = truth.points.transpose(1, 0, 2).astype(np.float64)
    if shares:  # TAP-Vid's (0, 0) is the frame's corner, its (1, 1) the opposite one
        points = (points + 0.5) / [128, 96]
    points[~truth.visible.T] = 7.7  # anything
    np.savez(tmp_path / "clip" / "tracks.npz", points=points, occluded=~truth.visible.T)
    (clip,) = read_annotated(tmp_path / "clip")
    np.testing.assert_array_equal(clip.visible, truth.visible)
    np.testing.assert_allclose(clip.points[clip.visible], truth.points[truth.visible], atol=1e-4)
    assert np.isnan(clip.points[~clip.visible]).all()
    assert (~clip.visible).sum() > 0
    assert clip.annotated.all()


def test_reducing_a_clip_moves_its_points_along(tmp_path):
    truth = moving_folder(tmp_path / "clip")
    (clip,) = read_annotated(tmp_path / "clip")
    clip = dataclasses.replace(clip, object_areas=np.full(8, 400.0))
    small = reduce_clip(clip, 64)
    assert small.size == (48, 64)
    np.testing.assert_allclose(small.points, (truth.points + 0.5) / 2 - 0.5, atol=1e-4)
    np.testing.assert_allclose(small.object_areas, 100.0)
    blocks = moving_frames(8)[3].reshape(48, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(list(small.read())[3] - blocks).max() <= 1
    assert reduce_clip(clip, 128) is clip


def test_true_tracks_that_cannot_be_used(tmp_path):
    truth = moving_folder(tmp_path / "clip")
    file = tmp_path / "clip" / "tracks.npz"

    def refused(sentence):
        with pytest.raises(BadInput, match=sentence):
            read_annotated(tmp_path / "clip")

    moving_truth(9, SIZE, (2.0, 1.0)).save(file)
    refused("has tracks up to frame 8, but the clip clip has only 8 frames")
    file.write_bytes(b"nothing")
    refused("is damaged or is not a tracks file")
    with file.open("wb") as opened:
        np.save(opened, np.zeros(3))
    refused("is damaged or is not a tracks file")
    np.savez(file, points=np.zeros((5, 8, 3)), occluded=np.zeros((5, 8), bool))
    refused(r"should hold points \[N, T, 2\]")
    np.savez(file, points=np.full((5, 8, 2), np.nan), occluded=np.zeros((5, 8), bool))
    refused("visible points without a position")
    np.savez(file, points=np.full((5, 8, 2), "a"), occluded=np.zeros((5, 8), bool))
    refused("should hold numbers")
    dataclasses.replace(truth, points=truth.points[:, :0], visibility=truth.visibility[:, :0]).save(file)
    refused("has no points")
    for picture in (tmp_path / "clip").glob("*.png"):
        picture.unlink()
    refused("should hold frames or one video")
    file.unlink()
    refused("has no true tracks")
    moving_clip(tmp_path / "film.mp4", frames=3)
    with pytest.raises(BadInput, match=r"There is no file tracks\.npz"):
        read_annotated(tmp_path / "film.mp4")
    with pytest.raises(BadInput, match="There is no file or folder nothing"):
        read_annotated(tmp_path / "nothing")


JOINTS = np.array(
    [
        [(100, 200), (300, 40), (0, 0), (50, 60)],
        [(110, 210), (320, 44), (0, 0), (0, 0)],
        [(125, 205), (0, 0), (0, 0), (70, 80)],
    ],
    float,
)
VISIBLE = np.array([[1, 1, 0, 1], [1, 0, 0, 0], [1, 0, 0, 1]], bool)
FRAMES = [2, 5, 7]


@pytest.fixture
def badja(tmp_path):
    """A sequence annotated at 640×480 in frames 2, 5 and 7 of 10, which are here at 160×120."""
    write_frames(tmp_path / "frames" / "dog", [texture(120, 160, seed) for seed in range(10)])
    return write_badja(tmp_path / "BADJA" / "joint_annotations" / "dog.json", JOINTS, VISIBLE, FRAMES)


def test_badja_joints_are_scaled_to_the_frames(badja, tmp_path):
    opened = read_badja(badja, tmp_path / "frames", (480, 640))
    (clip,) = opened.clips
    assert (clip.name, clip.size, clip.frame_count) == ("dog", (120, 160), 6)  # frames 2 to 7
    np.testing.assert_array_equal(next(iter(clip.read())), texture(120, 160, 2))
    for row, frame in enumerate(FRAMES):
        there = (JOINTS[row] != 0).any(axis=1)
        np.testing.assert_array_equal(clip.annotated[frame - 2], there)
        np.testing.assert_array_equal(clip.visible[frame - 2], VISIBLE[row])
        np.testing.assert_allclose(
            clip.points[frame - 2, there], (JOINTS[row, there] + 0.5) / 4 - 0.5, atol=1e-4
        )
    assert not clip.annotated[[1, 2, 4]].any()
    # Marked as not visible, with a position: hidden there.
    assert clip.annotated[3, 1]
    assert not clip.visible[3, 1]
    assert np.isnan(clip.object_areas).all()


def test_badja_finds_size_and_areas_from_what_is_there(badja, tmp_path):
    with pytest.raises(BadInput, match="give the size with --annotated-size"):
        read_badja(badja, tmp_path / "frames")
    mask = np.zeros((480, 640), np.uint8)
    mask[:240, :320] = 255
    folder = tmp_path / "BADJA" / "DAVIS" / "Annotations" / "Full-Resolution" / "dog"
    folder.mkdir(parents=True)
    write_image(folder / "00005.png", mask)
    (clip,) = read_badja(badja, tmp_path / "frames" / "dog").clips
    np.testing.assert_allclose(clip.points[0, 0], (np.array([100, 200]) + 0.5) / 4 - 0.5, atol=1e-4)
    assert clip.object_areas[3] == pytest.approx(120 * 160 / 4)
    assert np.isfinite(clip.object_areas).sum() == 1


def test_badja_visibility_may_be_numbers_and_paths_may_be_of_windows(badja, tmp_path):
    records = json.loads(badja.read_text())
    for record in records:
        record["visibility"] = [int(value) for value in record["visibility"]]
        record["image_path"] = record["image_path"].replace("/", "\\")
        del record["segmentation_path"]
    badja.write_text(json.dumps(records))
    (clip,) = read_badja(badja, tmp_path / "frames", (480, 640)).clips
    np.testing.assert_array_equal(clip.visible[[0, 3, 5]], VISIBLE)


def test_badja_folder_names_the_sequences_without_frames(badja, tmp_path):
    write_badja(badja.with_name("cat.json"), JOINTS, VISIBLE, FRAMES)
    opened = read_badja(badja.parent, tmp_path / "frames", (480, 640))
    assert [clip.name for clip in opened.clips] == ["dog"]
    assert opened.without_frames == ["cat"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda records: {}, "should have joints in at least 2 annotated frames"),
        (lambda records: {"a": 1}, "is not in BADJA's form"),
        (lambda records: records[:1], "at least 2 annotated frames"),
        (lambda records: [{**records[0], "visibility": [True]}, records[1]], "is not in BADJA's form"),
        (lambda records: [{**records[0], "joints": [[1, 2, 3]] * 4}, records[1]], "is not in BADJA's form"),
        (lambda records: [{"joints": [], "visibility": []}] * 2, "is not in BADJA's form"),
        (lambda records: [records[0], records[0]], "names an image twice"),
        (lambda records: [records[0], {**records[1], "image_path": "x/99.jpg"}], "1 images that are not in"),
    ],
)
def test_badja_files_that_cannot_be_used(badja, tmp_path, change, sentence):
    badja.write_text(json.dumps(change(json.loads(badja.read_text()))))
    with pytest.raises(BadInput, match=sentence):
        read_badja(badja, tmp_path / "frames", (480, 640))


def test_badja_paths_and_sizes_that_do_not_fit(badja, tmp_path):
    frames = tmp_path / "frames"
    with pytest.raises(BadInput, match=r"lie outside an image of 160×120"):
        read_badja(badja, frames, (120, 160))
    with pytest.raises(BadInput, match="There is no folder nowhere"):
        read_badja(badja, tmp_path / "nowhere", (480, 640))
    with pytest.raises(BadInput, match="There is no JSON file at nothing"):
        read_badja(tmp_path / "nothing", frames, (480, 640))
    with pytest.raises(BadInput, match="has no folder of frames for any of the sequences: dog"):
        read_badja(badja.parent, frames / "dog", (480, 640))
    badja.write_text("{")
    with pytest.raises(BadInput, match=r"dog\.json is not a JSON file"):
        read_badja(badja, frames, (480, 640))


def test_what_the_readers_make_is_checked(tmp_path):
    moving_folder(tmp_path / "clip")
    (clip,) = read_annotated(tmp_path / "clip")
    assert isinstance(Tracks.load(tmp_path / "clip" / "tracks.npz"), Tracks)
    for change in (
        {"points": clip.points[:-1]},
        {"annotated": np.zeros_like(clip.annotated)},
        {"points": clip.points * np.nan},
        {"object_areas": np.ones(3)},
    ):
        with pytest.raises(ValueError, match=r"must|differ"):
            dataclasses.replace(clip, **change)
