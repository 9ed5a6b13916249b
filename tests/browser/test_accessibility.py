"""Every page under axe-core's rules, light and dark, and the keys that reach everything."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.media import texture, write_image
from tests.model.datasets.example_sets import make_dataset
from tests.webapp.serving import serving
from tests.webapp.stack import Stack, free_port
from webapp.app import create_app
from webapp.core.settings import Settings

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not AXE.exists() and "CI" not in os.environ, reason="`make lint` installs axe-core"),
]


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """What axe-core objects to, targets of fewer than 24 pixels too: rule, and the elements."""
    found: list[dict[str, Any]] = page.evaluate(
        "async () => (await axe.run({rules: {'target-size': {enabled: true}}})).violations"
    )
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]


def brightness(colour: str) -> float:
    """The mean of red, green and blue of a colour as CSS has it."""
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_a_rule_of_access(
    page: Page,
    stack: Stack,
    settings: Settings,
    finished_run: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
) -> None:
    make_dataset(stack.instance / "datasets" / f"access {scheme}")
    still = stack.upload(write_image(tmp_path / "still.png", texture(240, 320, seed=8)))
    prediction = stack.start_run(still, method="fcn", grid=4)
    other = stack.start_run(str(stack.run(finished_run)["clip"]), method="zero", grid=8, frames=12)
    for run in (prediction, other):
        assert stack.wait_for_end(run, 120)["state"] == "done"
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light", reduced_motion="reduce")
    page.context.add_init_script(path=AXE)

    def check(address: str, ready: str, site: str = stack.url) -> None:
        page.goto(f"{site}{address}")
        page.wait_for_selector(ready)
        assert (address, violations(page)) == (address, [])

    guarded = dataclasses.replace(settings, token="a token of sixteen", port=free_port())
    app = create_app(guarded)
    with serving(app, guarded):
        check("/login", "[name=token]", f"http://127.0.0.1:{guarded.port}")
    app.extensions["stillmotion"].database.close()

    # Chosen in the header, against what the system has; all pages keep it.
    page.goto(stack.url)
    page.select_option("#theme", scheme)
    check("/", "#runs-list .card-title, #runs-list a")
    check(f"/clips/{still}", "[name=method]:checked")
    check(f"/runs/{prediction}", "#viewer[data-position]")
    check(f"/compare?candidate={other}&reference={finished_run}", "#stages[data-position]")
    check("/datasets", "main a")
    check("/api", "details summary")
    page.locator("details").evaluate_all("(all) => all.forEach((one) => { one.open = true; })")
    assert violations(page) == []
    check(f"/datasets/access%20{scheme}", "#viewer[data-sample]")

    # Pinned and selected points, and the sheet of keys: by keys alone.
    check(f"/runs/{finished_run}#pins=3,9", ".viewer-courses-plot .main-svg")
    shade, drawn = page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  document.querySelector('.viewer-courses-plot').layout.font.color]"""
    )
    assert (brightness(shade) > 200, brightness(drawn) < 60) == (scheme == "light", scheme == "light")
    page.locator("[data-select=moving]").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".viewer-chosen")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("?")
    sheet = page.locator(".viewer-sheet")
    expect(sheet).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_what_has_the_focus_is_outlined(page: Page, stack: Stack, finished_run: str) -> None:
    page.goto(f"{stack.url}/runs/{finished_run}")
    page.wait_for_selector("#viewer[data-position]")
    seen: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name, is_marked = page.evaluate(
            """() => {
                const own = document.activeElement;
                const both = [own, own.nextElementSibling].filter(Boolean);
                const looks = both.map((one) => getComputedStyle(one));
                const isMarked = looks.some(({outlineStyle, outlineWidth, boxShadow}) =>
                    outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1 || boxShadow !== 'none');
                return [`${own.tagName} ${own.className} ${own.id}`, isMarked || own === document.body];
            }"""
        )
        assert is_marked, name
        seen.add(name)
    assert len(seen) > 20
