"""From one image to predicted arrows, and a prediction beside what was tracked."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Page, expect

from model.motion.prediction import Prediction
from model.overlay.html import write_html
from tests.browser.conftest import watch
from tests.browser.viewing import SIZE, VELOCITY, go_to, heads, line_vertices, on_screen
from tests.media import texture, write_image
from tests.predictors import HORIZON
from tests.webapp.stack import Stack


def rectangles(page: Page) -> list[list[float]]:
    """The intervals that are drawn, as [left, right, top, bottom]."""
    corners: list[list[float | None]] = page.evaluate(
        """() => {
            const {data} = document.querySelector('.viewer-plot');
            const {x, y} = data.find((trace) => trace.meta.role === 'interval');
            return Array.from(x, (value, k) => Number.isNaN(value) ? [null, null] : [value, y[k]]);
        }"""
    )
    found = []
    for k in range(0, len(corners), 6):
        assert corners[k + 5] == [None, None]
        assert corners[k] == corners[k + 4]  # closed
        (left, top), (right, bottom) = corners[k], corners[k + 2]
        found.append([left, right, top, bottom])
    return found


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

    # It begins at the end, where the arrows point and the intervals are.
    np.testing.assert_allclose(heads(page), tracks.points[-1], atol=1e-3)
    low, high = prediction.interval
    expected = np.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], axis=2)
    np.testing.assert_allclose(rectangles(page), expected[-1], atol=1e-3)
    moved = np.linalg.norm(tracks.points[-1] - tracks.points[0], axis=1)
    assert (
        line_vertices(page) >= 2 * tracks.visible[-1].sum() + 3 * (tracks.visible[-1] & (moved > 0.6)).sum()
    )
    go_to(page, 3)
    np.testing.assert_allclose(heads(page), tracks.points[3], atol=1e-3)
    np.testing.assert_allclose(rectangles(page), expected[3], atol=1e-3)
    go_to(page, 0)
    assert rectangles(page) == []  # there, nothing is uncertain

    go_to(page, HORIZON - 1)
    point = int(np.argmin(np.linalg.norm(tracks.points[-1] - np.array(SIZE[::-1]) / 2, axis=1)))
    x, y = tracks.points[-1, point].tolist()
    page.mouse.move(*on_screen(page, (x - 3, y - 3), SIZE))
    page.mouse.move(*on_screen(page, (x, y), SIZE))
    label = page.locator(".hoverlayer .hovertext")
    expect(label).to_contain_text(f"point {point}")
    left, right, top, bottom = expected[-1, point]
    expect(label).to_contain_text(f"90 %: x {left:.1f} to {right:.1f}")
    expect(label).to_contain_text(f"90 %: y {top:.1f} to {bottom:.1f}")

    switch = page.get_by_label("90 % interval")
    expect(switch).to_be_checked()
    page.keyboard.press("u")
    expect(switch).not_to_be_checked()
    assert rectangles(page) == []
    page.wait_for_function("location.hash.includes('interval=0')")
    page.reload()
    page.wait_for_selector("#viewer[data-position]")
    expect(switch).not_to_be_checked()
    page.click("#change")
    page.wait_for_selector("[name=method][value=fcn]:checked")
    expect(page.locator("#grid-value")).to_have_text("6 × 6")


def test_a_file_shows_the_interval_without_a_server(page: Page, stack: Stack, tmp_path: Path) -> None:
    clip = stack.upload(write_image(tmp_path / "still.png", texture(*SIZE, seed=6)))
    run = stack.start_run(clip, method="fcn", grid=3)
    assert stack.wait_for_end(run, 120)["state"] == "done"
    prediction = prediction_of(stack, run, tmp_path)
    write_html(tmp_path / "motion.html", [texture(*SIZE, seed=6)] * HORIZON, prediction.tracks, prediction)
    page.goto((tmp_path / "motion.html").as_uri())
    page.wait_for_selector("#viewer[data-position]")
    assert len(rectangles(page)) == 9
    page.uncheck(".viewer-interval")
    assert rectangles(page) == []


def ways(page: Page) -> list[NDArray[np.float64]]:
    """The hypotheses that are drawn, likely ones first: for each shade the ends of its paths, `[n, 2]`."""
    shades = page.evaluate(
        """() => document.querySelector('.viewer-plot').data
            .filter((trace) => trace.meta.role === 'hypotheses')
            .map(({x, y}) => Array.from(x, (value, k) => [value, y[k]])
                .filter((_, k) => Number.isNaN(x[k + 1])))"""
    )
    return [np.array(ends, dtype=np.float64).reshape(-1, 2) for ends in shades]


@pytest.mark.parametrize("withheld", [False, True])
def test_hypotheses_are_shown_on_demand_and_where_the_answer_is_withheld(
    page: Page, stack: Stack, tmp_path: Path, withheld: bool
) -> None:
    clip = stack.upload(write_image(tmp_path / "still.png", texture(*SIZE, seed=6)))
    run = stack.start_run(clip, method="fcn", grid=3)
    assert stack.wait_for_end(run, 120)["state"] == "done"
    found = prediction_of(stack, run, tmp_path)
    assert found.hypotheses.shape == (3, HORIZON, 9, 2)
    # One way of each point is likely, one less so, one hardly possible.
    weights = np.repeat([[0.79], [0.2], [0.01]], 9, axis=1).astype(np.float32)
    prediction = replace(found, weights=weights, withheld=withheld)
    write_html(tmp_path / "motion.html", [texture(*SIZE, seed=6)] * HORIZON, found.tracks, prediction)
    page.goto((tmp_path / "motion.html").as_uri())
    page.wait_for_selector("#viewer[data-position]")
    switch = page.get_by_label("Hypotheses")
    if withheld:
        expect(switch).to_be_checked()
    else:
        expect(switch).not_to_be_checked()
        assert [len(each) for each in ways(page)] == [0, 0, 0]
        page.keyboard.press("y")
        expect(switch).to_be_checked()
    likely, possible, hardly = ways(page)
    np.testing.assert_allclose(likely, found.hypotheses[0, -1], atol=1e-3)
    np.testing.assert_allclose(possible, found.hypotheses[1, -1], atol=1e-3)
    assert len(hardly) == 0
    page.wait_for_function("location.hash.includes('hypotheses=1')")
    page.keyboard.press("y")
    assert [len(each) for each in ways(page)] == [0, 0, 0]
    page.wait_for_function("!location.hash.includes('hypotheses')")


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


def tips(page: Page, plot: str) -> NDArray[np.float64]:
    """The arrow tips of a comparison's picture: [[left end, tip, right end], ...], `[n, 3, 2]`."""
    found = page.evaluate(
        """(plot) => {
            const {data} = document.getElementById(plot);
            const heads = data.find((trace) => trace.meta.role === 'heads');
            const ends = new Set(Array.from(heads.x, (x, k) => `${x} ${heads.y[k]}`));
            return data.filter((trace) => trace.meta.role === 'trails').flatMap(({x, y}) => {
                const lines = [[]];
                x.forEach((v, k) => Number.isNaN(v) ? lines.push([]) : lines.at(-1).push([v, y[k]]));
                return lines.filter((line) => line.length === 3 && ends.has(line[1].join(' ')));
            });
        }""",
        plot,
    )
    return np.array(found, dtype=np.float64).reshape(-1, 3, 2)


