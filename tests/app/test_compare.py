"""The Compare tab as a person uses it: open, look, choose, upload, cancel, go back, give it nonsense."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mtkd_app.state import model_groups
from PIL import Image

from mtkd.data.examples import EXAMPLES, PICTURES, example
from mtkd.explore import compare
from mtkd.explore.comparison.choices import GROUPS, presets
from mtkd.explore.comparison.region import Region
from mtkd.images import read_image
from tests.app.conftest import served
from tests.app.pages import (
    LR,
    MODELS,
    SHOTS,
    TRUTH,
    another_run,
    cells,
    choose,
    draw_region,
    fetch,
    last_run,
    open_others,
    open_page,
    open_part,
    open_picture_panel,
    open_view,
    pane_names,
    preset,
    upload,
    wait_for_panes,
    wait_for_run,
    wait_for_text,
)
from tests.browser import own_addresses, wait_until_answered, wait_until_drawn

TITLES = {result.title: result.name for result in compare(EXAMPLES[0].read()[:64, :64], MODELS, 4).results}


@pytest.fixture(scope="module")
def page(browser, address):
    page = open_page(browser, address)
    yield page
    page.context.close()


def table(page) -> dict[str, dict[str, str]]:
    """The cells of the numbers' table by model and heading."""
    open_part(page, "#metrics")
    rows = cells(page, "#table")
    heads = page.eval_on_selector_all("#table [role=columnheader]", "all => all.map((head) => head.title)")
    return {TITLES[row[0]]: dict(zip(heads, row, strict=True)) for row in rows if row[0] in TITLES}


def error_of(page) -> str:
    """The sentence that stands where the result would."""
    return page.locator("#viewer [role=alert]").inner_text()


def test_first_comparison_shows_everything(page):
    assert pane_names(page) == [TRUTH, *MODELS]
    assert preset(page, "Story").is_checked()
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "compare-1280.png", full_page=True)
    assert page.page_errors == []


def test_the_whole_of_compare_is_on_a_projector(browser, address):
    page = open_page(browser, address, width=1280, height=720)
    wait_until_answered(page)
    for selector in ("#bar", "#viewer", "#facts", "#export"):
        box = page.locator(selector).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 720, selector
    page.screenshot(path=SHOTS / "compare-720.png")
    page.context.close()


def test_numbers_shown_equal_numbers_computed(page):
    expected = compare(EXAMPLES[0].read(), MODELS, 4)
    shown = table(page)
    for result, row in zip(expected.results, expected.table(), strict=True):
        words = {"aggregator": "combined teacher"}
        whole = {head: text for head, text in shown[result.name].items() if "region" not in head}
        assert whole | {"seconds": ""} == {
            "model": result.title,
            "PSNR-Y (dB)": f"{result.psnr:.2f}",
            "SSIM-Y": f"{result.metrics['ssim']:.4f}",
            "gain over bicubic (dB)": f"{row['over_bicubic']:+.2f}",
            "gain over student alone (dB)": "" if row["over_scratch"] is None else f"{row['over_scratch']:+.2f}",
            "role": words.get(result.role, result.role),
            "parameters": f"{result.parameters:,}",
            "multiply-adds (G)": f"{result.multiply_adds / 1e9:.2f}",
            "seconds": "",
        }


def test_every_example_picture_answers_a_click(browser, address):
    """Each is compared at once, and nothing that the page asks for is refused."""
    page = open_page(browser, address)
    for number in [*range(1, len(PICTURES)), 0]:
        open_picture_panel(page)
        with another_run(page):
            page.locator("#examples button.thumbnail-item, #examples .grid-container button").nth(number).click()
        page.wait_for_function("name => location.search.includes(`example=${name}`)", arg=PICTURES[number].name)
        assert PICTURES[number].title in page.inner_text("#picture")
    assert page.refused == [] and page.page_errors == []
    page.context.close()


def test_a_choice_replaces_what_runs(browser, address):
    """Several choices at once: the answer is that of the last one, and the address too."""
    page = open_page(browser, address)
    preset(page, "All methods").check()
    preset(page, "Story").check()
    preset(page, "All methods").check()
    wait_for_panes(page, [TRUTH, *presets(4)["All methods"]])
    wait_until_answered(page)
    page.wait_for_function("location.search.includes('rcan_tiny-fakd')")
    assert preset(page, "All methods").is_checked() and pane_names(page) == [TRUTH, *presets(4)["All methods"]]
    page.go_back()
    wait_for_panes(page, [TRUTH, *MODELS])
    page.wait_for_function("!location.search.includes('rcan_tiny-fakd')")
    assert preset(page, "Story").is_checked()
    page.context.close()


