"""From the start button to the result, cancelling, and coming back after a restart."""

import re
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from model.motion.tracks import Tracks
from model.tracking.methods import DEFAULT_METHOD
from tests.browser.viewing import go_to, heads, ink, position, show_only_lines
from tests.webapp.sample_clips import SIZE as SAMPLE_SIZE
from tests.webapp.stack import Stack


def test_from_settings_to_tracks(page: Page, stack: Stack, clip: Path, tmp_path: Path) -> None:
    page.goto(f"{stack.url}/clips/{stack.upload(clip)}")
    page.wait_for_selector(f"[name=method][value={DEFAULT_METHOD}]:checked")
    page.check("[name=method][value=lk]")
    page.locator("#grid").fill("6")
    page.locator("#start").fill("2")
    expect(page.locator("#caption")).to_have_text("Frame 2 of 12")
    page.fill("#step", "2")
    page.fill("#frames", "4")
    expect(page.locator("#plan")).to_have_text("36 points through 4 frames: 2 to 8, 0.24 s.")
    expect(page.locator("#estimate")).to_have_text(
        re.compile(r"^Takes (less than a second|about .* s) and about \d+ MB of memory\. ")
    )
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
    page.wait_for_selector("[name=method]:checked")
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


def test_a_method_that_is_not_there_says_how_to_get_it(page: Page, stack: Stack, clip: Path) -> None:
    offers = stack.get("/methods").json()
    for offer in offers["items"]:
        if offer["name"] == "pips":
            offer |= {"available": False, "reason": "Give it weights."}
    page.route("**/api/v1/methods", lambda route: route.fulfill(json=offers | {"default": "lk"}))
    page.goto(f"{stack.url}/clips/{stack.upload(clip)}")
    page.wait_for_selector("[name=method][value=lk]:checked")
    expect(page.locator("[name=method][value=pips]")).to_be_disabled()
    page.locator(".why summary").press("Enter")  # inside the label of what is switched off
    expect(page.locator(".why p")).to_have_text("Give it weights.")


def test_progress_is_shown_and_cancel_takes_effect(
    page: Page, stack: Stack, long_clip: Path, tmp_path: Path
) -> None:
    clip = stack.upload(long_clip)
    first = stack.start_run(clip, method="pips", grid=32, frames=None)
    waiting = stack.start_run(clip, method="pips", grid=32, frames=None)

    page.goto(f"{stack.url}/runs/{waiting}")
    expect(page.locator("#stage")).to_have_text("Waiting for its turn")
    expect(page.locator("#left")).to_have_text(re.compile("^Next in the queue, begins in (about|a moment)"))
    page.click("#cancel")
    expect(page.locator("#ended-title")).to_have_text("This run was cancelled")

    page.goto(f"{stack.url}/runs/{first}")
    # PIPs, because Lucas-Kanade could be done before anybody has looked; its first percent takes a while.
    expect(page.locator("#percent")).to_have_text(re.compile(r"[1-9]\d? %"), timeout=60_000)
    expect(page.locator("#left")).to_have_text(re.compile(r"^(Frame \d+ of 500, a|A)bout .* left$"))
    assert int(page.get_attribute("#waiting .bar", "aria-valuenow")) > 0
    page.wait_for_selector(".waiting-stage canvas[data-frames]", timeout=60_000)  # what is tracked so far
    so_far = page.evaluate(
        """() => {
            const canvas = document.querySelector('.waiting-stage canvas');
            return [Number(canvas.dataset.frames), canvas.toDataURL().length];
        }"""
    )
    assert (so_far[0] > 0, so_far[1] > 10_000, so_far[0] <= stack.run(first)["tracked_frames"]) == (True,) * 3
    began = time.monotonic()
    page.click("#cancel")
    expect(page.locator("#ended-title")).to_have_text(re.compile(r"^Cancelled after \d+ of 500 frames$"))
    assert time.monotonic() - began < 2
    assert stack.run(first)["state"] == "cancelled"

    # What was tracked until then is shown and can be taken away.
    kept = stack.run(first)["tracked_frames"]
    expect(page.locator("#ended-title")).to_contain_text(f"after {kept} of")
    page.wait_for_selector("#viewer[data-position]")
    expect(page.locator(".viewer-readout")).to_contain_text(f"1 of {kept}")
    with page.expect_download() as download:
        page.click("#get-npz")
    download.value.save_as(tmp_path / "tracks.npz")
    partial = Tracks.load(tmp_path / "tracks.npz")
    assert len(partial.frames) == kept
    go_to(page, kept - 1)
    # How much was kept depends on the machine's speed, and many positions travel in steps of 1/32 px.
    np.testing.assert_allclose(heads(page), partial.points[-1], atol=1 / 64 + 1e-4)

    # "Start it again" makes a new run with the same settings.
    page.click("#retry")
    page.wait_for_url(lambda url: "/runs/" in url and first not in url)
    page.click("#cancel")
    expect(page.locator("#ended")).to_be_visible()


