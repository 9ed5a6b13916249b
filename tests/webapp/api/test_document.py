"""Requests made from the OpenAPI document, to a running app with real ids: no 5xx, answers as documented."""

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from tests.webapp.serving import serving
from tests.webapp.stack import free_port
from webapp.actions import overlays
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.jobs.queue import QUEUES

CONFIGURATION = """
[parameters]
"path.clip_id" = "{clip}"
"path.run_id" = "{run}"
"path.index" = 0
"path.position" = 0
"body.clip" = "{clip}"
"query.reference" = "{run}"
"query.candidate" = "{run}"
"""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"


@pytest.fixture
def served(
    settings: Settings, tmp_path: Path, small_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of an app with a clip and a run that is done, which schemathesis.toml names."""
    monkeypatch.setattr(overlays, "PATIENCE", 0.1)
    settings = replace(settings, port=free_port(), max_waiting=20)
    app = create_app(settings)
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    client = app.test_client()
    file = {"file": (io.BytesIO(small_clip.read_bytes()), "a.mp4")}
    clip = client.post("/api/v1/clips", data=file).json["id"]
    run = client.post("/api/v1/runs", json={"clip": clip, "method": "lk", "grid": 4}).json["id"]
    jobs = app.extensions["stillmotion"].queue.jobs
    SimpleWorker(list(QUEUES), connection=jobs.redis, serializer=JSONSerializer).work(burst=True)
    assert client.get(f"/api/v1/runs/{run}").json["state"] == "done"
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION.format(clip=clip, run=run))
    with serving(app, settings):
        yield f"http://127.0.0.1:{settings.port}"
    app.extensions["stillmotion"].database.close()


@pytest.mark.slow
def test_no_request_that_the_document_allows_or_forbids_is_a_5xx(served: str, tmp_path: Path) -> None:
    document = f"{served}/api/v1/openapi.json"
    options = ["--checks", CHECKS, "--phases", "fuzzing", "--max-examples", "6"]
    left_out = ["--exclude-method", "DELETE"]  # the ids are to stay
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", document, *options, *left_out, "--seed", "1"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
