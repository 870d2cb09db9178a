"""The Attribution tab as a person uses it: click, look, cancel, save; the numbers are those of `mtkd explain`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile

import pytest

from mtkd.data.examples import EXAMPLES
from mtkd.explore import compare
from mtkd.images import write_image
from tests.app.test_compare import SHOTS, open_page
from tests.app.test_wavelets import wait_for
from tests.browser import wait_until_answered, wait_until_drawn


@pytest.fixture(scope="module")
def page(browser, address):
    page = open_page(browser, address)
    page.get_by_role("tab", name="Attribution").click()
    wait_for(page, "#lam-made", "Completeness")
    yield page
    page.context.close()


def click(page, fx, fy):
    box = page.locator("#lam-viewer .mv-canvas").first.bounding_box()
    page.mouse.click(box["x"] + fx * box["width"], box["y"] + fy * box["height"])


def window(page):
    row, column = re.search(r"at row (\d+), column (\d+)", page.inner_text("#lam-made")).groups()
    return int(row), int(column)


def cells(page) -> list[list[str]]:
    found = page.eval_on_selector_all(
        "#lam-table [role=row]",
        "rows => rows.map((row) => [...row.querySelectorAll('[role=gridcell]')].map((cell) => cell.innerText.trim()))",
    )
    return [row for row in found if row]


def test_a_click_moves_the_window_and_gives_a_new_map(page):
    page.locator("#lam-viewer").scroll_into_view_if_needed()
    before = window(page)
    click(page, 0.5, 0.45)
    page.wait_for_function(
        "before => { const text = document.querySelector('#lam-made').innerText;"
        " return text.includes('Completeness') && !text.includes(before); }",
        arg=f"at row {before[0]}, column {before[1]}",
        timeout=60_000,
    )
    row, column = window(page)
    assert abs(row + 8 - 0.45 * 256) < 10 and abs(column + 8 - 128) < 10
    wait_until_answered(page)
    page.screenshot(path=SHOTS / "attribution-1280.png", full_page=True)
    assert page.page_errors == []


def test_numbers_are_those_of_the_command_line(page, tmp_path):
    lr = compare(EXAMPLES[0].read(), ["bicubic"], 4).lr_image
    write_image(tmp_path / "lr.png", lr)
    row, column = window(page)
    command = [sys.executable, "-m", "mtkd.cli", "explain", str(tmp_path / "lr.png"), "--model", "rcan_tiny-mtkd",
               "--at", f"{row + 8},{column + 8}", "--json"]  # fmt: skip
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["window"] == {"top": row, "left": column, "size": 16}
    made = page.inner_text("#lam-made")
    assert told["weights"] in made and f"{told['after']:.3f} as it is" in made
    assert f"{told['completeness_error_relative']:+.3%}" in made
    one = told["inputs"][0]
    assert cells(page) == [["LR", "64 × 64", f"{one['di']:.3f}", "1.000", f"{one['signed_share']:.3f}", "–"]]


@pytest.mark.sweep
def test_everything_is_saved(page):
    with page.expect_download() as download:
        page.click("#lam-archive")
    with zipfile.ZipFile(download.value.path()) as packed:
        assert {"explanation.json", "LR.npy", "LR.png"} <= set(packed.namelist())
    with page.expect_download() as download:
        page.click("#lam-pdf")
    assert download.value.path().read_bytes().startswith(b"%PDF")


@pytest.mark.sweep
def test_another_method_shows_its_options_and_answers(page):
    def choose(title: str) -> None:
        page.click("#lam-method input")
        page.get_by_role("option", name=title).click()

    choose("Saliency")
    page.locator("#lam-sigma").wait_for(state="hidden")
    page.click("#lam-go")
    wait_for(page, "#lam-made", "Saliency")
    assert "Completeness" not in page.inner_text("#lam-made")
    choose("Local attribution map")
    page.locator("#lam-sigma").wait_for(state="visible")


@pytest.mark.sweep
def test_an_aggregator_shows_a_preview_can_be_cancelled_and_starts_again(page):
    page.fill("#lam-steps input", "500")
    page.click("#lam-model input")
    page.get_by_role("option", name="aggregator_mini", exact=True).click()
    wait_for(page, "#lam-made", "Preview")
    names = page.eval_on_selector_all("#lam-viewer .mv-canvas", "all => all.map((c) => c.dataset.name)")
    assert names == ["aggregator_mini", "edsr_mini", "rcan_mini", "swinir_mini"]
    wait_for(page, "#lam-made", "/500")
    page.click("#lam-cancel")
    wait_for(page, "#lam-made", "Cancelled")
    page.evaluate(
        "() => { const made = document.querySelector('#lam-made'); window.texts = [made.innerText];"
        " new MutationObserver(() => window.texts.push(made.innerText))"
        ".observe(made, {childList: true, subtree: true, characterData: true}); }"
    )
    page.fill("#lam-steps input", "5")
    page.click("#lam-go")
    wait_for(page, "#lam-made", "aggregator_mini ×4")
    texts = page.evaluate("window.texts")
    assert "Cancelled" in texts[0] and len(texts) > 1
    assert not [text for text in texts if "/500" in text]  # the cancelled one is heard of no more
    table = cells(page)
    assert [row[0] for row in table] == ["edsr_mini", "rcan_mini", "swinir_mini"]
    assert sum(float(row[3]) for row in table) == pytest.approx(1, abs=0.002)
    assert sum(float(row[5]) for row in table) == pytest.approx(1, abs=0.002)  # Shapley values add up
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "attribution-aggregator-1280.png", full_page=True)


@pytest.mark.sweep
def test_the_papers_figure_can_be_cancelled_and_drawn(page):
    page.fill("#lam-steps input", "500")
    page.click("#lam-fig4")
    wait_for(page, "#lam-made", "steps")
    page.click("#lam-cancel")
    wait_for(page, "#lam-made", "Cancelled")
    page.fill("#lam-steps input", "5")
    page.click("#lam-fig4")
    page.locator("#lam-fig4-image img").wait_for(timeout=60_000)
    assert "Fig. 4: brick" in page.inner_text("#lam-fig4-image")
