"""The Attribution view as a person uses it: look, click, cancel, save; the numbers are those of `mtkd explain`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from mtkd.data.examples import EXAMPLES
from mtkd.explore import compare
from mtkd.images import write_image
from mtkd.numbers import signed
from tests.app.pages import (
    SHOTS,
    another_run,
    asked,
    cells,
    choose,
    computing,
    open_page,
    open_part,
    open_view,
    upload,
    wait_for_text,
)
from tests.browser import wait_until_answered, wait_until_drawn

STUDENT = "RCAN student, with MTKD"
ANSWER = "LR pixels of the window"


@pytest.fixture(scope="module")
def page(browser, address):
    page = open_page(browser, address, height=720)
    open_view(page, "Attribution")
    wait_for_text(page, "#lam-said", "Preview. Refining")
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def student(page):
    """The same page, asked about a student, with all closed parts open."""
    open_part(page, "#lam-advanced")
    open_part(page, "#lam-export")
    choose(page, "#lam-model", STUDENT)
    wait_for_text(page, "#lam-said", ANSWER)
    return page


def window(page):
    row, column = re.search(r"at row (\d+), column (\d+)", page.inner_text("#lam-made")).groups()
    return int(row), int(column)


def test_it_opens_on_the_combined_teacher_with_a_preview(page):
    names = page.eval_on_selector_all("#lam-viewer .mv-canvas", "all => all.map((c) => c.dataset.name)")
    assert names == ["aggregator_mini", "edsr_mini", "rcan_mini", "swinir_mini"]
    for selector in ("#lam-said", "#lam-cancel", "#lam-viewer .mv-canvas"):  # above the fold
        box = page.locator(selector).first.bounding_box()
        assert box["y"] + min(box["height"], 200) < 720
    assert not page.locator("#lam-table").is_visible() and not page.locator("#lam-steps").is_visible()
    assert page.page_errors == []


def test_a_choice_is_computed_once_and_replaces_what_runs(page):
    with asked(page) as counts:
        choose(page, "#lam-model", STUDENT)
        wait_for_text(page, "#lam-said", ANSWER)
        wait_until_answered(page)
    assert [counts[one] for one in counts if one in computing(page)] == [1]


def test_the_keyboard_passes_the_lists_and_asks_nothing(student):
    """Gradio calls it a choice where the focus leaves a list."""
    wait_until_answered(student)
    student.locator("#lam-model input").focus()
    with asked(student) as counts:
        for _ in range(4):
            student.keyboard.press("Tab")
        assert student.evaluate("document.querySelector('#lam-viewer').contains(document.activeElement)")
        wait_until_answered(student)
    assert counts and not [one for one in counts if one in computing(student)]


def test_a_click_moves_the_window_and_gives_a_new_map(student):
    page = student
    page.locator("#lam-viewer .mv-bar").get_by_text("Fit", exact=True).click()
    wait_until_answered(page)
    before = window(page)
    canvas = page.locator("#lam-viewer .mv-canvas").first
    box = canvas.bounding_box()
    canvas.click(position={"x": 0.5 * box["width"], "y": 0.45 * box["height"]})  # once it stands still
    page.wait_for_function(
        "before => { const text = document.querySelector('#lam-made').innerText;"
        " return text.includes('Completeness') && !text.includes(before); }",
        arg=f"at row {before[0]}, column {before[1]}",
        timeout=120_000,
    )
    row, column = window(page)
    assert abs(row + 8 - 0.45 * 256) < 10 and abs(column + 8 - 128) < 10
    wait_until_answered(page)
    page.screenshot(path=SHOTS / "attribution-1280.png", full_page=True)
    assert page.page_errors == []


def test_numbers_are_those_of_the_command_line(student, tmp_path):
    page = student
    lr = compare(EXAMPLES[0].read(), ["bicubic"], 4).lr_image
    write_image(tmp_path / "lr.png", lr)
    row, column = window(page)
    command = [sys.executable, "-m", "mtkd.cli", "explain", str(tmp_path / "lr.png"), "--model", "rcan_tiny-mtkd",
               "--at", f"{row + 8},{column + 8}", "--json"]  # fmt: skip
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["window"] == {"top": row, "left": column, "size": 16}
    made = page.inner_text("#lam-made")
    assert told["weights"] in made and f"{told['after']:.3f} as it is" in made
    assert signed(told["completeness_error_relative"], "+.3%") in made
    one = told["inputs"][0]
    assert cells(page, "#lam-table") == [
        ["LR", "64 × 64", f"{one['di']:.3f}", "1.000", f"{one['signed_share']:.3f}", "–"]
    ]


@pytest.mark.sweep
def test_everything_is_saved(student):
    page = student
    with page.expect_download() as download:
        page.click("#lam-archive")
    with zipfile.ZipFile(download.value.path()) as packed:
        assert {"explanation.json", "LR.npy", "LR.png"} <= set(packed.namelist())
    with page.expect_download() as download:
        page.click("#lam-pdf")
    assert download.value.path().read_bytes().startswith(b"%PDF")


@pytest.mark.sweep
def test_another_method_shows_its_options_and_answers(student):
    page = student
    choose(page, "#lam-method", "Saliency")
    page.locator("#lam-sigma").wait_for(state="hidden")
    page.click("#lam-go")
    wait_for_text(page, "#lam-made", "Saliency")
    assert "Completeness" not in page.inner_text("#lam-made")
    choose(page, "#lam-method", "Local attribution map")
    page.locator("#lam-sigma").wait_for(state="visible")


@pytest.mark.sweep
def test_the_picture_is_that_of_the_answer_and_models_stand_side_by_side(browser, address):
    """The preview is replaced; another method or "side by side" asks by itself; the table has a row a model."""
    page = open_page(browser, address, "?tab=attribution&models=rcan_tiny-mtkd,edsr_tiny-mtkd")
    with page.expect_response(lambda answer: re.search(r"LR-on-the-image-[0-9a-f]{8}\.png", answer.url)):
        choose(page, "#lam-method", "Causal effect map")
    wait_for_text(page, "#lam-said", ANSWER)
    choose(page, "#lam-model", "Side by side (2 models)")
    wait_for_text(page, "#lam-said", "One window, one colour scale")
    names = page.eval_on_selector_all("#lam-viewer .mv-canvas", "all => all.map((c) => c.dataset.name)")
    open_part(page, "#lam-advanced")
    table = cells(page, "#lam-table")
    assert sorted(names) == sorted(row[0] for row in table) == ["edsr_tiny-mtkd", "rcan_tiny-mtkd"]
    assert all(float(row[2]) > float(row[4]) > 0 for row in table) and table[0][5] == "0.000"
    assert page.page_errors == []
    page.context.close()


@pytest.mark.sweep
def test_cancel_keeps_the_preview_and_a_new_question_is_answered(student):
    page = student
    page.fill("#lam-steps input", "500")
    choose(page, "#lam-model", "Combined teacher (MT)")
    wait_for_text(page, "#lam-said", "of 500")
    page.click("#lam-cancel")
    wait_for_text(page, "#lam-said", "Cancelled. Showing the last available map.")
    assert page.locator("#lam-viewer .mv-canvas").count() == 4
    page.evaluate(
        "() => { const made = document.querySelector('#lam-said'); window.texts = [made.innerText];"
        " new MutationObserver(() => window.texts.push(made.innerText))"
        ".observe(made, {childList: true, subtree: true, characterData: true}); }"
    )
    page.fill("#lam-steps input", "5")
    page.click("#lam-go")
    wait_for_text(page, "#lam-said", "This detail is attributed to the pixels of")
    texts = page.evaluate("window.texts")
    assert "Cancelled" in texts[0] and len(texts) > 1
    assert not [text for text in texts if "of 500" in text]  # the cancelled one is heard of no more
    table = cells(page, "#lam-table")
    assert [row[0] for row in table] == ["edsr_mini", "rcan_mini", "swinir_mini"]
    assert sum(float(row[3]) for row in table) == pytest.approx(1, abs=0.002)
    assert sum(float(row[5]) for row in table) == pytest.approx(1, abs=0.002)  # Shapley values add up
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "attribution-aggregator-1280.png", full_page=True)


@pytest.mark.sweep
def test_a_photo_is_answered_from_the_neighbourhood_and_an_error_stands_in_the_viewer(browser, address, tmp_path):
    """One network looks a few pixels far, the other one averages over the whole photo; teachers would take a minute."""
    page = open_page(browser, address, "?tab=attribution&models=rcan_tiny-mtkd,edsr_tiny-mtkd")
    write_image(tmp_path / "photo.png", np.tile(EXAMPLES[0].read(), (1, 2, 1))[:, :264])
    open_part(page, "#lam-advanced")
    page.fill("#lam-steps input", "5")
    with another_run(page):
        upload(page, tmp_path / "photo.png")
    page.get_by_label("Upscale my photo").check()
    choose(page, "#lam-model", "EDSR student, with MTKD")
    wait_for_text(page, "#lam-said", "of 264 × 256 LR pixels that the window depends on")
    choose(page, "#lam-model", STUDENT)
    wait_for_text(page, "#lam-said", "An approximation, computed from the")
    part = re.search(r"the (\d+) × (\d+) of 264 × 256 LR pixels", page.inner_text("#lam-said"))
    assert part and max(map(int, part.groups())) < 80  # what the network sees, its channel attention held
    for steps, told in (("", "steps is empty: give a whole number"), ("2", "Steps is 2: give 5 or more")):
        page.fill("#lam-steps input", steps)
        page.click("#lam-go")
        wait_for_text(page, "#lam-viewer .mv-error", told)
    page.context.close()


@pytest.mark.slow
def test_the_papers_figure_can_be_cancelled_and_drawn(student):
    page = student
    page.fill("#lam-steps input", "5")
    page.click("#lam-fig4")
    page.locator("#lam-fig4-image img").wait_for(timeout=120_000)
    assert "Fig. 4: brick" in page.inner_text("#lam-fig4-image")
