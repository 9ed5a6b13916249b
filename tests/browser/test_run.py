"""From the start button to the result, cancelling, and coming back after a restart."""

import re
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from model.tracks import Tracks
from tests.browser.viewing import go_to, heads
from tests.webapp.stack import Stack


def test_from_settings_to_tracks(page: Page, stack: Stack, clip: Path, tmp_path: Path) -> None:
    page.goto(f"{stack.url}/clips/{stack.upload(clip)}")
    page.wait_for_selector("[name=method][value=lk]:checked")
    expect(page.locator("[name=method][value=pips]")).to_be_disabled()
    page.locator("#grid").fill("6")
    page.locator("#start").fill("2")
    expect(page.locator("#caption")).to_have_text("Frame 2 of 12")
    page.fill("#step", "2")
    page.fill("#frames", "4")
    expect(page.locator("#plan")).to_have_text("36 points through 4 frames: 2 to 8, 0.24 s.")
    page.click("#start-run")
    page.wait_for_url(re.compile(r"/runs/[0-9a-f]{16}"))
    page.wait_for_selector("#viewer[data-position]")
    expect(page.locator(".viewer-summary")).to_contain_text("36 points over 4 frames")
    expect(page.locator("#facts")).to_contain_text("4 (2 to 8, step 2)")

    with page.expect_download() as download:
        page.click("#get-npz")
    download.value.save_as(tmp_path / "tracks.npz")
    tracks = Tracks.load(tmp_path / "tracks.npz")
    assert tracks.frames.tolist() == [2, 4, 6, 8]
    run = re.search(r"/runs/(\w+)", page.url)[1]
    listed = stack.get(f"/runs/{run}/tracks.json").json()
    np.testing.assert_allclose(listed["points"], tracks.points, atol=6e-4)
    go_to(page, 3)
    np.testing.assert_allclose(heads(page), tracks.points[3], atol=1e-4)


def test_wrong_settings_are_refused_with_a_sentence(page: Page, stack: Stack, clip: Path) -> None:
    page.goto(f"{stack.url}/clips/{stack.upload(clip)}")
    page.wait_for_selector("[name=method][value=lk]:checked")
    for field, value, sentence in (
        ("#frames", "1", "a whole number from 2"),
        ("#frames", "", "a whole number from 2"),
        ("#step", "0", "a whole number from 1"),
    ):
        before = page.input_value(field)
        page.fill(field, value)
        expect(page.locator("#form-error")).to_contain_text(sentence)
        expect(page.locator("#start-run")).to_be_disabled()
        page.fill(field, before)
    page.locator("#start").fill("10")
    page.fill("#step", "5")
    expect(page.locator("#form-error")).to_contain_text("Only one frame is left from frame 10")
    page.fill("#step", "1")
    expect(page.locator("#plan")).to_contain_text("The clip ends before the frames you asked for")
    expect(page.locator("#start-run")).to_be_enabled()


def test_progress_is_shown_and_cancel_takes_effect(page: Page, stack: Stack, long_clip: Path) -> None:
    clip = stack.upload(long_clip)
    first = stack.start_run(clip, grid=64, frames=None)
    waiting = stack.start_run(clip, grid=64, frames=None)

    page.goto(f"{stack.url}/runs/{waiting}")
    expect(page.locator("#stage")).to_have_text("Waiting for its turn")
    expect(page.locator("#left")).to_have_text("It is next.")
    page.click("#cancel")
    expect(page.locator("#ended-title")).to_have_text("This run was cancelled")

    page.goto(f"{stack.url}/runs/{first}")
    expect(page.locator("#percent")).to_have_text(re.compile(r"[1-9]\d? %"))
    expect(page.locator("#left")).to_have_text(re.compile("^About .* left$"))
    assert int(page.get_attribute("#waiting .bar", "aria-valuenow")) > 0
    began = time.monotonic()
    page.click("#cancel")
    expect(page.locator("#ended-title")).to_have_text("This run was cancelled")
    assert time.monotonic() - began < 2
    assert stack.run(first)["state"] == "cancelled"

    # "Start it again" makes a new run with the same settings.
    page.click("#retry")
    page.wait_for_url(lambda url: "/runs/" in url and first not in url)
    page.click("#cancel")
    expect(page.locator("#ended")).to_be_visible()


def test_a_clip_is_deleted_after_asking(page: Page, stack: Stack, tmp_path: Path, small_clip: Path) -> None:
    clip = stack.upload(small_clip)
    page.goto(f"{stack.url}/clips/{clip}")
    page.click("#delete")
    page.click("#confirm [value=keep]")
    assert stack.get(f"/clips/{clip}").status_code == 200
    page.click("#delete")
    page.click("#confirm [value=delete]")
    page.wait_for_url(f"{stack.url}/")
    assert stack.get(f"/clips/{clip}").status_code == 404


def test_an_unknown_run_is_a_page_with_a_sentence(page: Page, stack: Stack, complaints: list[str]) -> None:
    page.goto(f"{stack.url}/runs/0123456789abcdef")
    expect(page.locator("h1")).to_have_text("Not Found")
    expect(page.locator(".lead")).to_have_text("This run does not exist, or its clip was deleted.")
    assert "404" in complaints.pop()


def test_clips_and_runs_are_still_listed_after_a_restart(page: Page, stack: Stack, finished_run: str) -> None:
    stack.stop()
    stack.start()
    stack.wait_until_ready()
    page.goto(stack.url)
    expect(page.locator(f"#runs-list a[href='/runs/{finished_run}'] .badge")).to_have_text("done")
    expect(page.locator("#clips-list .card-title", has_text="moving.mp4")).to_be_visible()
    page.click(f"#runs-list a[href='/runs/{finished_run}']")
    page.wait_for_selector("#viewer[data-position]")
