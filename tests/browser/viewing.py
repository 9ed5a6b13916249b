"""What the browser tests look at: the moving clip, and what a viewer shows, read from the running page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

UPLOAD_LIMIT = 1_500_000
"""Bytes that the tests' app accepts."""

SIZE = (240, 320)
"""(height, width) of the moving clip."""

VELOCITY = (3.0, 1.5)
"""(x, y) pixels per frame by which everything in it moves."""

FRAMES = 12


def heads(page: Page) -> NDArray[np.float64]:
    """Where the points can be hovered, `[N, 2]` in pixels of the frame; NaN for one that is left out."""
    page.wait_for_timeout(300)  # they follow when the stage rests
    page.wait_for_function(
        """() => document.querySelector('.viewer-plot').data[0].meta.position
            === Number(document.querySelector('#viewer').dataset.position)"""
    )
    drawn = page.evaluate(
        """() => {
            const {x, y} = document.querySelector('.viewer-plot').data[0];
            return [Array.from(x, (v) => Number.isNaN(v) ? null : v),
                    Array.from(y, (v) => Number.isNaN(v) ? null : v)];
        }"""
    )
    return np.array(drawn, dtype=np.float64).T


def drawn(page: Page, stage: str = ".viewer-stage") -> NDArray[np.uint8]:
    """What is on a stage's canvas: uint8 `[h, w, 4]`, red, green, blue and opacity."""
    page.wait_for_timeout(50)  # a change is painted at once, the page's own picture with the next frame
    address: str = page.evaluate(
        "(stage) => document.querySelector(stage).querySelector('canvas').toDataURL('image/png')", stage
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGBA"))


def ink(page: Page) -> int:
    """How many pixels of the canvas have something on them."""
    return int((drawn(page)[..., 3] > 20).sum())


def show_only_lines(page: Page) -> None:
    """Switch picture, dots and map off, so that what is on the canvas is lines."""
    page.uncheck(".viewer-picture")
    page.uncheck(".viewer-dots")
    if page.locator(".viewer-moving").count():
        page.uncheck(".viewer-moving")


def on_canvas(page: Page, points: NDArray[np.floating], stage: str = ".viewer-stage") -> NDArray[np.float64]:
    """Where points of the frame, `[N, 2]`, lie on the canvas, as Plotly's axes say."""
    left, x_scale, top, y_scale = page.evaluate(
        """(stage) => {
            const {xaxis, yaxis} = document.querySelector(stage).querySelector('.viewer-plot')._fullLayout;
            const x = xaxis._length / (xaxis.range[1] - xaxis.range[0]);
            const y = yaxis._length / (yaxis.range[0] - yaxis.range[1]);
            return [xaxis._offset - x * xaxis.range[0], x, yaxis._offset - y * yaxis.range[1], y];
        }""",
        stage,
    )
    return np.asarray(points, np.float64) * [x_scale, y_scale] + [left, top]


def extent(page: Page) -> NDArray[np.float64]:
    """The box around all that is on the canvas, in pixels of the frame: left, top, right, bottom."""
    rows, columns = np.nonzero(drawn(page)[..., 3] > 20)
    (left, top), (right, _) = on_canvas(page, np.array([[0, 0], [1, 1]]))
    scale = right - left
    return (
        np.array([columns.min() - left, rows.min() - top, columns.max() + 1 - left, rows.max() + 1 - top])
        / scale
    )


def colours_at(page: Page, points: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The canvas's colour at points of the frame: uint8 `[N, 3]`."""
    x, y = np.round(on_canvas(page, points) - 0.5).astype(int).T
    return drawn(page)[y, x, :3]


def seams(page: Page) -> list[tuple[float, float, int]]:
    """The seams that can be hovered, as (x, y, frame)."""
    page.wait_for_timeout(300)  # they follow when the stage rests
    found: list[list[float]] = page.evaluate(
        """() => {
            const trace = document.querySelector('.viewer-plot').data.find((t) => t.meta.role === 'seams');
            return trace ? Array.from(trace.x, (x, k) => [x, trace.y[k], trace.customdata[k]]) : [];
        }"""
    )
    return [(x, y, int(frame)) for x, y, frame in found]


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
