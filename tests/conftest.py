"""What tests of several rooms share: a temporary instance, a real Redis, the app, a running stack."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.media import moving_clip
from tests.webapp.stack import Stack
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.processes.services import redis_command

# How long an example takes says how busy the machine is, not whether it is right.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

WHOLE_APP = {"stack", "start_stack", "team", "program"}
"""Fixtures that start or install the whole app, which alone takes seconds."""
TAKEN_TOGETHER = ("tests/browser/", "tests/webapp/test_", "tests/webapp/")
"""Beginnings of paths of which one process takes all tests: more at once would get into each other's way."""


class TestsOfARoom(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed
    """Gives all tests of one of those folders to one process; the others take the engine's, file by file."""

    def _split_scope(self, nodeid: str) -> str:
        together = (folder for folder in TAKEN_TOGETHER if nodeid.startswith(folder))
        return next(together, nodeid.split("::", maxsplit=1)[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Tell xdist which tests one process takes together."""
    return TestsOfARoom(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests on the whole app as slow, and begin with what takes longest."""
    for item in items:
        if WHOLE_APP.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not item.nodeid.startswith(TAKEN_TOGETHER))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis server on a unix socket."""
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    server = subprocess.Popen(redis_command(folder, socket))
    client = redis.Redis(unix_socket_path=str(socket))
    for _ in range(500):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.01)
    else:
        pytest.fail("Redis does not answer.")
    yield f"unix://{socket}"
    server.terminate()
    server.wait(10)


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    """Settings of an empty instance, on an empty Redis."""
    redis.Redis.from_url(redis_url).flushall()
    return Settings(instance=tmp_path / "instance", redis_url=redis_url, max_upload_bytes=4 * 1024**2)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The app in this process; its runs stay queued, since there is no worker."""
    app = create_app(settings)
    yield app
    app.extensions["stillmotion"].database.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the app."""
    return app.test_client()


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 16 frames, 128×96 pixels, 25 frames per second."""
    return moving_clip(tmp_path_factory.mktemp("clips") / "small.mp4")


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 500 frames: with a large grid, a run that lasts long enough to be disturbed."""
    return moving_clip(tmp_path_factory.mktemp("clips") / "long.mp4", frames=500, velocity=(0.2, 0.1))


@pytest.fixture
def start_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Start `python -m webapp` in an instance of its own; keyword arguments are environment variables."""
    stacks: list[Stack] = []

    def start(instance: Path | None = None, **variables: str) -> Stack:
        stack = Stack(instance or tmp_path / "instance", variables)
        stacks.append(stack)
        stack.start()
        return stack

    yield start
    for stack in stacks:
        stack.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One whole running app, for the tests that do it no harm."""
    stack = Stack(tmp_path_factory.mktemp("stack") / "instance", {})
    stack.start()
    yield stack
    stack.stop()