def headed(page) -> list[list[str]]:
    """The headings in the list of models, each with the option under it."""
    return page.eval_on_selector_all(
        "#models [role=option]",
        """all => all.map((one) => [getComputedStyle(one, '::before').content, one.ariaLabel])
          .filter(([heading]) => heading !== 'none').map(([heading, title]) => [JSON.parse(heading), title])""",
    )


@pytest.mark.sweep
def test_what_runs_is_told_by_name_and_number(page):
    """Not in percent, which reads as a negative number after a dash."""
    page.evaluate(
        "() => { const status = document.querySelector('#status'); window.told = [];"
        " new MutationObserver(() => window.told.push(status.querySelector('p').innerText.trim()))"
        ".observe(status, {childList: true, subtree: true, characterData: true}); }"
    )
    for title in ("All methods", "Story"):
        with another_run(page):
            preset(page, title).check()
    told = [text for text in page.evaluate("window.told") if text]
    assert told and all(re.fullmatch(r".+, \d+ of \d+(, about .+)?", text) for text in told), told


def test_models_are_found_by_typing_and_removed_by_a_click(browser, address):
    page = open_page(browser, address)
    page.locator("#models input").click()
    page.get_by_role("option", name="EDSR teacher").wait_for()
    first = [choices[0][0] for choices in model_groups(4).values()]
    assert headed(page) == [[heading, title] for heading, title in zip(GROUPS.values(), first, strict=True)]
    with another_run(page):
        page.locator("#models input").fill("EDSR teacher")
        page.wait_for_function("document.querySelectorAll('#models [role=option]').length === 1")
        assert headed(page) == [["Teachers", "EDSR teacher"]]
        page.get_by_role("option", name="EDSR teacher").click()
    assert pane_names(page) == [TRUTH, *MODELS, "edsr_mini"]
    assert not preset(page, "Story").is_checked()
    page.keyboard.press("Escape")
    with another_run(page):
        page.locator("#models .token", has_text="EDSR teacher").locator(".token-remove").click()
    assert pane_names(page) == [TRUTH, *MODELS] and preset(page, "Story").is_checked()
    page.context.close()


def test_an_upload_survives_a_reload(browser, address, tmp_path):
    photo = tmp_path / "mine.png"
    Image.fromarray(example("coffee").read()[:64, :96]).save(photo)
    page = open_page(browser, address)
    with another_run(page):
        upload(page, photo)
    captions = page.eval_on_selector_all("#viewer .mv-caption", "all => all.map((c) => c.innerText)")
    wait_until_answered(page)
    page.reload()
    wait_for_run(page, "")
    assert "mine.png" in page.inner_text("#picture") and "example=" not in page.url
    assert page.eval_on_selector_all("#viewer .mv-caption", "all => all.map((c) => c.innerText)") == captions
    page.evaluate("sessionStorage.setItem('mtkd-upload', '/nowhere/else.png')")
    page.reload()
    wait_for_run(page, "")
    wait_for_text(page, "#note [role=alert]", "Your photo is not stored. Upload it again.")
    page.context.close()


@pytest.mark.sweep
def test_the_tab_is_in_the_address_and_back_leads_to_it(browser, address):
    page = open_page(browser, address)
    open_view(page, "Attribution")
    page.wait_for_function("location.search.includes('tab=attribution')")
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.wait_for_function("!location.search.includes('tab=')")
    page.go_back()
    page.locator("#lam-viewer").wait_for()
    wait_until_answered(page)
    assert "tab=attribution" in page.url  # the views between are no entries
    linked = open_page(browser, page.url)
    linked.locator("#lam-viewer").wait_for()
    linked.context.close()
    page.context.close()


