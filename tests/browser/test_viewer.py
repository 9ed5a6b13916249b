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
from model.overlay.colours import direction_colour, speed_colour
from model.overlay.html import write_html
from tests.browser.viewing import (
    FRAMES,
    SIZE,
    VELOCITY,
    colours_at,
    go_to,
    heads,
    ink,
    on_screen,
    position,
    seams,
    show_only_lines,
    shown_range,
    wait_for_position,
)
from tests.media import moving_frames
from tests.webapp.stack import Stack

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
        # What is painted is there too, in the colour of the direction in which all move.
        colour = direction_colour(np.array([VELOCITY]) * 100)[0].astype(int)
        painted = colours_at(page, truth[inside]).astype(int)
        assert np.median(np.abs(painted - colour).max(axis=1)) < 25
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


def test_every_way_of_colouring_has_its_legend(open_viewer: OpenViewer, finished_run: str) -> None:
    page = open_viewer(finished_run)
    go_to(page, 6)
    inside = well_inside(true_positions(6)) & well_inside(true_positions(0))
    points = heads(page)[inside]
    wheel = direction_colour(np.array([VELOCITY]) * 100)[0].astype(int)
    for name, is_scale in (
        ("direction", False),
        ("direction-now", False),
        ("speed", True),
        ("speed-now", True),
        ("visibility", True),
        ("index", False),
    ):
        page.select_option(".viewer-colour", name)
        expect(page.locator(".viewer-wheel-box")).to_be_visible(visible=not is_scale)
        expect(page.locator(".viewer-scale")).to_be_visible(visible=is_scale)
        painted = colours_at(page, points).astype(int)
        if name.startswith("direction"):
            assert np.median(np.abs(painted - wheel).max(axis=1)) < 25
        if name == "visibility":  # all are seen
            assert np.median(np.abs(painted - speed_colour(np.ones(1), 1.0)[0]).max(axis=1)) < 40
    expect(page.locator(".viewer-colour option")).to_have_count(6)  # no error without the truth
    page.locator(".viewer-colour").focus()
    page.keyboard.press("c")  # a list that is in use takes letters itself
    expect(page.locator(".viewer-colour")).to_have_value("index")
    page.locator(".viewer-play").focus()
    page.keyboard.press("c")
    expect(page.locator(".viewer-colour")).to_have_value("direction")


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
    page.select_option(".viewer-speed", "0.5")
    page.locator(".viewer-slider").focus()
    page.keyboard.press(" ")
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Pause")
    # Past the end and round again.
    page.wait_for_function(f"document.querySelector('#viewer').dataset.position < {FRAMES - 2}")
    page.keyboard.press(" ")
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Play")
    stopped = position(page)
    page.wait_for_timeout(600)
    assert position(page) == stopped


def test_trails_are_cut_to_a_length(open_viewer: OpenViewer, finished_run: str) -> None:
    page = open_viewer(finished_run)
    go_to(page, 8)
    show_only_lines(page)
    amounts = {}
    for length in ("all", "past", "8", "0.25s", "4", "0"):
        page.select_option(".viewer-trail", length)
        amounts[length] = ink(page)
    # 25 frames a second: a quarter of a second is 6 of them.
    assert (
        amounts["all"] > amounts["past"] == amounts["8"] > amounts["0.25s"] > amounts["4"] > amounts["0"] == 0
    )


def test_a_link_restores_the_view(open_viewer: OpenViewer, finished_run: str) -> None:
    link = (
        "#frame=7&colour=speed&paths=4&hidden=hide&speed=2&pins=3,17&zoom=40,200,30,150&grid=1"
        "&range=2-9&loop=once"
    )
    page = open_viewer(finished_run, link)
    assert position(page) == 7
    for name, value in (
        ("colour", "speed"),
        ("trail", "4"),
        ("hidden", "hide"),
        ("speed", "2"),
        ("loop", "once"),
    ):
        expect(page.locator(f".viewer-{name}")).to_have_value(value)
    expect(page.locator(".viewer-grid")).to_be_checked()
    expect(page.locator(".viewer-pins li b")).to_have_text(["3", "17"])
    expect(page.locator(".viewer-whole")).to_be_visible()
    assert shown_range(page) == pytest.approx([40, 200, 150, 30])
    go_to(page, 2)
    page.wait_for_function("location.hash.includes('frame=2')")
    for part in link[1:].split("&")[1:]:
        assert part in page.evaluate("location.hash")


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
    show_only_lines(page)
    dimmed = ink(page)
    assert dimmed > 0
    page.keyboard.press("h")
    expect(page.locator(".viewer-hidden")).to_have_value("hide")
    assert 0 < ink(page) < dimmed
    np.testing.assert_allclose(heads(page)[:3], points[2, :3])
    assert np.isnan(heads(page)[3]).all()


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
    page.evaluate("scrollTo(0, 0)")  # focus on the switch has scrolled down to it
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
    for name in ("seams", "truth", "uncertainty", "hypothesis", "moving"):
        expect(page.locator(f".viewer-{name}")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.locator(".viewer-sheet")).to_be_visible()
    expect(page.locator(".viewer-sheet")).to_contain_text("next way of colouring")
    for text in ("true motion", "uncertainty", "chunk seams"):
        expect(page.locator(".viewer-sheet")).not_to_contain_text(text)
    page.keyboard.press("Escape")
    expect(page.locator(".viewer-sheet")).to_be_hidden()


