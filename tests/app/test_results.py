"""The Tables as a person uses them: open, filter, sort, ask for the runs behind a number, save the table."""

from __future__ import annotations

import csv
import io

import pytest

from mtkd.experiments.published import published
from mtkd.experiments.records import available
from mtkd.explore.evidence.results import load, titles
from mtkd.home import runs_folder
from tests.app.pages import SHOTS
from tests.browser import wait_until_drawn


def open_results(page, address: str, theme: str = "light") -> None:
    page.goto(f"{address}?tab=results&__theme={theme}")
    page.locator("#results-table table").wait_for(timeout=180_000)


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(1280, 900)
    page.page_errors = []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    open_results(page, address)
    yield page
    page.context.close()


def choose(page, group: str, name: str) -> None:
    page.locator(f"#results-{group} label").filter(has_text=name).first.click()


def wait_for(page, selector: str, text: str) -> None:
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)",
        arg=[selector, text],
        timeout=180_000,
    )


def rows(page) -> dict[str, list[str]]:
    """The cells of the table by the row's label, in the order shown."""
    found = page.eval_on_selector_all(
        "#results-table tbody tr",
        "rows => rows.map((row) => [row.dataset.label, [...row.cells].map((cell) => cell.innerText.trim())])",
    )
    return dict(found)


def show(page, table: str, scale: str, set_name: str) -> None:
    page.locator("#results-name input").click()
    page.get_by_role("option", name=table).click()
    about = titles()[table.lower().replace(" ", "")]
    for group, name in (("scale", scale), ("set", set_name)):
        page.locator(f"#results-table table[aria-label^='{about}']").wait_for()  # the choices are those of the table
        choose(page, group, name)
        about += f", {name}"
    page.locator(f"#results-table table[aria-label='{about}, PSNR']").wait_for()


def test_the_paper_stands_beside_what_was_measured(page):
    """Every printed number of a table, its best and its second marked (26.62 is DUKD's)."""
    show(page, "Table 2", "×4", "Urban100")
    shown = rows(page)
    for label, by_set in published().tables["table2"][4].items():
        assert shown[label][3] == f"{by_set['Urban100'][0]:.2f}"
    assert page.locator("tr[data-label=mtkd] td:nth-child(4) .mark-best").inner_text() == "27.08"
    assert page.locator("tr[data-label=dukd] td:nth-child(4) .mark-second").inner_text() == "26.62"
    assert "Protocol" in page.inner_text("#results-notes")


def test_what_has_no_data_cannot_be_chosen(page):
    """Table 5 is for x4 alone; sets that the paper alone has say so; a table without runs is not in the list."""
    show(page, "Table 5", "×4", "Set5")
    assert page.locator("#results-scale label").all_inner_texts() == ["×4"]
    assert [text for text in page.locator("#results-set label").all_inner_texts() if "paper" in text] == [
        "Urban100 (paper alone)"
    ]
    page.locator("#results-name input").click()
    tables = page.get_by_role("option").all_inner_texts()
    page.get_by_role("option", name="Table 5").click()
    shown = load("mini", runs_folder("mini"))
    assert len(tables) == sum(bool(shown.scales_with_data(name)) for name in shown.plan.tables)


def test_headings_sort(page):
    show(page, "Table 4", "×2", "Urban100")
    heading = page.locator("#results-table .sort th").nth(3).locator("button")
    heading.click()
    printed = {label: cells["Urban100"][0] for label, cells in published().tables["table4"][2].items()}
    order = [label for label in rows(page) if label in printed]
    assert order == sorted(printed, key=printed.get, reverse=True)
    assert list(rows(page))[: len(printed)] == order  # what is not known comes last
    heading.click()
    assert [label for label in rows(page) if label in printed] == order[::-1]


def test_runs_behind_a_number_are_one_click_away(page):
    show(page, "Table 2", "×4", "Set5")
    known = [
        run
        for run in available(runs_folder("mini"), "mini").runs.values()
        if (run["name"], run["scale"]) == ("rcan_mini", 4)
    ]
    shown = run_names(page, "full")
    (full,) = (run for run in known if run["folder"] in shown)
    page.locator("#results-runs summary").first.click()
    details = page.inner_text("#results-runs details")
    assert full["digest"] in details and f"iterations: {full['recipe']['iterations']}" in details
    assert full["deviations"][0] in details and full["versions"]["torch"] in details
    if full["curve"]:
        page.locator("#results-curve .point").first.wait_for(state="attached")
        assert page.locator("#results-curve .point").count() == len(full["curve"])
    else:
        wait_for(page, "#results-curve", "No training curve was recorded")
    run_names(page, "MT")
    page.locator("#results-runs summary").first.click()
    details = page.inner_text("#results-runs details")
    assert all(f"{name} (" in details for name in ("edsr_mini", "rcan_mini", "swinir_mini"))  # with their hashes


