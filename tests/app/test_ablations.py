"""The Ablations tab as a person uses it: pick variants, compare to another reference, walk through a training."""

from __future__ import annotations

import pytest

from mtkd import zoo
from mtkd.explore.evidence.ablations import kept
from tests.app.pages import SHOTS, open_page, wait_for_text


@pytest.fixture(scope="module")
def page(browser, address):
    page = open_page(browser, address, "?tab=ablations")
    wait_for_text(page, "#step-which", "After")
    yield page
    page.context.close()


def names(page, viewer) -> list[str]:
    return page.eval_on_selector_all(f"{viewer} .mv-canvas", "all => all.map((c) => c.dataset.name)")


def test_variants_are_shown_beside_the_full_method(page):
    page.locator("#ablation-viewer .mv-canvas").first.wait_for()
    assert names(page, "#ablation-viewer")[0] == "rcan_tiny-mtkd"
    assert "rcan_tiny-v7" in names(page, "#ablation-viewer")
    assert "Urban100" in page.inner_text("#ablation-note")  # what the paper prints this table for
    page.locator("#ablation-variants").get_by_label("v1: SwinIR and EDSR").check()
    page.wait_for_function(
        "() => [...document.querySelectorAll('#ablation-viewer .mv-canvas')]"
        ".some((c) => c.dataset.name === 'rcan_tiny-v1')"
    )
    text = page.inner_text("#ablation-numbers")
    assert "v1: SwinIR and EDSR" in text and "27.08" in text  # MTKD, printed in Table 5
    page.locator("#ablation-gains .main-svg").first.wait_for(timeout=180_000)
    page.screenshot(path=SHOTS / "ablations-1280.png", full_page=True)


@pytest.mark.sweep
def test_reference_can_be_the_truth(page):
    page.locator("#ablation-against").get_by_label("ground truth").check()
    page.wait_for_function(
        "() => document.querySelector('#ablation-viewer .mv-canvas')?.dataset.name === 'ground truth'"
    )


@pytest.mark.sweep
def test_one_choice_of_a_step_is_for_all_trainings(page):
    ways = kept(4)
    steps = ways["rcan_tiny-mtkd"]
    shown = names(page, "#step-viewer")
    assert shown == ["ground truth", *list(ways)[:3]]
    choice = page.locator("#step-choice label")
    assert choice.all_inner_texts() == [f"{step:,}" for step in steps]
    choice.first.click()
    wait_for_text(page, "#step-which", f"After {steps[0]:,} steps")
    first = page.inner_text("#step-viewer .mv-pane:nth-child(2) .mv-caption")
    choice.last.click()
    wait_for_text(page, "#step-which", f"After {steps[-1]:,} steps")
    last = page.inner_text("#step-viewer .mv-pane:nth-child(2) .mv-caption")
    assert float(first.split()[0]) + 1 < float(last.split()[0])
    assert zoo.find(shown[1], 4).card["iterations"] == steps[-1]
    assert page.page_errors == []
