"""What the tests of the engine share: the authors' network with reproducible weights, and a tiny one."""

import json
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from model.tracking.pips.network import Pips, PipsConfig
from tests.fixtures.pseudo_weights import pseudo_weights

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture(scope="session", autouse=True)
def share_of_the_cores() -> None:
    """Where several processes test at a time, each computes on its share of the cores, after the app's tests.

    Those mostly wait, but some say how soon something happens.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    if processes > 1:
        os.nice(5)


@pytest.fixture(scope="session")
def pseudo_state_dict() -> dict[str, torch.Tensor]:
    """The authors' keys and shapes with the fixture's deterministic weights."""
    shapes = json.loads((FIXTURES / "pips_state_dict.json").read_text())["state_dict"]
    return {key: torch.from_numpy(value) for key, value in pseudo_weights(shapes).items()}


@pytest.fixture(scope="session")
def network(pseudo_state_dict: dict[str, torch.Tensor]) -> Pips:
    """The authors' size, float32."""
    return Pips.from_state_dict(pseudo_state_dict)


@pytest.fixture(scope="session")
def bfloat16_network(pseudo_state_dict: dict[str, torch.Tensor]) -> Pips:
    """The authors' size, bfloat16."""
    return Pips.from_state_dict(pseudo_state_dict).with_precision("bfloat16")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server that offers the folder `tmp_path / "served"`; downloads go to a cache of their own."""
    (tmp_path / "served").mkdir()
    monkeypatch.setenv("STILLMOTION_CACHE", str(tmp_path / "cache"))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tiny_network() -> Pips:
    """A fast network of random weights, for what does not depend on the size."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Pips(PipsConfig(channels=16, width=32, depth=2)).requires_grad_(False).eval()
