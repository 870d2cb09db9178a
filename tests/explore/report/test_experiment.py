"""An experiment as one file: the command, and the page from disk with the numbers of the records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mtkd.data.examples import EXAMPLES
from mtkd.experiments import records
from mtkd.experiments.plan import load_plan
from mtkd.experiments.tables import find, report
from mtkd.explore.report import experiment
from tests.conftest import Run


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTKD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(experiment, "EXAMPLES", EXAMPLES[:1])
    monkeypatch.setattr(experiment, "MOST", 3)


@pytest.mark.sweep
@pytest.mark.usefixtures("_short")
def test_an_experiment_as_one_file(run: Run, tmp_path: Path, browser) -> None:
    path = tmp_path / "table2.html"
    outcome = run("matrix", "report", "table2", "--scales", 4, "--html", path)
    assert outcome.code == 0 and outcome.out.startswith(f"{path} (")
    page = browser.new_page(390, 844)
    errors, opened = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda one: opened.append(one.url))
    page.goto(path.as_uri())
    page.wait_for_function("() => document.querySelectorAll('#viewer .mv-canvas').length > 1")

    content = report(load_plan("mini"), records.available(tmp_path / "none", "mini"), ["table2"], [4])
    table = find(content, "table2", 4)
    shown = page.locator(".experiment table").first.locator("tbody tr")
    assert shown.count() == len(table["rows"])
    for line, row in zip(shown.all(), table["rows"], strict=True):
        cells = line.locator("td").all_inner_texts()
        assert cells[0] == row["title"]
        for number, set_name in enumerate(table["measured_sets"], start=4):
            if found := row["measured"].get(set_name):
                assert cells[number].startswith(f"{found['psnr']:.3f}"), (row["title"], set_name)
    for claim in content["claims"]:
        assert page.locator(".experiment td", has_text=claim["text"]).count()
    figures = page.eval_on_selector_all(".experiment figure img", "all => all.map((one) => one.naturalWidth)")
    assert len(figures) == 1 and figures[0] > 500
    names = page.eval_on_selector_all("#viewer .mv-canvas", "all => all.map((canvas) => canvas.dataset.name)")
    assert names == ["ground truth", "bicubic", "rcan_tiny-scratch", "rcan_tiny-kd", "LR"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert errors == [] and all(url.startswith(("file:", "data:", "blob:")) for url in opened)
    page.context.close()


def test_what_cannot_be_a_page(refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("my page")
    assert "no report" in refused("matrix", "report", "table2", "--scales", 4, "--html", mine)
    assert "--html needs report before it" in refused("matrix", "table2", "--html", tmp_path / "a.html")
    monkeypatch.setattr(experiment.zoo, "models", lambda *_: [])
    said = refused("matrix", "report", "table2", "--scales", 4, "--html", tmp_path / "a.html")
    assert said == "no model of these tables is on this computer; write the report without --html"


def test_pictures_and_tables_are_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched: all addresses are data."""
    monkeypatch.setattr(experiment, "EXAMPLES", EXAMPLES[4:])
    monkeypatch.setattr(experiment, "MOST", 2)
    content = report(load_plan("mini"), records.available(tmp_path / "none", "mini"), ["table2"], [4])
    steps: list[tuple[int, int]] = []
    text = experiment.write(content, "mini", tmp_path / "a", (), lambda *step: steps.append(step)).read_text()
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", text.partition('<script type="application/json"')[0])
    assert addresses and all(address.startswith("data:image/png;base64,") for address in addresses)
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text, flags=re.DOTALL)[0])
    assert [one["name"] for one in data["models"]] == ["bicubic", "rcan_tiny-scratch"] and steps == [(0, 1)]
