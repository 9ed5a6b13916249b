"""One visit without a mouse: each step is reached by Tab, and what has the focus can be seen."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.viewing import wait_for_position
from tests.webapp.stack import Stack

pytestmark = pytest.mark.slow

MOST_STOPS = 150
"""More of them on the way to something, and a person would give up."""


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until what matches a selector has the focus; every stop before must be marked."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        name, is_marked, is_there = page.evaluate(
            """(wanted) => {
                const own = document.activeElement;
                const both = [own, own.nextElementSibling, own.closest('label')].filter(Boolean);
                const looks = both.map((one) => getComputedStyle(one));
                const isMarked = looks.some(({outlineStyle, outlineWidth, boxShadow}) =>
                    outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1 || boxShadow !== 'none');
                const name = `${own.tagName} ${own.className} ${own.id}`;
                return [name, isMarked || own === document.body, own.matches(wanted)];
            }""",
            wanted,
        )
        assert is_marked, name
        if is_there:
            return
    raise AssertionError(f"{wanted} was not reached")


def press(page: Page, wanted: str, *keys: str) -> None:
    """Go to what matches a selector, and press keys there."""
    tab_to(page, wanted)
    for key in keys or ("Enter",):
        page.keyboard.press(key)


def focus_is_on(page: Page, wanted: str) -> None:
    page.wait_for_function("(wanted) => document.activeElement.matches(wanted)", arg=wanted)


def track(page: Page, method: str) -> str:
    """Choose a method on the clip's page, start, and return the run."""
    page.wait_for_selector("[name=method]:checked")
    tab_to(page, "[name=method]")
    while page.locator("[name=method]:checked").get_attribute("value") != method:
        page.keyboard.press("ArrowDown")
    press(page, "#start-run")
    page.wait_for_url(re.compile(r"/runs/\w{16}"))
    page.wait_for_selector("#viewer[data-position]")
    return re.search(r"/runs/(\w+)", page.url)[1]


def look(page: Page) -> None:
    """Play, step, and the camera taken out."""
    page.keyboard.press("Space")
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Pause")
    page.keyboard.press("Space")
    page.keyboard.press("Home")
    wait_for_position(page, 0)
    for key, position in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        wait_for_position(page, position)
    press(page, "[data-setting=camera]", "ArrowRight")
    page.wait_for_function("location.hash.includes('camera=removed')")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("!location.hash.includes('camera=removed')")


def pin(page: Page, points: list[list[float]]) -> None:
    """Mark a point on the picture, the next one to the right and above, pin it, and let it go again.

    points: where they are in the frame that is shown; they lie in rows, evenly.
    """
    marked = page.locator(".viewer-marked")

    def point() -> int:
        return int(re.match(r"Point (\d+) at", marked.inner_text())[1])

    page.locator("body").focus()
    page.evaluate("document.activeElement.blur()")
    press(page, ".viewer-plot", "Shift+ArrowRight")
    before = point()
    for key, right, down in (("Shift+ArrowRight", 1, 0), ("Shift+ArrowUp", 0, -1)):
        page.keyboard.press(key)
        (x, y), (new_x, new_y) = points[before], points[point()]
        spacing = points[1][0] - points[0][0]
        assert abs(new_x - x - right * spacing) < spacing / 2
        assert (new_y < y - 1) == (down < 0)
        before = point()
    page.keyboard.press("Enter")
    expect(page.locator(".viewer-pins li b")).to_have_text(f"{before}")
    press(page, f".viewer-pins button[data-point='{before}']")
    expect(page.locator(".viewer-pins li")).to_have_count(0)


def keys_stay_in_the_sheet(page: Page) -> None:
    """The sheet of keys keeps the focus, and gives it back to where it was."""
    press(page, ".viewer-help")
    expect(page.locator(".viewer-sheet")).to_be_visible()
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "!document.activeElement.closest('main') || !!document.activeElement.closest('dialog')"
        )
    page.keyboard.press("Escape")
    focus_is_on(page, ".viewer-help")


def history(page: Page, stack: Stack, run: str) -> None:
    """Rename a run, delete it, undo that, delete it again, and take it back out of the bin."""
    card = f"#runs-list li:has(a[href='/runs/{run}'])"
    press(page, f"{card} .choose", "Space")
    press(page, "#runs-chosen [data-act=rename]")
    focus_is_on(page, "#edit-text")
    page.keyboard.press("Escape")
    focus_is_on(page, "#runs-chosen [data-act=rename]")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+A")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    expect(page.locator(card)).to_contain_text("by keys")
    focus_is_on(page, "#runs-list .choose")
    for is_undone in (True, False):
        page.keyboard.press("Shift+Tab")
        press(page, f"{card} .choose", "Space")
        press(page, "#runs-chosen [data-act=delete]")
        expect(page.locator(card)).to_have_count(0)
        focus_is_on(page, "#undo-delete")
        if is_undone:
            page.keyboard.press("Enter")
            expect(page.locator(card)).to_have_count(1)
            focus_is_on(page, "#runs-list .choose")
    press(page, "#runs-finder [name=deleted]", "Space")
    expect(page.locator(card)).to_have_count(1)
    press(page, f"{card} .choose", "Space")
    press(page, "#runs-chosen [data-act=restore]")
    expect(page.locator(card)).to_have_count(0)
    assert stack.run(run)["deleted_at"] is None
    press(page, "#runs-finder [name=deleted]", "Space")
    expect(page.locator(card)).to_have_count(1)


def test_a_visit_by_keys_alone(page: Page, stack: Stack, tmp_path: Path) -> None:
    page.goto(stack.url)
    page.wait_for_selector(".sample")
    press(page, ".sample")
    page.wait_for_url(re.compile(r"/clips/\w{16}"))
    run = track(page, "lk")
    look(page)
    pin(page, stack.tracks(run, tmp_path).points[1].tolist())
    keys_stay_in_the_sheet(page)

    # Beside another one.
    press(page, "#change")
    page.wait_for_url(re.compile(r"/clips/\w{16}"))
    other = track(page, "zero")
    press(page, "#compare")
    page.wait_for_selector(f"#compare[data-shown='{run}']")
    page.keyboard.press("Home")
    page.wait_for_selector("#stages[data-position='0']")
    press(page, "#worst button")

    press(page, "nav a[href$='#runs']")
    page.wait_for_selector("#runs-list .choose")
    history(page, stack, other)
    press(page, f"#runs-list a[href='/runs/{run}']")
    page.wait_for_selector("#viewer[data-position]")
