"""What the browser tests look at: the moving clip, and what a viewer shows, read from the running page."""

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

UPLOAD_LIMIT = 1_500_000
"""Bytes that the tests' app accepts."""

SIZE = (240, 320)
"""(height, width) of the moving clip."""

VELOCITY = (3.0, 1.5)
"""(x, y) pixels per frame by which everything in it moves."""

FRAMES = 12


def heads(page: Page) -> NDArray[np.float64]:
    """Where the heads are drawn, `[N, 2]` in pixels of the frame; NaN for one that is left out."""
    drawn = page.evaluate(
        """() => {
            const {data} = document.querySelector('.viewer-plot');
            const {x, y} = data.find((trace) => trace.meta.role === 'heads');
            return [Array.from(x, (v) => Number.isNaN(v) ? null : v),
                    Array.from(y, (v) => Number.isNaN(v) ? null : v)];
        }"""
    )
    return np.array(drawn, dtype=np.float64).T


def line_vertices(page: Page, role: str = "trails") -> int:
    """How many vertices the lines of a role have."""
    count: int = page.evaluate(
        """(role) => document.querySelector('.viewer-plot').data
            .filter((trace) => trace.meta.role === role)
            .reduce((sum, trace) => sum + Array.from(trace.x).filter((v) => !Number.isNaN(v)).length, 0)""",
        role,
    )
    return count


def seams(page: Page) -> list[tuple[float, float, int]]:
    """The seams that are marked, as (x, y, frame)."""
    found: list[list[float]] = page.evaluate(
        """() => {
            const trace = document.querySelector('.viewer-plot').data.find((t) => t.meta.role === 'seams');
            return Array.from(trace.x, (x, k) => [x, trace.y[k], trace.customdata[k]]);
        }"""
    )
    return [(x, y, int(frame)) for x, y, frame in found]


def colours(page: Page) -> set[str]:
    """The colours of the trails."""
    return set(
        page.evaluate(
            """() => document.querySelector('.viewer-plot').data
                .filter((trace) => trace.meta.role === 'trails').map((trace) => trace.line.color)"""
        )
    )


def position(page: Page) -> int:
    """Which of the run's frames is shown, from 0."""
    return int(page.get_attribute("#viewer", "data-position") or -1)


def go_to(page: Page, wanted: int) -> None:
    """Drag the slider to a frame and wait until it is drawn."""
    page.locator(".viewer-slider").fill(str(wanted))
    wait_for_position(page, wanted)


def wait_for_position(page: Page, wanted: int) -> None:
    """Wait until a frame is drawn."""
    page.wait_for_selector(f"#viewer[data-position='{wanted}']")


def shown_range(page: Page) -> list[float]:
    """The part of the frame that is in view: left, right, bottom, top."""
    shown: list[float] = page.evaluate(
        """() => {
            const {xaxis, yaxis} = document.querySelector('.viewer-plot').layout;
            return [...xaxis.range, ...yaxis.range];
        }"""
    )
    return shown


def on_screen(page: Page, point: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
    """Where a point of the frame lies in the window, before any zoom."""
    box = page.locator(".viewer-plot").bounding_box()
    assert box is not None
    height, width = size
    scale = min(box["width"] / width, box["height"] / height)
    left = box["x"] + (box["width"] - width * scale) / 2
    top = box["y"] + (box["height"] - height * scale) / 2
    return left + (point[0] + 0.5) * scale, top + (point[1] + 0.5) * scale