def run_names(page, label: str) -> list[str]:
    """Click a row of Table 2 at x4; the folders of its runs."""
    page.locator(f"#results-table tr[data-label='{label}'] td").nth(1).click()
    page.locator(f"#results-runs table[aria-label='table2, ×4, {label}']").wait_for()
    assert page.locator("#results-table tr.chosen").get_attribute("data-label") == label
    return page.locator("#results-runs summary").all_inner_texts()


@pytest.mark.sweep
def test_the_table_can_be_saved(page):
    show(page, "Table 3", "×4", "Urban100")
    wait_until_drawn(page)  # the button changes with the table
    with page.expect_download() as download:
        page.click("#results-csv")
    assert download.value.suggested_filename == "table3_x4_Urban100_psnr.csv"
    saved = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [row["label"] for row in saved] == list(rows(page))
    assert next(row for row in saved if row["label"] == "mtkd")["psnr_printed"] == "26.32"


@pytest.mark.sweep
def test_from_table_to_table(page):
    """The row that was looked at is not in every table; a table that the paper lacks has no column of it."""
    show(page, "Table 2", "×4", "Set5")
    run_names(page, "full")
    for name in ("controls", "aggregators", "table2"):
        page.locator("#results-name input").click()
        page.get_by_role("option", name=titles()[name]).click()
        page.locator(f"#results-table table[aria-label^='{titles()[name].partition(chr(39))[0]}']").wait_for()
        printed = name == "table2"
        assert ("paper" in page.inner_text("#results-table .sort")) == printed
    wait_until_drawn(page)
    assert page.locator(".toast-body").count() == 0
    assert page.locator("#results-figures").get_by_text("Error", exact=True).count() == 0


@pytest.mark.sweep
@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (1920, "light")])
def test_layout_does_not_break(browser, address, width, theme):
    page = browser.new_page(width, 2800)
    open_results(page, address, theme)
    page.locator("#results-curve .point").first.wait_for(state="attached")
    page.wait_for_function(  # words of the figures follow the theme
        """dark => {
          const word = document.querySelector('#results-curve .xtick text');
          const [red, green, blue] = getComputedStyle(word).fill.match(/\\d+/g).map(Number);
          const lightness = (red + green + blue) / 3;
          return dark ? lightness > 200 : lightness < 60;
        }""",
        arg=theme == "dark",
    )
    page.screenshot(path=SHOTS / f"results-{width}-{theme}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.context.close()


def test_nothing_is_fetched_from_elsewhere(browser, page):
    assert browser.external_requests() == []


def test_programs_get_the_same_numbers(address):
    client = pytest.importorskip("gradio_client").Client(address, verbose=False)
    table = client.predict("table2", 4, "Urban100", api_name="/results_table")
    printed = {row["label"]: row["printed"] for row in table}
    assert printed["mtkd"] == published().tables["table2"][4]["mtkd"]["Urban100"][0]
    (run,) = client.predict("table2", 4, "full", api_name="/results_runs")
    assert run["name"] == "rcan_mini" and run["scores"]
    with pytest.raises(Exception, match="did you mean 'table2'"):
        client.predict("tabel2", 4, "Set5", api_name="/results_table")


def test_names_are_escaped():
    from mtkd_app.parts.results_table import runs

    run = dict.fromkeys(
        ("seed", "iterations", "seconds", "held_out_psnr", "versions", "network", "device", "images", "curve_note")
    )
    run |= {"scores": {}, "folder": "<img src=x>", "digest": "d", "source": "own", "teacher_passes": None}
    run |= {"teachers": {"<b>": "1"}, "deviations": ["<i>"], "recipe": {"name": "<u>"}}
    page = runs([run], "table2", 4, '"><script>')
    assert not any(tag in page for tag in ("<img", "<b>", "<i>", "<u>", "<script>"))
    assert "&lt;img src=x&gt;" in page
