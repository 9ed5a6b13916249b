"""The worker's fork: a job starts quickly in it, and torch computes in it with all its threads."""

import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from model.motion.tracks import Tracks
from model.tracking.pips.network import Pips
from tests.webapp.stack import Stack, wait_for


@pytest.fixture(scope="module")
def pips_stack(tmp_path_factory: pytest.TempPathFactory):
    """A running app with PIPs weights of random values."""
    folder = tmp_path_factory.mktemp("pips")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save({"model_state_dict": Pips().state_dict()}, folder / "weights.pth")
    stack = Stack(folder / "instance", {"STILLMOTION_PIPS_WEIGHTS": str(folder / "weights.pth")})
    stack.start()
    stack.wait_until_ready()
    yield stack
    stack.stop()


@pytest.mark.slow
def test_torch_computes_in_a_forked_job(pips_stack: Stack, small_clip: Path, tmp_path: Path) -> None:
    clip = pips_stack.upload(small_clip)
    run = pips_stack.wait_for_end(pips_stack.start_run(clip, method="pips", grid=2, frames=8), 120)
    assert run["state"] == "done", run
    assert run["weights"] == "weights.pth"
    (tmp_path / "tracks.npz").write_bytes(pips_stack.get(f"/runs/{run['id']}/tracks.npz").content)
    tracks = Tracks.load(tmp_path / "tracks.npz")
    assert tracks.points.shape == (8, 4, 2)
    assert tracks.method.name == "pips"
    assert np.isfinite(tracks.points).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lk", "pips"])
def test_a_warm_worker_reaches_the_first_frame_within_1_s(
    pips_stack: Stack, small_clip: Path, method: str
) -> None:
    clip = pips_stack.upload(small_clip)
    spans = []
    for _ in range(4):
        asked = time.time()
        run = pips_stack.start_run(clip, method=method, grid=2, frames=2)
        first = pips_stack.instance / "storage" / "runs" / run / "frames" / "00000.jpg"
        wait_for(first.exists, 30, pause=0.005)
        spans.append(first.stat().st_mtime - asked)
        assert pips_stack.wait_for_end(run, 120)["state"] == "done"
    assert statistics.median(spans) <= 1.0, spans
