"""Chaining through long clips against the authors' procedure, one point at a time."""

import weakref
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from model.core.errors import BadInput
from model.core.progress import Progress, Watch
from model.tracking.engine import State, Trajectories
from model.tracking.pips.chain import EARLIEST_START, Chain, next_start
from model.tracking.pips.network import Pips
from model.tracking.pips.refinement import probabilities
from tests.model.tracking.pips.chaining import chained

ONE_QUERY = np.array([[20.0, 20.0]], np.float32)


def authors_way(network: Pips, frames: Tensor, query: Tensor) -> tuple[np.ndarray, list[int]]:
    """Chain one point as the authors' demo does, encoding every window again.

    Returns positions `[T, 2]` and the frames from which a window went on, the first window's left out.
    """
    count = len(frames)
    track = torch.zeros(count, 2)
    track[0] = query
    feature, current, starts = None, 0, []
    while current < count:
        starts.append(current)
        window = frames[current : current + 8]
        real = len(window)
        window = torch.cat([window, window[-1:].repeat(8 - real, 1, 1, 1)])
        output = network.track(window, track[current][None], iterations=3, feature=feature)
        feature = output.feature
        visible = torch.sigmoid(output.visibility_logits[:, 0]).numpy()
        track[current : current + real] = output.trajectories[-1][:real, 0]
        threshold, step = 0.9, 7
        while not visible[step] > threshold:
            step -= 1
            if step == 1:
                threshold, step = threshold - 0.02, 7
        current += step
    # The authors' last window may begin at the last frame, where there is nowhere left to go.
    return track.numpy(), [start for start in starts if 0 < start < count - 1]


@pytest.fixture
def frames() -> Tensor:
    generator = torch.Generator().manual_seed(11)
    coarse = torch.rand(23, 3, 12, 16, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, (48, 64), mode="bilinear").to(torch.uint8)


@pytest.fixture
def lively_network(tiny_network: Pips) -> Pips:
    """Larger weights where it counts, so that motion and visibility differ between points and frames."""
    state = tiny_network.state_dict()
    state["vis_predictor.0.weight"] *= 8
    state["delta_block.to_delta.0.weight"] *= 8
    state["delta_block.to_delta.5.weight"] *= 4
    state["delta_block.to_delta.5.bias"] *= 0
    return Pips.from_state_dict(state, config=tiny_network.config)


@pytest.mark.slow
def test_gives_the_authors_trajectories(lively_network, frames):
    queries = torch.rand(9, 2, generator=torch.Generator().manual_seed(2)) * torch.tensor([63.0, 47.0])
    ours = chained(Chain(lively_network, iter(frames), queries.numpy(), 3))
    assert ours.points.shape == (23, 9, 2)
    for index, query in enumerate(queries):
        positions, starts = authors_way(lively_network, frames, query)
        np.testing.assert_allclose(ours.points[:, index], positions, atol=1e-3)
        assert np.flatnonzero(ours.handovers[:, index]).tolist() == starts


def test_points_part_ways_in_this_case(lively_network, frames):
    """Guards the test above: with one common schedule it would prove little."""
    queries = torch.rand(9, 2, generator=torch.Generator().manual_seed(2)) * torch.tensor([63.0, 47.0])
    output = lively_network.track(frames[:8], queries, iterations=3)
    steps = next_start(probabilities(output.visibility_logits))
    assert len(set(steps.tolist())) > 1


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 23])
def test_each_frame_is_encoded_once_and_read_lazily(lively_network, frames, length, monkeypatch):
    encoded: list[int] = []
    encode = Pips.encode

    def counting(self: Pips, batch: Tensor, *others: object) -> Tensor:
        encoded.extend([1] * len(batch))
        return encode(self, batch, *others)

    monkeypatch.setattr(Pips, "encode", counting)
    ours = chained(Chain(lively_network, iter(frames[:length]), ONE_QUERY, 2))
    assert len(encoded) == length
    assert len(ours.points) == length


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clip(lively_network, frames, monkeypatch):
    alive: list[weakref.ref[Tensor]] = []
    most = {"frames": 0, "features": 0}

    def count(kind: str, fresh: Tensor) -> Tensor:
        fresh.kind = kind
        alive.append(weakref.ref(fresh))
        alive[:] = [reference for reference in alive if reference() is not None]
        held = sum(getattr(reference(), "kind", "") == kind for reference in alive)
        most[kind] = max(most[kind], held)
        return fresh

    encoded = 0
    encode = Pips.encode

    def watched_encode(self: Pips, batch: Tensor, *others: object) -> list[Tensor]:
        nonlocal encoded
        encoded += len(batch)
        return [count("features", features.clone()) for features in encode(self, batch, *others)]

    monkeypatch.setattr(Pips, "encode", watched_encode)
    long_clip = (count("frames", frames[index % 23].clone()) for index in range(300))
    ours = chained(Chain(lively_network, long_clip, torch.rand(2, 2).numpy() * 40, 1))
    assert (len(ours.points), encoded) == (300, 300)
    assert most["features"] <= 8 + 8  # the chunk that is left and the one that begins
    assert most["frames"] <= 8 + 8 + 1  # the same, and one frame ahead


