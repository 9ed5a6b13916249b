"""PIPs behind the Tracker: checkpoints from files, sizes mapped, methods named."""

import hashlib

import numpy as np
import pytest
import safetensors.torch
import torch

from model.core.errors import BadInput, Stopped
from model.core.progress import Watch
from model.motion.grid import WORKING_SIZE, rescale_points
from model.tracking.pips.tracker import resize
from model.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, pseudo_state_dict):
    path = tmp_path_factory.mktemp("weights") / "model-000200000.pth"
    torch.save({"model_state_dict": {f"module.{k}": v for k, v in pseudo_state_dict.items()}}, path)
    return path


@pytest.fixture(scope="module")
def frames():
    generator = np.random.default_rng(3)
    coarse = generator.integers(0, 256, (2, 12, 20, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 9, axis=1), 9, axis=2)


@pytest.mark.slow
def test_a_clip_is_tracked_at_the_working_size_and_mapped_back(checkpoint, network, frames):
    queries = np.array([[30.0, 20.0], [120.0, 77.5]], np.float32)
    tracks = Tracker.load(str(checkpoint), device="cpu").track(frames, queries)
    padded = torch.stack([resize(frame) for frame in frames[[0, 1, 1, 1, 1, 1, 1, 1]]])
    scaled = torch.from_numpy(rescale_points(queries, (108, 180), WORKING_SIZE))
    expected = network.track(padded, scaled).trajectories[-1][:2].numpy()
    np.testing.assert_allclose(tracks.points, rescale_points(expected, WORKING_SIZE, (108, 180)), atol=1e-4)
    assert tracks.method.name == "pips"
    assert tracks.method.weights_sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert tracks.method.settings["precision"] == "float32"


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("height_width", [(72, 96), (333, 777), (480, 854)])
def test_frames_are_resized_to_the_same_bits_on_any_number_of_cores(antialias, height_width):
    frame = np.random.default_rng(4).integers(0, 256, (*height_width, 3), np.uint8)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(resize(frame, antialias=antialias).numpy().tobytes())
    torch.set_num_threads(before)
    assert len(set(results)) == 1


def test_plain_and_safetensors_checkpoints_load_too(tmp_path, pseudo_state_dict):
    torch.save(pseudo_state_dict, tmp_path / "plain.pth")
    safetensors.torch.save_file(pseudo_state_dict, tmp_path / "plain.safetensors")
    for name in ("plain.pth", "plain.safetensors"):
        engine = Tracker.load(tmp_path / name, device="cpu").engine
        assert torch.equal(engine.network.state_dict()["norm.bias"], pseudo_state_dict["norm.bias"])


def test_unusable_checkpoints_are_refused_in_one_sentence(tmp_path, checkpoint):
    (tmp_path / "cut.pth").write_bytes(checkpoint.read_bytes()[:50_000])
    (tmp_path / "text.pth").write_text("not a checkpoint")
    (tmp_path / "text.safetensors").write_text("not a checkpoint")
    for name in ("cut.pth", "text.pth", "text.safetensors"):
        with pytest.raises(BadInput, match=f"{name} is damaged or is not a"):
            Tracker.load(str(tmp_path / name))
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(BadInput, match="holds no state dict"):
        Tracker.load(str(tmp_path / "other.pth"))
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "foreign.pth")
    with pytest.raises(BadInput, match=r"200 missing.*1 unexpected"):
        Tracker.load(str(tmp_path / "foreign.pth"))


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    torch.save({"model_state_dict": {"a": Hostile()}}, tmp_path / "hostile.pth")
    with pytest.raises(BadInput, match="holds Python objects"):
        Tracker.load(str(tmp_path / "hostile.pth"))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
def test_stopping_is_polled_within_a_chunk(checkpoint, frames):
    tracker = Tracker.load(str(checkpoint), device="cpu")
    polls = iter([False, False, True])
    with pytest.raises(Stopped):
        tracker.track(frames, np.full((5, 2), 40, np.float32), Watch(should_stop=lambda: next(polls, True)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu9"}, "no device “tpu9”"),
        ({"device": "meta"}, "not supported"),
        ({"precision": "float8"}, "no precision “float8”"),
    ],
)
def test_devices_and_precisions_that_are_not_there(checkpoint, options, message):
    with pytest.raises(BadInput, match=message):
        Tracker.load(str(checkpoint), **options)
