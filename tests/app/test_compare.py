"""The Compare tab as a person uses it: open, look, upload, switch modes, give it nonsense."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import struct
import tempfile
import time
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import TimeoutError

from mtkd.data.examples import EXAMPLES, example
from mtkd.explore import compare, default_models
from mtkd.explore.comparison.region import Region
from mtkd.images import read_image
from tests.browser import wait_until_drawn

MODELS = default_models(4)
SHOTS = Path(__file__).parents[2] / "screenshots"


def open_page(browser, address, query: str = "", width: int = 1280, height: int = 900, models=MODELS):
    """A page after its first comparison; ``page_errors`` are those of its scripts."""
    page = browser.new_page(width, height)
    page.page_errors = []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    page.goto(address + query)
    wait_for_panes(page, [*models, "LR", "ground truth"])
    return page


@pytest.fixture(scope="module")
def page(browser, address):
    page = open_page(browser, address)
    yield page
    page.context.close()


def pane_names(page) -> list[str]:
    return page.eval_on_selector_all("#viewer .mv-canvas", "all => all.map((canvas) => canvas.dataset.name)")


def wait_for_panes(page, names: list[str]) -> None:
    page.wait_for_function(
        """names => {
          const shown = [...document.querySelectorAll('#viewer .mv-canvas')].map((canvas) => canvas.dataset.name);
          return shown.length === names.length && names.every((name) => shown.includes(name));
        }""",
        arg=names,
        timeout=60_000,
    )


def wait_for_source(page, name: str) -> None:
    page.wait_for_function("name => document.querySelector('#image img')?.src.includes(name)", arg=name)


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


def choose(page, dropdown: str, option: str) -> None:
    """Choose an option, once the dropdown has it: its list may still be on its way."""
    for _ in range(30):
        page.click(f"{dropdown} input")
        offered = page.get_by_role("option", name=option)
        with contextlib.suppress(TimeoutError):
            offered.click(timeout=1000)
            return
        page.keyboard.press("Escape")
    pytest.fail(f"{dropdown} never offered {option}")


def answered(page):
    """What happens within is asked of the explorer, and its answer has arrived at the end."""
    return page.expect_event("requestfinished", lambda request: "queue/data" in request.url)


def upload(page, path: Path) -> None:
    """Replace the image by a file, as dropping it would."""
    if page.locator("#image button[aria-label='Remove Image']").count():
        page.locator("#image button[aria-label='Remove Image']").first.click()
    with page.expect_response(lambda response: "queue/join" in response.url):  # that the image is no example
        page.locator("#image input[type=file]").set_input_files(str(path))
    page.locator("#image img").wait_for(state="attached")


def press_compare(page) -> None:
    page.click("#go")


def test_first_comparison_shows_everything(page):
    assert set(pane_names(page)) == {*MODELS, "LR", "ground truth"}
    SHOTS.mkdir(exist_ok=True)
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "compare-1280.png", full_page=True)
    assert page.page_errors == []


def test_numbers_shown_equal_numbers_computed(page):
    expected = compare(EXAMPLES[0].read(), MODELS, 4)
    shown = table(page)
    for result, row in zip(expected.results, expected.table(), strict=True):
        role, parameters, cost, _, psnr, ssim, over_bicubic, over_scratch = shown[result.name]
        assert (role, parameters) == (result.role, f"{result.parameters:,}")
        assert (cost, psnr, ssim) == (
            f"{result.multiply_adds / 1e9:.2f}",
            f"{result.psnr:.2f}",
            f"{result.metrics['ssim']:.4f}",
        )
        assert over_bicubic == f"{row['over_bicubic']:+.2f}"
        assert over_scratch == ("" if row["over_scratch"] is None else f"{row['over_scratch']:+.2f}")


def test_every_example_picture_answers_a_click(browser, address):
    """Each becomes the image, its comparison can be run, and nothing that the page asks for is refused."""
    page = open_page(browser, address)
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    for number in [*range(1, len(EXAMPLES)), 0]:
        before = page.locator("#image img").get_attribute("src")
        page.locator("#examples button.thumbnail-item, #examples .grid-container button").nth(number).click()
        page.wait_for_function("before => document.querySelector('#image img')?.src !== before", arg=before)
        page.locator("#models").get_by_label("bicubic", exact=True).wait_for()
        assert EXAMPLES[number].name in (page.locator("#image img").get_attribute("src") or "")
    page.locator("#examples button.thumbnail-item, #examples .grid-container button").nth(2).click()
    wait_for_source(page, EXAMPLES[2].name)
    press_compare(page)
    page.wait_for_function("name => location.search.includes(`example=${name}`)", arg=EXAMPLES[2].name, timeout=60_000)
    assert refused == [] and page.page_errors == []
    page.context.close()


def test_csv_is_that_of_the_comparison(page):
    with page.expect_download() as download:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    expected = compare(EXAMPLES[0].read(), MODELS, 4)
    assert [float(row["psnr"]) for row in rows] == [result.psnr for result in expected.results]


def test_pictures_are_lossless(page, address):
    """The bytes that the browser gets hold exactly the computed pixels, and results can be saved one by one."""
    expected = compare(EXAMPLES[0].read(), MODELS, 4)
    links = page.eval_on_selector_all(
        "#viewer a[download]", "all => all.map((link) => [link.getAttribute('download'), link.getAttribute('href')])"
    )
    saved = {name: fetch(address, href) for name, href in links}
    for result in expected.results:
        picture = Image.open(io.BytesIO(saved[f"{result.name}_x4.png"]))
        assert picture.format == "PNG"
        assert np.array_equal(np.asarray(picture), result.image)


@pytest.mark.sweep
def test_archive_holds_all_results(page):
    with page.expect_download() as download:
        page.click("#archive")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == sorted(f"{name}_x4.png" for name in MODELS)
        picture = np.asarray(Image.open(io.BytesIO(archive.read("bicubic_x4.png"))))
    assert np.array_equal(picture, compare(EXAMPLES[0].read(), ["bicubic"], 4)["bicubic"].image)


def test_slider_shows_the_chosen_pair_without_running_models(page, address):
    addresses = "[...document.querySelectorAll('#slider img')].map((image) => image.src)"
    before = page.evaluate(addresses)
    page.click("#left input")
    page.get_by_role("option", name="LR", exact=True).click()
    page.wait_for_function(f"before => `${{{addresses}}}` !== `${{before}}`", arg=before)
    sources = page.evaluate(addresses)
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
    pane = page.locator("#viewer .mv-canvas").first
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -600)
    page.wait_for_function("JSON.parse(document.querySelector('#viewer .mv').dataset.view).zoom > 1.5")
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "compare-zoomed.png")
    page.click("#viewer .mv-button[data-layer='error']")
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "compare-error.png")
    page.click("#viewer .mv-button[data-layer='image']")
    pane.dblclick()
    page.wait_for_function("JSON.parse(document.querySelector('#viewer .mv').dataset.view).zoom === 1")


@pytest.mark.sweep
def test_a_link_is_copied_or_shown_and_that_is_told(page):
    """Other computers reach the page over plain http, where browsers have no clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#link")
    wait_for_text(page, "#link", "Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    wait_for_text(page, "#link", "Copy a link")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    with page.expect_event("dialog") as dialog:
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.click("#link")
    assert (dialog.value.type, dialog.value.default_value) == ("prompt", page.url)
    page.evaluate("delete navigator.clipboard")


def draw_region(page):
    page.locator("#viewer .mv-canvas").nth(1).scroll_into_view_if_needed()
    box = page.locator("#viewer .mv-canvas").nth(1).bounding_box()
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.55 * box["height"], steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")


def test_a_region_is_measured_and_the_address_reproduces_the_view(browser, page, address):
    draw_region(page)
    page.wait_for_function("location.search.includes('region=')")
    wait_for_text(page, "#table", "region PSNR-Y")
    region = Region.of(json.loads(page.evaluate("document.querySelector('#viewer .mv').dataset.view"))["region"])
    expected = compare(EXAMPLES[0].read(), MODELS, 4).quality_in(region)
    captions = page.eval_on_selector_all("#viewer .mv-caption", "all => all.map((c) => c.innerText)")
    assert captions[1:-1] == [f"region {m['psnr']:.2f} dB · {m['ssim']:.4f}" for m in expected.values()]
    with page.expect_download() as download:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    for name in ("psnr", "ssim"):
        assert {row["name"]: float(row[f"region_{name}"]) for row in rows} == {n: m[name] for n, m in expected.items()}
    assert all(table(page)[name][-2] == f"{values['psnr']:.2f}" for name, values in expected.items())
    page.click("#viewer .mv-button[data-layer='signed error']")
    page.wait_for_function("location.search.includes('layer=signed')")
    again = open_page(browser, page.evaluate("location.href"))
    view = json.loads(again.evaluate("document.querySelector('#viewer .mv').dataset.view"))
    assert Region.of(view["region"]) == region and view["layer"] == "signed error"
    again_captions = again.eval_on_selector_all("#viewer .mv-caption", "all => all.map((c) => c.innerText)")
    assert again_captions == captions
    again.context.close()
    page.click("#viewer .mv-button[data-layer='image']")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?example=nobody&models=bicubic", "unknown example"),
        pytest.param("?scale=9", "scale", marks=pytest.mark.sweep),
        pytest.param("?models=my_own,my_own", "Not here at ×4, left out: my_own", marks=pytest.mark.sweep),
    ],
)
def test_a_wrong_link_is_told_and_opens_the_default_view(browser, address, query, told):
    page = open_page(browser, address, query)
    wait_for_text(page, "body", told)
    page.wait_for_function("location.search.startsWith('?example=astronaut') && !location.search.includes('nobody')")
    page.context.close()