def test_a_notice_when_a_run_has_ended_and_nobody_looks(page: Page, stack: Stack, finished_run: str) -> None:
    page.add_init_script(
        """document.hasFocus = () => false;
        window.Notification = class {
            static permission = 'default';
            static async requestPermission() { return Notification.permission = 'granted'; }
            constructor(title, {body}) { (window.heard ??= []).push([title, body]); }
            addEventListener() {}
        };"""
    )
    run = stack.run(finished_run) | {"state": "running", "progress": 0.421, "stage": "tracking", "links": {}}
    page.route(f"**/api/v1/runs/{finished_run}", lambda route: route.fulfill(json=run))
    page.goto(f"{stack.url}/runs/{finished_run}")
    expect(page).to_have_title("42 % · moving.mp4 – Stillmotion")
    expect(page.locator("#notices")).not_to_be_checked()
    page.check("#notices")
    page.wait_for_function("localStorage.getItem('stillmotion-notices') === '1'")
    page.unroute(f"**/api/v1/runs/{finished_run}")
    expect(page).to_have_title("Done · moving.mp4 – Stillmotion")
    assert page.evaluate("window.heard") == [["moving.mp4: done", "Lucas-Kanade, 64 points"]]


def test_a_clip_goes_into_the_bin_after_asking(
    page: Page, stack: Stack, tmp_path: Path, small_clip: Path
) -> None:
    clip = stack.upload(small_clip)
    page.goto(f"{stack.url}/clips/{clip}")
    page.click("#delete")
    page.click("#confirm [value=keep]")
    assert stack.get(f"/clips/{clip}").json()["deleted_at"] is None
    page.click("#delete")
    page.click("#confirm [value=delete]")
    page.wait_for_url(f"{stack.url}/")
    assert stack.get(f"/clips/{clip}").json()["deleted_at"] is not None  # in the bin, not gone


def test_an_unknown_run_is_a_page_with_a_sentence(page: Page, stack: Stack, complaints: list[str]) -> None:
    page.goto(f"{stack.url}/runs/0123456789abcdef")
    expect(page.locator("h1")).to_have_text("Not Found")
    expect(page.locator(".lead")).to_have_text("There is no run “0123456789abcdef”, or it was deleted.")
    assert "404" in complaints.pop()


def test_a_sample_is_tracked_and_compared_with_its_true_motion(page: Page, stack: Stack) -> None:
    page.goto(stack.url)
    expect(page.locator(".sample")).to_have_count(2)
    expect(page.locator(".sample img").first).to_have_js_property("naturalWidth", SAMPLE_SIZE[1])
    page.click(".sample:has-text('Drift')")
    page.wait_for_url(re.compile(r"/clips/[0-9a-f]{16}"))
    expect(page.locator("h1")).to_have_text("drift.mp4")
    page.wait_for_selector("[name=method]:checked")
    page.check("[name=method][value=lk]")
    page.locator("#grid").fill("8")
    page.check("#to-end")
    page.click("#start-run")
    page.wait_for_selector("#viewer[data-position]")
    expect(page.locator(".viewer-error")).to_have_text(
        re.compile(r"^Mean error 0\.\d\d px, .* over \d+ points")
    )
    show_only_lines(page)
    page.select_option(".viewer-trail", "all")
    without = ink(page)
    page.check(".viewer-truth")
    page.wait_for_function("location.hash.includes('truth=1')")
    assert ink(page) > without
    page.keyboard.press("t")
    expect(page.locator(".viewer-truth")).not_to_be_checked()
    assert ink(page) == without
    page.select_option(".viewer-colour", "error")
    expect(page.locator(".viewer-ticks")).to_contain_text("px")


def test_500_frames_are_stepped_through_and_played(
    page: Page, stack: Stack, long_clip: Path, tmp_path: Path
) -> None:
    run = stack.start_run(stack.upload(long_clip), grid=16, frames=None)
    assert stack.wait_for_end(run)["state"] == "done"
    page.goto(f"{stack.url}/runs/{run}")
    page.wait_for_selector("#viewer[data-position]")
    go_to(page, 450)
    np.testing.assert_allclose(heads(page), stack.tracks(run, tmp_path).points[450], atol=1e-4)
    page.click(".viewer-play")
    page.wait_for_function("document.querySelector('#viewer').dataset.position >= 460")
    page.click(".viewer-play")
    go_to(page, 499)
    assert position(page) == 499


def test_clips_and_runs_are_still_listed_after_a_restart(page: Page, stack: Stack, finished_run: str) -> None:
    stack.stop()
    stack.start()
    stack.wait_until_ready()
    page.goto(stack.url)
    expect(page.locator("#runs-list a").first).to_be_visible()
    more = page.get_by_role("button", name="Show more runs")
    if more.is_visible():  # the tests before this one may have made more runs than are listed at first
        more.click()
    expect(page.locator(f"#runs-list a[href='/runs/{finished_run}'] .badge")).to_have_text("done")
    expect(page.locator("#clips-list .card-title", has_text="moving.mp4")).to_be_visible()
    page.click(f"#runs-list a[href='/runs/{finished_run}']")
    page.wait_for_selector("#viewer[data-position]")
