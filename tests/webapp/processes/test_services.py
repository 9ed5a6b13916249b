"""`python -m webapp` as a person starts it: ports, folders, and processes that do not outlive it."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.webapp.stack import ROOT, Stack, is_alive
from webapp.processes import services
from webapp.processes.services import redis_program

pytestmark = pytest.mark.slow


def ended(stack: Stack) -> tuple[int, str]:
    """Wait for the end of a start that fails; return the exit status and what it said."""
    stack.start(is_awaited=False)
    status = stack.process.wait(30)
    stack.stop()
    return status, stack.output


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {})
    with socket.socket() as other:
        other.bind(("127.0.0.1", stack.port))
        other.listen()
        status, output = ended(stack)
    assert status == 2
    assert output.count("\n") == 1
    assert f"Port {stack.port}" in output
    assert "STILLMOTION_PORT" in output


def test_an_instance_in_use_is_one_sentence(stack: Stack) -> None:
    status, output = ended(Stack(stack.instance, {}))
    assert status == 2
    assert output.count("\n") == 1
    assert "STILLMOTION_INSTANCE" in output
    stack.wait_until_ready()


def test_a_bad_setting_is_one_sentence(tmp_path: Path) -> None:
    status, output = ended(Stack(tmp_path, {"STILLMOTION_WORKERS": "many"}))
    assert (status, output) == (2, "Error: STILLMOTION_WORKERS must be a whole number, not “many”.\n")


def test_an_instance_with_a_long_path_and_the_packaged_redis_serves_quickly_and_ends_cleanly(
    tmp_path: Path, small_clip: Path
) -> None:
    stack = Stack(tmp_path / ("long" * 30), {"PATH": "/nowhere"})
    stack.start()
    try:
        stack.wait_until_ready()
        assert ".venv" in stack.redis().exe() or "site-packages" in stack.redis().exe()
        run = stack.wait_for_end(stack.start_run(stack.upload(small_clip)))
        assert run["state"] == "done", run
        children = stack.children()
    finally:
        began = time.monotonic()
        stack.stop()
    assert time.monotonic() - began < 8
    assert stack.process.returncode == 0
    assert not [child for child in children if is_alive(child)]
    assert stack.output.splitlines()[0] == f"Stillmotion is at {stack.url}"


def test_a_worker_without_redis_says_so(tmp_path: Path) -> None:
    environment = {"STILLMOTION_INSTANCE": str(tmp_path), "REDIS_URL": f"unix://{tmp_path}/none", "PATH": ""}
    answer = subprocess.run(
        [sys.executable, "-m", "webapp", "worker"],
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "REDIS_URL" in answer.stderr


def test_redis_comes_from_a_package_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    program = redis_program()
    assert services.REDIS_PACKAGE in program
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"Valkey server v=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    # Of November 2026: those before have known holes.
    assert version is not None
    assert tuple(map(int, version.groups())) >= (9, 1, 2)