@pytest.fixture
def predicted(stack: Stack, clip: Path) -> str:
    run = stack.start_run(stack.upload(clip), method="fcn", grid=5, start=1)
    assert stack.wait_for_end(run, 120)["state"] == "done"
    return run


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
        """() => Object.fromEntries(['candidate', 'reference', 'map', 'histogram'].map((name) => [
            name,
            document.getElementById(`${name}-plot`).data.map(({meta, x}) => [meta.role, x ? x.length : 0]),
        ]))"""
    )
    assert dict(data["candidate"])["interval"] == 25 * 6
    assert "interval" not in dict(data["reference"])
    assert dict(data["map"])["errors"] == found["metrics"]["points"]
    assert dict(data["map"])["uncounted"] == 25 - found["metrics"]["points"]
    assert dict(data["histogram"])["histogram"] == found["metrics"]["points"]

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
    arrows = tips(page, "reference-plot")
    assert len(arrows) > 12
    back = arrows[:, [0, 2]].mean(axis=1) - arrows[:, 1]
    along = -(back @ VELOCITY) / np.linalg.norm(back, axis=1) / np.linalg.norm(VELOCITY)
    assert np.median(along) > 0.98  # they point where everything moves
    page.select_option("#reference", reference)
    page.wait_for_selector(f"#compare[data-shown='{reference}']")
    assert f"reference={reference}" in page.url

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
