"""Two clips become a training set, a predictor learns from it, and predicts: all of it in the browser."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from model.weights.registry import file_sha256
from tests.browser.test_accessibility import AXE, violations
from tests.media import moving_clip
from tests.webapp.stack import Stack

STEPS = 5


def accessible(page: Page) -> None:
    """Nothing breaks a rule of access, light and dark."""
    if AXE.exists():
        page.evaluate(AXE.read_text(encoding="utf-8"))
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert violations(page) == []


@pytest.mark.slow
def test_from_two_clips_to_a_prediction_by_weights_of_ones_own(
    page: Page, stack: Stack, tmp_path: Path, complaints: list[str]
) -> None:
    for name, velocity in (("left.mp4", (-2.0, 0.0)), ("down.mp4", (0.0, 2.0))):
        stack.upload(moving_clip(tmp_path / name, frames=24, size=(96, 160), velocity=velocity))
    page.goto(f"{stack.url}/datasets")
    for name in ("left.mp4", "down.mp4"):
        page.get_by_label(f"Choose {name}").check()
    page.get_by_role("button", name="Data set …").click()
    dialog = page.locator("#convert")
    expect(dialog).to_contain_text("Data set of 2 clips")
    accessible(page)
    page.keyboard.type("../both")  # the name has the focus
    page.select_option("#convert-method", "lk")
    dialog.locator("[name=grid]").fill("4")
    page.keyboard.press("Enter")
    expect(page.locator("#convert-error")).to_contain_text("letters, digits")
    page.fill("#convert-name", "both ways")
    dialog.get_by_role("button", name="Estimate").click()
    expect(page.locator("#convert-estimate")).to_contain_text("2 clips: 6 samples", timeout=60_000)
    dialog.get_by_role("button", name="Start").click()

    # The conversion's page leads on to the set.
    expect(page).to_have_url(f"{stack.url}/datasets/both%20ways", timeout=90_000)
    expect(page.locator("#total")).to_have_text("of 6")
    expect(page.locator("#set-facts")).to_contain_text("3 train · 3 validation")
    expect(page.locator("#set-job")).to_have_text("Conversion: done")
    with page.expect_download() as download:
        page.get_by_role("link", name="Report (HTML)").click()
    assert "left.mp4" in download.value.path().read_text(encoding="utf-8")
    page.get_by_text("Fine-tune a predictor on this set").click()
    form = page.locator("#train-form")
    expect(form.locator("[name=weights] option")).to_contain_text(["the installed predictor", "fcn-resnet50"])
    accessible(page)
    form.locator("[name=minutes]").fill("")
    form.locator("[name=scene_motion]").select_option("as filmed")  # few points know no camera
    form.get_by_role("button", name="Start").click()
    expect(page.locator("#train-error")).to_have_text(
        "Say when the training ends: after minutes, steps, or both."
    )
    form.locator("[name=steps]").fill(str(STEPS))
    form.get_by_role("button", name="Start").click()

    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.locator("#ended-title")).to_have_text("Done", timeout=120_000)
    expect(page.locator("#curve-text")).to_contain_text(f"after {STEPS} steps")
    held_out = page.locator("#curve-plot").evaluate(
        "plot => plot.data.filter(({name}) => name == 'held out').map(({x, y}) => [x, y])"
    )
    rows = stack.get(f"/jobs/{page.url.rsplit('/', 1)[1]}/log.json").json()["rows"]
    np.testing.assert_allclose(held_out[0], [[rows[-1]["step"]], [rows[-1]["epe"]]])
    accessible(page)

    page.locator("#predict-list a", has_text="down.mp4").click()
    expect(page.locator("#weights")).to_have_value("both ways.safetensors")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("#viewer[data-position]")
    run = stack.run(page.url.rsplit("/", 1)[1].split("#")[0])
    weights = stack.instance / "predictors" / "both ways" / "both ways.safetensors"
    assert stack.tracks(run["id"], tmp_path).method.weights_sha256 == file_sha256(weights)
    # The two refusals that were asked for.
    assert ["status of 422" in complaint for complaint in complaints] == [True, True]
    complaints.clear()
    # Started again, it takes the same weights.
    assert "weights=both+ways.safetensors" in str(page.locator("#change").get_attribute("href"))
