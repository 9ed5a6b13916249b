"""The camera's switch on the pages of a run and of a comparison: the clip's camera and object are known."""

import re
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from model.motion.grid import query_grid
from tests.browser.viewing import (
    colours_at,
    drawn,
    go_to,
    heads,
    on_canvas,
    shown_range,
    wait_for_position,
)
from tests.media import moving_frames, texture, write_video
from tests.webapp.stack import Stack

SIZE = (240, 320)
COUNT = 8
PAN = (-4.0, 0.0)
OWN = (1.0, 3.0)
"""Pixels a frame: what the camera does to the picture, and what the object does in the scene."""

BOX = (90, 60, 190, 150)
"""Left, top, right and bottom of the object in the first frame."""

GRID = 16
OpenViewer = Callable[..., Page]


@pytest.fixture(scope="module")
def panned(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two runs, Lucas-Kanade and zero motion, of a clip with a panning camera and an object that moves."""
    left, top, right, bottom = BOX
    thing = 255 - texture(bottom - top, right - left, seed=5)
    frames = moving_frames(COUNT, SIZE, PAN)
    for t, frame in enumerate(frames):
        x, y = (int(start + t * (pan + own)) for start, pan, own in zip((left, top), PAN, OWN, strict=True))
        cv2.rectangle(frame, (x - 1, y - 1), (x + right - left, y + bottom - top), (0, 0, 0), 1)
        frame[y : y + bottom - top, x : x + right - left] = thing
    clip = stack.upload(write_video(tmp_path_factory.mktemp("panned") / "panned.mp4", frames))
    runs = [stack.start_run(clip, method, grid=GRID, frames=None) for method in ("lk", "zero")]
    for run in runs:
        assert stack.wait_for_end(run)["state"] == "done"
    return runs[0], runs[1]


def parts() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The points well inside the object; those away from it, that the pan leaves in the picture."""
    x, y = query_grid(GRID, SIZE).T
    left, top, right, bottom = BOX
    inside = (x > left + 12) & (x < right - 12) & (y > top + 12) & (y < bottom - 12)
    apart = (x < left - 35) | (x > right + 25) | (y < top - 15) | (y > bottom + 35)
    return inside, apart & (x > 45) & (x < SIZE[1] - 12) & (y > 12) & (y < SIZE[0] - 12)


def test_after_a_click_the_keys_are_the_players(open_viewer: OpenViewer, panned: tuple[str, str]) -> None:
    page = open_viewer(panned[0])
    go_to(page, COUNT - 1)
    page.locator(".viewer-choice label", has_text="Removed").click()
    page.wait_for_url(re.compile("camera=removed"))
    page.keyboard.press("Home")
    wait_for_position(page, 0)
    page.keyboard.press("ArrowRight")
    wait_for_position(page, 1)
    expect(page.get_by_role("radio", name="Removed")).to_be_checked()


def test_still_points_stand_still_and_the_object_moves(
    open_viewer: OpenViewer, panned: tuple[str, str]
) -> None:
    inside, still = parts()
    assert inside.sum() >= 12
    assert still.sum() >= 60
    end, queries = COUNT - 1, query_grid(GRID, SIZE)
    page = open_viewer(panned[0])
    go_to(page, end)
    np.testing.assert_allclose(
        np.median((heads(page) - queries)[still], axis=0), end * np.array(PAN), atol=0.3
    )
    expect(page.locator(".viewer-summary")).to_contain_text(
        "The camera moves the picture 4.0 px a frame to the left"
    )
    page.select_option(".viewer-colour", "speed")
    page.locator(".viewer-play").focus()
    page.keyboard.press("+")
    page.wait_for_function("document.querySelector('.viewer-plot').layout.xaxis.range[0] > 20")
    zoomed = shown_range(page)

    page.keyboard.press("m")
    page.wait_for_url(re.compile("camera=removed"))
    expect(page.get_by_role("radio", name="Removed")).to_be_checked()
    wait_for_position(page, end)  # where it was
    assert shown_range(page) == pytest.approx(zoomed)
    expect(page.locator(".viewer-colour")).to_have_value("speed")
    moved = heads(page) - queries
    assert np.percentile(np.linalg.norm(moved[still], axis=1), 90) < 1
    np.testing.assert_allclose(np.median(moved[inside], axis=0), end * np.array(OWN), atol=0.5)
    expect(page.locator(".viewer-summary")).to_contain_text("with the camera's motion taken out")
    for form in ("mp4", "gif"):
        assert f"overlay.{form}?camera=removed&colour=speed" in page.get_attribute(f"#get-{form}", "href")
    with page.expect_download() as download:
        page.click("#get-mp4")
    assert download.value.suggested_filename == f"stillmotion-{panned[0]}.camera-removed.mp4"

    # The picture is warped, so that the scene stands still; nothing where this frame does not reach.
    page.keyboard.press("0")
    page.wait_for_function("document.querySelector('.viewer-plot').layout.xaxis.range[0] === -0.5")
    page.uncheck(".viewer-dots")
    page.select_option(".viewer-trail", "0")
    places = np.stack(np.meshgrid([40.0, 60, 270, 300], [15.0, 30, 220]), axis=2).reshape(-1, 2)
    after = colours_at(page, places).astype(int)
    x, y = np.round(on_canvas(page, np.array([[10.0, 120.0]]))[0]).astype(int)
    assert drawn(page)[y, x, 3] == 0
    go_to(page, 0)
    at_first = colours_at(page, places).astype(int)
    assert np.median(np.abs(after - at_first).max(axis=1)) < 30
    assert np.abs(at_first - at_first.mean(axis=0)).max() > 60  # there is something to tell apart
    go_to(page, end)
    page.wait_for_function("location.hash.includes('frame=7') && location.hash.includes('speed')")
    page.reload()  # the link holds it
    page.wait_for_selector(f"#viewer[data-position='{end}']")
    np.testing.assert_allclose(heads(page) - queries, moved, atol=1e-3)
    page.get_by_role("radio", name="As filmed").check(force=True)
    page.wait_for_url(lambda url: "camera" not in url)
    expect(page.locator(".viewer-summary")).to_contain_text("The camera moves")
    page.goto(f"{page.url.split('#')[0]}?camera=removed#frame=7")  # as links were before
    page.wait_for_selector(f"#viewer[data-position='{end}']")
    np.testing.assert_allclose(heads(page) - queries, moved, atol=1e-3)


def test_without_a_camera_the_switch_says_why(
    open_viewer: OpenViewer, panned: tuple[str, str], stack: Stack
) -> None:
    clip = stack.run(panned[0])["clip"]
    few = stack.start_run(clip, "lk", grid=6, frames=None)
    stack.wait_for_end(few)
    page = open_viewer(few, "?camera=removed")  # an old or a mistaken link
    expect(page.get_by_role("radio", name="As filmed")).to_be_checked()
    expect(page.get_by_role("radio", name="Removed")).to_be_disabled()
    expect(page.locator(".viewer-camera-note")).to_contain_text("no grid of at least 64 points")
    page.keyboard.press("m")
    expect(page.get_by_role("radio", name="As filmed")).to_be_checked()
    page.wait_for_url(lambda url: "camera" not in url)


def test_a_comparison_with_the_camera_removed(page: Page, stack: Stack, panned: tuple[str, str]) -> None:
    tracked, zero = panned
    page.goto(f"{stack.url}/compare?candidate={zero}&reference={tracked}")
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("would be as far off")
    off = float(re.search(r"are ([\d.]+) px", verdict.inner_text())[1])
    assert off == pytest.approx(28, abs=3)  # 7 frames of the pan, a little less on the object
    page.select_option("#camera", "removed")
    page.wait_for_url(re.compile("&camera=removed$"))
    page.wait_for_function(f"!document.querySelector('#verdict').textContent.includes('are {off} px')")
    moving = int(re.search(r"(\d+) of them move", page.locator("#counted").inner_text())[1])
    inside, still = parts()
    assert inside.sum() * 0.8 <= moving < 256 - still.sum()
    page.reload()
    expect(page.locator("#camera")).to_have_value("removed")
    expect(verdict).not_to_contain_text(f"{off} px")