@pytest.mark.sweep
@pytest.mark.parametrize(("times", "fits"), [(7, True), (18, False)])
def test_a_large_photo_is_asked_about_and_an_area_of_it_compared(browser, address, tmp_path, times, fits):
    """Of up to 16 megapixels the whole may be taken as well."""
    photo = tmp_path / "large.png"
    whole = np.tile(example("coffee").read()[:240, :320], (times, times, 1))
    Image.fromarray(whole).save(photo)
    page = open_page(browser, address)
    with another_run(page):
        upload(page, photo)
    assert f"{whole.shape[1]} × {whole.shape[0]}" in page.inner_text("#status")
    assert page.locator("#whole").is_visible() == fits
    wait_until_answered(page)
    with another_run(page):
        page.locator("#viewer .mv-canvas").click()
    assert pane_names(page) == [TRUTH, *MODELS]
    size = page.locator("#viewer .mv-canvas").first.get_attribute("aria-label")
    assert size and not page.locator("#whole").is_visible()
    page.context.close()


@pytest.mark.sweep
def test_a_run_is_cancelled_and_what_is_done_stays(browser, address, tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.tile(example("coffee").read()[:240, :320], (4, 4, 1))).save(photo)
    page = open_page(browser, address)
    upload(page, photo)
    page.locator("#cancel").click(timeout=180_000)
    wait_for_run(page, "")
    wait_until_answered(page)
    assert page.inner_text("#status") == "Cancelled. The results so far are shown."
    assert not page.locator("#cancel").is_visible()
    with another_run(page):
        preset(page, "All methods").check()
        preset(page, "Story").check()
    page.context.close()


def test_csv_is_that_of_the_comparison(page):
    open_part(page, "#export")
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


def test_a_report_holds_what_is_seen(page, tmp_path):
    """Its pictures are the results, and it needs no server."""
    open_part(page, "#export")
    with page.expect_download() as download:
        page.click("#report")
    assert download.value.suggested_filename == "report.html"
    download.value.save_as(tmp_path / "report.html")
    opened = page.context.new_page()
    opened.goto((tmp_path / "report.html").as_uri())
    wait_for_panes(opened, [TRUTH, *MODELS, LR])
    assert opened.locator("h1").inner_text() == f"{EXAMPLES[0].title}, ×4"
    href = opened.evaluate("name => mtkdStore.known[0][name]", MODELS[0])
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(href.partition(",")[2]))))
    assert np.array_equal(picture, compare(EXAMPLES[0].read(), MODELS[:1], 4)[MODELS[0]].image)
    opened.close()


@pytest.mark.sweep
def test_archive_holds_all_results(page):
    open_part(page, "#export")
    with page.expect_download() as download:
        page.click("#archive")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == sorted(f"{name}_x4.png" for name in MODELS)
        picture = np.asarray(Image.open(io.BytesIO(archive.read(f"{MODELS[0]}_x4.png"))))
    assert np.array_equal(picture, compare(EXAMPLES[0].read(), MODELS[:1], 4)[MODELS[0]].image)


def test_best_teacher_map_and_its_legend(browser, address):
    teachers = ["edsr_mini", "rcan_mini", "swinir_mini"]
    page = open_page(browser, address, f"?example=astronaut&models={','.join(teachers)}", models=teachers)
    open_part(page, "#best-part")
    page.locator("#best img").wait_for()
    source = page.eval_on_selector("#best img", "image => image.src")
    shown = np.asarray(Image.open(io.BytesIO(fetch(address, source))))
    comparison = compare(EXAMPLES[0].read(), teachers, 4)
    picture, shares = comparison.best_teacher()
    assert np.array_equal(shown, picture)
    legend = page.inner_text("#legend")
    for name, share in shares.items():
        assert f"{comparison[name].title} {share:.0%}" in legend
    page.context.close()


def test_all_panes_zoom_in_step(page):
    pane = page.locator("#viewer .mv-canvas").first
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    zoom = "JSON.parse(document.querySelector('#viewer .mv').dataset.view).zoom"
    pane.dblclick()
    page.wait_for_function(f"{zoom} === 1")
    page.mouse.wheel(0, -600)
    page.wait_for_function(f"{zoom} > 1.5")
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "compare-zoomed.png")
    page.click("#viewer .mv-button[data-layer='error']")
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / "compare-error.png")
    page.click("#viewer .mv-button[data-layer='image']")
    pane.dblclick()
    page.wait_for_function(f"{zoom} === 1")