def steps(network: Pips, frames: Tensor, queries: np.ndarray) -> list[tuple[Trajectories, State]]:
    """What is done after each step; the last one is the whole clip."""
    chain, done = Chain(network, iter(frames), queries, 2), []
    while not chain.is_done:
        chain.step()
        done.append((chain.trajectories(), chain.state()))
    return done


def test_what_is_done_between_chunks_is_what_the_whole_clip_gives(lively_network, frames):
    queries = torch.rand(9, 2, generator=torch.Generator().manual_seed(2)).numpy() * 40
    done = [trajectories for trajectories, _ in steps(lively_network, frames, queries)]
    lengths = [len(trajectories.points) for trajectories in done]
    assert lengths[0] >= EARLIEST_START
    assert sorted(lengths) == lengths
    assert lengths[-2] > 8
    assert lengths[-1] == 23
    for trajectories in done:
        for name in ("points", "visibility", "handovers"):
            expected = getattr(done[-1], name)[: len(trajectories.points)]
            np.testing.assert_array_equal(getattr(trajectories, name), expected)


@pytest.mark.parametrize("chunk", [0, 3, -2, -1])
def test_going_on_from_a_state_gives_the_same_bits(lively_network, frames, chunk, monkeypatch):
    queries = torch.rand(9, 2, generator=torch.Generator().manual_seed(2)).numpy() * 40
    done = steps(lively_network, frames, queries)
    whole, (first, state) = done[-1][0], done[chunk]
    encoded: list[int] = []
    encode = Pips.encode
    monkeypatch.setattr(
        Pips,
        "encode",
        lambda self, batch, *others: encoded.append(len(batch)) or encode(self, batch, *others),
    )
    before = {name: array.copy() for name, array in state.items()}
    again = chained(Chain(lively_network, iter(frames), queries, 2, state=state))
    for name in ("points", "visibility", "handovers"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert sum(encoded) == 23 - len(first.points)
    for name, array in before.items():
        np.testing.assert_array_equal(state[name], array)  # lent, not given away


def test_one_chunk_has_no_seams(lively_network, frames):
    ours = chained(Chain(lively_network, iter(frames[:8]), torch.rand(4, 2).numpy() * 40, 2))
    assert not ours.handovers.any()


def test_a_short_clip_is_one_padded_chunk(lively_network, frames):
    ours = chained(Chain(lively_network, iter(frames[:5]), ONE_QUERY, 3))
    padded = torch.cat([frames[:5], frames[4:5].repeat(3, 1, 1, 1)])
    expected = lively_network.track(padded, torch.from_numpy(ONE_QUERY), iterations=3).trajectories[-1][:5]
    np.testing.assert_array_equal(ours.points, expected.numpy())


def test_a_subset_of_points_gives_the_same_bits(lively_network, frames):
    queries = torch.rand(9, 2, generator=torch.Generator().manual_seed(2)).numpy() * 40
    whole = chained(Chain(lively_network, iter(frames), queries, 2))
    part = chained(Chain(lively_network, iter(frames), queries[[7, 2]], 2))
    np.testing.assert_array_equal(part.points, whole.points[:, [7, 2]])
    np.testing.assert_array_equal(part.visibility, whole.visibility[:, [7, 2]])


def test_progress_never_goes_back(lively_network, frames):
    reports: list[Progress] = []
    queries = torch.rand(9, 2).numpy() * 40
    chained(Chain(lively_network, iter(frames), queries, 2, watch=Watch(reports.append)))
    assert all(after.done >= before.done - 1e-9 for before, after in pairwise(reports))
    assert {report.stage for report in reports} == {"encoding", "tracking"}
    assert reports[0].done > 0
    assert reports[-1].done <= 23


def test_a_single_chunk_ends_at_its_last_frame(lively_network, frames):
    reports: list[Progress] = []
    queries = torch.rand(150, 2).numpy() * 40
    chained(Chain(lively_network, iter(frames[:8]), queries, 2, watch=Watch(reports.append)))
    stages = [report.stage for report in reports]
    assert stages[:8] == ["encoding"] * 8
    assert len(stages) >= 8 + 2
    assert set(stages[8:]) == {"tracking"}
    assert reports[-1].done == 8


@pytest.mark.parametrize("key", ["vis_predictor.0.bias", "delta_block.to_delta.5.bias", "fnet.conv3.bias"])
def test_diverged_weights_are_refused_instead_of_searched_for_ever(lively_network, frames, key):
    state = {name: value.clone() for name, value in lively_network.state_dict().items()}
    state[key][:] = torch.nan
    diverged = Pips.from_state_dict(state, config=lively_network.config)
    with pytest.raises(BadInput, match="not finite numbers, so its weights are damaged"):
        Chain(diverged, iter(frames), ONE_QUERY, 2).step()


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ([1, 1, 1, 1, 1, 1, 1, 1], 7),
        ([1, 1, 1, 0.95, 0, 0, 0, 0], 3),
        ([1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], 7),  # all pass at the same lowered threshold: the latest
        ([1, 1, 0.71, 0, 0, 0.69, 0, 0], 2),  # 0.70 lets the 2nd pass before the 5th
        ([1, 1, 0, 0, 0, 0, 0, 0], 7),
    ],
)
def test_next_start_is_the_latest_clearly_visible_frame(visible, expected):
    column = np.array(visible, np.float32)[:, None]
    assert next_start(column).tolist() == [expected]