@pytest.mark.sweep
def test_a_region_outside_of_the_picture_leaves_the_link(browser, address):
    page = open_page(
        browser, address, "?example=brick&models=bicubic,bicubic&region=-5,0,900,10&focus=zz", models=["bicubic"]
    )
    page.wait_for_function("!location.search.includes('region')")
    assert "brick" in page.url and "zz" not in page.url and "models=bicubic&" in page.url + "&"
    page.context.close()


@pytest.mark.sweep
def test_no_model_runs_again_for_a_region_a_mode_or_a_pair(page):
    """Seconds in the table are those of the only run there was."""
    before = {name: cells[3] for name, cells in table(page).items()}
    link = "document.querySelector('#viewer a[download]').href"
    shown = page.evaluate(link)
    press_compare(page)
    page.wait_for_function(f"shown => {link} !== shown", arg=shown)
    assert {name: cells[3] for name, cells in table(page).items()} == before


@pytest.mark.sweep
def test_figure_for_a_paper(page):
    page.locator("#figure button").first.click()
    page.click("#figure-make")
    page.locator("#figure-image img").wait_for(timeout=60_000)
    with page.expect_download() as download:
        page.click("#figure-pdf")
    assert download.value.path().read_bytes().startswith(b"%PDF")
    with page.expect_download() as download:
        page.click("#figure-png")
    assert Image.open(download.value.path()).width > 1000
    page.locator("#figure button").first.click()


