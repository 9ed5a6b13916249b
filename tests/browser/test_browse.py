"""Going through a training set in the browser: next and previous, filters, the address, and its report."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from model.__main__ import main
from model.datasets.sample import Sample
from tests.browser.conftest import watch
from tests.browser.viewing import heads
from tests.model.datasets.example_sets import make_dataset
from tests.webapp.stack import Stack


@pytest.fixture(scope="session")
def samples(stack: Stack) -> list[Sample]:
    """A set in the app's instance: 6 videos with 5 samples each; video k moves by (k, -k/2) px a frame."""
    return make_dataset(stack.instance / "datasets" / "street scenes")[1]


def shows(page: Page, sample: Sample) -> None:
    """Wait until a sample is drawn, and look at what is."""
    expect(page.locator("#viewer")).to_have_attribute("data-sample", sample.key)
    np.testing.assert_allclose(heads(page), sample.queries, atol=1e-3)
    facts = page.locator("#sample-facts")
    expect(facts).to_contain_text(sample.facts.source)
    expect(facts).to_contain_text(f"{sample.facts.start} to {sample.facts.start + 7}")


@pytest.fixture
def opened(page: Page, stack: Stack, samples: list[Sample]) -> Page:
    """The set's page, reached as a person does."""
    page.goto(stack.url)
    page.get_by_role("link", name="Data sets").click()
    card = page.get_by_role("link", name="street scenes")
    expect(card).to_contain_text("30 samples of 6 videos")
    card.click()
    expect(page.locator("#total")).to_have_text("of 30")
    return page


def test_samples_one_after_the_other(opened: Page, samples: list[Sample]) -> None:
    page = opened
    shows(page, samples[0])
    expect(page.locator("#previous")).to_be_disabled()
    page.keyboard.press("n")
    shows(page, samples[1])
    for _ in range(14):  # faster than they are drawn, and into the next page of thumbnails
        page.keyboard.press("n")
    shows(page, samples[15])
    expect(page.locator("#strip [aria-current]")).to_have_attribute(
        "title", f"{samples[15].facts.source}, frame {samples[15].facts.start}"
    )
    kept = []
    page.on("download", lambda download: kept.append(download.suggested_filename))
    page.keyboard.press("p")
    shows(page, samples[14])
    assert not kept  # the viewer's key for a picture is another one
    # The viewer's own keys still step through the frames, and only the newest viewer listens.
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer")).to_have_attribute("data-position", "1")
    np.testing.assert_allclose(heads(page), samples[14].tracks().points[1], atol=1e-2)
    page.locator("#position").fill("30")
    page.locator("#position").press("Enter")
    shows(page, samples[29])
    expect(page.locator("#next")).to_be_disabled()
    page.locator("#strip button").first.click()
    shows(page, samples[24])


def test_filters_and_the_address_that_keeps_them(opened: Page, samples: list[Sample]) -> None:
    page = opened
    page.select_option("[name=split]", "validation")
    expect(page.locator("#total")).to_have_text("of 10")
    validation = [sample for sample in samples if sample.facts.split == "validation"]
    shows(page, validation[0])
    page.fill("[name=source]", "video-05.mp4")
    page.locator("[name=source]").press("Enter")
    expect(page.locator("#total")).to_have_text("of 5")
    page.keyboard.press("Tab")
    page.locator("#next").click()
    chosen = [sample for sample in validation if sample.facts.source == "video-05.mp4"]
    shows(page, chosen[1])
    assert re.search(r"\?split=validation&source=video-05.mp4&position=2", page.url)
    page.reload()
    shows(page, chosen[1])
    expect(page.locator("[name=split]")).to_have_value("validation")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#total")).to_have_text("of 30")
    page.select_option("[name=order]", "most-motion")
    expect(page.locator("#sample-facts")).to_contain_text("video-05.mp4")
    page.fill("[name=min_quality]", "99")
    page.locator("[name=min_quality]").press("Enter")
    expect(page.locator("#total")).to_have_text(
        "of 6"
    )  # starts 0 and 8 of the three videos that were checked
    page.fill("[name=min_motion]", "100000")
    page.locator("[name=min_motion]").press("Enter")
    expect(page.locator("#no-samples")).to_be_visible()
    expect(page.locator("#browse")).to_be_hidden()


def test_a_wrong_filter_is_said(
    page: Page, stack: Stack, samples: list[Sample], complaints: list[str]
) -> None:
    page.goto(f"{stack.url}/datasets/street%20scenes?min_quality=7")
    expect(page.locator("#dataset-error")).to_contain_text("least quality must be a number from 0 to 1")
    assert all("422" in complaint for complaint in complaints)
    complaints.clear()


def test_the_report_draws_all_its_figures_offline(
    browser: Browser, stack: Stack, samples: list[Sample], tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    assert main(["inspect", str(stack.instance / "datasets" / "street scenes"), "--out", str(report)]) == 0
    for scheme in ("dark", "light"):
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, color_scheme=scheme, offline=True
        )
        complaints: list[str] = []
        page = context.new_page()
        watch(page, complaints)
        page.goto(report.as_uri())
        expect(page.locator(".figures svg")).to_have_count(11)
        # What is drawn fits its card, and text has the theme's colour.
        assert page.evaluate(
            """[...document.querySelectorAll('.figures svg')].every((figure) =>
                figure.getBoundingClientRect().right
                    <= figure.closest('.card').getBoundingClientRect().right + 1)"""
        )
        text = page.evaluate("getComputedStyle(document.querySelector('.figures svg text')).fill")
        assert text == page.evaluate("getComputedStyle(document.body).color")
        page.locator(".tile button").first.click()
        expect(page.locator("dialog img")).to_be_visible()
        page.locator("dialog img").click()
        expect(page.locator("dialog img")).to_be_hidden()
        context.close()
        assert complaints == []
