"""The authors' weights, fetched from a hub on this machine: kept whole and fitting, or not at all."""

import hashlib
import io
import pickle
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from model.__main__ import main
from model.tracking.methods import available_methods, find_method
from model.tracking.tracker import Tracker
from model.weights.registry import cache_folder
from tests.media import moving_clip

PLACE = "/aharley/pips/resolve/main/model-000200000.pth"


@dataclass
class Hub:
    """What the hub answers: first where the bytes lie, with their sha256, then the bytes."""

    content: bytes = b""
    stated: str = ""
    missing: int = 0
    status: int = 302
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.asked.append(self.path)
            if self.path == "/bytes":
                self.send_response(200)
                self.send_header("Content-Length", str(len(hub.content) + hub.missing))
                self.end_headers()
                self.wfile.write(hub.content)
            else:
                self.send_response(hub.status if self.path == PLACE else 404)
                self.send_header("Location", "/bytes")
                self.send_header(
                    "X-Linked-ETag", f'"{hub.stated or hashlib.sha256(hub.content).hexdigest()}"'
                )
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("STILLMOTION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def fetched() -> int:
    return main(["weights", "--download", "pips-authors"])


@pytest.mark.slow
def test_the_authors_weights_are_fetched_once_and_then_offered(hub, pseudo_state_dict, capsys):
    hub.content = saved(
        {"model_state_dict": {f"module.{key}": value for key, value in pseudo_state_dict.items()}}
    )
    sha256 = hashlib.sha256(hub.content).hexdigest()
    assert fetched() == 0
    assert (cache_folder() / "pips-authors.pth").read_bytes() == hub.content
    assert (cache_folder() / "pips-authors.pth.sha256").read_text() == f"{sha256}  pips-authors.pth\n"
    assert len(list(cache_folder().iterdir())) == 2
    assert fetched() == 0
    assert hub.asked == [PLACE, "/bytes"]
    assert main(["weights"]) == 0
    assert sha256 in capsys.readouterr().out.partition("pips-authors  (pips, downloaded)")[2]
    method = Tracker.load("pips:pips-authors", "cpu").engine.method
    assert (method.weights_sha256, method.settings["iterations"]) == (sha256, 6)
    assert find_method("pips").weights_sha256("pips-authors") == sha256
    offers = {offer.name: offer.weights for offer in available_methods({})}
    assert offers["pips"] == ("pips-small", "pips-authors")
    assert offers["lk"] == ()


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("This must not run.",)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"status": 404}, "could not be downloaded from .*404 Not Found"),
        ({"content": b"x" * 5000, "missing": 100}, "could not be downloaded .*ChunkedEncodingError"),
        (
            {"content": b"<html>Log in first.</html>"},
            "not pips-authors and was thrown away: it is a web page",
        ),
        ({"content": pickle.dumps(Code(), protocol=2)}, "not pips-authors and was thrown away: it"),
        (
            {"content": saved({"model_state_dict": {"norm.weight": torch.ones(128)}})},
            "does not fit PIPs; .* missing",
        ),
        ({"content": saved([1, 2])}, "holds no state dict"),
        (
            {"content": b"x", "stated": "0" * 64},
            "has the sha256 .* instead of 0000000000000000…; it was thrown",
        ),
    ],
)
def test_what_is_not_the_authors_weights_is_not_kept(hub, tmp_path, capsys, wrong, sentence):
    for name, value in wrong.items():
        setattr(hub, name, value)
    assert fetched() == 2
    printed = capsys.readouterr()
    error = printed.err.splitlines()[-1]
    assert re.search(f"^Error: .*{sentence}.*\\.$", error), error
    assert "This must not run." not in printed.out
    assert list(cache_folder().iterdir()) == []
    clip = moving_clip(tmp_path / "clip.mp4", frames=3)
    assert main(["track", str(clip), "--weights", "pips-authors", "--out", str(tmp_path / "t.npz")]) == 2
    assert "pips-authors is not on this machine; `python -m model weights" in capsys.readouterr().err
    assert {offer.name: offer.weights for offer in available_methods({})}["pips"] == ("pips-small",)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "nowhere"])
def test_a_hub_that_cannot_be_reached_is_one_sentence(hub, monkeypatch, capsys, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert fetched() == 2
    assert f"could not be downloaded from {endpoint}{PLACE} (" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_to_is_one_sentence(hub, tmp_path, capsys):
    (tmp_path / "cache").write_text("in the way")
    assert fetched() == 2
    assert re.search(r"could not be downloaded .*\((Not a directory|File exists)\)", capsys.readouterr().err)
