"""A report as people get it: the command as a process, the page from disk, its numbers against the library's."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explore import compare
from mtkd.explore.comparison.region import Region
from mtkd.explore.report import Report
from mtkd.images import read_image
from mtkd.numbers import signed

MODELS = ("bicubic", "rcan_tiny-scratch", "rcan_tiny-mtkd")
SETTLED = "() => document.querySelectorAll('#viewer .mv-canvas').length > 1 && !document.querySelector('.mv-broken')"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small pictures, one of them in grey."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, box in {"astronaut": (40, 20, 236, 180), "chelsea": (40, 40, 200, 200)}.items():
        Image.open(example(name).path).convert("RGB").crop(box).save(folder / f"{name}.png")
    Image.open(example("chelsea").path).convert("L").crop((100, 60, 230, 160)).save(folder / "grey's <b>.png")
    return folder


@pytest.fixture(scope="module")
def comparisons(pictures: Path):
    return {path.stem: compare(read_image(path), MODELS) for path in sorted(pictures.iterdir())}


@pytest.fixture(scope="module", params=["file", "folder"])
def page(request, comparisons, browser, tmp_path_factory):
    """The report opened from disk, in both of its forms."""
    path = tmp_path_factory.mktemp("out") / "report.html"
    with Report(path, largest=30_000_000 if request.param == "file" else 1000) as report:
        for title, comparison in comparisons.items():
            report.add(title, comparison)
    assert report.written == (path if request.param == "file" else path.with_suffix(""))
    page = browser.new_page(1280, 900)
    page.page_errors = []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    page.opened = []
    page.on("request", lambda one: page.opened.append(one.url))
    page.goto((path if request.param == "file" else path.with_suffix("") / "index.html").as_uri())
    page.wait_for_function(SETTLED)
    yield page
    assert page.page_errors == []
    assert [url for url in page.opened if not url.startswith(("file:", "data:", "blob:"))] == []
    page.context.close()


def cells(page, caption: str) -> dict[str, list[str]]:
    """The rows of a table by their heads."""
    table = page.locator("table", has=page.locator("caption", has_text=caption)).first
    rows = table.locator("tbody tr").all()
    return {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in rows}


def test_numbers_are_the_librarys(page, comparisons):
    page.locator("#gallery button").nth(0).click()
    for title, comparison in comparisons.items():
        page.locator("#gallery button", has_text=title).click()
        page.wait_for_function("title => document.querySelector('#numbers caption').textContent === title", arg=title)
        rows = cells(page, title)
        for result in comparison.results:
            got = rows[result.title]
            assert got[2] == f"{result.psnr:.2f}" and got[3] == f"{result.metrics['ssim']:.4f}"
    gains = cells(page, "Gain over RCAN student, alone by picture")
    of = [c["rcan_tiny-mtkd"].psnr - c["rcan_tiny-scratch"].psnr for c in comparisons.values()]
    assert gains["Mean"][1] == f"{np.mean(of):+.2f}".replace("-", "−")
    assert gains["Pictures won"] == ["0 of 3", f"{sum(gain > 0 for gain in of)} of 3"]


def test_another_baseline(page, comparisons):
    page.locator("#numbers select").first.select_option("bicubic")
    gains = cells(page, "Gain over Bicubic by picture")
    comparison = comparisons["chelsea"]
    expected = comparison["rcan_tiny-mtkd"].psnr - comparison["bicubic"].psnr
    assert gains["chelsea"][1] == f"{expected:+.2f}"
    page.locator("#numbers select").first.select_option("rcan_tiny-scratch")


def test_the_best_and_worst_crops(page, comparisons):
    """Against a search in NumPy of all windows of two cells; and what a click on one shows."""
    best, worst = {}, {}
    for title, comparison in comparisons.items():
        truth = comparison.hr_image
        for top in range(0, truth.shape[0] - 63, 32):
            for left in range(0, truth.shape[1] - 63, 32):
                region = Region(top, left, 64, 64)
                quality = comparison.quality_in(region)
                mse = {name: 255**2 / 10 ** (quality[name]["psnr"] / 10) for name in MODELS}
                difference = mse["rcan_tiny-scratch"] - mse["rcan_tiny-mtkd"]
                gain = quality["rcan_tiny-mtkd"]["psnr"] - quality["rcan_tiny-scratch"]["psnr"]
                (best if difference > 0 else worst)[f"{title}, {left}, {top}: {signed(gain, '+.2f')} dB"] = difference
    page.locator("#crops").scroll_into_view_if_needed()
    for number, found in enumerate((best, worst)):
        shown = page.locator("#crops .crops").nth(number).locator(".label").all_inner_texts()
        first = max(found, key=lambda label: abs(found[label]))
        assert shown[0] == first
        assert set(shown) <= set(found)
    page.wait_for_function("() => document.querySelector('#crops .crop').dataset.drawn === ''")
    label = page.locator("#crops .label").first.inner_text()
    title, left, top = re.match(r"(.*), (\d+), (\d+):", label).groups()
    page.locator("#crops .crop").first.click()
    quality = comparisons[title].quality_in(Region(int(top), int(left), 64, 64))["rcan_tiny-mtkd"]
    caption = f"region {quality['psnr']:.2f} dB · SSIM {quality['ssim']:.4f}"
    page.locator("#viewer", has_text=caption).wait_for(timeout=60_000)


def test_a_name_is_text(page):
    assert page.locator("#gallery button").nth(2).inner_text().strip() == "grey's <b>"


def test_everything_is_said_of_the_models(page):
    made = page.locator("section", has_text="How it was made").last.inner_text()
    assert re.search(r"rcan_tiny-mtkd, weights [0-9a-f]{16}", made) and "mtkd" in made


# The command -----------------------------------------------------------------------------------------------------


def test_a_damaged_picture_stops_no_other(run, pictures, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(pictures, folder)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "notes.txt").write_text("no picture")
    done = run("compare", folder, "--models", "bicubic", "-o", tmp_path / "r.html")
    assert done.code == 1 and "1 of 4 pictures failed" in done.err and "broken.png" in done.err
    assert f"left out: {folder / 'notes.txt'}" in done.err
    assert len(content(tmp_path / "r.html")["images"]) == 3
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mixed", "r.html"]


def content(path: Path) -> dict:
    """The plain data of a report."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text)[1])


