"""The viewer in a real Chromium: what it draws is where things really are."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from model.motion.grid import query_grid
from model.motion.tracks import Method, Tracks
from model.overlay.html import write_html
from tests.browser.viewing import (
    FRAMES,
    SIZE,
    VELOCITY,
    colours,
    go_to,
    heads,
    line_vertices,
    on_screen,
    position,
    seams,
    shown_range,
    wait_for_position,
)
from tests.media import moving_frames

OpenViewer = Callable[..., Page]


def true_positions(frame: int) -> NDArray[np.float64]:
    """Where the points of an 8 × 8 grid are after so many frames of the moving clip."""
    return query_grid(8, SIZE).astype(np.float64) + frame * np.array(VELOCITY)


def well_inside(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The points that a tracker can follow: not too near the border."""
    height, width = SIZE
    return ((points > 12) & (points < np.array([width - 13, height - 13]))).all(axis=1)


def test_the_slider_moves_the_heads_to_where_the_points_are(
    open_viewer: OpenViewer, finished_run: str
) -> None:
    page = open_viewer(finished_run)
    for frame in (0, 5, FRAMES - 1, 3):
        go_to(page, frame)
        truth = true_positions(frame)
        inside = well_inside(truth) & well_inside(true_positions(0))
        assert inside.sum() > 30
        distance = np.linalg.norm(heads(page) - truth, axis=1)[inside]
        assert np.median(distance) < 0.1
        assert distance.max() < 1.0
        expect(page.locator(".viewer-readout")).to_contain_text(f"frame {frame}")


def test_hovering_a_head_shows_its_values(open_viewer: OpenViewer, finished_run: str) -> None:
    page = open_viewer(finished_run)
    go_to(page, 4)
    point = 27
    x, y = heads(page)[point]
    page.mouse.move(*on_screen(page, (x - 3, y - 3), SIZE))
    page.mouse.move(*on_screen(page, (x, y), SIZE))
    label = page.locator(".hoverlayer .hovertext")
    expect(label).to_contain_text(f"point {point}")
    expect(label).to_contain_text("frame 4")
    expect(label).to_contain_text(f"x {x:.1f}")
    expect(label).to_contain_text("moved 13.4 px")  # 4 frames of (3, 1.5)
    expect(label).to_contain_text(re.compile(r"speed 3\.3\d px/frame"))
    expect(label).to_contain_text("visibility 100%")


def test_colours_by_direction_and_by_speed(open_viewer: OpenViewer, finished_run: str) -> None:
    page = open_viewer(finished_run)
    by_direction = colours(page)
    page.get_by_text("Speed", exact=True).click()
    expect(page.locator(".viewer-legend[data-for=speed]")).to_be_visible()
    expect(page.locator(".viewer-legend[data-for=direction]")).to_be_hidden()
    expect(page.locator(".viewer-ticks")).to_contain_text("px/frame")
    assert colours(page).isdisjoint(by_direction)
    page.keyboard.press("c")
    expect(page.locator(".viewer-legend[data-for=direction]")).to_be_visible()
    assert colours(page) == by_direction


def test_stepping_keeps_the_zoom(open_viewer: OpenViewer, finished_run: str) -> None:
    page = open_viewer(finished_run)
    whole = shown_range(page)
    page.keyboard.press("+")
    page.wait_for_function(f"document.querySelector('.viewer-plot').layout.xaxis.range[0] > {whole[0] + 20}")
    zoomed = shown_range(page)
    go_to(page, 6)
    page.keyboard.press("c")
    page.select_option(".viewer-trail", "4")
    go_to(page, 7)
    assert shown_range(page) == pytest.approx(zoomed)
    page.locator(".viewer-slider").focus()
    page.keyboard.press("0")
    page.wait_for_function(f"document.querySelector('.viewer-plot').layout.xaxis.range[0] === {whole[0]}")


def test_the_keyboard_steps_and_plays(open_viewer: OpenViewer, finished_run: str) -> None:
    page = open_viewer(finished_run)
    page.keyboard.press("ArrowRight")
    wait_for_position(page, 1)
    page.locator(".viewer-slider").focus()
    page.keyboard.press("End")
    wait_for_position(page, FRAMES - 1)
    page.keyboard.press("ArrowLeft")
    wait_for_position(page, FRAMES - 2)
    text = page.get_attribute(".viewer-slider", "aria-valuetext")
    assert text == f"frame {FRAMES - 2}, 0.40 s, {FRAMES - 1} of {FRAMES}"
    page.select_option(".viewer-rate", "15")
    page.locator(".viewer-slider").focus()
    page.keyboard.press(" ")
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Pause")
    # Past the end and round again.
    page.wait_for_function(f"document.querySelector('#viewer').dataset.position < {FRAMES - 2}")
    page.keyboard.press(" ")
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Play")
    stopped = position(page)
    page.wait_for_timeout(600)
    assert abs(position(page) - stopped) <= 1  # the step that was under way


