"""From one image to predicted arrows, and a prediction beside what was tracked."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from model.motion.prediction import Prediction
from model.overlay.colours import direction_colour
from model.overlay.html import write_html
from model.prediction.outputs import DIRECTIONS
from tests.browser.conftest import watch
from tests.browser.viewing import (
    SIZE,
    colours_at,
    drawn,
    extent,
    go_to,
    heads,
    ink,
    on_canvas,
    on_screen,
    show_only_lines,
)
from tests.media import texture, write_image
from tests.predictors import HORIZON
from tests.webapp.stack import Stack


def prediction_of(stack: Stack, run: str, folder: Path) -> Prediction:
    (folder / "motion.npz").write_bytes(stack.get(f"/runs/{run}/tracks.npz").content)
    return Prediction.load(folder / "motion.npz")


def predict_from_a_still(page: Page, stack: Stack, image: Path) -> None:
    """Upload an image and predict 6 × 6 points, as a person would."""
    page.goto(stack.url)
    page.set_input_files("#files", image)
    page.click("#found-open")
    page.wait_for_selector("[name=method][value=fcn]:checked")
    for name in ("pips", "lk", "zero"):
        expect(page.locator(f"[name=method][value={name}]")).to_be_disabled()
    for field in ("#start", "#frames", "#step", "#to-end", "#one-image"):
        expect(page.locator(field)).to_be_hidden()
    page.locator("#grid").fill("6")
    expect(page.locator("#plan")).to_have_text("36 points: where will they go? Predicted from this picture.")
    expect(page.locator("#estimate")).to_contain_text("of memory")
    expect(page.locator("#start-run")).to_have_text("Predict")
    page.click("#start-run")
    page.wait_for_selector("#viewer[data-position]", timeout=60_000)


def test_an_image_is_uploaded_and_its_motion_predicted(page: Page, stack: Stack, tmp_path: Path) -> None:
    predict_from_a_still(page, stack, write_image(tmp_path / "still.png", texture(*SIZE, seed=5)))
    expect(page.locator(".viewer-summary")).to_contain_text("Within 7 frames")
    expect(page.locator("#compare")).to_have_count(0)  # no later frames to compare with
    expect(page.locator("#facts")).to_contain_text("Predicted7 frames ahead")  # there is only one frame
    run = re.search(r"/runs/(\w+)", page.url)[1]
    prediction = prediction_of(stack, run, tmp_path)
    tracks = prediction.tracks

    # It begins at the end, where the arrows point.
    np.testing.assert_allclose(heads(page), tracks.points[-1], atol=1e-3)
    go_to(page, 3)
    np.testing.assert_allclose(heads(page), tracks.points[3], atol=1e-3)
    go_to(page, HORIZON - 1)
    heads(page)  # they can be hovered now
    point = int(np.argmin(np.linalg.norm(tracks.points[-1] - np.array(SIZE[::-1]) / 2, axis=1)))
    x, y = tracks.points[-1, point].tolist()
    page.mouse.move(*on_screen(page, (x - 3, y - 3), SIZE))
    page.mouse.move(*on_screen(page, (x, y), SIZE))
    label = page.locator(".hoverlayer .hovertext")
    expect(label).to_contain_text(f"point {point}")
    low, high = prediction.interval[:, -1, point]
    expect(label).to_contain_text(f"90 %: x {low[0]:.1f} to {high[0]:.1f}")
    expect(label).to_contain_text(f"90 %: y {low[1]:.1f} to {high[1]:.1f}")

    # A pinned point has the fan of its intervals: nothing else is drawn then.
    show_only_lines(page)
    page.select_option(".viewer-trail", "0")
    page.mouse.move(2, 2)
    assert ink(page) == 0
    page.locator(".viewer-pin-number").fill(f"{point}")
    page.keyboard.press("Enter")
    bounds = prediction.interval[:, 1:, point]
    expected = np.concatenate([bounds[0].min(axis=0), bounds[1].max(axis=0)])
    ring = np.array([-6, -6, 6, 6]) + np.tile([x, y], 2)  # of the pin
    expected = np.concatenate([np.minimum(expected, ring)[:2], np.maximum(expected, ring)[2:]])
    visible = np.clip(expected, 0, np.array(SIZE[::-1] * 2))
    np.testing.assert_allclose(extent(page), visible, atol=4)
    switch = page.get_by_label("Uncertainty")
    expect(switch).to_be_checked()
    page.locator(".viewer-play").focus()
    page.keyboard.press("u")
    expect(switch).not_to_be_checked()
    left, _, right, _ = extent(page)
    assert right - left < 14  # the pin's ring
    page.wait_for_function("location.hash.includes('uncertainty=0')")
    page.reload()
    page.wait_for_selector("#viewer[data-position]")
    expect(switch).not_to_be_checked()
    page.click("#change")
    page.wait_for_selector("[name=method][value=fcn]:checked")
    expect(page.locator("#grid-value")).to_have_text("6 × 6")


@pytest.mark.parametrize("withheld", [False, True])
def test_hypotheses_are_shown_on_demand_and_where_the_answer_is_withheld(
    page: Page, stack: Stack, tmp_path: Path, withheld: bool
) -> None:
    clip = stack.upload(write_image(tmp_path / "still.png", texture(*SIZE, seed=6)))
    run = stack.start_run(clip, method="fcn", grid=3)
    assert stack.wait_for_end(run, 120)["state"] == "done"
    found = prediction_of(stack, run, tmp_path)
    assert found.hypotheses.shape == (1 + DIRECTIONS, HORIZON, 9, 2)
    # Of three ways of each point one is likely, one less so, one hardly possible.
    hypotheses = found.hypotheses[:3]
    weights = np.repeat([[0.79], [0.2], [0.01]], 9, axis=1).astype(np.float32)
    moving = np.tile(np.array([0, 0.5, 1], np.float32), 3)
    prediction = replace(found, hypotheses=hypotheses, weights=weights, withheld=withheld, moving=moving)
    write_html(tmp_path / "motion.html", [texture(*SIZE, seed=6)] * HORIZON, found.tracks, prediction)
    page.goto((tmp_path / "motion.html").as_uri())
    page.wait_for_selector("#viewer[data-position]")
    which = page.locator(".viewer-hypothesis")
    expect(which).to_have_value("all" if withheld else "answer")
    show_only_lines(page)
    page.select_option(".viewer-hypothesis", "answer")
    of_answer = ink(page)
    page.select_option(".viewer-hypothesis", "all")
    assert ink(page) > of_answer
    for way in range(3):
        page.select_option(".viewer-hypothesis", f"{way}")
        page.wait_for_timeout(300)
        np.testing.assert_allclose(heads(page), hypotheses[way, -1], atol=1e-3)
    page.wait_for_function("location.hash.includes('hypothesis=2')")

    # A map that is the more opaque the likelier a place moves.
    page.select_option(".viewer-trail", "0")
    page.check(".viewer-moving")
    x, y = np.round(on_canvas(page, found.tracks.points[0]) - 0.5).astype(int).T
    np.testing.assert_allclose(drawn(page)[y, x, 3], 0.8 * 255 * moving, atol=8)
    page.select_option(".viewer-trail", "all")

    # A field, for which the map makes room; the picture itself warped along its motion.
    page.select_option(".viewer-hypothesis", "0")
    page.locator(".viewer-play").focus()
    page.keyboard.press("f")
    expect(page.get_by_role("radio", name="Field")).to_be_checked()
    # Of the largest motion, which is drawn fully.
    moved = hypotheses[0, -1] - hypotheses[0, 0]
    point = int(np.linalg.norm(moved, axis=1).argmax())
    hue = direction_colour(moved[[point]] * 100)[0].astype(int)
    assert np.abs(colours_at(page, hypotheses[0, :1, point])[0].astype(int) - hue).max() < 40
    expect(page.locator(".viewer-moving")).to_be_disabled()
    page.check(".viewer-picture")
    page.locator(".viewer-play").focus()
    page.keyboard.press("f")
    expect(page.get_by_role("radio", name="Animated")).to_be_checked()
    expect(page.locator(".viewer-loop")).to_have_value("bounce")
    go_to(page, 0)
    resting = drawn(page)[..., :3].astype(int)
    go_to(page, HORIZON - 1)
    assert np.abs(drawn(page)[..., :3].astype(int) - resting).max() > 40
    page.wait_for_function("location.hash.includes('motion=still')")


def test_a_clips_last_frame_can_be_predicted_but_not_compared(page: Page, stack: Stack, clip: Path) -> None:
    page.goto(f"{stack.url}/clips/{stack.upload(clip)}")
    page.wait_for_selector("[name=method]:checked")
    expect(page.locator("#start")).to_have_attribute("max", "10")
    page.check("[name=method][value=fcn]")
    for field in ("#frames", "#step", "#to-end"):
        expect(page.locator(field)).to_be_hidden()
    page.locator("#grid").fill("4")
    page.locator("#start").fill("11")
    expect(page.locator("#plan")).to_contain_text("Predicted from frame 11, and from nothing else.")
    page.check("[name=method][value=lk]")
    expect(page.locator("#start")).to_have_value("10")
    expect(page.locator("#start-run")).to_have_text("Track")
    page.check("[name=method][value=fcn]")
    page.locator("#start").fill("11")
    page.click("#start-run")
    page.wait_for_selector("#viewer[data-position]", timeout=60_000)
    expect(page.locator("#facts")).to_contain_text("from frame 11, 7 frames ahead")
    page.click("#compare")
    expect(page.locator("#nothing-reason")).to_contain_text("The clip ends with frame 11")
    expect(page.locator("#track")).to_be_hidden()


def value(page: Page, name: str) -> float:
    """A figure of the table: what it says of the run."""
    row = page.locator("#scores tr", has=page.get_by_role("rowheader", name=name, exact=True))
    return float(row.locator("td").first.inner_text().split()[0])


@pytest.fixture
def predicted(stack: Stack, clip: Path) -> str:
    run = stack.start_run(stack.upload(clip), method="fcn", grid=5, start=1)
    assert stack.wait_for_end(run, 120)["state"] == "done"
    return run


def look_at_both(page: Page, stack: Stack, runs: tuple[str, str], folder: Path) -> None:
    """A comparison's two stages are on one clock."""
    page.wait_for_selector(f"#stages[data-position='{HORIZON - 1}']")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f"#stages[data-position='{HORIZON - 2}']")
    expect(page.locator(".viewer-readout")).to_contain_text("frame 7")
    page.wait_for_timeout(400)
    for name, result in zip(("candidate", "reference"), runs, strict=True):
        x, y, frame = page.evaluate(
            """(id) => {
                const [{x, y, customdata}] = document.getElementById(id).data;
                return [[...x], [...y], customdata[0][1]];
            }""",
            f"{name}-plot",
        )
        assert frame == 7
        shown = stack.tracks(result, folder)
        np.testing.assert_allclose(np.stack([x, y], axis=1), shown.points[HORIZON - 2], atol=1e-3)
    # In one picture too, and the farthest point is one click away.
    page.select_option("#arrangement", "over")
    expect(page.locator("#reference-panel")).to_be_hidden()
    page.select_option("#arrangement", "beside")
    expect(page.locator("#worst button")).to_have_count(10)
    page.locator("#worst button").first.click()