@pytest.mark.parametrize("layout", ["folders", "one folder"])
def test_results_of_other_programs(run, pictures, tmp_path, layout):
    """Taken by their names; measured as any result."""
    program = tmp_path / "others" / "ESRGAN" if layout == "folders" else tmp_path / "ESRGAN"
    program.mkdir(parents=True)
    for path in pictures.iterdir():
        image = Image.open(path).convert("RGB")
        size = [side // 4 * 4 for side in image.size]
        image.crop((0, 0, *size)).resize([s // 4 for s in size]).resize(size).save(program / f"{path.stem}_out.png")
    others = program.parent if layout == "folders" else program
    done = run("compare", pictures, "--models", "bicubic", "--others", others, "-o", tmp_path / "r.html")
    assert done.code == 0, done.err
    data = content(tmp_path / "r.html")
    assert [model["name"] for model in data["models"]] == ["bicubic", "ESRGAN"]
    assert all(image["numbers"]["ESRGAN"]["psnr"] > 15 for image in data["images"])


@pytest.mark.parametrize(
    ("prepare", "options", "message"),
    [
        (None, ["--others", "nowhere"], "no such folder"),
        (None, ["--models", "nothing"], "nothing"),
        (None, ["--baseline", "edsr_mini"], "not among the models"),
        ("r.html", [], "exists and is no report"),
        ("r/holiday.jpg", [], "a folder that is no report"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run, pictures, tmp_path, monkeypatch, prepare, options, message):
    monkeypatch.chdir(tmp_path)
    if prepare:
        Path(prepare).parent.mkdir(exist_ok=True)
        Path(prepare).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = run("compare", pictures / "chelsea.png", "--models", "bicubic", "-o", "r.html", *options)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before and (not prepare or Path(prepare).read_text() == "mine")


def test_results_of_the_wrong_size(pictures, tmp_path, run):
    program = tmp_path / "other"
    program.mkdir()
    Image.new("RGB", (50, 50)).save(program / "chelsea.png")
    done = run(
        "compare", pictures / "chelsea.png", "--models", "bicubic", "--others", program, "-o", tmp_path / "r.html"
    )
    assert done.code == 2 and "50 x 50" in done.err and not (tmp_path / "r.html").exists()
    done = run("compare", pictures, "--models", "bicubic", "--others", program, "-o", tmp_path / "r.html")
    assert done.code == 2 and "no image of that name" in done.err  # of the other pictures
    shutil.copyfile(pictures / "chelsea.png", tmp_path / "chelsea_again.png")
    Image.new("RGB", (50, 50)).save(program / "chelsea_again.png")
    both = [pictures / "chelsea.png", tmp_path / "chelsea_again.png"]
    done = run("compare", *both, "--models", "bicubic", "--others", program, "-o", tmp_path / "r.html")
    assert done.code == 2 and f"{both[0]}: other: 50 x 50" in done.err


def test_a_report_is_written_anew(comparisons, tmp_path):
    """Over an older one, of either form."""
    for largest in (1000, 1000, 30_000_000, 30_000_000):
        with Report(tmp_path / "r.html", largest=largest) as report:
            report.add("a", comparisons["chelsea"])
        assert report.written.exists()


def test_photos_without_ground_truth(pictures, tmp_path, run, browser):
    done = run(
        "compare", pictures / "chelsea.png", "--lr", "--scale", 2, "--models", "bicubic", "-o", tmp_path / "r.html"
    )
    assert done.code == 0, done.err
    page = browser.new_page(390, 844)
    page.goto((tmp_path / "r.html").as_uri())
    page.wait_for_function(SETTLED)
    assert page.locator("#crops").count() == 0 and "no ground truth" in page.locator("header").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()


def test_pictures_of_another_kind_are_refused(comparisons, pictures, tmp_path):
    with Report(tmp_path / "r.html") as report, pytest.raises(UserError, match="as in the first picture"):
        report.add("a", comparisons["chelsea"])
        report.add("b", compare(read_image(pictures / "chelsea.png"), ["bicubic"], 2))
