"""The time left of simulated runs, whose true end is known."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.jobs.time_left import TimeLeft


def told(estimate: float, total: float, start_up: float, every: float) -> list[tuple[float, float]]:
    """(time, what is told) of a run that takes `total` seconds and does nothing in the first `start_up`."""
    left, moments = TimeLeft(estimate), [every * step for step in range(1, int(total / every))]
    return [
        (moment, left.after(moment, max(0.0, moment - start_up) / (total - start_up))) for moment in moments
    ]


@pytest.mark.parametrize("estimate", [40.0, 90.0, 220.0])
def test_it_is_within_a_quarter_of_the_truth_after_a_fifth(estimate: float) -> None:
    """A run of 90 s, of which the first 3 load the network; the estimate is right, or off by 2.4 times."""
    for moment, left in told(estimate, 90.0, 3.0, 0.25):
        if moment > 0.25 * 90:
            assert left == pytest.approx(90 - moment, rel=0.25, abs=1.5)


@given(
    estimate=st.floats(1, 2000), total=st.floats(20, 200), start_up=st.floats(0, 8), every=st.floats(0.25, 8)
)
def test_it_never_jumps_by_more_than_a_half(
    estimate: float, total: float, start_up: float, every: float
) -> None:
    """Against what was told before, less the time since then, unless a quarter of what is left is more."""
    moments = told(estimate, total, start_up, every)
    for (before, old), (now, new) in pairwise(moments):
        expected, fraction = old - (now - before), max(0.0, now - start_up) / (total - start_up)
        by_pace = now / fraction if fraction else estimate
        if expected > 0.25 * (1 - fraction) * max(estimate, by_pace):
            assert abs(new - expected) <= 0.5 * expected + 1e-9


def test_late_news_are_told_at_once() -> None:
    """Reports come 10 s apart, and what was estimated for 20 s takes 200."""
    for moment, left in told(20.0, 200.0, 0.0, 10.0)[5:]:
        assert left > 0.3 * (200 - moment)


def test_work_that_goes_on_is_told_by_what_it_does_now() -> None:
    """80 % were done before; the rest takes 50 s, as the whole would take 250."""
    left = TimeLeft(250.0)
    for second in range(45):
        seen = left.after(float(second), 0.8 + 0.2 * second / 50)
        if second > 10:
            assert seen == pytest.approx(50 - second, rel=0.3, abs=2)


def test_a_right_estimate_is_counted_down() -> None:
    for moment, left in told(60.0, 60.0, 0.0, 0.5):
        assert left == pytest.approx(60 - moment, abs=0.2)


def test_nothing_is_left_in_the_end() -> None:
    left = TimeLeft(10.0)
    left.after(1.0, 0.1)
    assert left.after(2.0, 1.0) == 0