def copied_texts(page) -> list[str]:
    """What is written on the picture that "Copy image" makes."""
    page.evaluate("""() => {
      const { prototype } = CanvasRenderingContext2D, write = prototype.fillText;
      window.texts = new Set();
      prototype.fillText = function (text, ...place) {
        window.texts.add(text.trim());
        write.call(this, text, ...place);
      };
    }""")
    button = page.locator("#viewer .mv-button", has_text="Copy image")
    button.click()
    page.wait_for_function(
        "[...document.querySelectorAll('.mv-button')].some((one) => /^Copied|^Down/.test(one.innerText))"
    )
    return page.evaluate("[...window.texts]")


def test_where_a_link_is_of_no_use_the_session_is_saved(page):
    """The address of this computer alone means nothing to others: it stands nowhere."""
    assert not page.locator("#link").is_visible()
    texts = copied_texts(page)
    captions = page.eval_on_selector_all("#viewer .mv-caption", "all => all.map((one) => one.innerText)")
    drawn = " ".join(texts)  # long ones in several lines
    assert all(text in drawn for text in (*TITLES, *captions[1:])) and "MTKD explorer" in drawn
    assert "http" not in drawn
    open_part(page, "#export")
    page.locator("#save-view").wait_for()


@pytest.mark.sweep
def test_a_link_is_shown_where_there_is_no_clipboard(browser):
    """Other computers reach the page over plain http, where browsers have none."""
    if not (others := sorted(own_addresses())):
        pytest.skip("needs a network")
    with served("--host", "0.0.0.0") as (address, _):
        shared = address.replace("127.0.0.1", others[0])
        page = open_page(browser, shared)
        with page.expect_event("dialog") as dialog:
            page.once("dialog", lambda dialog: dialog.dismiss())
            page.click("#link")
        assert (dialog.value.type, dialog.value.default_value) == ("prompt", page.url)
        with page.expect_download() as download:
            texts = copied_texts(page)
        assert page.url in "".join(texts), "the link is on the picture, in one or more lines"
        shutil.copy(download.value.path(), SHOTS / "copied.png")
        page.context.close()


def test_a_region_is_measured_and_the_address_reproduces_the_view(browser, page, address):
    draw_region(page)
    view = "JSON.parse(document.querySelector('#viewer .mv').dataset.view)"
    region = Region.of(page.evaluate(f"{view}.region"))
    text = ",".join(map(str, vars(region).values()))
    page.wait_for_function("text => location.search.includes(`region=${text}`)", arg=text)
    wait_for_text(page, "#table", "region PSNR-Y")
    compared = compare(EXAMPLES[0].read(), MODELS, 4)
    expected = compared.quality_in(region)
    captions = page.eval_on_selector_all("#viewer .mv-caption", "all => all.map((c) => c.innerText)")
    assert captions[1:] == [
        f"region {m['psnr']:.2f} dB · SSIM {m['ssim']:.4f} · whole {compared[name].psnr:.2f}"
        for name, m in expected.items()
    ]
    open_part(page, "#export")
    with page.expect_download() as download:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    for name in ("psnr", "ssim"):
        assert {row["name"]: float(row[f"region_{name}"]) for row in rows} == {n: m[name] for n, m in expected.items()}
    shown = table(page)
    assert all(shown[name]["region PSNR-Y (dB)"] == f"{values['psnr']:.2f}" for name, values in expected.items())
    page.click("#viewer .mv-button[data-layer='signed error']")
    page.wait_for_function("location.search.includes('layer=signed')")
    again = open_page(browser, page.evaluate("location.href"))
    shown = json.loads(again.evaluate("document.querySelector('#viewer .mv').dataset.view"))
    assert Region.of(shown["region"]) == region and shown["layer"] == "signed error"
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
    wait_for_text(page, "#note [role=alert]", told)
    page.wait_for_function("location.search.startsWith('?example=astronaut') && !location.search.includes('nobody')")
    with another_run(page):
        preset(page, "All methods").check()
    assert not page.locator("#note").is_visible() and page.locator(".toast-body").count() == 0
    page.context.close()


@pytest.mark.sweep
def test_a_region_outside_of_the_picture_leaves_the_link(browser, address):
    page = open_page(
        browser, address, "?example=coffee&models=bicubic,bicubic&region=-5,0,900,10&focus=zz", models=["bicubic"]
    )
    page.wait_for_function("!location.search.includes('region')")
    assert "coffee" in page.url and "zz" not in page.url and "models=bicubic&" in page.url + "&"
    page.context.close()


