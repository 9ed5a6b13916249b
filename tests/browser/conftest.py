"""One running app and one Chromium for all browser tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.browser.viewing import FRAMES, SIZE, UPLOAD_LIMIT, VELOCITY
from tests.media import moving_clip
from tests.predictors import tiny_predictor
from tests.webapp.sample_clips import make_samples
from tests.webapp.stack import Stack

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests here; leave them out where there is no Chromium, but never in CI."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.browser)
        if not CHROMIUM.exists() and "CI" not in os.environ:
            item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is missing, and only root can install it"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole app: a small upload limit, samples of the tests' own, a predictor of random weights."""
    folder = tmp_path_factory.mktemp("browser")
    variables = {
        "STILLMOTION_MAX_UPLOAD_BYTES": str(UPLOAD_LIMIT),
        "STILLMOTION_SAMPLES": str(make_samples(folder / "samples")),
        "STILLMOTION_PREDICTOR_WEIGHTS": str(tiny_predictor(folder / "tiny.safetensors")),
    }
    stack = Stack(folder / "instance", variables)
    try:
        stack.start()
        stack.wait_until_ready(60)
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium, with WebGL in software; a busy machine may take long to draw."""
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about in this test: errors, and requests that leave the host."""
    return []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh visitor at a desk, who wants no motion that they did not ask for."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, reduced_motion="reduce", accept_downloads=True
    )
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, complaints: list[str], stack: Stack) -> Iterator[Page]:
    """A page that must neither complain nor ask another host for anything."""
    page = context.new_page()
    watch(page, complaints)
    yield page
    assert complaints == [], stack.output[-4000:]  # the server's word on it


def watch(page: Page, complaints: list[str]) -> None:
    """Collect what goes wrong in a page."""

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"{message.text} ({message.location['url']})")

    def see(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:", "file:")):
            complaints.append(f"a request to {request.url}")

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", see)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video in which everything moves by VELOCITY."""
    folder = tmp_path_factory.mktemp("clip")
    return moving_clip(folder / "moving.mp4", frames=FRAMES, size=SIZE, velocity=VELOCITY)


@pytest.fixture(scope="session")
def finished_run(stack: Stack, clip: Path) -> str:
    """A run of the moving clip that is done: 8 × 8 points over all frames."""
    run = stack.start_run(stack.upload(clip), grid=8, frames=None)
    assert stack.wait_for_end(run)["state"] == "done"
    return run


@pytest.fixture
def open_viewer(page: Page, stack: Stack) -> Callable[..., Page]:
    """Open a run's page and wait for its viewer."""

    def opened(run: str, moment: str = "") -> Page:
        page.goto(f"{stack.url}/runs/{run}{moment}")
        page.wait_for_selector("#viewer[data-position]")
        return page

    return opened
