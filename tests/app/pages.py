"""What tests do with the page as a person does: open it, look, choose, upload, wait for an answer."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError

from mtkd.explore import default_models
from tests.browser import wait_until_drawn

MODELS = default_models(4)
TRUTH, LR = "ground truth", "LR"
SHOTS = Path(__file__).parents[2] / "screenshots"
SHOTS.mkdir(exist_ok=True)
VIEWS = {
    "Framework": "How it works",
    "Wavelet loss": "How it works",
    "Attribution": "How it works",
    "Summary": "Evidence",
    "Tables": "Evidence",
    "Efficiency": "Evidence",
    "Ablations": "Evidence",
    "Quick demo": "Train",
    "Runs": "Train",
    "Models": "Train",
}
"""The tab that each view is in."""


def open_page(browser, address, query: str = "", width: int = 1280, height: int = 900, models=MODELS):
    """A page after its first comparison; ``page_errors`` are those of its scripts, ``refused`` answers of 4xx, 5xx."""
    page = browser.new_page(width, height)
    page.page_errors, page.refused = [], []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    page.on("response", lambda answer: page.refused.append(answer.url) if answer.status >= 400 else None)
    page.goto(address + query)
    wait_for_run(page, "")
    if "tab=" not in query:
        wait_for_panes(page, [TRUTH, *models])
    return page


def open_view(page, title: str) -> None:
    """Open a tab, or a view of one."""
    if title in VIEWS:
        page.get_by_role("tab", name=VIEWS[title], exact=True).click()
    page.get_by_role("tab", name=title, exact=True).click()


def preset(page, title: str):
    """The control of a preset of models."""
    return page.locator("#presets").get_by_label(title, exact=True)


def last_run(page) -> str:
    """The comparison that was answered last; "" while one runs."""
    return page.locator("#status p").get_attribute("data-ended")


def wait_for_run(page, before: str) -> None:
    """Return when another comparison than the one ``before`` is answered, by results, an error or a question."""
    page.wait_for_function(
        "before => !['', before, undefined].includes(document.querySelector('#status p')?.dataset.ended)",
        arg=before,
        timeout=180_000,
    )
    wait_until_drawn(page)  # the viewer shows what it was given


@contextlib.contextmanager
def another_run(page):
    """What happens within makes a comparison run; at the end it is answered."""
    before = last_run(page)
    yield
    wait_for_run(page, before)


def pane_names(page) -> list[str]:
    return page.eval_on_selector_all("#viewer .mv-canvas", "all => all.map((canvas) => canvas.dataset.name)")


def wait_for_panes(page, names: list[str]) -> None:
    page.wait_for_function(
        """names => {
          const shown = [...document.querySelectorAll('#viewer .mv-canvas')].map((canvas) => canvas.dataset.name);
          return shown.length === names.length && names.every((name) => shown.includes(name));
        }""",
        arg=names,
        timeout=180_000,
    )


def wait_for_text(page, selector: str, text: str, seconds: float = 180) -> None:
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)", arg=[selector, text],
        timeout=1000 * seconds,
    )  # fmt: skip


def cells(page, table: str) -> list[list[str]]:
    """The texts of a table's cells; a part that was just opened draws it a little later."""
    page.locator(f"{table} [role=gridcell]").first.wait_for(state="attached")
    rows = page.eval_on_selector_all(
        f"{table} [role=row]",
        "rows => rows.map((row) => [...row.querySelectorAll('[role=gridcell]')].map((cell) => cell.innerText.trim()))",
    )
    return [row for row in rows if row]


@contextlib.contextmanager
def asked(page):
    """Collects how often each function is asked of the explorer meanwhile, by its number."""
    counts: dict[int, int] = {}

    def count(request) -> None:
        if "queue/join" in request.url:
            number = json.loads(request.post_data)["fn_index"]
            counts[number] = counts.get(number, 0) + 1

    page.on("request", count)
    yield counts
    page.remove_listener("request", count)


def computing(page) -> set[int]:
    """The numbers of the functions that compute for people when a hidden question changes."""
    numbers = page.evaluate(
        "() => window.gradio_config.dependencies.filter((one) => one.targets.some(([id, event]) => event === 'change'))"
        ".map((one) => one.id)"
    )
    return set(numbers)


def fetch(address: str, href: str) -> bytes:
    with urllib.request.urlopen(urllib.parse.urljoin(address, href)) as answer:
        return answer.read()


def choose(page, dropdown: str, option: str) -> None:
    """Choose an option, once the dropdown has it: its list may still be on its way."""
    for _ in range(6):
        page.click(f"{dropdown} input")
        offered = page.get_by_role("option", name=option)
        with contextlib.suppress(TimeoutError):
            offered.click(timeout=10_000)
            return
        page.keyboard.press("Escape")
        page.locator(f"{dropdown} input").blur()  # its list opens when it gets the focus
    pytest.fail(f"{dropdown} never offered {option}")


def answered(page):
    """What happens within is asked of the explorer, and its answer has arrived at the end."""
    return page.expect_event("requestfinished", lambda request: "queue/data" in request.url)


def open_picture_panel(page) -> None:
    if not page.locator("#image").is_visible():
        page.click("#picture")
        page.locator("#image").wait_for()


def open_others(page) -> None:
    """The part for results of other software; an answer that comes meanwhile may close the panel around it."""
    button = page.get_by_role("button", name="Results of other software")
    for _ in range(3):
        open_picture_panel(page)
        try:
            return button.click(timeout=20_000)
        except TimeoutError:
            continue
    return button.click()


def upload(page, path: Path) -> None:
    """Replace the picture by a file, as dropping it would; what follows runs by itself."""
    open_picture_panel(page)
    if page.locator("#image button[aria-label='Remove Image']").count():
        page.locator("#image button[aria-label='Remove Image']").first.click()
    page.locator("#image input[type=file]").first.set_input_files(str(path))


def open_part(page, selector: str) -> None:
    """Open an accordion, unless it is open."""
    button = page.locator(f"{selector} button.label-wrap").first
    button.wait_for()
    if "open" not in (button.get_attribute("class") or "").split():
        button.click()


def draw_region(page):
    page.locator("#viewer .mv-canvas").nth(1).scroll_into_view_if_needed()
    box = page.locator("#viewer .mv-canvas").nth(1).bounding_box()
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.55 * box["height"], steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
