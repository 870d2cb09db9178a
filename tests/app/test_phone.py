"""The page on a phone: what is read fits the screen, and a finger does what keys do."""

from __future__ import annotations

import json

import pytest

from mtkd.data.examples import EXAMPLES
from tests.app.pages import open_picture_panel, wait_for_run, wait_for_text
from tests.browser import wait_until_answered, wait_until_drawn

pytestmark = pytest.mark.sweep

WIDTH, HEIGHT = 390, 844
SHOWN = "#viewer .mv-pane:not([hidden])"


@pytest.fixture(scope="module")
def phone(browser, address):
    """A page of a phone, at the first stop of the tour."""
    page = browser.new_page(WIDTH, HEIGHT, has_touch=True, is_mobile=True)
    page.goto(f"{address}?tour=1&models=bicubic,rcan_tiny-mtkd")
    wait_for_run(page, "")
    wait_for_text(page, "#tour", "1 of 5")
    wait_until_answered(page)
    yield page
    page.context.close()


def box(page, selector: str) -> dict[str, float]:
    return page.locator(selector).first.bounding_box()


def test_the_card_of_the_tour_leaves_the_picture_in_sight(phone) -> None:
    card, text = box(phone, "#tour"), box(phone, "#tour-text")
    assert card["height"] <= HEIGHT / 4 + 1 and card["y"] + card["height"] == pytest.approx(HEIGHT, abs=1)
    assert text["width"] > 0.9 * WIDTH
    tops = [box(phone, f"#tour-{name}")["y"] for name in ("back", "next", "close")]
    assert max(tops) - min(tops) < 1 and min(tops) >= text["y"] + text["height"]
    picture = box(phone, f"{SHOWN} .mv-canvas")
    assert picture["y"] + picture["height"] <= card["y"]


def test_a_tap_changes_between_the_two_pictures_and_the_pane_says_so(phone) -> None:
    phone.tap("#tour-close")
    phone.locator("#tour-text").wait_for(state="hidden")
    pane = phone.locator(SHOWN)
    before = pane.locator(".mv-name").inner_text()
    assert pane.locator(".mv-note").inner_text() == "Tap to switch"
    for expected in (False, True):
        pane.locator(".mv-canvas").tap()
        wait_until_drawn(phone)
        assert (pane.locator(".mv-name").inner_text() == before) is expected
        assert not pane.locator(".mv-note").is_visible()


def test_after_fit_4x_shows_the_examples_place(phone) -> None:
    top, left, height, width = EXAMPLES[0].place.region
    for button in ("Fit", "4×"):
        phone.locator("#viewer .mv-bar .mv-button", has_text=button).first.tap()
        wait_until_drawn(phone)
    view = json.loads(phone.locator("#viewer .mv").get_attribute("data-view"))
    assert (view["cx"], view["cy"]) == pytest.approx(((left + width / 2) / 256, (top + height / 2) / 256), abs=0.01)


@pytest.mark.parametrize("width", [WIDTH, 800, 1280])
def test_what_runs_is_read_to_its_end_and_covers_nothing(phone, width) -> None:
    phone.set_viewport_size({"width": width, "height": HEIGHT})
    phone.locator("#status p").evaluate(
        "p => { p.textContent = 'This photo is 3000 × 4000, and the result 192 megapixels. '"
        " + 'Select the area that you want to compare.'; }"
    )
    status = box(phone, "#status p")
    assert status["x"] >= 0 and status["x"] + status["width"] <= width
    for around in ("#presets", "#tabs button[role=tab]:nth-of-type(4)", "#viewer .mv-bar"):
        other = box(phone, around)
        apart = (
            status["y"] >= other["y"] + other["height"] - 1
            or other["y"] >= status["y"] + status["height"] - 1
            or status["x"] >= other["x"] + other["width"]
        )
        assert apart, around


def test_another_photo_is_chosen_with_a_tap_and_the_present_one_stays_until_then(phone) -> None:
    phone.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    open_picture_panel(phone)
    with phone.expect_file_chooser():
        phone.locator("#image [aria-label='Upload file']").tap()
    phone.locator("#image img").wait_for()
    names = phone.locator("#examples .caption-label")
    assert names.evaluate_all("all => all.every((name) => name.scrollWidth <= name.clientWidth)")