@pytest.mark.sweep
def test_a_saved_view_opens_again(page, tmp_path):
    photo = tmp_path / "mine.png"
    Image.fromarray(example("coffee").read()[:64, :96]).save(photo)
    upload(page, photo)
    press_compare(page)
    wait_for_text(page, "#viewer .mv", "24 × 16")
    saved = tmp_path / "view.json"
    saved.write_text("{}")
    deadline = time.monotonic() + 30
    while "png" not in json.loads(saved.read_text()):  # the button has the view before until this one is written
        assert time.monotonic() < deadline
        with page.expect_download() as download:
            page.click("#save-view")
        saved.write_bytes(download.value.path().read_bytes())
    upload(page, EXAMPLES[0].path)
    press_compare(page)
    wait_for_text(page, "#viewer .mv", "64 × 64")
    page.locator("input[type=file][accept='.json']").set_input_files(str(saved))
    wait_for_text(page, "#viewer .mv", "24 × 16")
    (tmp_path / "bad.json").write_text("{}")
    page.locator("input[type=file][accept='.json']").set_input_files(str(tmp_path / "bad.json"))
    page.locator(".toast-body").last.wait_for()
    assert "not a saved view" in page.locator(".toast-body").last.inner_text()
    page.locator(".toast-close").last.click()


