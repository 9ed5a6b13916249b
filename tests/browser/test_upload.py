"""Uploading in a real Chromium: picker, drag and drop, several images, and what cannot be used."""

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.viewing import FRAMES, SIZE, UPLOAD_LIMIT
from tests.media import moving_clip, texture, write_image
from tests.webapp.stack import Stack


def facts(page: Page) -> dict[str, str]:
    """The facts that the page shows about an upload."""
    names = page.locator("#found-facts dt").all_inner_texts()
    return dict(zip(names, page.locator("#found-facts dd").all_inner_texts(), strict=True))


def test_the_picker_uploads_a_video_and_shows_what_was_found(page: Page, stack: Stack, clip: Path) -> None:
    page.goto(stack.url)
    expect(page.locator(".drop .hint")).to_contain_text("1.5 MB")  # the limit, before any upload
    page.set_input_files("#files", clip)
    expect(page.locator("#found-name")).to_have_text("moving.mp4")
    assert facts(page) | {"File": ""} == {
        "Frames": str(FRAMES),
        "Length": "0.48 s",
        "Rate": "25 frames/s",
        "Picture": f"{SIZE[1]} × {SIZE[0]} px",
        "File": "",
    }
    expect(page.locator("#found-picture")).not_to_have_js_property("naturalWidth", 0)
    expect(page.locator("#clips-list .card-title", has_text="moving.mp4")).to_be_visible()
    page.click("#found-open")
    expect(page.locator("h1")).to_have_text("moving.mp4")
    expect(page.locator("#plan")).to_have_text("256 points through 8 frames: 0 to 7, 0.28 s.")


def test_a_video_is_dropped_on_the_page(page: Page, stack: Stack, tmp_path: Path) -> None:
    video = moving_clip(tmp_path / "dropped.mp4", frames=5)
    page.goto(stack.url)
    transfer = page.evaluate_handle(
        """(content) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], 'dropped.mp4', {type: 'video/mp4'}));
            return transfer;
        }""",
        base64.b64encode(video.read_bytes()).decode(),
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_have_class(re.compile("is-over"))
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("#found-name")).to_have_text("dropped.mp4")
    assert facts(page)["Frames"] == "5"


def test_several_images_become_one_clip_in_the_order_of_their_names(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    names = ["frame10.png", "frame2.png", "frame1.png"]
    for index, name in enumerate(names):
        write_image(tmp_path / name, texture(60, 80, seed=index))
    page.goto(stack.url)
    page.set_input_files("#files", [tmp_path / name for name in names])
    expect(page.locator("#found-name")).to_have_text("3 images: frame1.png to frame10.png")
    assert facts(page)["Frames"] == "3"
    assert "Length" not in facts(page)


def test_one_image_without_a_predictor_is_shown_but_not_tracked(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    offers = stack.get("/methods").json()
    for offer in offers["items"]:
        if offer["from_one_image"]:
            offer |= {"available": False, "reason": "Give it weights."}
    page.route("**/api/v1/methods", lambda route: route.fulfill(json=offers))
    page.goto(stack.url)
    page.set_input_files("#files", write_image(tmp_path / "still.png", texture(60, 80, seed=9)))
    expect(page.locator("#found-note")).to_contain_text("One picture cannot be tracked")
    page.click("#found-open")
    expect(page.locator("#one-image")).to_contain_text("no predictor is installed yet")
    expect(page.locator("#start-run")).to_be_disabled()
    expect(page.locator("#methods [name=method]:enabled")).to_have_count(0)


def test_the_same_video_again_is_not_stored_twice(page: Page, stack: Stack, clip: Path) -> None:
    stack.upload(clip)
    page.goto(stack.url)
    page.set_input_files("#files", clip)
    expect(page.locator("#found-mark")).to_contain_text("Already here")


def test_a_file_that_is_no_video_shows_its_sentence(
    page: Page, stack: Stack, tmp_path: Path, complaints: list[str]
) -> None:
    letter = tmp_path / "letter.mp4"
    letter.write_text("Dear reader, this is not a video.")
    page.goto(stack.url)
    with page.expect_response("**/api/v1/clips") as answer:
        page.set_input_files("#files", letter)
    assert answer.value.status == 422
    expect(page.locator("#upload-error")).to_have_text(answer.value.json()["detail"])
    expect(page.locator("#choose")).to_be_visible()  # ready for another try
    assert len(complaints) == 1  # Chromium's own line about the 422
    assert "422" in complaints.pop()


@pytest.mark.parametrize("count", [1, 2])
def test_too_much_is_refused_before_anything_is_sent(
    page: Page, stack: Stack, tmp_path: Path, count: int
) -> None:
    files = [tmp_path / f"large{index}.png" for index in range(count)]
    for file in files:
        file.write_bytes(bytes(UPLOAD_LIMIT // count + 1))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto(stack.url)
    page.set_input_files("#files", files)
    expect(page.locator("#upload-error")).to_contain_text("1.5 MB at most")
    assert sent == []


def test_a_video_among_several_files_is_refused_before_anything_is_sent(
    page: Page, stack: Stack, tmp_path: Path, clip: Path
) -> None:
    page.goto(stack.url)
    page.set_input_files("#files", [clip, write_image(tmp_path / "a.png", texture(60, 80))])
    expect(page.locator("#upload-error")).to_contain_text("“moving.mp4” is not an image")


def test_an_upload_can_be_stopped(page: Page, stack: Stack, clip: Path) -> None:
    page.goto(stack.url)
    page.route("**/api/v1/clips", lambda route: None if route.request.method == "POST" else route.continue_())
    page.set_input_files("#files", clip)
    page.click("#stop-sending")
    expect(page.locator("#choose")).to_be_visible()
    expect(page.locator("#upload-error")).to_be_hidden()


def test_enter_in_the_dialog_saves_a_name(page: Page, stack: Stack, small_clip: Path) -> None:
    clip = stack.upload(small_clip)
    page.goto(stack.url)
    card = page.locator(f"#clips li:has(a[href$='/clips/{clip}'])")
    card.locator("input[type=checkbox]").check(force=True)  # unseen until the pointer is on the card
    page.locator("#clips").get_by_role("button", name="Rename").click()
    page.fill("#edit-text", "a dog before a cake")
    page.press("#edit-text", "Enter")
    expect(card).to_contain_text("a dog before a cake")