def add_to_the_table(page: Page, stack: Stack, reference: str, other: str) -> None:
    """A further run in the table of scores; the link keeps it."""
    page.select_option("#arrangement", "over")
    page.check(f"#further [value='{other}']")
    also = stack.get(f"/compare?reference={reference}&candidate={other}").json()["metrics"]["ade"]
    for _ in range(2):
        expect(page.locator("#scores thead th")).to_have_count(5)
        row = page.locator("#scores tr", has=page.get_by_role("rowheader", name="ADE", exact=True))
        assert float(row.locator("td").nth(1).inner_text().split()[0]) == pytest.approx(also, abs=0.06)
        page.reload()
        expect(page.locator("#reference-panel")).to_be_hidden()


def test_a_prediction_is_tracked_and_compared(
    page: Page, stack: Stack, predicted: str, context: BrowserContext, complaints: list[str], tmp_path: Path
) -> None:
    page.goto(f"{stack.url}/runs/{predicted}")
    page.wait_for_selector("#viewer[data-position]")
    page.click("#compare")
    expect(page.locator("#nothing-title")).to_have_text("No other run follows these points yet")
    expect(page.locator("#track")).to_have_text("Track these points with PIPs")
    page.click("#track")
    page.wait_for_selector("#compare[data-shown]", timeout=120_000)
    reference = page.get_attribute("#compare", "data-shown")
    run = stack.run(reference)
    assert (run["method"], run["start"], run["frames"], run["grid"]) == ("pips", 1, HORIZON, 5)
    assert f"reference={reference}" in page.url
    found = stack.get(f"/compare?reference={reference}&candidate={predicted}").json()
    assert found["frames"] == list(range(1, 9))
    assert value(page, "Final error, mean") == pytest.approx(found["pixels"]["mean_final"], abs=0.06)
    assert value(page, "ADE") == pytest.approx(found["metrics"]["ade"], abs=0.06)
    expect(page.locator("#verdict")).to_contain_text("points that stay where they are")
    expect(page.locator("#counted")).to_contain_text(f"Measured on {found['metrics']['points']} of 25 points")

    data = page.evaluate(
        """() => Object.fromEntries(['map', 'histogram', 'scatter'].map((name) => [
            name,
            document.getElementById(`${name}-plot`).data.map(({meta, x}) => [meta.role, x ? x.length : 0]),
        ]))"""
    )
    assert dict(data["map"])["errors"] == found["metrics"]["points"]
    assert dict(data["map"])["uncounted"] == 25 - found["metrics"]["points"]
    assert (
        dict(data["histogram"])["histogram"] == dict(data["scatter"])["scatter"] == found["metrics"]["points"]
    )

    look_at_both(page, stack, (predicted, reference), tmp_path)

    # Zooming one shows the same part in the other.
    page.evaluate("Plotly.relayout('reference-plot', {'xaxis.range': [40, 140], 'yaxis.range': [120, 45]})")
    page.wait_for_function("document.getElementById('candidate-plot').layout.xaxis.range[1] < 150")
    shown = page.evaluate("document.getElementById('candidate-plot').layout.xaxis.range")
    assert shown == pytest.approx(
        page.evaluate("document.getElementById('reference-plot').layout.xaxis.range")
    )

    # A second reference can be chosen; the link says which.
    other = stack.start_run(run["clip"], grid=5, start=1, frames=None)
    stack.start_run(run["clip"], grid=4, start=1)  # of other points
    assert stack.wait_for_end(other)["state"] == "done"
    page.goto(f"{stack.url}/compare?candidate={predicted}&reference={other}")
    page.wait_for_selector(f"#compare[data-shown='{other}']")
    expect(page.locator("#reference option")).to_have_count(2)
    expect(page.locator("#reference-title")).to_contain_text("Tracked with Lucas-Kanade")
    page.select_option("#reference", reference)
    page.wait_for_selector(f"#compare[data-shown='{reference}']")
    assert f"reference={reference}" in page.url

    add_to_the_table(page, stack, reference, other)

    phone = context.new_page()
    phone.set_viewport_size({"width": 390, "height": 800})
    watch(phone, complaints)
    phone.goto(f"{stack.url}/compare?candidate={predicted}")
    phone.wait_for_selector(f"#compare[data-shown='{reference}']")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [phone.locator(f"#{name}-plot").bounding_box() for name in ("candidate", "reference")]
    assert boxes[1]["y"] > boxes[0]["y"] + boxes[0]["height"]  # one below the other


def test_what_cannot_be_compared_is_a_sentence(
    page: Page, stack: Stack, predicted: str, clip: Path, complaints: list[str]
) -> None:
    other = stack.start_run(stack.upload(clip), grid=6, start=1)
    assert stack.wait_for_end(other)["state"] == "done"
    page.goto(f"{stack.url}/compare?candidate={predicted}&reference={other}")
    expect(page.locator("#compare-error")).to_contain_text("they have 36 and 25")
    expect(page.locator("#comparison")).to_be_hidden()
    assert "422" in complaints.pop()
    page.goto(f"{stack.url}/compare")
    expect(page.locator(".lead")).to_have_text(
        "Say which run to compare: choose “Compare …” on a run's page."
    )
    assert "422" in complaints.pop()
