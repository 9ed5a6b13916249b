"""RAFT chained: the mapping of the authors' names, and the chain on flows that are known."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.optical_flow import raft_small

from model.__main__ import main
from model.core.errors import BadInput, Stopped
from model.core.progress import Watch
from model.tracking.methods import check_method, tracker_name
from model.tracking.raft import RaftEngine, load_raft
from model.tracking.tracker import Tracker

CPU = torch.device("cpu")


def authors_name(key: str) -> str:
    """The authors' name for a tensor of torchvision's RAFT-small, from both programs' module trees."""
    encoders = {"feature_encoder": "fnet", "context_encoder": "cnet"}
    update = {
        "motion_encoder.convcorr1.0": "encoder.convc1",
        "motion_encoder.convflow1.0": "encoder.convf1",
        "motion_encoder.convflow2.0": "encoder.convf2",
        "motion_encoder.conv.0": "encoder.conv",
        "recurrent_block.convgru1.convz": "gru.convz",
        "recurrent_block.convgru1.convr": "gru.convr",
        "recurrent_block.convgru1.convq": "gru.convq",
        "flow_head.conv1": "flow_head.conv1",
        "flow_head.conv2": "flow_head.conv2",
    }
    room, rest = key.split(".", 1)
    rest, kind = rest.rsplit(".", 1)
    if room == "update_block":
        return f"module.update_block.{update[rest]}.{kind}"
    if rest == "convnormrelu.0":
        rest = "conv1"
    elif rest == "conv":
        rest = "conv2"
    elif "downsample" not in rest:
        layer, block, convolution, _ = rest.split(".")
        rest = f"{layer}.{block}.conv{convolution.removeprefix('convnormrelu')}"
    return f"module.{encoders[room]}.{rest}.{kind}"


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return raft_small().eval()


@pytest.fixture(scope="module")
def authors(reference) -> dict[str, torch.Tensor]:
    return {authors_name(key): tensor for key, tensor in reference.state_dict().items()}


def test_the_authors_checkpoint_and_torchvisions_give_the_same_network(reference, authors, tmp_path):
    assert "module.fnet.layer2.0.downsample.0.weight" in authors
    assert "module.cnet.layer3.1.conv3.bias" in authors
    plain = {key.removeprefix("module."): tensor for key, tensor in authors.items()}
    torch.save(authors, tmp_path / "authors.pth")
    torch.save(plain, tmp_path / "plain.pth")
    torch.save(reference.state_dict(), tmp_path / "torchvision.pth")
    save_file(reference.state_dict(), tmp_path / "torchvision.safetensors")
    for name in ("authors.pth", "plain.pth", "torchvision.pth", "torchvision.safetensors"):
        loaded = load_raft(tmp_path / name).state_dict()
        for key, tensor in reference.state_dict().items():
            assert torch.equal(loaded[key], tensor), (name, key)


def test_other_weights_are_refused_with_a_sentence(authors, tmp_path):
    path = tmp_path / "weights.pth"
    some = "module.fnet.conv1.weight"
    for change, sentence in (
        ({key: value for key, value in authors.items() if key != some}, "1 missing"),
        ({**authors, "module.mask.0.weight": torch.zeros(1)}, "1 unexpected"),
        ({**authors, some: torch.zeros(64, 3, 7, 7)}, r"1 of another shape \(feature_encoder.convnormrelu.0"),
        ({"fc.weight": torch.zeros(3)}, "does not fit RAFT-small"),
    ):
        torch.save(change, path)
        with pytest.raises(BadInput, match=sentence):
            load_raft(path)
    path.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="damaged"):
        load_raft(path)
    with pytest.raises(BadInput, match="There is no checkpoint file"):
        Tracker.load(f"raft:{tmp_path / 'none.pth'}")


