"""Where hidden points are put: motions in closed form, and that no query's answer depends on another's."""

import numpy as np
import pytest
import torch

from model.core.errors import BadInput
from model.tracking.pips import chain
from model.tracking.pips.evidence import COUNT, OWN, companions_evidence
from model.tracking.pips.finish import Finishing
from model.tracking.pips.network import Pips
from model.tracking.pips.refinement import RefinementSettings
from model.tracking.pips.support import (
    Companions,
    SupportSettings,
    complete,
    expect,
    is_doubtful,
    support_points,
)
from model.tracking.pips.visibility import VisibilityNetwork, split_weights

SIZE = (192, 256)
SURE = SupportSettings(doubt=1e-9, stiffness=0.0, rounds=0)


def among(tracked, seen, companions, visibility=1.0, settings=SURE) -> Companions:
    """Companions that are all as visible."""
    shown = np.full(companions.shape[:2], visibility, np.float32)
    return Companions.of(tracked, seen, companions, shown, SIZE, settings)


def moved(points: np.ndarray, frames: int = 8) -> np.ndarray:
    """An affine motion: it shifts, turns and grows."""
    steps = np.arange(frames)[:, None, None]
    linear = np.array([[0.01, -0.02], [0.02, 0.01]])
    return (points + steps * (points @ linear.T + [2.0, -1.0])).astype(np.float32)


def test_support_points_are_a_grid_within_the_frame():
    points = support_points(SIZE, SupportSettings(rows=3, columns=4, margin=5.0))
    assert points.shape == (12, 2)
    assert points[0].tolist() == [5, 5]
    assert points[-1].tolist() == [250, 186]
    assert points[1].tolist() == pytest.approx([5 + 245 / 3, 5], abs=1e-3)
    twice = support_points((384, 512), SupportSettings(rows=3, columns=4, margin=5.0))
    assert twice[0].tolist() == [10, 10]


def test_a_hidden_point_goes_where_its_surroundings_go():
    companions = moved(support_points(SIZE, SURE))
    queries = np.array([[100, 80], [180, 120]], np.float32)
    truth = moved(queries)
    tracked, seen = truth.copy(), np.ones((8, 2), np.float32)
    tracked[4:, 0] += 30  # lost, and held for hidden
    seen[4:, 0] = 0.1
    tracked[2, 1] += 0.7  # seen: left alone
    expected = expect(tracked, among(tracked, seen, companions), SIZE, SURE)
    found = complete(tracked, seen <= 0.5, expected)
    assert found[:, 0] == pytest.approx(truth[:, 0], abs=1e-2)
    assert (found[:, 1] == tracked[:, 1]).all()


def test_those_count_that_moved_alike():
    """Left of the query things stand, right of it they go; it went until it was hidden."""
    settings = SupportSettings(likeness=0.5)
    grid = support_points(SIZE, settings)
    speed = np.where(grid[:, :1] > 128, [[3.0, 0.0]], [[0.0, 0.0]])
    companions = (grid + np.arange(8)[:, None, None] * speed).astype(np.float32)
    query = np.array([[126.0, 90.0]], np.float32)
    truth = query + np.arange(8)[:, None, None] * np.array([3.0, 0.0])
    tracked, seen = truth.astype(np.float32), np.ones((8, 1), np.float32)
    tracked[3:] = tracked[2]
    seen[3:] = 0.0
    expected = expect(tracked, among(tracked, seen, companions, settings=settings), SIZE, settings)
    found = complete(tracked, seen <= 0.5, expected)
    assert found[7, 0] == pytest.approx(truth[7, 0], abs=1.0)


def test_without_companions_in_sight_the_network_is_believed():
    companions = moved(support_points(SIZE, SURE))
    tracked = moved(np.array([[100, 80]], np.float32))
    hidden = np.zeros((8, 1), np.float32)
    expected = expect(tracked, among(tracked, hidden, companions, 0.0), SIZE, SURE)
    found = complete(tracked, hidden <= 0.5, expected)
    assert found == pytest.approx(tracked, abs=1e-3)


def test_a_point_is_doubtful_that_neither_looks_right_nor_goes_with_its_companions():
    companions = moved(support_points(SIZE, SURE))
    tracked = moved(np.array([[60, 60], [100, 80], [180, 120]], np.float32))
    tracked[4, :2] += (3, 4)
    seen = np.ones((8, 3), np.float32)
    alike = np.ones((8, 3), np.float32)
    alike[4, 1:] = 0.5
    beside = among(tracked, seen, companions)
    expected = expect(tracked, beside, SIZE, SURE)
    doubtful = is_doubtful(tracked, alike, expected, SIZE, SURE)
    assert np.argwhere(doubtful).tolist() == [[4, 1]]  # not the first, which looks right; nor the third
    evidence = companions_evidence(np.zeros((8, 3, OWN)), tracked, alike, beside, expected, SIZE)
    assert evidence.shape == (8, 3, COUNT)
    assert evidence[4, 0, OWN : OWN + 2] == pytest.approx([0.5, np.log(6)], abs=1e-3)
    assert evidence[4, 2, OWN : OWN + 2] == pytest.approx(0, abs=1e-3)


