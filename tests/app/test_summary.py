"""The Summary of the evidence as a person reads it."""

from __future__ import annotations

import re

import pytest

from mtkd.experiments.published import published
from mtkd.explore.evidence import summary
from mtkd.explore.evidence.results import Results, load
from mtkd.home import runs_folder
from tests.app.pages import SHOTS


@pytest.fixture(scope="module")
def shown() -> Results:
    return load("mini", runs_folder("mini"))


WATCH = """
  window.said = new Set();
  const places = () => [...document.querySelectorAll('#summary .block')].map((one) => one.getBoundingClientRect().top);
  new MutationObserver(() => {
    for (const one of document.querySelectorAll('[role=status]')) said.add(one.textContent.trim());
    if (window.drawn !== undefined || !document.querySelector('#summary-claims details')) return;
    window.drawn = document.querySelectorAll('#summary .point').length;
    requestAnimationFrame(() => requestAnimationFrame(() => { window.early = places(); window.places = places; }));
  }).observe(document, { subtree: true, childList: true, characterData: true });
"""
"""Notes what is said to people who do not see the page, and the places of all when its text has come."""


def open_summary(page, address: str, theme: str = "light") -> None:
    page.goto(f"{address}?tab=summary&__theme={theme}")
    page.locator("#summary-claims details").first.wait_for(timeout=180_000)
    page.locator("#summary-tradeoff .point").first.wait_for(state="attached", timeout=180_000)


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(1280, 900)
    page.page_errors = []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    page.add_init_script(WATCH)
    open_summary(page, address)
    yield page
    page.context.close()


def test_it_opens_on_three_answers(page, shown):
    cards = page.locator("#summary-answers section").all_inner_texts()
    for card, answer in zip(cards, summary.answers(shown), strict=True):
        assert answer.question in card and answer.answer in card
        assert all(number in card for number in answer.numbers.values())
    page.screenshot(path=SHOTS / "summary-1280-light.png", full_page=True)
    assert page.page_errors == []


def test_every_panel_with_data_has_its_points(page, shown):
    panels = summary.pays(shown)
    for panel, points in panels.items():
        page.locator(f"#summary-{panel} .point").first.wait_for(state="attached")
        assert page.locator(f"#summary-{panel} .point").count() == len(points)
    assert page.locator("#summary-points tbody tr").count() == sum(map(len, panels.values()))


def test_the_text_comes_first_and_nothing_moves_when_figures_come(page):
    page.locator("#summary-parameters .point").first.wait_for(state="attached")
    assert page.evaluate("drawn") == 0
    assert page.evaluate("early") == pytest.approx(page.evaluate("places()"), abs=1)


def test_every_claim_has_a_verdict_and_shows_its_comparisons(page, shown):
    chips = page.locator("#summary-claims summary .verdict").all_inner_texts()
    assert chips == [claim.verdict for claim in shown.claims()] and len(chips) == len(published().claims)
    second = page.locator("#summary-claims details").nth(1)
    second.locator("summary").click()
    assert second.locator("svg").count() == len(shown.claims()[1].comparisons)
    assert second.locator("svg").first.is_visible()


def test_another_set_and_scale(page, shown):
    assert page.locator("#summary-set label").all_inner_texts() == shown.measured_sets(4)
    page.locator("#summary-set label").filter(has_text="Set5").click()
    page.wait_for_function("document.querySelector('#summary-tradeoff .ytitle').textContent.includes('Set5 ×4')")
    page.locator("#summary-scale label").filter(has_text="×2").click()
    page.wait_for_function("document.querySelector('#summary-tradeoff .ytitle').textContent.includes('×2')")
    assert page.page_errors == []


def test_what_is_said_is_said_in_words(page):
    """Gradio has no text of its own for an event that ended."""
    page.wait_for_function("said.has('Done')")
    assert not [text for text in page.evaluate("[...said]") if re.fullmatch(r"[a-z_]+\.[a-z_]+", text)]


def test_programs_get_the_same(address, shown):
    client = pytest.importorskip("gradio_client").Client(address, verbose=False)
    assert [claim["verdict"] for claim in client.predict(api_name="/results_claims")] == [
        claim.verdict for claim in shown.claims()
    ]
    assert client.predict(api_name="/evidence_answers")[0]["question"] == "Does distillation help?"


@pytest.mark.sweep
@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (1920, "light")])
def test_layout_does_not_break(browser, address, width, theme):
    page = browser.new_page(width, 1200)
    open_summary(page, address, theme)
    page.screenshot(path=SHOTS / f"summary-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.context.close()
