"""The course as its readers open it: in JupyterLab, in a browser, run from top to bottom; widgets appear and react."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.app.conftest import free_port, wait_until_it_answers

ROOT = Path(__file__).parents[1]
SHOTS = ROOT / "screenshots"
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
SWEEP = "04_wavelets"
"""The one that the sweep opens; that all run from top to bottom is in test_notebooks.py."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[str]:
    """The address of a JupyterLab on a copy of the notebooks, which it may change."""
    folder = tmp_path_factory.mktemp("lab")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            cell.source = re.sub("^FAST = False", "FAST = True", cell.source, flags=re.MULTILINE)
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / path.name)
    settings = folder / "set" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)  # all cells are on the page, seen or not
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    port = free_port()
    options = [f"--port={port}", f"--notebook-dir={folder}", "--IdentityProvider.token=", "--allow-root"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            *options,
        ],  # nothing from the internet, as in `make lab`
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "set"),
        },
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/lab", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    "lesson", [pytest.param(one, marks=pytest.mark.sweep if one == SWEEP else pytest.mark.slow) for one in LESSONS]
)
def test_runs_in_jupyterlab_and_its_widgets_react(browser, lab, lesson):
    page = browser.new_page(1440, 1000)
    before = len(browser.external_requests())
    page.goto(f"{lab}/lab/tree/{lesson}.ipynb?reset")
    kernel_is_idle = "document.querySelector('#jp-main-statusbar')?.innerText.includes('| Idle')"
    page.wait_for_function(kernel_is_idle, timeout=180_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => {
          const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map((one) => one.innerText);
          return prompts.every((text) => /\\d/.test(text)) || document.querySelector('[data-mime-type*=error]');
        }""",
        timeout=480_000,
    )
    assert page.locator("[data-mime-type*=error]").count() == 0
    page.wait_for_function(kernel_is_idle)
    if "01" <= lesson[:2] <= "08":
        controls = page.locator(".jp-OutputArea .widget-interact").first
        controls.scroll_into_view_if_needed()
        picture = controls.locator("img, .jp-RenderedHTMLCommon").first
        picture.wait_for(timeout=180_000)
        shown = picture.evaluate("one => one.src ?? one.innerHTML")
        choices = controls.locator("select").first
        if choices.count():
            names = choices.locator("option").all_inner_texts()
            now = choices.evaluate("one => one.options[one.selectedIndex].text")
            choices.select_option(label=next(name for name in names if name != now))
        else:
            controls.locator("[role=slider], .noUi-handle").first.focus()
            page.keyboard.press("ArrowRight")
        page.wait_for_function(
            """shown => {
              const one = document.querySelector('.jp-OutputArea .widget-interact')
                .querySelector('img, .jp-RenderedHTMLCommon');
              return one && (one.src ?? one.innerHTML) !== shown;
            }""",
            arg=shown,
            timeout=180_000,
        )
    if lesson == "08_attribution":  # a click in the picture asks for its map
        asked = page.locator(".mv-canvas").last
        asked.scroll_into_view_if_needed()
        asked.click()
        page.locator("img.widget-image").last.wait_for(timeout=180_000)
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"lab-{lesson}.png")
    assert browser.external_requests()[before:] == []
    page.context.close()