@pytest.fixture
def home_folder() -> Iterator[Path]:
    """A folder where people's data lies: Gradio hands out no file of it."""
    with tempfile.TemporaryDirectory(prefix=".mtkd-test-", dir=Path.home()) as folder:
        yield Path(folder)


@pytest.mark.sweep
def test_an_image_of_a_benchmark_set_on_disk(page, home_folder):
    folder = home_folder / "Set5" / "image_SRF_4"
    folder.mkdir(parents=True)
    photo = example("chelsea").read()[:48, :80]
    Image.fromarray(photo).save(folder / "img_001_SRF_4_HR.png")
    Image.fromarray(photo[::4, ::4]).save(folder / "img_001_SRF_4_LR.png")
    page.get_by_role("button", name="Benchmark folder").click()
    asked = page.locator("#benchmark-folder textarea, #benchmark-folder input")
    asked.fill(str(home_folder / "nowhere"))
    asked.press("Enter")  # as the button does; what has just opened may still be moving under a pointer
    page.locator(".toast-body").last.wait_for()
    assert "no benchmark set at ×4" in page.locator(".toast-body").last.inner_text()
    page.locator(".toast-close").last.click()
    asked.fill(str(home_folder))
    page.click("#benchmark-look")
    choose(page, "#benchmark-image", "Set5 img_001")
    wait_for_source(page, "img_001")
    press_compare(page)
    wait_for_text(page, "#viewer .mv", "20 × 12")
    assert float(table(page)["bicubic"][4]) == round(compare(photo, ["bicubic"], 4)["bicubic"].psnr, 2)


@pytest.mark.sweep
def test_results_from_elsewhere(page, tmp_path):
    upload(page, EXAMPLES[0].path)
    right, wrong = tmp_path / "theirs.png", tmp_path / "small.png"
    Image.fromarray(EXAMPLES[0].read()).save(right)
    Image.fromarray(EXAMPLES[0].read()[:100]).save(wrong)
    page.get_by_role("button", name="Results of other methods").click()
    page.locator("#others input[type=file]").set_input_files(str(right))
    wait_for_text(page, "#others", "theirs")
    press_compare(page)
    wait_for_panes(page, [*MODELS, "theirs", "LR", "ground truth"])
    assert "inf dB" in page.inner_text("#viewer .mv-pane:has(canvas[data-name=theirs]) .mv-caption")
    page.locator(
        "#others button[aria-label='Clear']:visible, #others button[aria-label='Remove this file']:visible"
    ).first.click()
    page.locator("#others input[type=file]").set_input_files(str(wrong))
    wait_for_text(page, "#others", "small")
    press_compare(page)
    page.locator(".toast-body").last.wait_for()
    assert "small: 256 x 100" in page.locator(".toast-body").last.inner_text()
    page.locator(".toast-close").last.click()
    page.locator(
        "#others button[aria-label='Clear']:visible, #others button[aria-label='Remove this file']:visible"
    ).first.click()
    press_compare(page)
    wait_for_panes(page, [*MODELS, "LR", "ground truth"])


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
    wait_for_text(page, "#viewer .mv", "64 × 48")
    assert all(cells[4:6] == ["", ""] for cells in table(page).values())
    assert not page.locator("#best").is_visible()
    page.get_by_label("High resolution", exact=False).check()


