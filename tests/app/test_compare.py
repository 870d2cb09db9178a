"""The Compare tab as a person uses it: open, look, upload, switch modes, give it nonsense."""

from __future__ import annotations

import io
import re
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtkd.data.examples import EXAMPLES, example
from mtkd.explore import compare, default_models
from mtkd.images import read_image

pytestmark = pytest.mark.xdist_group("app")
MODELS = default_models(4)
SHOTS = Path(__file__).parents[2] / "screenshots"


@pytest.fixture(scope="module")
def page(browser, address):
    """The page after its first comparison."""
    page = browser.new_page(1280, 900)
    page.page_errors = []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    page.goto(address)
    wait_for_panes(page, [*MODELS, "LR", "ground truth"])
    yield page
    page.close()


def pane_names(page) -> list[str]:
    return page.eval_on_selector_all(".mv-canvas", "all => all.map((canvas) => canvas.dataset.name)")


def wait_for_panes(page, names: list[str]) -> None:
    page.wait_for_function(
        """names => {
          const shown = [...document.querySelectorAll('.mv-canvas')].map((canvas) => canvas.dataset.name);
          return shown.length === names.length && names.every((name) => shown.includes(name));
        }""",
        arg=names,
        timeout=60_000,
    )


def wait_for_text(page, selector: str, text: str) -> None:
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)", arg=[selector, text]
    )


def table(page) -> dict[str, list[str]]:
    """The cells of the numbers' table by model."""
    rows = page.eval_on_selector_all(
        "#table [role=row]",
        "rows => rows.map((row) => [...row.querySelectorAll('[role=gridcell]')].map((cell) => cell.innerText.trim()))",
    )
    return {row[0]: row[1:] for row in rows if row and row[0] in MODELS}


def fetch(address: str, href: str) -> bytes:
    with urllib.request.urlopen(urllib.parse.urljoin(address, href)) as answer:
        return answer.read()


def upload(page, path: Path) -> None:
    """Replace the image by a file, as dropping it would."""
    if page.locator("#image button[aria-label='Clear'], #image button[aria-label='Remove Image']").count():
        page.locator("#image button[aria-label='Clear'], #image button[aria-label='Remove Image']").first.click()
    page.locator("#image input[type=file]").set_input_files(str(path))
    page.locator("#image img").wait_for(state="attached")
    page.wait_for_timeout(500)


def press_compare(page) -> None:
    page.click("#go")


def test_first_comparison_shows_everything(page):
    assert set(pane_names(page)) == {*MODELS, "LR", "ground truth"}
    SHOTS.mkdir(exist_ok=True)
    page.wait_for_timeout(500)
    page.screenshot(path=SHOTS / "compare-1280.png", full_page=True)
    assert page.page_errors == []


def test_numbers_shown_equal_numbers_computed(page):
    expected = compare(EXAMPLES[0].read(), MODELS, 4)
    shown = table(page)
    for result in expected.results:
        role, parameters, _, psnr, ssim = shown[result.name]
        assert role == result.role
        assert int(parameters.replace(",", "")) == result.parameters
        assert float(psnr) == pytest.approx(round(result.psnr, 2))
        assert float(ssim) == pytest.approx(round(result.ssim, 4))


def test_pictures_are_lossless(page, address):
    """The bytes that the browser gets hold exactly the computed pixels, and results can be saved one by one."""
    expected = compare(EXAMPLES[0].read(), MODELS, 4)
    links = page.eval_on_selector_all(
        ".mv a[download]", "all => all.map((link) => [link.getAttribute('download'), link.getAttribute('href')])"
    )
    saved = {name: fetch(address, href) for name, href in links}
    for result in expected.results:
        picture = Image.open(io.BytesIO(saved[f"{result.name}_x4.png"]))
        assert picture.format == "PNG"
        assert np.array_equal(np.asarray(picture), result.image)


def test_archive_holds_all_results(page):
    with page.expect_download() as download:
        page.click("#archive")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == sorted(f"{name}_x4.png" for name in MODELS)
        picture = np.asarray(Image.open(io.BytesIO(archive.read("bicubic_x4.png"))))
    assert np.array_equal(picture, compare(EXAMPLES[0].read(), ["bicubic"], 4)["bicubic"].image)


def test_slider_shows_the_chosen_pair_without_running_models(page, address):
    page.click("#left input")
    page.get_by_role("option", name="LR", exact=True).click()
    page.wait_for_timeout(1500)
    sources = page.eval_on_selector_all("#slider img", "all => all.map((image) => image.src)")
    pictures = [np.asarray(Image.open(io.BytesIO(fetch(address, source)))) for source in sources]
    comparison = compare(EXAMPLES[0].read(), ["bicubic"], 4)
    expected = [comparison.lr_image.repeat(4, 0).repeat(4, 1), comparison.hr_image]
    for image in expected:
        assert any(np.array_equal(picture, image) for picture in pictures)


