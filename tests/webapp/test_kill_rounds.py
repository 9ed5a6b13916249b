"""A short round of `benchmarks.kill_rounds`."""

from pathlib import Path

import pytest

from benchmarks.kill_rounds import kill_rounds


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_random_kills_leave_nothing_stuck_lost_or_doubled(tmp_path: Path) -> None:
    report = kill_rounds(tmp_path, seconds=20.0, pause=4.0, clients=4, seed=1)
    assert sum(report.kills.values()) >= 3, report
    assert report.accepted, report
    assert not report.faults, report
