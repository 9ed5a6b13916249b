"""Estimates: the work counted from the network's size, and corrected by what earlier runs took."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from model.motion.grid import WORKING_SIZE
from model.tracking.estimate import Plan, estimate, usual_memory, usual_seconds
from model.tracking.pips.network import Pips, PipsConfig
from model.tracking.pips.work import PipsWork

PLAN = Plan("pips", None, 256, 50, (360, 640))

CONFIGS = [
    PipsConfig(),
    PipsConfig(channels=64, width=256, depth=4, encoder_widths=(32, 48, 64, 64), frequencies=8),
    PipsConfig(channels=16, width=32, depth=2, stride=8, encoder_widths=(8, 16, 24, 32)),
]

plans = st.builds(
    Plan,
    method=st.sampled_from(["pips", "lk", "zero", "fcn"]),
    weights=st.none(),
    points=st.integers(1, 4096),
    frames=st.integers(2, 2000),
    size=st.tuples(st.integers(8, 3000), st.integers(8, 3000)),
)


def test_the_authors_size_costs_what_was_counted_there() -> None:
    work = PipsWork.of({})
    assert work.frame == pytest.approx(60.7, rel=0.01)
    assert work.point == pytest.approx(2.49, rel=0.01)
    # The counted ones leave out biases and norms.
    assert work.weights == pytest.approx(28_677_713, rel=0.005)


@pytest.mark.parametrize("config", CONFIGS, ids=["authors", "small", "tiny"])
def test_the_count_is_that_of_the_network(config: PipsConfig) -> None:
    with torch.device("meta"):
        network = Pips(config)
        frame = torch.empty(1, 3, *WORKING_SIZE)
        inputs = network.delta_block.to_delta["0"].in_features
        tokens = torch.empty(config.frames, 1, inputs)
        feature = torch.empty(config.frames, config.channels)
    work = PipsWork.of(dataclasses.asdict(config), iterations=1)
    with FlopCounterMode(display=False) as counter:
        network.fnet(frame)
    assert work.frame == pytest.approx(counter.get_total_flops() / 1e9, rel=1e-6)
    with FlopCounterMode(display=False) as counter:
        network.delta_block(tokens)
        network.ffeat_updater(feature)
    assert work.point == pytest.approx(counter.get_total_flops() / 1e9, rel=1e-6)
    assert work.map_values == network.fnet.conv3.out_channels * (360 // config.stride) * (
        640 // config.stride
    )


def test_each_frame_counts_once_and_each_point_once_a_chunk() -> None:
    work = PipsWork.of({})
    assert work.clip(8, 100) == pytest.approx(8 * work.frame + 100 * work.point)
    assert work.clip(9, 100) == pytest.approx(9 * work.frame + 200 * work.point)
    assert work.clip(50, 256) == pytest.approx(50 * work.frame + 7 * 256 * work.point)


@given(plan=plans, more=st.integers(1, 500))
def test_more_costs_more(plan: Plan, more: int) -> None:
    for larger in (
        dataclasses.replace(plan, frames=plan.frames + more),
        dataclasses.replace(plan, points=plan.points + more),
        dataclasses.replace(plan, size=(plan.size[0] + more, plan.size[1])),
    ):
        assert usual_seconds(larger) >= usual_seconds(plan) > 0
        assert usual_memory(larger) >= usual_memory(plan) > 0


@given(plan=plans, pace=st.floats(0.1, 10))
def test_earlier_runs_correct_the_estimate(plan: Plan, pace: float) -> None:
    rough = estimate(plan)
    other = dataclasses.replace(plan, points=100, frames=30)
    better = estimate(plan, [(other, pace * usual_seconds(other))])
    assert (rough.is_rough, better.is_rough) == (True, False)
    assert better.seconds == pytest.approx(pace * rough.seconds)
    # What was measured for the very same plan is the estimate, and one odd run among three does not count.
    odd = [(plan, pace * usual_seconds(plan))] * 2 + [(plan, 1e6)]
    assert estimate(plan, odd).seconds == pytest.approx(pace * usual_seconds(plan))


def test_memory_hardly_grows_with_the_clip() -> None:
    long_clip = dataclasses.replace(PLAN, frames=1000)
    assert usual_memory(long_clip) - usual_memory(PLAN) == 950 * 256 * 50
    assert usual_memory(dataclasses.replace(PLAN, method="lk")) < usual_memory(PLAN)


def test_an_estimate_needs_no_torch() -> None:
    code = "import sys, model.tracking.estimate; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "False"
