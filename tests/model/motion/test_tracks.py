"""Saving, loading and refusing tracks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.core.errors import BadInput
from model.motion.camera import Camera
from model.motion.grid import query_grid
from model.motion.tracks import Method, Tracks


def make_tracks(frames: int = 3, points: int = 4, seed: int = 0) -> Tracks:
    generator = np.random.default_rng(seed)
    return Tracks(
        points=generator.normal(scale=50, size=(frames, points, 2)).astype(np.float32),
        visibility=generator.random((frames, points), dtype=np.float32),
        frames=np.arange(5, 5 + 2 * frames, 2, dtype=np.int32),
        size=(480, 640),
        fps=29.97,
        grid=(2, points // 2) if points % 2 == 0 else None,
        method=Method("pips", "ab" * 32, {"iterations": 6, "precision": "float32"}),
        handovers=generator.random((frames, points)) < 0.2 if seed % 2 else None,
    )


@given(frames=st.integers(1, 9), points=st.integers(1, 30), seed=st.integers(0, 1000))
def test_what_is_saved_is_what_is_loaded(tmp_path_factory, frames, points, seed):
    path = tmp_path_factory.mktemp("tracks") / "tracks.npz"
    tracks = make_tracks(frames, points, seed)
    tracks.save(path)
    loaded = Tracks.load(path)
    for name in ("points", "visibility", "frames"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(tracks, name))
        assert getattr(loaded, name).dtype == getattr(tracks, name).dtype
    np.testing.assert_array_equal(loaded.handovers, tracks.handovers)
    assert (loaded.size, loaded.fps, loaded.grid, loaded.method) == (
        tracks.size,
        tracks.fps,
        tracks.grid,
        tracks.method,
    )
    assert [entry.name for entry in path.parent.iterdir()] == ["tracks.npz"]


def test_the_file_is_plain_numpy_without_pickle(tmp_path):
    tracks = make_tracks()
    tracks.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["points"], tracks.points)
        assert json.loads(str(archive["header"]))["version"] == 1


def test_other_arrays_in_the_file_are_passed_over(tmp_path):
    tracks = make_tracks(seed=1)
    tracks.save(tmp_path / "t.npz", {"note": np.arange(3)})
    with np.load(tmp_path / "t.npz", allow_pickle=False) as archive:
        assert archive["note"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(Tracks.load(tmp_path / "t.npz").handovers, tracks.handovers)


def test_a_file_from_before_handovers_is_loaded(tmp_path):
    tracks = make_tracks(seed=1)
    tracks.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as archive:
        older = {name: archive[name] for name in archive.files if name != "handovers"}
    np.savez(tmp_path / "older.npz", **older)
    assert Tracks.load(tmp_path / "older.npz").handovers is None


@given(cut=st.floats(0, 0.999))
def test_a_file_cut_anywhere_is_refused_in_one_sentence(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("tracks") / "tracks.npz"
    make_tracks().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(BadInput, match=r"^tracks.npz is damaged or is not a tracks file; track"):
        Tracks.load(path)


def test_newer_foreign_and_missing_files_are_told_apart(tmp_path):
    tracks = make_tracks()
    header = {"format": "stillmotion-tracks", "version": 2}
    np.savez(tmp_path / "newer.npz", header=np.array(json.dumps(header)), points=tracks.points)
    with pytest.raises(BadInput, match=r"version 2, but this Stillmotion reads up to 1; update"):
        Tracks.load(tmp_path / "newer.npz")
    np.savez(tmp_path / "foreign.npz", header=np.array(json.dumps({"format": "other"})))
    with pytest.raises(BadInput, match="not a tracks file"):
        Tracks.load(tmp_path / "foreign.npz")
    np.savez(tmp_path / "array.npz", points=tracks.points)
    with pytest.raises(BadInput, match="not a tracks file"):
        Tracks.load(tmp_path / "array.npz")
    with pytest.raises(BadInput, match=r"There is no file nowhere\.npz"):
        Tracks.load(tmp_path / "nowhere.npz")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "t.npz"
    make_tracks(seed=1).save(path)
    before = path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="No space"):
        make_tracks(seed=2).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.zeros((3, 4, 2))}, "float32"),
        ({"points": np.zeros((3, 4, 3), np.float32)}, "float32"),
        ({"points": np.full((3, 4, 2), np.nan, np.float32)}, "finite"),
        ({"visibility": np.zeros((3, 5), np.float32)}, "visibility"),
        ({"visibility": np.full((3, 4), 1.5, np.float32)}, r"\[0, 1\]"),
        ({"visibility": np.full((3, 4), np.nan, np.float32)}, r"\[0, 1\]"),
        ({"frames": np.array([0, 2, 2], np.int32)}, "increasing"),
        ({"frames": np.array([0, 1], np.int32)}, "frames"),
        ({"grid": (3, 3)}, "9 points|does not have"),
        ({"handovers": np.zeros((3, 4), np.uint8)}, "handovers must be bool"),
        ({"handovers": np.zeros((2, 4), bool)}, "handovers must be bool"),
        ({"fps": -1.0}, "fps"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message):
    good = make_tracks()
    content = {
        name: getattr(good, name)
        for name in ("points", "visibility", "frames", "size", "fps", "grid", "method")
    }
    with pytest.raises(ValueError, match=message):
        Tracks(**{**content, **change})


def test_the_camera_is_kept_cut_and_left_out_where_there_is_none(tmp_path):
    points = query_grid(8, (480, 640)) + np.arange(5, dtype=np.float32)[:, None, None] * np.float32([-6, 2])
    frames = np.arange(5, dtype=np.int32) * 3
    tracks = Tracks(points, np.ones((5, 64), np.float32), frames, (480, 640), 25.0, (8, 8), Method("lk"))
    tracks.save(tmp_path / "without.npz")
    assert Tracks.load(tmp_path / "without.npz").camera is None
    tracks.with_camera().save(tmp_path / "with.npz")
    camera = Tracks.load(tmp_path / "with.npz").camera
    assert camera is not None
    shift = np.array([[0, 0, -6], [0, 0, 2], [0, 0, 0]])
    expected = np.stack([np.eye(3) + t * shift for t in range(5)])
    np.testing.assert_allclose(camera.homographies, expected, atol=0.05)
    np.testing.assert_allclose(camera.share, 1)
    cut = Tracks.load(tmp_path / "with.npz").until(7)
    np.testing.assert_array_equal(cut.camera.homographies, camera.homographies[:3])
    np.testing.assert_allclose(cut.scene_motion().points, np.repeat(points[:1], 3, axis=0), atol=0.05)
    with pytest.raises(ValueError, match="camera_share"):
        replace(tracks, camera=Camera(camera.homographies, camera.share[:4]))
