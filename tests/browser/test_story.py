"""One visit, from a clip to what is taken home: later steps use what earlier ones leave."""

import io
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from model.clips.video import probe
from model.motion.tracks import Tracks
from tests.browser.conftest import watch
from tests.browser.viewing import FRAMES, drawn, heads, ink, on_canvas, wait_for_position
from tests.webapp.stack import Stack

pytestmark = pytest.mark.slow


def saved(page: Page, button: str) -> bytes:
    """What a button saves."""
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_bytes()


def started(page: Page) -> str:
    """Start what the clip's page is set to, wait for its end, and return the run's id."""
    page.click("#start-run")
    page.wait_for_url(re.compile(r"/runs/[0-9a-f]{16}"))
    page.wait_for_selector("#viewer[data-position]")
    return re.search(r"/runs/(\w+)", page.url)[1]


def draw_lasso(page: Page) -> None:
    """Draw around the middle of the frame; how many points it holds is known from where they are."""
    low, high = (70, 50), (250, 190)
    (left, top), (right, bottom) = low, high
    inside = int(((heads(page) > low) & (heads(page) < high)).all(axis=1).sum())
    assert 0 < inside < 64
    page.click(".viewer-plot .modebar-btn[data-val=lasso]")
    plot = page.locator(".viewer-plot").bounding_box()
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
    places = on_canvas(page, corners) + np.array([plot["x"], plot["y"]])
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    expect(page.locator(".viewer-chosen-text")).to_contain_text(f"{inside} points")
    page.click(".viewer-plot .modebar-btn[data-val=pan]")


def look(page: Page, tracks: Tracks) -> None:
    """Pins, selections and the camera removed, by mouse, keys and buttons."""
    draw_lasso(page)
    page.locator(".viewer-pin-number").fill("3")
    page.keyboard.press("Enter")
    expect(page.locator(".viewer-pins li")).to_have_count(1)
    page.wait_for_selector(".viewer-courses-plot .main-svg")
    page.locator("[data-select=moving]").press("Enter")
    expect(page.locator(".viewer-chosen-text")).to_contain_text("points")
    page.get_by_text("Removed", exact=True).click()
    page.locator(".viewer-slider").fill("6")
    wait_for_position(page, 6)
    np.testing.assert_allclose(heads(page), tracks.scene_motion().points[6], atol=0.02)
    page.get_by_text("As filmed", exact=True).click()
    page.select_option(".viewer-trail", "4")
    page.select_option(".viewer-colour", "speed")
    for key, frame in (("[", 2), ("]", 8)):
        page.locator(".viewer-slider").fill(f"{frame}")
        wait_for_position(page, frame)
        page.keyboard.press(key)
    page.locator(".viewer-slider").fill("6")
    page.wait_for_function("location.hash.includes('range=2-8') && location.hash.includes('frame=6')")
    np.testing.assert_allclose(heads(page), tracks.points[6], atol=1e-3)


def take_home(page: Page, stack: Stack, run: str, tracks: Tracks, folder: Path) -> None:
    """Every file, opened: the run's numbers, what the screen shows, and where it comes from."""
    clip = stack.get(f"/clips/{stack.run(run)['clip']}").json()
    facts = (run, clip["name"], clip["sha256"])

    def check(about: dict[str, str]) -> None:
        assert (about["run"], about["clip"], about["clip_sha256"]) == facts

    page.locator(".viewer-cite summary").click()
    assert run in page.locator(".viewer-citation").inner_text()
    expect(page.locator("#left-out")).to_have_text("MP4 and GIF leave out: pinned points.")
    shown = drawn(page)
    picture = Image.open(io.BytesIO(saved(page, ".viewer-save")))
    picture.load()
    np.testing.assert_array_equal(np.asarray(picture.convert("RGBA")), shown)
    check(json.loads(picture.text["Comment"]))

    content = json.loads(saved(page, "#get-json"))
    np.testing.assert_allclose(content["points"], tracks.points, atol=6e-4)
    check(content["about"])
    lines = saved(page, "#get-csv").decode().splitlines()
    table = np.genfromtxt([line for line in lines if line[0] not in "#p"], delimiter=",")
    np.testing.assert_allclose(table[:, 2:4], tracks.points.reshape(-1, 2), atol=6e-4)
    assert f"# clip_sha256: {json.dumps(clip['sha256'])}" in lines
    with np.load(io.BytesIO(saved(page, "#get-npz"))) as arrays:
        np.testing.assert_array_equal(arrays["points"], tracks.points)
        check(json.loads(str(arrays["header"]))["about"])

    wish = parse_qs(urlsplit(page.get_attribute("#get-mp4", "href")).query)
    assert [wish[name] for name in ("paths", "colour", "first", "last")] == [["4"], ["speed"], ["2"], ["8"]]
    said = page.evaluate_handle(
        """() => {
            const said = new Set(), told = document.querySelector('#drawing');
            new MutationObserver(() => said.add(told.textContent)).observe(told, {childList: true});
            return said;
        }"""
    )
    (folder / "film.mp4").write_bytes(saved(page, "#get-mp4"))
    told = said.evaluate("(said) => [...said].join()")
    assert re.search(r"The MP4 waits for its turn|Drawing the MP4: \d+ %", told), told
    assert probe(folder / "film.mp4").frames == 7
    with av.open(str(folder / "film.mp4")) as film:
        check(json.loads(film.metadata["comment"]))
    assert Image.open(io.BytesIO(saved(page, "#get-gif"))).n_frames == 7
    (folder / "viewer.html").write_bytes(saved(page, "#get-html"))