def test_best_teacher_map_and_its_legend(page, address):
    source = page.eval_on_selector("#best img", "image => image.src")
    shown = np.asarray(Image.open(io.BytesIO(fetch(address, source))))
    picture, shares = compare(EXAMPLES[0].read(), MODELS, 4).best_teacher()
    assert np.array_equal(shown, picture)
    legend = page.inner_text("#legend")
    for name, share in shares.items():
        assert f"{name} {share:.0%}" in legend


def test_all_panes_zoom_in_step(page):
    pane = page.locator(".mv-canvas").first
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -600)
    page.wait_for_function("JSON.parse(document.querySelector('.mv').dataset.view).zoom > 1.5")
    page.wait_for_timeout(300)
    page.screenshot(path=SHOTS / "compare-zoomed.png")
    page.click(".mv-button[data-layer='error']")
    page.wait_for_timeout(400)
    page.screenshot(path=SHOTS / "compare-error.png")
    page.click(".mv-button[data-layer='image']")
    pane.dblclick()
    page.wait_for_function("JSON.parse(document.querySelector('.mv').dataset.view).zoom === 1")


def test_upload_without_ground_truth(page, tmp_path):
    """A turned photo (EXIF) is taken as LR: twelve panes fewer numbers, and the result stands upright."""
    small = Image.fromarray(example("coffee").read()[:48, :64])
    exif = small.getexif()
    exif[274] = 6  # stored turned by 90 degrees
    small.rotate(90, expand=True).save(tmp_path / "photo.png", exif=exif)
    upload(page, tmp_path / "photo.png")
    page.get_by_label("Low resolution", exact=False).check()
    press_compare(page)
    wait_for_panes(page, [*MODELS, "LR"])
    wait_for_text(page, ".mv", "64 × 48")
    assert all(cells[3:] == ["", ""] for cells in table(page).values())
    assert not page.locator("#best").is_visible()
    page.get_by_label("High resolution", exact=False).check()


@pytest.mark.parametrize("kind", ["text", "truncated", "animated", "one pixel"])
def test_bad_uploads_give_one_clear_message(page, tmp_path, kind):
    path = tmp_path / "upload.png"
    if kind == "text":
        path.write_text("this is not an image")
        expected = "not an image"
    elif kind == "truncated":
        path.write_bytes(example("astronaut").path.read_bytes()[:20_000])
        expected = "truncated"
    elif kind == "animated":
        path = tmp_path / "upload.gif"
        frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
        frames[0].save(path, save_all=True, append_images=frames[1:])
        expected = "animation"
    else:
        Image.new("RGB", (1, 1)).save(path)
        expected = "too small"
    upload(page, path)
    press_compare(page)
    toast = page.locator(".toast-body").last
    toast.wait_for(timeout=20_000)
    message = toast.inner_text()
    assert expected in message
    assert "Traceback" not in message and str(tmp_path) not in message and not re.search(r"/tmp|gradio/", message)
    page.locator(".toast-close").last.click()


def test_no_models_chosen_is_told(page):
    boxes = page.locator("#models input[type=checkbox]")
    chosen = [number for number in range(boxes.count()) if boxes.nth(number).is_checked()]
    assert 0 < len(chosen) < boxes.count()  # of many models, a few are compared unasked
    for number in chosen:
        boxes.nth(number).uncheck()
    press_compare(page)
    page.locator(".toast-body").last.wait_for()
    assert "at least one model" in page.locator(".toast-body").last.inner_text()
    page.locator(".toast-close").last.click()
    for number in chosen:
        boxes.nth(number).check()


def test_serves_on_after_all_that(page, tmp_path):
    upload(page, EXAMPLES[3].path)
    press_compare(page)
    wait_for_text(page, ".mv", "80 × 64")
    assert set(pane_names(page)) == {*MODELS, "LR", "ground truth"}
    assert page.page_errors == []
    height, width = read_image(EXAMPLES[3].path).shape[:2]
    assert (width, height) == (320, 256)


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (1920, "light"), (1920, "dark")])
def test_layout_does_not_break(browser, address, width, theme):
    page = browser.new_page(width, 1000)
    page.goto(f"{address}?__theme={theme}")
    wait_for_panes(page, [*MODELS, "LR", "ground truth"])
    page.wait_for_timeout(800)
    page.screenshot(path=SHOTS / f"compare-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    narrow = page.eval_on_selector_all(".mv-canvas", "all => all.filter((c) => c.clientWidth < 150).length")
    assert narrow == 0
    page.context.close()


def test_nothing_is_fetched_from_elsewhere(browser, page):
    assert browser.external_requests() == []
