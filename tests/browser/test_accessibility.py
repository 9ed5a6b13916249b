"""Every page under axe-core's rules, light and dark."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, Literal

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.media import texture, write_image
from tests.model.datasets.example_sets import make_dataset
from tests.webapp.serving import serving
from tests.webapp.stack import Stack, free_port
from webapp.app import create_app
from webapp.core.settings import Settings
from webapp.jobs.kinds import KINDS
from webapp.rows.database import Database
from webapp.rows.records import Job, RunState

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


def jobs_that_ended(stack: Stack, video: str, still: str, dataset: str) -> dict[str, str]:
    """A job of each kind: a segmentation as a worker leaves it, and others that were cancelled at once."""
    here = f"{stack.url}/api/v1/datasets"
    wish = {"clips": [video], "method": "lk", "grid": 4}
    jobs = {}
    for kind, address, body in (
        ("convert", here, {"name": f"made for {dataset}", **wish}),
        ("estimate", f"{here}/estimate", wish),
        ("train", f"{here}/{dataset}/train", {"name": dataset, "steps": 9999, "scene_motion": False}),
    ):
        jobs[kind] = requests.post(address, json=body, timeout=30).json()["id"]
        requests.delete(f"{stack.url}/api/v1/jobs/{jobs[kind]}", timeout=30)
    picture = write_image(stack.instance / "storage" / "picture.png", texture(60, 80, seed=2))
    result = {"classes": [{"name": "dog", "share": 0.4, "colour": [64, 0, 128]}]}
    with Database(Settings(instance=stack.instance).database) as database, database.session() as session:
        asked = {"clip": still, "frame": 0}
        done = Job(
            kind="segment", name="still.png", settings=asked, seconds=1.0, state=RunState.DONE, result=result
        )
        session.add(done)
        session.flush()
        jobs["segment"] = done.id
        (stack.instance / "storage" / "jobs").mkdir(exist_ok=True)
        picture.rename(stack.instance / "storage" / done.picture_key)
    assert set(jobs) == set(KINDS)
    return jobs


def look_into_the_bin(page: Page) -> None:
    """On the start page: what can be done with what is chosen there, and in the bin."""
    page.check("#runs-finder [name=deleted]")
    page.locator("#runs-list .choose").first.check()
    page.locator("#clips-list .choose").first.check()
    page.get_by_role("button", name="Track all …").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_a_rule_of_access(
    page: Page,
    stack: Stack,
    settings: Settings,
    finished_run: str,
    tmp_path: Path,
    complaints: list[str],
    scheme: Literal["light", "dark"],
) -> None:
    make_dataset(stack.instance / "datasets" / f"access {scheme}")
    still = stack.upload(write_image(tmp_path / "still.png", texture(240, 320, seed=8)))
    prediction = stack.start_run(still, method="fcn", grid=4)
    video = str(stack.run(finished_run)["clip"])
    other = stack.start_run(video, method="zero", grid=8, frames=12)
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
    check(f"/clips/{video}", "[name=method]:checked")
    check("/datasets", "#clips-list .choose")
    for kind, job in jobs_that_ended(stack, video, still, f"access {scheme}").items():
        check(f"/jobs/{job}", "#ended:not([hidden])")
        assert page.locator("#classes").is_visible() == (kind == "segment")
    check("/api", "details summary")
    page.locator("details").evaluate_all("(all) => all.forEach((one) => { one.open = true; })")
    assert violations(page) == []
    check(f"/datasets/access%20{scheme}", "#viewer[data-sample]")

    requests.patch(f"{stack.url}/api/v1/runs/{other}", json={"deleted": True}, timeout=30).raise_for_status()
    page.goto(stack.url)
    look_into_the_bin(page)
    check("/nothing", ".error-status")
    assert "404" in complaints.pop()

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