def see_elsewhere(browser: Browser, links: list[str], where: NDArray[np.float64]) -> None:
    """The link, and the file without a server, show the same in another browser, a phone's."""
    complaints: list[str] = []
    elsewhere = browser.new_context(viewport={"width": 390, "height": 800}, reduced_motion="reduce")
    page = elsewhere.new_page()
    watch(page, complaints)
    for link in links:
        page.goto(link)
        page.wait_for_selector("#viewer[data-position='6']")
        np.testing.assert_allclose(heads(page), where, atol=1e-3)
        expect(page.locator(".viewer-colour")).to_have_value("speed")
        expect(page.locator(".viewer-trail")).to_have_value("4")
        expect(page.locator(".viewer-pins li")).to_have_count(1)
        expect(page.locator(".viewer-chosen-text")).to_contain_text("points")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    elsewhere.close()
    assert complaints == []


def follow_backwards(page: Page, stack: Stack, run: str, folder: Path) -> None:
    """A point of one's own, backwards, set by keys alone."""
    page.goto(f"{stack.url}/clips/{stack.run(run)['clip']}")
    page.check("[name=method][value=lk]")
    page.locator("#start").fill("6")
    page.get_by_text("My own").click()
    page.locator("#dots").focus()
    for key in ("ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#own-count")).to_have_text("1 point")
    page.get_by_text("Backwards", exact=True).click()
    tracks = stack.tracks(started(page), folder)
    assert (tracks.query_frame, int(tracks.frames[-1])) == (6, 6)
    expect(page.locator("#viewer")).to_have_attribute("data-position", f"{len(tracks.frames) - 1}")


def into_the_bin_and_back(page: Page, stack: Stack, run: str) -> None:
    """Delete a run in the list, and undo that."""
    page.goto(stack.url)
    card = page.locator("#runs-list li", has=page.locator(f"a[href='/runs/{run}']"))
    card.locator(".choose").check()
    page.locator("#runs-chosen [data-act=delete]").click()
    expect(card).to_have_count(0)
    assert stack.run(run)["deleted_at"] is not None
    page.click("#undo-delete")
    expect(card).to_have_count(1)
    assert stack.run(run)["deleted_at"] is None


def test_a_visit_from_a_clip_to_what_is_taken_home(
    page: Page, stack: Stack, browser: Browser, clip: Path, tmp_path: Path
) -> None:
    page.goto(stack.url)
    page.set_input_files("#files", clip)
    page.click("#found-open")
    page.check("[name=method][value=lk]")
    page.locator("#grid").fill("8")
    page.check("#to-end")
    run = started(page)
    tracks = stack.tracks(run, tmp_path)
    assert len(tracks.frames) == FRAMES
    look(page, tracks)
    take_home(page, stack, run, tracks, tmp_path)

    see_elsewhere(browser, [page.url, (tmp_path / "viewer.html").as_uri()], heads(page))
    follow_backwards(page, stack, run, tmp_path)

    # What is expected of a frame: a field, and the picture moving along it.
    page.goto(f"{stack.url}/clips/{stack.run(run)['clip']}")
    page.check("[name=method][value=fcn]")
    page.locator("#grid").fill("8")
    prediction = started(page)
    for look_of in ("Field", "Animated"):
        page.get_by_text(look_of, exact=True).click()
        assert ink(page) > 0

    # Beside what was tracked, on one clock.
    page.goto(f"{stack.url}/compare?candidate={prediction}&reference={run}")
    page.wait_for_selector(f"#compare[data-shown='{run}']")
    page.keyboard.press("Home")
    page.wait_for_selector("#stages[data-position='0']")

    into_the_bin_and_back(page, stack, prediction)
