"""The tour, as a visitor takes it: five stops, each a view and its words, with an address of its own."""

from __future__ import annotations

import pytest

from tests.app.pages import last_run, open_page, wait_for_text
from tests.browser import wait_until_answered

pytestmark = pytest.mark.sweep

SEEN = ("#viewer .mv-canvas", "#viewer [role=slider]", "#framework", "#lam-viewer .mv-canvas", "#summary-claims")
"""What each stop shows."""


def test_a_visitor_goes_forward_back_and_ends_it(browser, address) -> None:
    page = open_page(browser, address)
    page.click("#tour-start")
    runs = []
    for number, shown in enumerate(SEEN, start=1):
        wait_for_text(page, "#tour", f"{number} of 5")
        page.locator(shown).first.wait_for(timeout=180_000)
        assert page.locator("#tour-text p").inner_text().count(". ") == 1  # two sentences
        page.wait_for_function("number => location.search.includes(`tour=${number}`)", arg=number)
        wait_until_answered(page, 60)
        runs.append(last_run(page))
        if number < 5:
            page.keyboard.press("Enter")  # the focus is on Next
    assert len(set(runs[1:])) == 1  # other tabs show the comparison that is there
    assert not page.locator("#tour-next").is_visible()
    page.click("#tour-back")
    wait_for_text(page, "#tour", "4 of 5")
    page.locator("#lam-viewer").wait_for()
    page.keyboard.press("Escape")
    page.locator("#tour").wait_for(state="hidden")
    page.wait_for_function("!location.search.includes('tour=')")
    assert page.refused == [] and page.page_errors == []
    page.context.close()


def test_a_link_opens_a_stop(browser, address) -> None:
    page = open_page(browser, address, "?tour=1")
    wait_for_text(page, "#tour", "1 of 5")
    page.click("#tour-next")
    page.locator("#viewer [role=slider]").first.wait_for()
    assert page.refused == [] and page.page_errors == []
    page.context.close()