def png_header(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that says it holds so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def bad_upload(kind: str, folder: Path) -> tuple[Path, str]:
    """A file, and what is said of it."""
    path = folder / "upload.png"
    if kind == "text":
        path.write_text("this is not an image")
        return path, "not an image"
    if kind == "truncated":
        path.write_bytes(example("astronaut").path.read_bytes()[:20_000])
        return path, "truncated"
    if kind == "animated":
        path = folder / "upload.gif"
        frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
        frames[0].save(path, save_all=True, append_images=frames[1:])
        return path, "animation"
    if kind == "decompression bomb":
        path.write_bytes(png_header(60_000, 60_000))
        return path, "limit is 50 million"
    sides = {"one pixel": (1, 1), "one row": (100, 1), "larger than the limit": (4100, 4000)}[kind]
    Image.new("RGB", sides).save(path)
    return path, "the limit is 16 million" if sides[0] > 1000 else "too small"


KINDS = ["text", "truncated", "animated", "one pixel", "one row", "decompression bomb", "larger than the limit"]


@pytest.mark.parametrize("kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.sweep) for kind in KINDS[1:])])
def test_bad_uploads_give_one_clear_message(page, tmp_path, kind):
    path, expected = bad_upload(kind, tmp_path)
    upload(page, path)
    press_compare(page)
    toast = page.locator(".toast-body").last
    toast.wait_for(timeout=20_000)
    message = toast.inner_text()
    assert expected in message
    assert "Traceback" not in message and str(tmp_path) not in message and not re.search(r"/tmp|gradio/", message)
    page.locator(".toast-close").last.click()


ODD = ["16 bit", "palette", "alpha", "grey"]


@pytest.mark.parametrize("kind", ["CMYK", *(pytest.param(kind, marks=pytest.mark.sweep) for kind in ODD)])
def test_odd_images_are_read(browser, address, tmp_path, kind):
    page = open_page(browser, address)
    photo = Image.fromarray(example("coffee").read()[:64, :96])
    if kind == "CMYK":
        path = tmp_path / "odd.jpg"
        photo.convert("CMYK").save(path)
    else:
        path = tmp_path / "odd.png"
        modes = {"16 bit": "I;16", "palette": "P", "alpha": "RGBA", "grey": "L"}
        source = photo.convert("L") if kind == "16 bit" else photo
        if kind == "16 bit":
            Image.fromarray(np.asarray(source).astype(np.uint16) * 257).save(path)
        else:
            source.convert(modes[kind]).save(path)
    upload(page, path)
    press_compare(page)
    wait_for_text(page, "#viewer .mv", "24 × 16")
    page.context.close()


def test_no_models_chosen_is_told(page):
    upload(page, EXAMPLES[3].path)  # one that could be compared
    boxes = page.locator("#models input[type=checkbox]")
    chosen = [number for number in range(boxes.count()) if boxes.nth(number).is_checked()]
    assert 0 < len(chosen) < boxes.count()  # of many models, a few are compared unasked
    for number in chosen:
        boxes.nth(number).uncheck()
    press_compare(page)
    page.locator(".toast-body", has_text="at least one model").wait_for()
    page.locator(".toast-close").last.click()
    for number in chosen:
        boxes.nth(number).check()


def test_serves_on_after_all_that(page, tmp_path):
    upload(page, EXAMPLES[3].path)
    press_compare(page)
    wait_for_text(page, "#viewer .mv", "80 × 64")
    assert set(pane_names(page)) == {*MODELS, "LR", "ground truth"}
    assert page.page_errors == []
    height, width = read_image(EXAMPLES[3].path).shape[:2]
    assert (width, height) == (320, 256)


@pytest.mark.sweep
@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (1920, "light"), (1920, "dark")])
def test_layout_does_not_break(browser, address, width, theme):
    page = browser.new_page(width, 1000)
    page.goto(f"{address}?__theme={theme}")
    wait_for_panes(page, [*MODELS, "LR", "ground truth"])
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / f"compare-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    narrow = page.eval_on_selector_all("#viewer .mv-canvas", "all => all.filter((c) => c.clientWidth < 150).length")
    assert narrow == 0
    page.context.close()


def test_nothing_is_fetched_from_elsewhere(browser, page):
    assert browser.external_requests() == []
