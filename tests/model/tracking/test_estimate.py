"""Estimates: a pace is measured on one piece of work, kept, and scaled to others."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.core.progress import Progress
from model.tracking.estimate import FILE, Paces, Plan, Stopwatch
from model.tracking.methods import Pace
from model.tracking.pips.network import CPU_BATCH

PLAN = Plan("pips", None, 256, 50, (360, 640))

plans = st.builds(
    Plan,
    method=st.sampled_from(["pips", "lk", "zero", "fcn", "raft"]),
    weights=st.sampled_from([None, "mine.safetensors"]),
    points=st.integers(1, 4096),
    frames=st.integers(2, 2000),
    size=st.tuples(st.integers(8, 3000), st.integers(8, 3000)),
)


@pytest.fixture
def paces(tmp_path: Path) -> Paces:
    return Paces(tmp_path)


@given(plan=plans, more=st.integers(1, 500))
def test_more_costs_more_before_anything_was_measured(tmp_path_factory, plan: Plan, more: int) -> None:
    nothing = Paces(tmp_path_factory.mktemp("empty"))
    least = nothing.estimate(plan)
    assert least.is_rough
    assert least.seconds > 0
    for larger in (
        dataclasses.replace(plan, frames=plan.frames + more),
        dataclasses.replace(plan, points=plan.points + more),
    ):
        assert nothing.estimate(larger).seconds >= least.seconds
        assert nothing.estimate(larger).memory_bytes > least.memory_bytes


def test_a_pace_is_scaled_by_frames_and_points_through_chunks(paces: Paces) -> None:
    plan = dataclasses.replace(PLAN, method="lk")
    paces.add(plan, Pace(2.0, 0.1, 0.01, 500_000_000))
    for frames, points, chunks in ((2, 64, 1), (8, 64, 1), (15, 64, 2), (50, 256, 7), (106, 1024, 15)):
        found = paces.estimate(dataclasses.replace(plan, frames=frames, points=points))
        assert found.seconds == pytest.approx(2 + frames * 0.1 + points * chunks * 0.01)
        assert found.memory_bytes == 500_000_000 + frames * points * 50
        assert not found.is_rough


def test_batches_are_filled_up_from_the_second_chunk_on(paces: Paces) -> None:
    """Few points take nearly as long as one batch a frame, many points take what they take."""
    paces.add(dataclasses.replace(PLAN, frames=8), Pace(0.0, 0.0, 0.01, 1))
    assert paces.estimate(dataclasses.replace(PLAN, frames=8)).seconds == pytest.approx(2.56)
    few, many = (
        paces.estimate(dataclasses.replace(PLAN, frames=57, points=points)).seconds for points in (1, 10_000)
    )
    assert 49 * 0.5 * CPU_BATCH * 0.01 < few < 49 * 1.5 * CPU_BATCH * 0.01
    assert many == pytest.approx(10_000 * 8 * 0.01, rel=0.05)


def test_a_pace_is_of_one_method_one_device_and_one_file_of_weights(paces: Paces) -> None:
    paces.add(PLAN, Pace(2.0, 0.1, 0.01, 500_000_000))
    for other in ({"method": "lk"}, {"weights": "mine.safetensors"}, {"device": "cuda"}):
        assert paces.estimate(dataclasses.replace(PLAN, **other)).is_rough


def test_the_nearest_size_counts_and_later_work_corrects_it(paces: Paces) -> None:
    large = dataclasses.replace(PLAN, size=(2160, 3840))
    paces.add(PLAN, Pace(0.0, 1.0, 0.0, 1))
    paces.add(large, Pace(0.0, 9.0, 0.0, 1))
    assert paces.estimate(dataclasses.replace(PLAN, size=(300, 600))).seconds == pytest.approx(50)
    assert paces.estimate(dataclasses.replace(PLAN, size=(1600, 3000))).seconds == pytest.approx(450)
    paces.add(PLAN, Pace(0.0, 2.0, 0.0, 1))
    assert paces.estimate(PLAN).seconds == pytest.approx(75)


@pytest.mark.parametrize("text", ["", "[]", '{"pips usual auto": {"18": {"start": 1}}}'])
def test_a_damaged_file_says_nothing(paces: Paces, tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert paces.estimate(PLAN).is_rough
    paces.add(PLAN, Pace(1.0, 0.0, 0.0, 1))
    assert paces.estimate(PLAN).seconds == pytest.approx(1)


def test_a_stopwatch_shares_the_time_out() -> None:
    """Loading 3 s, 8 frames of 0.5 s and their encoding of 0.25 s, 4 points of 2 s in one chunk."""
    now = 100.0
    stopwatch = Stopwatch(lambda: now)
    told: list[Progress] = []
    report = stopwatch.timing(told.append)
    now += 3
    stopwatch.lap("start")
    for _ in range(8):
        now += 0.5
        stopwatch.lap("frame")
    for done in range(8):
        now += 0.25
        report(Progress("encoding", done, 8))
    now += 8
    report(Progress("tracking", 8, 8))
    pace = stopwatch.pace(Plan("pips", None, 4, 8, (360, 640)))
    assert (pace.start, pace.frame, pace.point) == (3.0, 0.75, 2.0)
    assert 10e6 < pace.memory < 100e9
    assert len(told) == 9


def test_an_estimate_needs_no_torch() -> None:
    code = "import sys, model.tracking.estimate; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "False"
