"""The Wavelets tab as a person uses it: numbers that add up, another pair, more levels."""

from __future__ import annotations

import re

import pytest

from mtkd.data.examples import EXAMPLES
from mtkd.explore import compare, default_models
from mtkd.explore.inside.wavelets import Pair
from tests.app.test_compare import SHOTS, open_page
from tests.browser import wait_until_drawn


@pytest.fixture(scope="module")
def page(browser, address):
    page = open_page(browser, address)
    page.get_by_role("tab", name="Wavelets").click()
    wait_for(page, "#wavelet-sum", "add up to")
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def comparison():
    return compare(EXAMPLES[0].read(), default_models(4), 4)


def wait_for(page, selector, text):
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)", arg=[selector, text],
        timeout=60_000,
    )  # fmt: skip


def rows(page) -> dict[str, list[str]]:
    found = page.eval_on_selector_all(
        "#wavelet-table [role=row]",
        "rows => rows.map((row) => [...row.querySelectorAll('[role=gridcell]')].map((cell) => cell.innerText.trim()))",
    )
    return {row[0]: row[1:] for row in found if row}


def test_bands_shown_add_up_to_the_loss_shown(page, comparison):
    table = rows(page)
    assert list(table) == ["LL1", "LH1", "HL1", "HH1", "sum"]
    parts = [float(table[band][2]) for band in list(table)[:-1]]
    told = [float(number) for number in re.findall(r"0\.\d{6}", page.inner_text("#wavelet-sum"))]
    assert len(told) == 2 and told[0] == told[1] == float(table["sum"][2])
    assert sum(parts) == pytest.approx(told[0], abs=2.1e-6)  # four rounded numbers
    expected = Pair(comparison, "rcan_tiny-mtkd", "aggregator_mini")
    assert told[0] == pytest.approx(expected.total("wavelet"), abs=1e-6)


def test_panes_and_plots(page):
    names = page.eval_on_selector_all("#wavelet-viewer .mv-canvas", "all => all.map((c) => c.dataset.name)")
    assert names == ["whole image", "where the loss comes from", "LL1", "LH1", "HL1", "HH1"]
    for plot in ("#wavelet-losses", "#wavelet-energy"):
        page.locator(f"{plot} .main-svg").first.wait_for(timeout=60_000)
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "wavelets-1280.png", full_page=True)
    assert page.page_errors == []


@pytest.mark.sweep
def test_more_levels_and_another_loss(page, comparison):
    page.locator("#wavelet-levels").get_by_label("3", exact=True).check()
    wait_for(page, "#wavelet-sum", "levels=3")
    assert len(rows(page)) == 11
    page.click("#wavelet-loss input")
    page.get_by_role("option", name="v7: detail bands only").click()
    wait_for(page, "#wavelet-legend", "detail bands only")
    expected = Pair(comparison, "rcan_tiny-mtkd", "aggregator_mini", 3, loss="v7")
    caption = page.inner_text("#wavelet-viewer .mv-pane:nth-child(2) .mv-caption")
    assert caption == f"adds up to {expected.total('v7'):.5f}"


@pytest.mark.sweep
def test_a_tab_opened_too_early_fills_itself(browser, address):
    """Nobody is told off for being quick: the tab fills when the comparison that runs is done."""
    page = browser.new_page(1280, 900)
    page.goto(address)
    page.get_by_role("tab", name="Wavelets").click()
    assert page.locator("#wavelet-first").is_visible()
    wait_for(page, "#wavelet-sum", "add up to")
    assert page.locator(".toast-body").count() == 0
    page.context.close()


def test_no_request_left_this_computer(browser, page):
    assert browser.external_requests() == []
