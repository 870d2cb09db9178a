"""The quick demo as a person uses it: train, reload, cancel, look at the result in Compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mtkd_app.parts import demo_run

from mtkd.training import run_state
from tests.app.conftest import served
from tests.app.pages import SHOTS, open_page, open_view, pane_names, wait_for_text
from tests.app.test_train import paused, state
from tests.browser import wait_until_drawn


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, here and in the explorer that is started."""
    monkeypatch.setenv("MTKD_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def page(browser: Any, home: Path) -> Iterator[Any]:
    with served() as (address, _):
        page = open_page(browser, address, height=720)
        page.set_default_timeout(120_000)
        open_demo(page)
        yield page
        page.context.close()


def open_demo(page: Any) -> None:
    open_view(page, "Quick demo")
    page.locator("#demo-start").wait_for()
    page.locator(".demo-pictures img").first.wait_for(timeout=180_000)
    page.wait_for_function("document.querySelector('#demo-plot .js-plotly-plot')?.data?.length")


def lines(page: Any) -> dict[str, list[float]]:
    """What the plot shows, by name."""
    return page.evaluate(
        """() => Object.fromEntries(
          document.querySelector('#demo-plot .js-plotly-plot').data.map((trace) => [trace.name, [...trace.y]]))"""
    )


def test_the_snapshot_leaves_something_to_learn() -> None:
    """It is below bicubic; the student alone and the combined teacher are well above."""
    bicubic, snapshot, alone, teacher = demo_run.levels().values()
    assert snapshot < bicubic - 0.3 < alone - 1 < teacher - 1
    recipe = demo_run.recipe()
    assert recipe.init == demo_run.SNAPSHOT and recipe.teachers == ("aggregator_mini",)
    assert recipe.data.held_out == ("astronaut.png",) and demo_run.trained_on() >= 4


def test_only_the_demos_own_runs_are_shown(home: Path) -> None:
    def write(name: str, **changes: Any) -> None:
        folder = home / "runs" / f"{name}_x4"
        folder.mkdir(parents=True)
        recipe = demo_run.recipe().model_copy(update={"name": name, **changes})
        (folder / "start.yaml").write_text(recipe.dump())

    write("other", seed=7)
    assert demo_run.latest() is None
    write("any-name")
    run = demo_run.latest()
    assert run is not None and run.name == "any-name_x4"


@pytest.mark.sweep
def test_a_run_beats_bicubic_by_half_a_decibel_through_a_reload(page: Any, home: Path) -> None:
    assert set(lines(page)) == {*demo_run.levels(), "This run"}
    assert "Not trained yet" in page.inner_text("#demo-pictures")
    page.click("#demo-start")
    page.locator("#demo-status [role=progressbar]").wait_for()
    assert page.locator("#demo-start").is_disabled()
    wait_for_text(page, "#demo-status", "Step")
    with paused("quick-demo_x4"):
        page.reload()  # the address opens the view again
        page.locator(".demo-pictures img").first.wait_for()
        wait_for_text(page, "#demo-status", "Step")
        assert page.locator("#demo-cancel").is_visible()
    page.locator(".demo-result").wait_for(timeout=180_000)
    run = state("quick-demo_x4", "finished")
    known = demo_run.levels()
    assert run.psnr is not None and run.psnr > known["Bicubic"] + 0.5 and run.psnr > known["Snapshot, step 280"] + 0.5
    assert f"{run.psnr:.2f} dB" in page.inner_text("#demo-status")
    shown = lines(page)["This run"]
    assert shown[0] == pytest.approx(known["Snapshot, step 280"]) and shown[-1] == pytest.approx(run.psnr, abs=0.005)
    assert page.locator(".demo-pictures img").count() == 3
    for theme in ("light", "dark"):
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
        for width, height in ((1280, 720), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            wait_until_drawn(page)
            page.screenshot(path=SHOTS / f"quick-demo-{width}-{theme}.png", full_page=width == 390)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.set_viewport_size({"width": 1280, "height": 720})

    page.click("#demo-open")
    page.locator("#viewer .mv-canvas[data-name='quick-demo']").wait_for(timeout=180_000)
    assert pane_names(page)[:2] == ["ground truth", "quick-demo"]
    assert "seen in training" not in page.inner_text("#viewer")
    page.goto(f"{page.url.split('?')[0]}?example=chelsea&models=bicubic,quick-demo")
    page.locator("#viewer .mv-canvas[data-name='quick-demo']").wait_for(timeout=180_000)
    wait_for_text(page, "#viewer", "seen in training")  # under the run, not under bicubic
    assert page.inner_text("#viewer").count("seen in training") == 1

    open_view(page, "Runs")
    wait_for_text(page, "#train-runs", "quick-demo")


@pytest.mark.sweep
def test_a_cancelled_run_is_kept_and_another_can_be_started(page: Any, home: Path) -> None:
    page.click("#demo-start")
    wait_for_text(page, "#demo-status", "Step")
    page.click("#demo-cancel")
    wait_for_text(page, "#demo-status", "Cancelled at step")
    assert page.locator("#demo-start").is_enabled() and not page.locator("#demo-open").is_visible()
    assert [run.state for run in run_state.runs()] == ["stopped"]
    page.click("#demo-start")
    wait_for_text(page, "#demo-status", "Step")
    assert sorted(run.name for run in run_state.runs()) == ["quick-demo2_x4", "quick-demo_x4"]
    page.click("#demo-cancel")
    wait_for_text(page, "#demo-status", "Cancelled at step")
