"""How long the viewer takes for a frame: made tracks, a real Chromium with software rendering.

Run it with `python -m benchmarks.viewer`; it needs Chromium (`bash tests/ensure_programs.sh`), no network and
no tracking. For each grid it writes the viewer as a file, moves its slider from frame to frame, and waits
each time until the frame was painted; then it plays the clip once, as filmed.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from model.motion.grid import query_grid
from model.motion.tracks import Method, Tracks
from model.overlay.html import write_html

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZE = (480, 854)
FPS = 24.0

STEPS = """async () => {
    const viewer = document.querySelector('#viewer'), slider = viewer.querySelector('.viewer-slider');
    const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const times = [];
    for (let frame = 1; frame <= Number(slider.max); frame++) {
        const began = performance.now();
        slider.value = String(frame);
        slider.dispatchEvent(new Event('input', {bubbles: true}));
        while (viewer.dataset.position !== String(frame)) await new Promise((done) => setTimeout(done));
        await painted();
        times.push(performance.now() - began);
    }
    return times;
}"""

ONE_PASS = """async () => {
    const viewer = document.querySelector('#viewer'), last = viewer.querySelector('.viewer-slider').max;
    const seen = [];  // when each frame came; an observer misses none
    const ended = new Promise((done) => new MutationObserver(() => {
        seen.push([performance.now(), Number(viewer.dataset.position)]);
        if (viewer.dataset.position === last) done();
    }).observe(viewer, {attributeFilter: ['data-position']}));
    viewer.querySelector('.viewer-play').click();
    await ended;
    viewer.querySelector('.viewer-play').click();
    const pass = seen.slice(0, seen.findIndex(([, frame]) => frame === Number(last)) + 1);
    const [[began, first], [end]] = [pass[0], pass.at(-1)];
    return [(end - began) / 1000, Number(last) - first, pass.length];
}"""


def made_tracks(side: int, count: int) -> Tracks:
    """A grid of points under a pan, a turn and a wobble of its own for each point."""
    time = np.arange(count, dtype=np.float64)[:, None]
    start = query_grid(side, SIZE).astype(np.float64)
    middle = np.array(SIZE[::-1]) / 2
    angle = 0.12 * np.sin(time / 12)
    x, y = (start - middle).T
    phase = np.random.default_rng(7).uniform(0, 2 * np.pi, len(start))
    points = np.stack(
        [
            np.cos(angle) * x - np.sin(angle) * y + middle[0] + 2.0 * time + 6 * np.sin(time / 3 + phase),
            np.sin(angle) * x + np.cos(angle) * y + middle[1] - 0.5 * time + 6 * np.cos(time / 3 + phase),
        ],
        axis=2,
    ).astype(np.float32)
    visibility = np.where(np.sin(time / 9 + phase) > -0.95, 0.9, 0.1).astype(np.float32)
    frames = np.arange(count, dtype=np.int32)
    return Tracks(points, visibility, frames, SIZE, FPS, (side, side), Method("lk"))


def made_frames(count: int) -> list[NDArray[np.uint8]]:
    """Smooth noise that moves."""
    noise = np.random.default_rng(3).integers(0, 256, (SIZE[0] // 8, SIZE[1] // 8 + 1, 3), np.uint8)
    picture = np.kron(noise, np.ones((8, 8, 1), np.uint8))[: SIZE[0], : SIZE[1]]
    return [np.roll(picture, 2 * shift, axis=1) for shift in range(count)]


def measure(browser: Browser, file: Path, trail: str) -> tuple[float, float, float, int]:
    """Median and 90th percentile of a frame's step in ms; of a pass as filmed: time to true time, frames."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page.goto(file.as_uri())
    page.wait_for_selector("#viewer[data-position]", timeout=120_000)
    page.select_option(".viewer-trail", trail)
    page.wait_for_timeout(1500)
    warm_up(page)
    times = page.evaluate(STEPS)
    page.locator(".viewer-slider").fill("0")
    page.wait_for_selector("#viewer[data-position='0']")
    seconds, steps, shown = page.evaluate(ONE_PASS)
    page.close()
    return median(times), float(np.percentile(times, 90)), seconds * FPS / steps, shown


def warm_up(page: Page) -> None:
    """Go through all frames once, so that their pictures are decoded and the code is compiled."""
    page.evaluate(STEPS)
    page.locator(".viewer-slider").fill("0")
    page.wait_for_selector("#viewer[data-position='0']")


def main() -> None:
    """Measure each grid with trails of 8 frames and with whole paths, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grids", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--frames", type=int, default=82)
    parser.add_argument("--trails", nargs="+", default=["8", "all"])
    options = parser.parse_args()
    frames = made_frames(options.frames)
    print("| Points | Trails | ms a frame, median | 90 % | a pass as filmed to true time | frames shown |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for side in options.grids:
            file = Path(folder) / f"{side}.html"
            write_html(file, frames, made_tracks(side, options.frames))
            for trail in options.trails:
                middle, late, pace, shown = measure(browser, file, trail)
                print(
                    f"| {side}×{side} | {trail} | {middle:.0f} | {late:.0f} | {pace:.2f} "
                    f"| {shown} of {options.frames} |",
                    flush=True,
                )
        browser.close()


if __name__ == "__main__":
    main()
