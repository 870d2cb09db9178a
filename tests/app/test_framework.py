"""The Framework view as a person uses it: open it, click boxes, go round with the keyboard, choose a window."""

from __future__ import annotations

import io
import urllib.parse
import urllib.request

import numpy as np
import pytest
from PIL import Image

from mtkd.data.examples import EXAMPLES
from mtkd.explore import compare, default_models
from mtkd.explore.inside.framework import framework
from tests.app.pages import SHOTS, answered, open_page, open_view, upload
from tests.browser import wait_until_drawn


@pytest.fixture(scope="module")
def steps():
    """What the page must show of its first picture."""
    return {step.id: step for step in framework(compare(EXAMPLES[0].read(), default_models(4), 4))}


@pytest.fixture(scope="module")
def page(browser, address):
    page = open_page(browser, address)
    open_tab(page)
    yield page
    page.context.close()


def open_tab(page) -> None:
    open_view(page, "Framework")
    page.wait_for_selector(".fw-box", timeout=180_000)


def picture(page, address, selector: str) -> np.ndarray:
    source = urllib.parse.urljoin(address, page.get_attribute(selector, "src"))
    with urllib.request.urlopen(source) as answer:
        image = Image.open(io.BytesIO(answer.read()))
    assert image.format == "PNG"
    return np.asarray(image)


def opened(page) -> list[str]:
    return page.eval_on_selector_all("[data-detail]:not([hidden])", "all => all.map((one) => one.dataset.detail)")


def test_every_step_has_its_box(page, steps):
    assert steps["lr"].shape not in page.inner_text("[data-step='lr']")
    page.click("[data-shapes]")
    boxes = page.eval_on_selector_all(".fw-box", "all => all.map((box) => [box.dataset.step, box.innerText])")
    nothing_is_cut_off(page)
    page.click("[data-shapes]")
    nothing_is_cut_off(page)
    assert [name for name, _ in boxes] == list(steps)
    for name, text in ((name, text.replace("\u00ad", "")) for name, text in boxes):
        assert steps[name].title in text and steps[name].shape in text
    loaded = page.eval_on_selector_all(".fw-box img", "all => all.map((image) => image.naturalWidth > 0)")
    assert len(loaded) > 20 and all(loaded)
    assert page.page_errors == []


def nothing_is_cut_off(page) -> None:
    spilled = page.eval_on_selector_all(
        ".fw-box",
        """all => all.flatMap((box) => {
          const outer = box.getBoundingClientRect();
          return [...box.querySelectorAll('img, small, .fw-words > *')].filter((part) => {
            const inner = part.getBoundingClientRect();
            return inner.width && (inner.left < outer.left || inner.right > outer.right + 1
              || inner.top < outer.top || inner.bottom > outer.bottom + 1);
          }).map((part) => box.dataset.step + ': ' + part.className + part.innerText);
        })""",
    )
    assert spilled == []


def test_a_click_opens_the_details(page, address, steps):
    for name in ("teacher-2", "mt", "loss-dis"):
        page.click(f"[data-step='{name}']")
        assert opened(page) == [name]
        assert page.get_attribute(f"[data-step='{name}']", "aria-expanded") == "true"
        assert steps[name].where in page.inner_text(f"[data-detail='{name}']")
        shown = picture(page, address, f"[data-detail='{name}'] img")
        assert np.array_equal(shown, steps[name].pictures[0].image)
        page.keyboard.press("Escape")
        assert opened(page) == []
    page.click("[data-step='loss-dis']")
    rows = page.eval_on_selector_all(
        "[data-detail='loss-dis'] tr",
        "all => all.map((row) => [row.cells[0].innerText, Number(row.cells[1].innerText)])",
    )
    assert [name for name, _ in rows] == ["LL1", "LH1", "HL1", "HH1", "= Ldis"]
    assert sum(value for _, value in rows[:4]) == pytest.approx(rows[4][1], abs=3e-6)


@pytest.mark.sweep
def test_the_keyboard_does_the_same(page):
    page.keyboard.press("Escape")
    page.focus("[data-step='concat']")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert opened(page) == ["unshuffle"]
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.step") == "unshuffle"


def lit(page) -> list[str]:
    return page.eval_on_selector_all(".fw-lit", "all => all.map((box) => box.dataset.step)")


def test_the_walk_lights_both_stages_step_by_step(page):
    for _ in range(2):
        page.click("[data-walk='1']")
    assert lit(page) == ["teacher-1", "teacher-2", "teacher-3"] and "Stage 1" in page.inner_text(".fw-told")
    page.click("[data-walk='-1']")
    page.click("[data-walk='-1']")
    assert lit(page) == ["student", "loss-total"] and "Stage 2" in page.inner_text(".fw-told")
    page.click("[data-play]")
    page.wait_for_function("document.querySelectorAll('.fw-lit').length === 3")  # it goes on by itself
    page.click("[data-play]")
    page.emulate_media(reduced_motion="reduce")
    page.click("[data-play]")
    assert page.inner_text("[data-play]").strip() == "▶ Play" and lit(page)  # one step, nothing moves
    page.emulate_media(reduced_motion="no-preference")
    page.click("[data-step='mt']")
    assert lit(page) == [] and opened(page) == ["mt"]
    page.keyboard.press("Escape")


