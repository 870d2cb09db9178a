"""The Results tab as a person uses it: open, look, filter, sort, ask for the runs behind a number, save the table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from mtkd.experiments.published import published
from mtkd.experiments.records import available
from mtkd.explore.evidence.results import titles
from mtkd.home import runs_folder
from tests.browser import wait_until_drawn

SHOTS = Path(__file__).parents[2] / "screenshots"


def open_results(page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Results").first.click()
    page.locator("#results-tradeoff .point").first.wait_for(state="attached", timeout=90_000)
    page.locator("#results-agreement .js-plotly-plot").wait_for(timeout=90_000)


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
        timeout=60_000,
    )


def rows(page) -> dict[str, list[str]]:
    """The cells of the table by the row's label, in the order shown."""
    found = page.eval_on_selector_all(
        "#results-table tbody tr",
        "rows => rows.map((row) => [row.dataset.label, [...row.cells].map((cell) => cell.innerText.trim())])",
    )
    return dict(found)


def show(page, table: str, scale: str, set_name: str, empty: bool = False) -> None:
    page.locator("#results-name input").click()
    page.get_by_role("option", name=table).click()
    choose(page, "scale", scale)
    choose(page, "set", set_name)
    if not empty:
        title = titles()[table.lower().replace(" ", "")]
        page.locator(f"#results-table table[aria-label='{title}, {scale}, {set_name}, PSNR']").wait_for()


def test_first_picture_has_a_point_for_every_model(page):
    shown = page.locator("#results-tradeoff .point").count()
    set_name = page.locator("#results-set input:checked").get_attribute("value")
    known = available(runs_folder("mini"), "mini")
    models = {
        run["name"]
        for digest, run in known.runs.items()
        if run["scale"] == 4 and run["network"] and (digest, set_name) in known.scores
    }
    assert 0 < shown <= len(models)  # a run that no table of the plan has is not shown
    assert "multiply-adds" in page.inner_text("#results-tradeoff")
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "results-1280-light.png")
    assert page.page_errors == []


def test_the_paper_stands_beside_what_was_measured(page):
    """Every printed number of a table, its best and its second marked (26.62 is DUKD's)."""
    show(page, "Table 2", "×4", "Urban100")
    shown = rows(page)
    for label, by_set in published().tables["table2"][4].items():
        assert shown[label][3] == f"{by_set['Urban100'][0]:.2f}"
    assert page.locator("tr[data-label=mtkd] td:nth-child(4) .mark-best").inner_text() == "27.08"
    assert page.locator("tr[data-label=dukd] td:nth-child(4) .mark-second").inner_text() == "26.62"
    assert "Protocol" in page.inner_text("#results-notes")


@pytest.mark.sweep
def test_a_table_without_numbers_says_so(page):
    show(page, "Table 5", "×3", "Urban100", empty=True)
    wait_for(page, "#results-table", "This table is for ×4 alone")
    assert page.locator("#results-table table").count() == 0
    assert page.locator("#results-csv").is_disabled()


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
    saved = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
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


def test_every_claim_has_a_verdict(page):
    chips = page.locator("#results-claims .verdict").all_inner_texts()
    assert len(chips) == len(published().claims)
    assert set(chips) <= {"holds", "does not hold", "not enough seeds", "not measured"}
    claims = page.inner_text("#results-claims")
    assert all(claim.text in claims for claim in published().claims)


@pytest.mark.sweep
def test_another_cost(page):
    choose(page, "scale", "×4")
    choose(page, "set", "Set5")
    choose(page, "axis", "parameters")
    page.wait_for_function("document.querySelector('#results-tradeoff .xtitle')?.textContent === 'parameters'")
    assert page.page_errors == []


@pytest.mark.sweep
@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (1920, "light")])
def test_layout_does_not_break(browser, address, width, theme):
    page = browser.new_page(width, 2800)
    open_results(page, f"{address}?__theme={theme}")
    page.wait_for_function(  # words of the figures follow the theme
        """dark => {
          const word = document.querySelector('#results-tradeoff .xtick text');
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

    run = dict.fromkeys(("seed", "iterations", "seconds", "held_out_psnr", "versions", "network", "device", "images"))
    run |= {"scores": {}, "folder": "<img src=x>", "digest": "d", "source": "own", "teacher_passes": None}
    run |= {"teachers": {"<b>": "1"}, "deviations": ["<i>"], "recipe": {"name": "<u>"}}
    page = runs([run], "table2", 4, '"><script>')
    assert not any(tag in page for tag in ("<img", "<b>", "<i>", "<u>", "<script>"))
    assert "&lt;img src=x&gt;" in page