def test_trails_are_cut_to_a_length(open_viewer: OpenViewer, finished_run: str) -> None:
    page = open_viewer(finished_run)
    go_to(page, 5)
    whole = line_vertices(page) + line_vertices(page, "hidden")
    page.select_option(".viewer-trail", "past")
    past = line_vertices(page) + line_vertices(page, "hidden")
    page.select_option(".viewer-trail", "4")
    last = line_vertices(page)
    assert whole > past > last > 0
    assert last <= 64 * 5


def test_a_link_restores_the_moment(open_viewer: OpenViewer, finished_run: str) -> None:
    page = open_viewer(finished_run, "#frame=7&colour=speed&paths=4&hidden=hide")
    assert position(page) == 7
    expect(page.locator("[name=viewer-colour][value=speed]")).to_be_checked()
    expect(page.locator(".viewer-trail")).to_have_value("4")
    expect(page.locator(".viewer-hidden")).to_have_value("hide")
    go_to(page, 2)
    page.wait_for_function("location.hash.includes('frame=2')")


def test_hidden_points_are_dimmed_or_left_out_in_a_file_without_a_server(page: Page, tmp_path: Path) -> None:
    count, frames = 4, 3
    points = np.stack([query_grid(2, SIZE) + 5 * t for t in range(frames)]).astype(np.float32)
    visibility = np.ones((frames, count), dtype=np.float32)
    visibility[1:, 3] = 0.2  # the last point gets hidden
    tracks = Tracks(points, visibility, np.arange(3, dtype=np.int32), SIZE, 25.0, (2, 2), Method("lk"))
    write_html(tmp_path / "tracks.html", moving_frames(frames, SIZE), tracks)

    page.goto((tmp_path / "tracks.html").as_uri())
    page.wait_for_selector("#viewer[data-position]")
    expect(page.locator(".viewer-visible")).to_have_text("4 of 4 visible in this frame.")
    go_to(page, 2)
    expect(page.locator(".viewer-visible")).to_have_text("3 of 4 visible in this frame.")
    np.testing.assert_allclose(heads(page), points[2])
    opacity = page.evaluate("Array.from(document.querySelector('.viewer-plot').data.at(-1).marker.opacity)")
    assert opacity[:3] == [1, 1, 1]
    assert opacity[3] < 0.5
    assert line_vertices(page, "hidden") > 0
    page.keyboard.press("h")
    page.wait_for_function("document.querySelector('.viewer-hidden').value === 'hide'")
    assert line_vertices(page, "hidden") == 0
    assert np.isnan(heads(page)[3]).all()
    np.testing.assert_allclose(heads(page)[:3], points[2, :3])


def test_seams_are_marked_on_demand(page: Page, tmp_path: Path) -> None:
    points = query_grid(4, SIZE) + np.arange(7, dtype=np.float32)[:, None, None] * np.float32([6, 0])
    handovers = np.zeros((7, 16), dtype=bool)
    handovers[3, 5] = handovers[5, [5, 9]] = True
    tracks = Tracks(
        points,
        np.ones((7, 16), dtype=np.float32),
        np.arange(10, 17, dtype=np.int32),
        SIZE,
        25.0,
        (4, 4),
        Method("pips"),
        handovers,
    )
    write_html(tmp_path / "tracks.html", moving_frames(7, SIZE), tracks)
    page.goto((tmp_path / "tracks.html").as_uri())
    page.wait_for_selector("#viewer[data-position]")
    switch = page.get_by_label("Chunk seams")
    expect(switch).not_to_be_checked()
    assert seams(page) == []
    switch.focus()
    page.keyboard.press(" ")  # the switch takes it; playback does not begin
    expect(switch).to_be_checked()
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Play")
    expected = [(*points[t, n].tolist(), 10 + t) for t, n in ((3, 5), (5, 5), (5, 9))]
    np.testing.assert_allclose(seams(page), expected, atol=1e-4)
    x, y, _ = expected[2]
    page.mouse.move(*on_screen(page, (x - 3, y - 3), SIZE))
    page.mouse.move(*on_screen(page, (x, y), SIZE))
    expect(page.locator(".hoverlayer .hovertext")).to_contain_text("handed on at frame 15")
    # Only where a path is drawn.
    page.select_option(".viewer-trail", "past")
    go_to(page, 4)
    np.testing.assert_allclose(seams(page), expected[:1], atol=1e-4)
    page.keyboard.press("s")
    expect(switch).not_to_be_checked()
    assert seams(page) == []


def test_without_seams_truth_or_interval_nothing_is_offered(
    open_viewer: OpenViewer, finished_run: str
) -> None:
    page = open_viewer(finished_run)
    for name in ("seams", "truth", "interval", "hypotheses"):
        expect(page.locator(f".viewer-{name}")).to_be_hidden()
        expect(page.locator(f".viewer-key-{name}")).to_be_hidden()