@pytest.mark.sweep
def test_a_click_chooses_the_window(browser, page, address, steps):
    page.click("[data-step='window']")
    before = picture(page, address, "[data-detail='window'] figure:nth-child(3) img")
    assert np.array_equal(before, steps["window"].pictures[2].image)
    pick = page.locator(".fw-pick")
    pick.scroll_into_view_if_needed()
    box = pick.bounding_box()
    pick.click(position={"x": box["width"] * 2.5 / 8, "y": box["height"] * 6.5 / 8})
    page.get_by_text("The window: row 6, column 2").wait_for()
    assert opened(page) == ["window"]
    page.focus(".fw-pick")
    page.keyboard.down("ArrowRight")
    page.get_by_text("The window: row 6, column 3").wait_for()
    asked = len(browser.requests)
    page.keyboard.down("ArrowRight")  # held: the browser repeats it
    page.keyboard.up("ArrowRight")
    wait_until_drawn(page)
    assert not [url for url in browser.requests[asked:] if "queue/join" in url]
    assert page.get_by_text("The window: row 6, column 3").is_visible()
    again = {s.id: s for s in framework(compare(EXAMPLES[0].read(), default_models(4), 4), (6, 3))}["window"]
    for number, expected in enumerate(again.pictures, 1):
        shown = picture(page, address, f"[data-detail='window'] figure:nth-child({number}) img")
        assert np.array_equal(shown, expected.image)
    assert page.page_errors == []


@pytest.mark.sweep
def test_another_comparison_is_shown_when_the_view_is_opened_again(page, tmp_path):
    first = page.get_attribute("[data-step='mt'] img", "src")
    open_view(page, "Compare")
    with answered(page):
        open_tab(page)
    wait_until_drawn(page)
    assert page.get_attribute("[data-step='mt'] img", "src") == first  # nothing new, nothing computed
    open_view(page, "Compare")
    Image.fromarray(EXAMPLES[2].read()[:36, :44]).save(tmp_path / "small.png")
    page.get_by_label("Upscale my photo").check()
    page.locator("#image").wait_for()  # an example is nobody's photo: the panel opens by itself
    upload(page, tmp_path / "small.png")
    open_tab(page)  # at once: what is running shows itself when it is done
    page.wait_for_function(
        "document.querySelector(\"[data-step='lr']\")?.textContent.includes('(1, 3, 36, 44)')", timeout=120_000
    )
    missing = page.eval_on_selector_all(".fw-none", "all => all.map((box) => box.dataset.step)")
    assert missing == ["loss-ka", "gt", "loss-stu"]
    page.click("[data-detail='window'] .fw-close")
    page.click("[data-step='loss-stu']")
    assert "without ground truth" in page.inner_text("[data-detail='loss-stu']")


@pytest.mark.sweep
def test_on_a_phone_the_boxes_stand_in_a_column(browser, address):
    page = browser.new_page(390, 800)
    page.goto(f"{address}?tab=framework")
    page.wait_for_selector(".fw-box", timeout=120_000)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    lefts = page.eval_on_selector_all(".fw-box", "all => all.map((box) => box.getBoundingClientRect().left)")
    tops = page.eval_on_selector_all(".fw-box", "all => all.map((box) => box.getBoundingClientRect().top)")
    assert len(set(lefts)) == 1 and tops == sorted(tops)
    nothing_is_cut_off(page)
    page.click("[data-step='mt']")
    following = page.evaluate("document.querySelector(\"[data-step='mt']\").nextElementSibling.dataset.detail")
    assert following == "mt"  # in its place, not at the end of the page
    page.screenshot(path=SHOTS / "framework-390.png", full_page=True)
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (1920, "light"), (1920, "dark")])
def test_layout_does_not_break(browser, address, width, theme):
    page = browser.new_page(width, 1000)
    page.goto(f"{address}?tab=framework&__theme={theme}")
    page.wait_for_selector(".fw-box", timeout=120_000)
    page.wait_for_function("[...document.querySelectorAll('.fw-box img')].every((image) => image.complete)")
    wait_until_drawn(page)
    nothing_is_cut_off(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=SHOTS / f"framework-{width}-{theme}.png", full_page=True)
    page.context.close()


def test_nothing_is_fetched_from_elsewhere(browser, page):
    assert browser.external_requests() == []