class KnownFlow(nn.Module):
    """A network whose flow is `x · slope + offset` per axis, and back `-factor` times that."""

    def __init__(self, offset=(0.0, 0.0), slope=(0.0, 0.0), factor=1.0):
        super().__init__()
        self.offset, self.slope, self.factor = offset, slope, factor

    def forward(self, first, second, num_flow_updates):
        assert first.shape == second.shape
        assert torch.equal(first[0], second[1])
        assert first.abs().max() <= 1
        assert first.shape[2] % 8 == first.shape[3] % 8 == 0
        assert min(first.shape[2:]) >= 128
        ys, xs = torch.meshgrid(torch.arange(first.shape[2]), torch.arange(first.shape[3]), indexing="ij")
        flow = torch.stack([xs * self.slope[0] + self.offset[0], ys * self.slope[1] + self.offset[1]])
        return [torch.zeros(2, 2, *first.shape[2:]), torch.stack([flow, -self.factor * flow])]


def frames(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def follow(network: nn.Module, clip: np.ndarray, queries):
    return Tracker(RaftEngine(network, "0" * 64, CPU)).track(clip, np.array(queries, np.float32))


@pytest.mark.parametrize(
    ("size", "scale"), [((100, 140), 1.0), ((301, 500), 1.0), ((400, 800), 0.8), ((1600, 1000), 0.4)]
)
def test_a_constant_flow_adds_up(size, scale):
    height, width = size
    queries = [(0.3 * width, 0.4 * height), (0.51 * width, 0.22 * height)]
    tracks = follow(KnownFlow((2.5, -1.25)), frames(5, height, width), queries)
    steps = np.arange(5)[:, None, None] * np.array([2.5, -1.25]) / scale
    np.testing.assert_allclose(tracks.points, np.array(queries) + steps, atol=2e-3)
    assert tracks.visible.all()
    assert tracks.method.name == "raft"
    assert tracks.method.settings["longest_side"] == 640


def test_a_linear_flow_is_sampled_where_the_point_is():
    slope = np.array([0.05, -0.03])
    tracks = follow(
        KnownFlow((1.0, 2.0), tuple(slope), 0.95), frames(6, 160, 200), [(20.3, 31.7), (60, 70.5)]
    )
    expected = np.array([(20.3, 31.7), (60, 70.5)])
    for t in range(6):
        np.testing.assert_allclose(tracks.points[t], expected, atol=1e-4)
        expected = expected * (1 + slope) + [1.0, 2.0]


def test_points_that_leave_or_do_not_return_stay_hidden():
    leaving = follow(KnownFlow((30.0, 0.0)), frames(5, 128, 128), [(60.0, 60.0), (5.0, 60.0)])
    assert leaving.visible[:, 0].tolist() == [True, True, True, False, False]
    assert leaving.visible.all(axis=0).tolist() == [False, True]
    # Twice as far back as forth: 3 px apart, of which 0.01 · (9 + 36) + 0.5 = 0.95 px² are allowed.
    torn = follow(KnownFlow((3.0, 0.0), factor=2.0), frames(3, 128, 128), [(60.0, 60.0)])
    assert torn.visible[:, 0].tolist() == [True, False, False]
    assert torn.points[2, 0].tolist() == [66.0, 60.0]


def test_a_subset_of_points_gives_the_same_bits_and_stopping_is_honoured(reference):
    clip = frames(2, 128, 136)
    queries = np.random.default_rng(1).uniform(0, 120, (37, 2)).astype(np.float32)
    tracker = Tracker(RaftEngine(reference, "0" * 64, CPU, flow_updates=2))
    whole = tracker.track(clip, queries)
    part = tracker.track(clip, queries[[30, 2, 5]])
    np.testing.assert_array_equal(part.points, whole.points[:, [30, 2, 5]])
    assert np.abs(whole.points[1] - queries).max() > 0
    with pytest.raises(Stopped):
        tracker.track(clip, queries, Watch(should_stop=lambda: True))


def test_the_method_needs_a_checkpoint_by_path(authors, tmp_path, capsys):
    with pytest.raises(BadInput, match="RAFT needs trained weights"):
        check_method("raft")
    with pytest.raises(BadInput, match=r"There is no checkpoint file none\.pth"):
        check_method("raft", str(tmp_path / "none.pth"))
    torch.save(authors, tmp_path / "raft-small.pth")
    name = tracker_name("raft", str(tmp_path / "raft-small.pth"))
    assert Tracker.load(name, "cpu").engine.method.name == "raft"
    assert main(["track", "clip.mp4", "--out", str(tmp_path / "t.npz"), "--method", "raft"]) == 2
    assert "RAFT needs trained weights" in capsys.readouterr().err
