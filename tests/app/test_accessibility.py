"""Everybody can use every view: axe-core finds nothing serious, the keyboard alone is enough, nothing is too wide."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from mtkd.explore.comparison.choices import presets
from tests.app.pages import MODELS, SHOTS, TRUTH, VIEWS, another_run, open_page, pane_names, preset
from tests.browser import wait_until_answered, wait_until_drawn

IDS = {
    "Compare": "compare",
    "Framework": "framework",
    "Wavelet loss": "wavelets",
    "Attribution": "attribution",
    "Summary": "summary",
    "Tables": "results",
    "Efficiency": "efficiency",
    "Ablations": "ablations",
    "Quick demo": "quick_demo",
    "Runs": "train",
    "Models": "own",
}
FILLED = """() => ![...document.querySelectorAll('[aria-label="Empty value"], .mv-is-empty, .fw-wait')].some((node) =>
  node.offsetParent) && !document.querySelector('.generating, .pending, #lam-cancel:enabled')"""
"""No plot, viewer or diagram of the view is empty any more, and no preview waits for its answer; Gradio's stand-in for
an empty plot is short-lived."""
SERIOUS = {"serious", "critical"}


def open_view_by_link(browser, address, title: str, theme: str = "light", models: str = ""):
    """A view as a link opens it, with all that it shows; ``models``: other ones than the default, joined by commas."""
    query = f"?tab={IDS[title]}&__theme={theme}" + (f"&models={models}" if models else "")
    page = open_page(browser, address, query, 1280, 720)
    page.wait_for_function(FILLED, timeout=180_000)
    try:
        wait_until_answered(page, 30)
    except AssertionError:  # all is shown; Gradio sometimes leaves the stream open after its last answer
        assert all("queue/data" in request.url for request in page.pending)
        page.pending.clear()
    return page


def problems(page) -> list[str]:
    """What axe-core calls serious or critical, a line each."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['target']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def test_the_views_are_all_there(browser, address):
    """A view that is new here is looked at, too."""
    page = open_page(browser, address)
    ids = page.eval_on_selector_all("[role=tab]", "tabs => tabs.map((tab) => tab.dataset.tabId)")
    assert {"compare", "how-it-works", "evidence", "train"} <= set(ids)
    assert set(VIEWS) <= set(IDS)
    page.context.close()


@pytest.mark.parametrize(
    "title", [pytest.param(title, marks=() if title == "Compare" else pytest.mark.sweep) for title in IDS]
)
def test_a_view_is_for_everybody_and_every_screen(browser, address, title):
    """In both themes axe-core finds nothing serious; it is not wider than a phone, a laptop or a large screen."""
    page = open_view_by_link(browser, address, title, "dark")
    for theme in ("dark", "light"):  # as Gradio's own setting changes it
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
        page.set_viewport_size({"width": 1280, "height": 720})
        wait_until_drawn(page)
        page.screenshot(path=SHOTS / f"view-{IDS[title]}-1280-{theme}.png")
        assert problems(page) == [], theme
        for width in (1920, 390):
            page.set_viewport_size({"width": width, "height": 844})
            wait_until_drawn(page)
            page.screenshot(path=SHOTS / f"view-{IDS[title]}-{width}-{theme}.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, theme
    assert page.page_errors == [] and page.refused == []
    page.context.close()


def test_the_first_result_is_on_a_phones_first_screen(browser, address):
    page = open_page(browser, address, width=390, height=844)
    wait_until_answered(page)
    box = page.locator("#viewer .mv-stage:visible").first.bounding_box()
    assert box["y"] < 600
    page.context.close()


def test_the_keyboard_alone_leads_from_picture_to_result(browser, address):
    """A link past the bar, the viewer within ten stops of it, and choices without a mouse."""
    page = open_page(browser, address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className").startswith("skip")
    page.keyboard.press("Enter")
    stops = []
    for _ in range(10):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("!!document.activeElement.closest('#viewer')"))
        if stops[-1]:
            break
    assert stops[-1]
    for title, names in (("All methods", presets(4)["All methods"]), ("Story", MODELS)):
        with another_run(page):
            preset(page, title).focus()
            page.keyboard.press("Space")
        assert pane_names(page) == [TRUTH, *names]
    page.context.close()


def test_progress_and_errors_are_said_aloud(browser, address):
    """Live regions: what runs stands in one, an error in another."""
    page = open_page(browser, address)
    assert page.locator("#status [role=status][aria-live=polite]").count() == 1
    with another_run(page):
        page.locator("#models .token-remove.remove-all").click()
    assert page.locator("#viewer [role=alert]").inner_text()
    page.context.close()