@pytest.mark.sweep
def test_no_model_runs_again_for_a_mode_and_back(page, tmp_path):
    """Seconds in the table are those of the only run there was."""
    Image.fromarray(example("coffee").read()[:48, :64]).save(tmp_path / "photo.png")
    with another_run(page):
        upload(page, tmp_path / "photo.png")
    before = {name: row["seconds"] for name, row in table(page).items()}
    for mode in ("Upscale my photo", "Test: downscale, upscale, compare"):
        with another_run(page):
            page.get_by_label(mode, exact=True).check()
    assert {name: row["seconds"] for name, row in table(page).items()} == before


@pytest.mark.sweep
def test_figure_for_a_paper(page):
    open_part(page, "#figure")
    page.click("#figure-make")
    page.locator("#figure-image img").wait_for(timeout=180_000)
    with page.expect_download() as download:
        page.click("#figure-pdf")
    assert download.value.path().read_bytes().startswith(b"%PDF")
    with page.expect_download() as download:
        page.click("#figure-png")
    assert Image.open(download.value.path()).width > 1000
    page.locator("#figure button").first.click()


@pytest.mark.sweep
def test_a_saved_session_opens_again(page, tmp_path):
    photo = tmp_path / "mine.png"
    Image.fromarray(example("coffee").read()[:64, :96]).save(photo)
    with another_run(page):
        upload(page, photo)
    captions = page.eval_on_selector_all("#viewer .mv-caption", "all => all.map((c) => c.innerText)")
    open_part(page, "#export")
    saved = tmp_path / "view.json"
    saved.write_text("{}")
    deadline = time.monotonic() + 30
    while "png" not in json.loads(saved.read_text()):  # the button has the view before until this one is written
        assert time.monotonic() < deadline
        with page.expect_download() as download:
            page.click("#save-view")
        saved.write_bytes(download.value.path().read_bytes())
    with another_run(page):
        upload(page, EXAMPLES[0].path)
    with another_run(page):
        page.locator("input[type=file][accept='.json']").set_input_files(str(saved))
    assert page.eval_on_selector_all("#viewer .mv-caption", "all => all.map((c) => c.innerText)") == captions
    (tmp_path / "bad.json").write_text("{}")
    page.locator("input[type=file][accept='.json']").set_input_files(str(tmp_path / "bad.json"))
    wait_for_text(page, "#note [role=alert]", "Not a saved view")


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
    open_picture_panel(page)
    page.get_by_role("button", name="Benchmark folder").click()
    asked = page.locator("#benchmark-folder textarea, #benchmark-folder input")
    asked.wait_for()
    wait_until_answered(page)  # what has just opened is in its place, and keeps what is typed
    asked.fill(str(home_folder / "nowhere"))
    wait_until_drawn(page)
    assert asked.input_value() == str(home_folder / "nowhere")
    asked.press("Enter")  # as the button does
    wait_for_text(page, "#benchmark-note [role=alert]", "no benchmark set at ×4")
    asked.fill(str(home_folder))
    page.click("#benchmark-look")
    with another_run(page):
        choose(page, "#benchmark-image", "Set5 img_001")
    assert float(table(page)[MODELS[0]]["PSNR-Y (dB)"]) == round(compare(photo, MODELS[:1], 4)[MODELS[0]].psnr, 2)


@pytest.mark.sweep
def test_results_of_other_software(page, tmp_path):
    with another_run(page):
        upload(page, EXAMPLES[0].path)
    right, wrong = tmp_path / "theirs.png", tmp_path / "small.png"
    Image.fromarray(EXAMPLES[0].read()).save(right)
    Image.fromarray(EXAMPLES[0].read()[:100]).save(wrong)
    open_others(page)
    clear = "#others button[aria-label='Clear']:visible, #others button[aria-label='Remove this file']:visible"
    with another_run(page):
        page.locator("#others input[type=file]").set_input_files(str(right))
    wait_for_panes(page, [TRUTH, *MODELS, "theirs"])
    assert "inf dB" in page.inner_text("#viewer .mv-pane:has(canvas[data-name=theirs]) .mv-caption")
    with another_run(page):
        page.locator(clear).first.click()
    with another_run(page):
        page.locator("#others input[type=file]").set_input_files(str(wrong))
    assert "small: 256 x 100" in error_of(page)
    with another_run(page):
        page.locator(clear).first.click()
    assert pane_names(page) == [TRUTH, *MODELS]