def test_what_moves_otherwise_and_is_now_in_a_points_place_is_told():
    """The left half goes right by 8 px a frame, over the right half, which stands."""
    grid = support_points(SIZE, SURE)
    speed = np.where(grid[:, :1] < 100, [[8.0, 0.0]], [[0.0, 0.0]])
    companions = (grid + np.arange(8)[:, None, None] * speed).astype(np.float32)
    query = np.repeat(np.array([[[120.0, 96.0]]], np.float32), 8, axis=0)
    seen = np.ones((8, 1), np.float32)
    beside = among(query, seen, companions)
    expected = expect(query, beside, SIZE, SURE)
    others = companions_evidence(np.zeros((8, 1, OWN)), query, seen, beside, expected, SIZE)[:, 0, OWN + 2]
    assert others[0] == pytest.approx(0, abs=0.05)
    assert others[7] > 0.5
    hidden = beside._replace(visibility=np.zeros_like(beside.visibility))
    unseen = companions_evidence(np.zeros((8, 1, OWN)), query, seen, hidden, expected, SIZE)[:, 0, OWN + 2]
    assert unseen == pytest.approx(0)


def test_a_network_for_visibility_comes_back_from_its_tensors():
    dice = np.random.default_rng(0)
    layers = tuple((dice.normal(size=(a, b)), dice.normal(size=b)) for a, b in ((4, 3), (3, 2), (2, 1)))
    tensors = VisibilityNetwork(layers).to_tensors()
    own, network = split_weights({"fnet.weight": torch.zeros(1), **tensors})
    assert list(own) == ["fnet.weight"]
    assert split_weights(own)[1] is None
    evidence = dice.normal(size=(8, 5, 4))
    hidden = evidence
    for weight, bias in layers[:-1]:
        hidden = np.maximum(hidden @ weight + bias, 0)
    assert network is not None
    assert network.logits(evidence) == pytest.approx(
        (hidden @ layers[-1][0] + layers[-1][1])[..., 0], rel=1e-5
    )
    assert np.array_equal(network.logits(evidence)[:, [3]], network.logits(evidence[:, [3]]))


def test_weights_for_visibility_that_do_not_fit_are_refused():
    tensors = VisibilityNetwork(((np.ones((4, 3)), np.ones(3)), (np.ones((3, 1)), np.ones(1)))).to_tensors()
    renamed = {name.replace("1.", "2."): value for name, value in tensors.items()}
    with pytest.raises(BadInput, match=r"lack visibility\.1\.weight or visibility\.1\.bias"):
        split_weights(renamed)
    for name, wrong in (("0.weight", torch.ones(4, 2)), ("1.weight", torch.ones(3, 2)), ("9", torch.ones(1))):
        with pytest.raises(BadInput, match="do not fit together"):
            split_weights({**tensors, f"visibility.{name}": wrong})


@pytest.mark.parametrize("refinement", [None, RefinementSettings()])
def test_a_chain_with_support_does_not_depend_on_the_other_points(tiny_network: Pips, refinement):
    generator = torch.Generator().manual_seed(1)
    still = torch.rand(3, 96, 128, generator=generator) * 255
    frames = [still.roll(2 * step, dims=2) for step in range(17)]
    queries = torch.rand(70, 2, generator=generator) * 80 + 10
    some = [64, 4, 31]
    layers = ((np.full((COUNT, 1), 0.1), np.zeros(1)), (-np.ones((1, 1)), np.full(1, 0.5)))
    how = Finishing(refinement, SupportSettings(rows=4, columns=5), VisibilityNetwork(layers))
    whole, part, without = (
        chain.follow(tiny_network, iter(frames), chosen, 2, lambda *_: None, finishing=used)
        for chosen, used in ((queries, how), (queries[some], how), (queries, Finishing(refinement)))
    )
    assert (part.points == whole.points[:, some]).all()
    assert (part.visibility == whole.visibility[:, some]).all()
    hidden = whole.visibility[:8] <= 0.5
    assert hidden.any()
    assert (whole.points[:8][hidden] != without.points[:8][hidden]).any()
