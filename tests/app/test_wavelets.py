"""The Wavelets tab as a person uses it: numbers that add up, another pair, more levels."""

from __future__ import annotations

import re

import pytest

from mtkd.data.examples import EXAMPLES, PICTURES
from mtkd.explore import compare, default_models
from mtkd.explore.inside.wavelets import Pair
from tests.app.pages import SHOTS, asked, cells, choose, computing, open_page, open_part, open_view, wait_for_text
from tests.browser import wait_until_answered, wait_until_drawn


@pytest.fixture(scope="module")
def page(browser, address):
    page = open_page(browser, address)
    open_view(page, "Wavelet loss")
    wait_for_text(page, "#wavelet-sum", "add up to")
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def comparison():
    return compare(EXAMPLES[0].read(), default_models(4), 4)


def rows(page) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in cells(page, "#wavelet-table")}


def test_bands_shown_add_up_to_the_loss_shown(page, comparison):
    table = rows(page)
    assert list(table) == ["LL1", "LH1", "HL1", "HH1", "sum"]
    parts = [float(table[band][2]) for band in list(table)[:-1]]
    told = [float(number) for number in re.findall(r"0\.\d{6}", page.inner_text("#wavelet-sum"))]
    assert len(told) == 2 and told[0] == told[1] == float(table["sum"][2])
    assert sum(parts) == pytest.approx(told[0], abs=2.1e-6)  # four rounded numbers
    expected = Pair(comparison, "rcan_tiny-mtkd", "ground truth")
    assert told[0] == pytest.approx(expected.total("wavelet"), abs=1e-6)


def test_panes_and_plots(page):
    names = page.eval_on_selector_all("#wavelet-viewer .mv-canvas", "all => all.map((c) => c.dataset.name)")
    assert names == ["whole image", "where the loss comes from", "LL1", "LH1", "HL1", "HH1"]
    for plot in ("#wavelet-losses", "#wavelet-energy"):
        page.locator(f"{plot} .main-svg").first.wait_for(timeout=180_000)
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "wavelets-1280.png", full_page=True)
    assert page.page_errors == []


def test_the_keyboard_passes_the_lists_and_asks_nothing(page):
    """Gradio calls it a choice where the focus leaves a list."""
    wait_until_answered(page)
    page.locator("#wavelet-first input").focus()
    with asked(page) as counts:
        for _ in range(4):
            page.keyboard.press("Tab")
        wait_until_answered(page)
    assert counts and not [one for one in counts if one in computing(page)]


@pytest.mark.sweep
def test_more_levels_and_another_loss(page, comparison):
    open_part(page, "#wavelet-advanced")
    page.locator("#wavelet-levels").get_by_label("3", exact=True).check()
    wait_for_text(page, "#wavelet-sum", "levels=3")
    assert len(rows(page)) == 11
    wait_until_answered(page)
    with asked(page) as counts:
        choose(page, "#wavelet-loss", "v7: detail bands only")
        wait_for_text(page, "#wavelet-legend", "detail bands only")
        wait_until_answered(page)
    assert [counts[one] for one in counts if one in computing(page)] == [1]  # a choice is sent twice, answered once
    expected = Pair(comparison, "rcan_tiny-mtkd", "ground truth", 3, loss="v7")
    caption = page.inner_text("#wavelet-viewer .mv-pane:nth-child(2) .mv-caption")
    assert caption == f"adds up to {expected.total('v7'):.5f}"


@pytest.mark.sweep
def test_the_average_over_the_examples(page):
    open_part(page, "#wavelet-average")
    page.locator("#wavelet-measure").click()
    wait_for_text(page, "#wavelet-average-note", f"with MTKD: mean over {len(PICTURES)} pictures (Examples, ×4).", 120)
    for plot in ("#wavelet-errors", "#wavelet-energies", "#wavelet-training"):
        page.locator(f"{plot} .main-svg").first.wait_for()
    assert "10,000" in page.inner_text("#wavelet-training")
    wait_until_drawn(page)
    page.locator("#wavelet-average").screenshot(path=SHOTS / "wavelets-average-1280.png")
    assert page.page_errors == []


@pytest.mark.sweep
def test_a_tab_opened_too_early_fills_itself(browser, address):
    """Nobody is told off for being quick: the tab fills when the comparison that runs is done."""
    page = browser.new_page(1280, 900)
    page.goto(f"{address}?tab=wavelets")
    page.locator("#wavelet-first").wait_for()
    assert page.locator("#wavelet-first").is_visible()
    wait_for_text(page, "#wavelet-sum", "add up to")
    assert page.locator(".toast-body").count() == 0
    page.context.close()


def test_no_request_left_this_computer(browser, page):
    assert browser.external_requests() == []