def test_upload_without_ground_truth(page, tmp_path):
    """A turned photo (EXIF) is taken as LR: fewer panes and numbers, and the result stands upright."""
    small = Image.fromarray(example("coffee").read()[:48, :64])
    exif = small.getexif()
    exif[274] = 6  # stored turned by 90 degrees
    small.rotate(90, expand=True).save(tmp_path / "photo.png", exif=exif)
    with another_run(page):
        upload(page, tmp_path / "photo.png")
    with another_run(page):
        page.get_by_label("Upscale my photo", exact=True).check()
    assert pane_names(page) == [*MODELS, LR]
    wait_for_text(page, "#viewer .mv", "64 × 48")
    assert not any("dB" in head or "SSIM" in head for row in table(page).values() for head in row)
    assert not page.locator("#best").is_visible()
    page.locator("#viewer button", has_text="Swipe").click()
    shown = page.locator("#viewer .mv-pair select").evaluate_all("all => all.map((one) => one.value)")
    assert shown == MODELS[:2], "the best student, and the one beside it"
    page.locator("#viewer button", has_text="Grid").click()
    with another_run(page):
        page.get_by_label("Test: downscale, upscale, compare", exact=True).check()
    page.locator("#viewer button", has_text="Swipe").click()
    shown = page.locator("#viewer .mv-pair select").evaluate_all("all => all.map((one) => one.value)")
    assert shown == MODELS[1:3], "the student alone, and with MTKD"
    page.locator("#viewer button", has_text="Grid").click()


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
        path.write_bytes(png_header(1_000_000, 1_000_000))
        return path, "of memory"
    Image.new("RGB", {"one pixel": (1, 1), "one row": (100, 1)}[kind]).save(path)
    return path, "too small"


KINDS = ["text", "truncated", "animated", "one pixel", "one row", "decompression bomb"]


@pytest.mark.parametrize("kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.sweep) for kind in KINDS[1:])])
def test_bad_uploads_give_one_clear_message(page, tmp_path, kind):
    """Where the result would stand; nothing of the picture before is left there."""
    path, expected = bad_upload(kind, tmp_path)
    with another_run(page):
        upload(page, path)
    message = error_of(page)
    assert expected in message and pane_names(page) == []
    assert "Traceback" not in message and str(tmp_path) not in message and not re.search(r"/tmp|gradio/", message)


ODD = ["16 bit", "palette", "alpha", "grey"]


@pytest.mark.parametrize("kind", ["CMYK", *(pytest.param(kind, marks=pytest.mark.sweep) for kind in ODD)])
def test_odd_images_are_read(page, tmp_path, kind):
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
    with another_run(page):
        upload(page, path)
    assert pane_names(page) == [TRUTH, *MODELS]


def test_no_models_chosen_is_told(page):
    with another_run(page):
        upload(page, EXAMPLES[3].path)  # one that could be compared
    with another_run(page):
        page.locator("#models .token-remove.remove-all").click()
    assert "No model is chosen" in error_of(page)
    with another_run(page):
        preset(page, "Story").check()


def test_serves_on_after_all_that(page):
    with another_run(page):
        upload(page, EXAMPLES[3].path)
    assert pane_names(page) == [TRUTH, *MODELS]
    assert page.page_errors == [] and last_run(page)
    assert read_image(EXAMPLES[3].path).shape == (256, 320, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (1920, "light"), (1920, "dark")])
def test_layout_does_not_break(browser, address, width, theme):
    page = browser.new_page(width, 1000)
    page.goto(f"{address}?__theme={theme}")
    wait_for_panes(page, [TRUTH, *MODELS])
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / f"compare-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    narrow = page.eval_on_selector_all("#viewer .mv-canvas", "all => all.filter((c) => c.clientWidth < 150).length")
    assert narrow == 0
    page.context.close()


def test_nothing_is_fetched_from_elsewhere(browser, page):
    assert browser.external_requests() == []
