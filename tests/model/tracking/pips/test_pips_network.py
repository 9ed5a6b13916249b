"""The network against the authors' own output, and its promise that points do not influence each other."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import dense_pips
from model.core.errors import BadInput
from model.tracking.pips.network import Pips, PipsConfig
from model.tracking.pips.packed import PackedDelta

FIXTURES = Path(__file__).parents[3] / "fixtures"
TOLERANCE = 1e-3  # px and logits; the authors' float32 is within 1.8e-5 of float64


@pytest.fixture(scope="module")
def case() -> dict[str, NDArray[np.generic]]:
    with np.load(FIXTURES / "pips_case.npz") as archive:
        return {key: archive[key] for key in archive.files}


@pytest.fixture(scope="module")
def frames(case: dict[str, NDArray[np.generic]]) -> Tensor:
    return torch.from_numpy(case["frames"]).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def queries(case: dict[str, NDArray[np.generic]]) -> Tensor:
    return torch.from_numpy(case["query"])


def random_frames(height: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (8, 3, height, width), generator=generator, dtype=torch.uint8)


def random_queries(count: int, height: int, width: int, seed: int, beyond: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([width + 2 * beyond, height + 2 * beyond])
    return torch.rand(count, 2, generator=generator) * size - beyond


def test_agrees_with_the_authors_after_every_iteration(network, case, frames, queries):
    output = network.track(frames, queries)
    assert output.trajectories.shape == (6, 8, 25, 2)
    distance = np.abs(output.trajectories.numpy() - case["trajs_all"]).max(axis=(1, 2, 3))
    assert (distance < TOLERANCE).all(), distance
    assert np.abs(output.visibility_logits.numpy() - case["vis_logits"]).max() < TOLERANCE
    assert np.abs(output.feature.numpy() - case["feat0"]).max() < 1e-4
    assert np.abs(output.trajectories[-1].numpy() - case["trajs_f64"]).max() < TOLERANCE


@pytest.mark.slow
def test_fewer_iterations_are_the_first_ones(network, frames, queries):
    assert torch.equal(
        network.track(frames, queries, iterations=2).trajectories,
        network.track(frames, queries).trajectories[:2],
    )


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(101, 139), (64, 64), (70, 250)])
def test_agrees_with_the_dense_form_at_odd_sizes_and_outside_the_frame(network, height, width):
    frames = random_frames(height, width, seed=height)
    queries = random_queries(70, height, width, seed=width, beyond=60)
    ours, dense = network.track(frames, queries), dense_pips.track(network, frames, queries)
    assert (ours.trajectories - dense.trajectories).abs().max() < TOLERANCE
    assert (ours.visibility_logits - dense.visibility_logits).abs().max() < TOLERANCE


@pytest.mark.slow
def test_far_outside_the_frame_nothing_correlates(network, frames):
    far = torch.tensor([[-5000.0, 40.0], [60.0, 9000.0]])
    ours, dense = network.track(frames, far), dense_pips.track(network, frames, far)
    assert torch.isfinite(ours.trajectories).all()
    assert (ours.trajectories[0] - dense.trajectories[0]).abs().max() < TOLERANCE


@pytest.mark.slow
def test_a_given_feature_stands_in_for_the_sampled_one(network, frames, queries):
    whole = network.track(frames, queries)
    assert torch.equal(network.track(frames, queries, feature=whole.feature).trajectories, whole.trajectories)
    other = network.track(frames, queries, feature=whole.feature.flip(0))
    assert torch.equal(other.feature, whole.feature.flip(0))
    assert not torch.equal(other.trajectories, whole.trajectories)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_without_packed_layers(network, bfloat16_network, case, precision, monkeypatch):
    """As on a device or processor that cannot pack them; pieces agree there, too."""
    chosen = network if precision == "float32" else bfloat16_network
    frames = torch.from_numpy(case["frames"]).permute(0, 3, 1, 2).contiguous()
    queries = torch.from_numpy(case["query"])
    packed = chosen.track(frames, queries, iterations=1)
    monkeypatch.setattr("model.tracking.pips.network.can_pack", lambda *_: False)
    plain = chosen.track(frames, queries, iterations=1)
    tolerance = 1e-4 if precision == "float32" else 0.1
    assert (packed.trajectories - plain.trajectories).abs().max() < tolerance
    part = chosen.track(frames, queries[3:5], iterations=1)
    assert torch.equal(part.trajectories, plain.trajectories[:, :, 3:5])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("piece", [1, 7, 10])
def test_pieces_give_the_same_bits_as_the_whole_grid(network, bfloat16_network, case, precision, piece):
    chosen = network if precision == "float32" else bfloat16_network
    frames = torch.from_numpy(case["frames"]).permute(0, 3, 1, 2).contiguous()
    queries = torch.from_numpy(case["query"])
    whole = chosen.track(frames, queries, iterations=2)
    for start in range(0, len(queries), piece):
        part = chosen.track(frames, queries[start : start + piece], iterations=2)
        assert torch.equal(part.trajectories, whole.trajectories[:, :, start : start + piece])
        assert torch.equal(part.visibility_logits, whole.visibility_logits[:, start : start + piece])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_shuffled_order_over_several_batches_gives_the_same_bits(network, bfloat16_network, precision):
    chosen = network if precision == "float32" else bfloat16_network
    frames, queries = random_frames(72, 96, seed=3), random_queries(150, 72, 96, seed=4)
    whole = chosen.track(frames, queries, iterations=3)
    order = torch.randperm(150, generator=torch.Generator().manual_seed(5))
    shuffled = chosen.track(frames, queries[order], iterations=3)
    assert torch.equal(shuffled.trajectories, whole.trajectories[:, :, order])
    assert torch.equal(shuffled.visibility_logits, whole.visibility_logits[:, order])


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_cores_does_not_change_the_bits(network, frames, queries, threads):
    expected = network.track(frames, queries, iterations=2)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        actual = network.track(frames, queries, iterations=2)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(actual.trajectories, expected.trajectories)


def test_what_does_not_fit_into_the_memory_of_a_gpu_goes_in_smaller_batches(
    tiny_network, frames, queries, monkeypatch
):
    as_usual = tiny_network.track(frames, queries)
    refine, tried = Pips._refine, []

    def with_little_memory(self, levels, update, queries, *others):
        tried.append(len(queries))
        if len(queries) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return refine(self, levels, update, queries, *others)

    monkeypatch.setattr(Pips, "_refine", with_little_memory)
    monkeypatch.setattr("model.tracking.pips.network._batches", lambda device: (512, 128, 32))
    fits = 40
    in_pieces = tiny_network.track(frames, queries)
    assert tried == [512, 128, 32]
    for one, other in zip(in_pieces, as_usual, strict=True):
        assert torch.equal(one, other)  # which went 32 at a time
    fits = 16
    with pytest.raises(torch.OutOfMemoryError):
        tiny_network.track(frames, queries)


@pytest.mark.slow
def test_bfloat16_stays_near_and_keeps_coordinates_in_float32(network, bfloat16_network, frames, queries):
    exact, rounded = network.track(frames, queries), bfloat16_network.track(frames, queries)
    assert rounded.trajectories.dtype == torch.float32
    distance = (exact.trajectories[-1] - rounded.trajectories[-1]).norm(dim=-1)
    assert 0 < distance.max() < 0.5  # 0.22 measured with these weights, which amplify rounding


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_update_prepared_for_the_cpu_gives_the_plain_one(tiny_network, precision):
    plain = tiny_network.with_precision(precision).delta_block
    tokens = torch.randn(8, 5, plain.to_delta["0"].in_features, generator=torch.Generator().manual_seed(6))
    before = tokens.clone()
    packed = PackedDelta.pack(plain, 5)
    rounding = 1e-5 if precision == "float32" else 5e-3
    torch.testing.assert_close(packed(tokens), plain(tokens), rtol=0, atol=rounding)
    assert torch.equal(packed(tokens), packed(tokens))
    assert torch.equal(tokens, before)  # lent, not given away


def test_other_sizes_keep_points_apart_and_encode_as_the_dense_form(frames, queries):
    config = PipsConfig(
        channels=24, width=48, depth=2, encoder_widths=(8, 12, 16, 16), frequencies=3,
        lowest_frequency=0.1, highest_frequency=2.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(8)
        network = Pips(config).requires_grad_(False).eval()
    whole = network.track(frames, queries)
    assert torch.equal(network.track(frames, queries[3:5]).trajectories, whole.trajectories[:, :, 3:5])
    maps = dense_pips.encode(network.state_dict(), frames.float(), config.stride)
    torch.testing.assert_close(network.encode(frames), maps, rtol=0, atol=1e-4)


def test_the_query_frame_stays_at_the_query(network, frames, queries):
    output = network.track(frames, queries, iterations=3)
    assert torch.equal(output.trajectories[:, 0], queries.expand(3, -1, -1))


def test_wrong_chunks_are_refused(network, frames, queries):
    with pytest.raises(ValueError, match="8 frames, not 7"):
        network.track(frames[:7], queries)
    with pytest.raises(ValueError, match="at least 32 pixels"):
        network.track(frames[:, :, :31], queries)


def test_what_on_batch_raises_ends_the_work(network, frames):
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        network.track(frames, random_queries(640, 96, 128, seed=1), iterations=1, on_batch=stop)
    assert len(calls) < 10


class TestLoading:
    def test_layout_is_the_authors(self, network: Pips):
        shapes = json.loads((FIXTURES / "pips_state_dict.json").read_text())["state_dict"]
        assert {key: list(value.shape) for key, value in network.state_dict().items()} == shapes
        assert sum(parameter.numel() for parameter in network.parameters()) == 28_677_713

    def test_a_data_parallel_prefix_is_accepted(self, network, pseudo_state_dict):
        wrapped = {f"module.{key}": value for key, value in pseudo_state_dict.items()}
        loaded = Pips.from_state_dict(wrapped).state_dict()
        assert all(torch.equal(value, loaded[key]) for key, value in network.state_dict().items())

    def test_arrays_are_accepted_too(self, network, pseudo_state_dict):
        loaded = Pips.from_state_dict({key: value.numpy() for key, value in pseudo_state_dict.items()})
        assert torch.equal(loaded.fnet.conv2.weight, network.fnet.conv2.weight)

    def test_missing_unexpected_and_misshapen_tensors_are_named(self, pseudo_state_dict):
        damaged = dict(pseudo_state_dict)
        del damaged["norm.weight"]
        damaged["extra.weight"] = torch.zeros(1)
        damaged["vis_predictor.0.bias"] = torch.zeros(2)
        with pytest.raises(BadInput) as caught:
            Pips.from_state_dict(damaged)
        for part in ("1 missing (norm.weight)", "1 unexpected (extra.weight)", "vis_predictor.0.bias [2]"):
            assert part in str(caught.value)