def test_playback_keeps_time_reverses_and_stays_in_its_range(
    open_viewer: OpenViewer, finished_run: str
) -> None:
    page = open_viewer(finished_run, "#frame=2&range=2-9&loop=once&speed=0.5")
    page.keyboard.press(" ")
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Pause")
    wait_for_position(page, 9)
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Play")
    page.keyboard.press("r")
    expect(page.locator(".viewer-reverse")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press(" ")
    wait_for_position(page, 2)
    expect(page.locator(".viewer-play")).to_have_attribute("aria-label", "Play")
    page.keyboard.press("ArrowLeft")  # a step may leave the range
    wait_for_position(page, 1)
    page.keyboard.press("]")
    page.wait_for_function("location.hash.includes('range=0-1')")
    page.click(".viewer-whole")
    page.wait_for_function("!location.hash.includes('range')")


def is_kept_by_the_address(page: Page, selection: str) -> None:
    """After another load the selection is there again, until it is cleared."""
    page.wait_for_function("location.hash.includes('selected=')")
    page.reload()
    expect(page.locator(".viewer-chosen-text")).to_contain_text(selection)
    page.click(".viewer-deselect")
    expect(page.locator(".viewer-chosen")).to_be_hidden()


def test_points_are_pinned_selected_and_saved(
    open_viewer: OpenViewer, finished_run: str, tmp_path: Path, stack: Stack
) -> None:
    page = open_viewer(finished_run)
    tracks = stack.tracks(finished_run, tmp_path)
    go_to(page, 4)
    point = 27
    x, y = heads(page)[point]
    page.mouse.move(*on_screen(page, (x - 2, y - 2), SIZE))
    page.mouse.click(*on_screen(page, (x, y), SIZE))
    expect(page.locator(".viewer-pins li b")).to_have_text([str(point)])
    page.locator(".viewer-pin-number").fill("9")
    page.keyboard.press("Enter")
    expect(page.locator(".viewer-pins li b")).to_have_text([str(point), "9"])
    page.wait_for_function("document.querySelector('.viewer-courses-plot').data?.length === 8")
    courses = page.evaluate(
        """() => document.querySelector('.viewer-courses-plot').data
            .filter(({meta}) => meta.point === 27).map(({meta, x, y}) => [meta.role, [...x], [...y]])"""
    )
    by_role = {role: (frames, values) for role, frames, values in courses}
    assert by_role["x"][0] == tracks.frames.tolist()
    np.testing.assert_allclose(by_role["x"][1], tracks.points[:, point, 0], atol=1e-3)
    np.testing.assert_allclose(by_role["y"][1], tracks.points[:, point, 1], atol=1e-3)
    np.testing.assert_allclose(by_role["speed"][1], np.hypot(*VELOCITY), atol=0.3)
    assert min(by_role["visibility"][1]) > 0.5
    page.get_by_role("button", name="Unpin point 9").click()
    expect(page.locator(".viewer-pins li b")).to_have_text([str(point)])

    # A box around the left half of the picture.
    page.locator(".viewer-stage .modebar-btn[data-title='Box Select']").click()
    page.mouse.move(*on_screen(page, (1, 1), SIZE))
    page.mouse.down()
    page.mouse.move(*on_screen(page, (80, 100), SIZE))
    page.mouse.move(*on_screen(page, (160, 238), SIZE))
    page.mouse.up()
    now = tracks.points[4]
    inside = (now > 1).all(axis=1) & (now[:, 0] < 160) & (now[:, 1] < 238)
    expect(page.locator(".viewer-chosen-text b")).to_have_text(f"{inside.sum()} points")
    moved = (tracks.points[-1] - tracks.points[0])[inside].mean(axis=0)
    expect(page.locator(".viewer-chosen-text")).to_contain_text(f"{moved[0]:.1f} px right")
    page.wait_for_function("document.querySelector('.viewer-chosen-plot').data?.length === 2")
    rose = page.evaluate("[...document.querySelector('.viewer-chosen-plot').data[0].r]")
    signs = page.locator(".viewer-chosen-plot .angularaxistick text")
    right, down, left, up = (
        signs.filter(has_text=re.compile(f"^{arrow}$")).bounding_box() for arrow in "→↓←↑"
    )
    assert right["x"] > down["x"] > left["x"]  # as on the picture
    assert down["y"] > right["y"] > up["y"]
    assert int(np.argmax(rose)) == 1  # of 16 sectors: 27° below the right
    with page.expect_download() as download:
        page.click(".viewer-save-csv")
    content = Path(download.value.path()).read_text()
    assert f'# run: "{finished_run}"\n' in content
    table = np.genfromtxt(content.splitlines(), delimiter=",")[1:]  # but for the names
    assert sorted(table[:, 0]) == sorted(np.repeat(np.flatnonzero(inside), FRAMES))
    is_kept_by_the_address(page, f"{inside.sum()} points")
    with page.expect_download() as download:
        page.locator(".viewer-stage .modebar-btn[data-title^='Save what is shown']").click()
    assert download.value.suggested_filename == "stillmotion-frame-4.png"
