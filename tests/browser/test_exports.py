"""What is saved from a page, opened again: it is what was on the screen, and says where it comes from."""

import io
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from model.clips.video import probe
from tests.browser.viewing import drawn, heads
from tests.webapp.stack import Stack


def test_what_is_shown_is_saved(page: Page, stack: Stack, finished_run: str, tmp_path: Path) -> None:
    page.goto(f"{stack.url}/runs/{finished_run}#frame=6&paths=4&range=2-8&pins=3&colour=speed")
    page.wait_for_selector("#viewer[data-position='6']")
    page.wait_for_timeout(400)  # the links follow when the view rests
    expect(page.locator("#left-out")).to_have_text("MP4 and GIF leave out: pinned points.")

    page.locator(".viewer-cite summary").click()
    citation = page.locator(".viewer-citation").inner_text()
    assert "moving.mp4" in citation
    assert finished_run in citation

    shown = drawn(page)
    page.locator(".viewer-play").focus()
    with page.expect_download() as download:
        page.keyboard.press("p")
    assert download.value.suggested_filename == "stillmotion-frame-6.png"
    picture = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    picture.load()
    np.testing.assert_array_equal(np.asarray(picture.convert("RGBA")), shown)
    told = json.loads(picture.text["Comment"])
    assert (told["run"], picture.text["Description"]) == (finished_run, citation)
    assert "colour=speed" in told["view"]

    wish = parse_qs(urlsplit(page.get_attribute("#get-mp4", "href")).query)
    assert (wish["paths"], wish["colour"], wish["first"], wish["last"]) == (["4"], ["speed"], ["2"], ["8"])
    said = page.evaluate_handle(
        """() => {
            const said = new Set(), told = document.querySelector('#drawing');
            new MutationObserver(() => said.add(told.textContent)).observe(told, {childList: true});
            return said;
        }"""
    )
    with page.expect_download() as download:
        page.click("#get-mp4")
    drawing = said.evaluate("(said) => [...said].join()")
    assert re.search(r"The MP4 waits for its turn|Drawing the MP4: \d+ %", drawing), drawing
    download.value.save_as(tmp_path / "film.mp4")
    assert probe(tmp_path / "film.mp4").frames == 7

    with page.expect_download() as download:
        page.click("#get-html")
    download.value.save_as(tmp_path / "viewer.html")
    where = heads(page)
    page.goto((tmp_path / "viewer.html").as_uri())
    page.wait_for_selector("#viewer[data-position='6']")
    np.testing.assert_allclose(heads(page), where, atol=1e-3)
    expect(page.locator(".viewer-colour")).to_have_value("speed")
    expect(page.locator(".viewer-trail")).to_have_value("4")
    expect(page.locator(".viewer-pins li")).to_have_count(1)
    expect(page.locator(".viewer-citation")).to_have_text(re.compile(re.escape(finished_run)))
