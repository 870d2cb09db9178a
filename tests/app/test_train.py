"""The Runs view as a person uses it: start, watch, reload the page, stop, resume, look at the result, delete."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from gradio_client import Client
from mtkd_app.main import build
from mtkd_app.server.session_files import Pictures

from mtkd.experiments.plan import load_recipe
from mtkd.home import runs_folder
from mtkd.training import jobs, run_state
from tests.app.pages import SHOTS, choose, open_view, pane_names, wait_for_text
from tests.browser import wait_until_answered, wait_until_drawn

RUN = "tried_x4"
STEPS, EVERY = 400, 10


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(1280, 900)
    page.page_errors = []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    open_tab(page, address)
    yield page
    page.close()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind(address):
    yield
    for run in run_state.runs():
        if run.active:
            jobs.stop(run.name)
            state(run.name, "stopped", "finished")
        jobs.delete(run.name)


def open_tab(page, address: str) -> None:
    page.goto(address)
    show_view(page)


def show_view(page) -> None:
    open_view(page, "Runs")
    page.wait_for_selector("#train-start")


def fill(page, box: str, text: str) -> None:
    page.locator(f"#train-{box} input, #train-{box} textarea").first.fill(text)


def other_run(name: str) -> Path:
    """The folder of a run that a terminal started."""
    folder = runs_folder() / name
    folder.mkdir(parents=True)
    recipe = load_recipe("mini/edsr_tiny-scratch", [f"name={name.removesuffix('_x4')}"])
    (folder / "recipe.yaml").write_text(recipe.dump())
    return folder


def state(name: str, *expected: str) -> run_state.Run:
    """Wait for one of these states of a run, as its folder tells it."""
    deadline = time.monotonic() + 400
    while (run := run_state.find(name)).state not in expected:
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
    return run


@contextmanager
def paused(name: str) -> Iterator[None]:
    process = psutil.Process(json.loads((run_state.find(name).folder / "status.json").read_text())["pid"])
    process.suspend()
    try:
        yield
    finally:
        process.resume()


POINTS = """() => {
  const plot = document.querySelector('#train-plot .js-plotly-plot');
  return plot?.data?.find((trace) => trace.name === 'This run')?.x.length ?? 0;
}"""


def points(page) -> int:
    """How many points the curve of the validation images has on the page."""
    return page.evaluate(POINTS)


def wait_for_points(page, more_than: int) -> int:
    page.wait_for_function(f"number => ({POINTS})() > number", arg=more_than, timeout=240_000)
    return points(page)


def alert(page, place: str) -> str:
    """What is wrong, said where the result would stand."""
    page.locator(f"#train-{place} [role=alert]").wait_for(timeout=180_000)
    return page.inner_text(f"#train-{place}")


@pytest.mark.sweep
def test_a_training_is_started_watched_reloaded_stopped_and_resumed(page, address):
    """The recipe that the form opens with, short, on small patches; another run was shown before."""
    other_run("other_x4")
    open_tab(page, address)
    wait_for_text(page, "#train-state", "other")
    fill(page, "name", "tried")
    fill(page, "data", "")
    fill(page, "steps", str(STEPS))
    show_advanced(page)
    page.get_by_label("LR patch").fill("16")
    page.get_by_label("Batch").fill("4")
    fill(page, "more", f"validate_every={EVERY}")
    page.click("#train-start")
    first = wait_for_points(page, 3)
    second = wait_for_points(page, first)
    page.get_by_role("button", name="Loss terms").click()
    page.wait_for_function("document.querySelector('#train-losses .js-plotly-plot')?.data?.length")
    names = page.evaluate("document.querySelector('#train-losses .js-plotly-plot').data.map((trace) => trace.name)")
    assert {"alpha L_stu", "L_dis", "sum", "LL1", "LH1", "HL1", "HH1"} <= set(names)
    assert "running" in page.inner_text("#train-runs") and "left" in page.inner_text("#train-state")

    with paused(RUN):  # a fast computer would be at the end before the page is back
        open_tab(page, address)
        wait_for_points(page, second - 1)
    assert wait_for_points(page, points(page)) > second
    page.click("#train-stop")
    wait_for_text(page, "#train-state", "stopped")
    stopped = state(RUN, "stopped")
    assert 0 < stopped.iteration < STEPS
    assert f"step {stopped.iteration} of {STEPS}" in page.inner_text("#train-state")

    fill(page, "name", "tried")
    page.click("#train-start")
    assert "un tried_x4 exists; resume it" in alert(page, "problem")
    page.click("#train-resume")
    wait_for_text(page, "#train-state", "preparing")
    state(RUN, "finished")
    wait_for_text(page, "#train-state", "finished")
    assert points(page) == STEPS // EVERY
    assert f"{run_state.find(RUN).psnr:.2f} dB" in page.inner_text("#train-state")
    assert page.locator("#train-sample img").is_visible()
    page.screenshot(path=SHOTS / "train-1280.png", full_page=True)
    assert page.page_errors == []


@pytest.mark.sweep
def test_the_result_opens_in_compare(page):
    page.click("#train-open")
    page.locator("#viewer .mv-canvas[data-name='tried']").wait_for(timeout=180_000)
    assert pane_names(page)[:2] == ["ground truth", "tried"]
    assert page.get_by_role("tab", name="Compare").get_attribute("aria-selected") == "true"


def show_advanced(page) -> None:
    """Open the view, and in it the part with the config."""
    show_view(page)
    if not page.locator("#train-resolved").is_visible():
        page.get_by_role("button", name="Advanced and full config").click()
        page.locator("#train-resolved").wait_for()
        wait_until_answered(page)  # what has just opened is in its place, and keeps what is typed
        wait_until_drawn(page)


def test_start_is_in_sight(page, address):
    """With few fields above it, on a small screen."""
    open_tab(page, address)
    page.set_viewport_size({"width": 1280, "height": 720})
    box = page.locator("#train-start").bounding_box()
    assert box["y"] + box["height"] <= 720
    assert page.locator("#train-form input:visible, #train-form textarea:visible").count() <= 10
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_form_that_cannot_be_trained_says_why_before_the_start(page):
    show_advanced(page)
    wait_for_text(page, "#train-resolved", "stage: distill")
    fill(page, "more", "emma=0.9")
    wait_for_text(page, "#train-problem", "did you mean 'ema'")
    fill(page, "more", "seed=77")  # a key near the beginning: what lies far below the window is not drawn
    wait_for_text(page, "#train-resolved", "seed: 77")
    assert page.inner_text("#train-problem") == ""
    fill(page, "name", "edsr_tiny-mtkd")
    page.click("#train-start")
    assert "bundled model for scale 4" in alert(page, "problem")
    fill(page, "data", "/nowhere")
    wait_for_text(page, "#train-problem", "no folder '/nowhere'")
    page.click("#train-start")
    assert "o folder '/nowhere'" in alert(page, "problem")
    assert page.locator(".toast-body").count() == 0
    page.screenshot(path=SHOTS / "train-form.png", full_page=True)
    fill(page, "data", "")


def test_each_stage_and_size_has_its_recipes(page):
    show_advanced(page)
    page.locator("#train-stage").get_by_label("Combined teacher", exact=True).check()
    wait_for_text(page, "#train-resolved", "stage: aggregate")
    choose(page, "#train-plan", "small")
    wait_for_text(page, "#train-resolved", "network: aggregator\n")
    choose(page, "#train-plan", "paper")
    page.locator("#train-stage").get_by_label("Teacher", exact=True).check()
    wait_for_text(page, "#train-problem", "no recipe of this stage and plan")
    choose(page, "#train-plan", "mini")
    wait_for_text(page, "#train-resolved", "iterations: 10000")
    wait_for_text(page, "#train-resolved", "name: edsr_mini-mine")


@pytest.mark.sweep
def test_the_last_of_several_quick_choices_counts(page):
    """All of them come before the first answer."""
    show_advanced(page)
    page.evaluate(
        """() => {
          window.straight = window.fetch;
          window.fetch = async (...request) => {
            await new Promise((resolve) => setTimeout(resolve, 1000));
            return window.straight(...request);
          };
        }"""
    )
    for plan, stage in (("small", "Combined teacher"), ("mini", "Student")):
        choose(page, "#train-plan", plan)
        page.locator("#train-stage").get_by_label(stage, exact=True).check()
    wait_for_text(page, "#train-resolved", "network: edsr_tiny")
    page.evaluate("window.fetch = window.straight")


@pytest.mark.sweep
def test_a_choice_that_empties_the_list_of_recipes_is_told_whatever_arrives_first(page):
    page.evaluate(
        """() => {
          let number = 0;
          window.fetch = async (...request) => {
            await new Promise((resolve) => setTimeout(resolve, (137 * ++number) % 400));
            return window.straight(...request);
          };
        }"""
    )
    for _ in range(2):
        choose(page, "#train-plan", "mini")
        page.locator("#train-stage").get_by_label("Combined teacher", exact=True).check()
        wait_for_text(page, "#train-resolved", "stage: aggregate")
        choose(page, "#train-plan", "paper")
        page.locator("#train-stage").get_by_label("Teacher", exact=True).check()
        wait_for_text(page, "#train-problem", "no recipe of this stage and plan")
    page.evaluate("window.fetch = window.straight")
    page.fill("#train-recipe input", "mini/edsr_tony")
    page.keyboard.press("Enter")
    wait_for_text(page, "#train-problem", "edsr_tony")
    choose(page, "#train-plan", "mini")
    page.locator("#train-stage").get_by_label("Student", exact=True).check()
    wait_for_text(page, "#train-resolved", "network: edsr_tiny")
    assert page.page_errors == []


@pytest.mark.sweep
def test_a_run_is_deleted_only_when_that_is_confirmed(page):
    page.click("#train-delete")
    page.get_by_role("button", name="Keep run").click()
    page.locator("#train-yes").wait_for(state="hidden")
    assert run_state.find(RUN).state == "finished"
    page.click("#train-delete")
    page.click("#train-yes")
    wait_for_text(page, "#train-state", "other")
    assert [run.name for run in run_state.runs()] == ["other_x4"]
    page.locator("#models .token", has_text="tried").wait_for(state="detached")
    page.click("#train-delete")
    page.click("#train-yes")
    page.locator("#train-nothing").wait_for(state="visible")
    assert page.page_errors == []


@pytest.mark.sweep
def test_the_page_asks_only_while_the_tab_is_open_and_a_run_active(browser, address):
    page = browser.new_page(1280, 900)
    page.clock.install()
    folder = other_run("elsewhere_x4")
    questions: list[str] = []  # about the run; the first comparison of the page asks other things meanwhile
    page.on("request", lambda request: questions.append(request.url) if about_the_run(request) else None)

    def about_the_run(request) -> bool:
        return "queue/join" in request.url and "elsewhere_x4" in (request.post_data or "")

    def asked() -> bool:
        """Whether the page asks when more time than between two questions has passed."""
        before = len(questions)
        page.clock.run_for(3 * 1500)
        wait_until_drawn(page)
        return len(questions) > before

    def falls_silent() -> bool:
        """Whether the page stops asking; a late answer may have it ask once more."""
        return any(not asked() and not asked() and not asked() for _ in range(5))

    with FileLock(folder / ".lock"):
        open_tab(page, address)
        wait_for_text(page, "#train-state", "running")
        assert any(asked() for _ in range(5))
        for leave, back in (("Models", "Runs"), ("Compare", "Train")):
            page.get_by_role("tab", name=leave).click()
            wait_until_answered(page)
            assert falls_silent()
            page.get_by_role("tab", name=back).click()
            wait_until_answered(page)
            assert any(asked() for _ in range(5))  # it begins again once the view is known to be seen
        page.click("#train-stop")
        page.locator("#train-message [role=alert]", has_text="not started here").wait_for()
    wait_for_text(page, "#train-state", "stopped")
    assert falls_silent()
    page.context.close()


def test_names_and_reasons_are_shown_as_text(page, address):
    """A damaged folder with markup for a name: in the list, harmless, and beside it the others."""
    folder = runs_folder() / "<img src=x onerror=alert(1)>"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("[<script>alert(2)</script>")
    open_tab(page, address)
    wait_for_text(page, "#train-state", "damaged")
    assert "<img src=x" in page.inner_text("#train-state") and "<img src=x" in page.inner_text("#train-runs")
    assert page.locator("#train-state img, #train-state script, #train-runs img").count() == 0
    assert page.locator("#train-resume").is_disabled() and page.locator("#train-delete").is_enabled()


def test_programs_can_do_the_same(address):
    client = Client(address, verbose=False)
    run = client.predict(
        "mini/edsr_tiny-scratch", 2, "by_client", 3, api_name="/train_start", more="lr_patch=8\nbatch=1"
    )
    assert (run["run"], run["steps"]) == ("by_client_x2", 3)
    assert state("by_client_x2", "finished").iteration == 3
    (told,) = (run for run in client.predict(api_name="/train_runs") if run["run"] == "by_client_x2")
    assert told["state"] == "finished"
    assert client.predict("by_client_x2", api_name="/train_curves")["loss"][0] == [1, 2, 3]
    assert "deleted" in client.predict("by_client_x2", api_name="/train_delete")


def test_served_to_others_it_is_off():
    with Pictures() as pictures:
        config = build(pictures, trusted=False).get_config_file()
    names = {str(event["api_name"]) for event in config["dependencies"]}
    assert "compare" in names and not any(name.startswith("train_") for name in names)
    texts = [str(component["props"].get("value")) for component in config["components"]]
    assert any("Training runs on the explorer" in text for text in texts) and "train-start" not in str(config)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (1280, "dark"), (1920, "light")])
def test_layout_does_not_break(browser, address, width, theme):
    name = f"shown-{width}-{theme}"
    other_run(f"{name}_x4")
    page = browser.new_page(1280, 1000)
    open_tab(page, f"{address}?__theme={theme}")
    page.set_viewport_size({"width": width, "height": 1000})
    wait_for_text(page, "#train-state", name)
    wait_until_drawn(page)
    page.screenshot(path=SHOTS / f"train-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.context.close()
