"""Points of one's own, chosen on a clip's page by mouse and by keys, and followed both ways."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.viewing import FRAMES, SIZE
from tests.webapp.stack import Stack


@pytest.fixture
def frame_at(page: Page):
    """Where a pixel of the frame is on the page."""

    def place(x: float, y: float) -> tuple[float, float]:
        box = page.locator("#dots").bounding_box()
        scale = min(box["width"] / SIZE[1], box["height"] / SIZE[0])
        left, top = (box["width"] - SIZE[1] * scale) / 2, (box["height"] - SIZE[0] * scale) / 2
        return box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale

    return place


def test_points_are_clicked_drawn_and_followed_both_ways(
    page: Page, stack: Stack, clip: Path, frame_at, tmp_path: Path
) -> None:
    clip_id = stack.upload(clip)
    page.goto(f"{stack.url}/clips/{clip_id}?method=lk&start=4")
    page.get_by_text("My own").click()
    expect(page.locator("#start-run")).to_be_disabled()
    expect(page.locator("#plan")).to_contain_text("No points yet")
    page.mouse.click(*frame_at(40, 30))
    page.mouse.click(*frame_at(60, 50))
    expect(page.locator("#own-count")).to_have_text("2 points")
    page.mouse.click(*frame_at(60, 50))
    expect(page.locator("#own-count")).to_have_text("1 point")

    page.get_by_text("Box", exact=True).click()
    page.locator("#spacing").fill("10")
    page.mouse.move(*frame_at(50, 40))
    page.mouse.down()
    page.mouse.move(*frame_at(80, 60), steps=3)
    page.mouse.up()
    expect(page.locator("#own-count")).to_have_text("7 points")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#own-count")).to_have_text("1 point")

    # By keys alone: a point at the middle, one a pixel further, and that one undone.
    page.get_by_text("Click", exact=True).click()
    page.locator("#dots").focus()
    for key in ("ArrowRight", "Enter", *["ArrowDown"] * 12, "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#own-count")).to_have_text("3 points")
    page.keyboard.press("Backspace")
    expect(page.locator("#own-count")).to_have_text("2 points")

    page.get_by_text("Both", exact=True).click()
    page.get_by_text("Track the whole clip").click()
    expect(page.locator("#plan")).to_contain_text(
        f"2 points through {FRAMES} frames: 0 to {FRAMES - 1}, from frame 4"
    )
    page.locator("#start-run").click()
    page.wait_for_url("**/runs/*")
    run_id = page.url.split("/runs/")[1].split("#")[0]
    expect(page.locator("#facts")).to_contain_text("2 of your own", timeout=60_000)
    stack.wait_for_end(run_id)
    tracks = stack.tracks(run_id, tmp_path)
    assert tracks.query_frame == 4
    middle = [round(SIZE[1] / 2), round(SIZE[0] / 2)]
    assert abs(tracks.points[4] - [[40, 30], middle]).max() < 1

    # The viewer opens where they were given; another run of them begins with the same points.
    expect(page.locator("#viewer")).to_have_attribute("data-position", "4")
    expect(page.locator("#change")).to_be_visible(timeout=60_000)
    page.locator("#change").click()
    expect(page.locator("#own-count")).to_have_text("2 points")
    expect(page.locator("#plan")).to_contain_text("from frame 4")
