"""Every control of every view, used once as a person would, by mouse and by keyboard: something changes, and nothing is
refused; Tab and arrow keys lead to each, which has a name and shows the focus."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Error

from mtkd.data.examples import example
from tests.app import controls
from tests.app.controls import Happenings
from tests.app.pages import another_run, open_picture_panel, open_view, upload
from tests.app.test_accessibility import IDS, open_view_by_link
from tests.browser import wait_until_answered

EXCLUDED = {
    "#presets label:nth-child(n + 3)": "all networks there are, a minute: the presets before them stand for these",
    "#tour-start": "five views with all their models: test_tour.py",
    "#demo-start": "begins a training: test_quick_demo.py",
    "#train-start": "begins a training: test_train.py",
    ".selection-button": "Gradio's, there while a cell of a table is selected",
    "#lam-fig4": "a minute of computing: test_attribution.py",
}
"""What is not used here, and why."""
ALIKE = [".token-remove:not(.remove-all)"]
"""Of these, one stands for all."""
CHEAP = "bicubic,rcan_tiny-mtkd"
BAR = ["#bar", "#head", "#tabs > .tab-wrapper"]
"""What all views share: used with Compare, on a small photo."""
PICTURE = "Picture"
"""The panel that the picture's button opens."""
COPY_A_PICTURE = """() => {
  const canvas = new OffscreenCanvas(64, 64);
  canvas.getContext("2d").fillRect(0, 0, 64, 32);
  return canvas.convertToBlob().then((png) => navigator.clipboard.write([new ClipboardItem({ "image/png": png })]));
}"""
MOST = 200


def by_keyboard(*quick: str) -> list:
    """All views; those that are not ``quick`` are tried with the slow tests: the sweep has 25 minutes."""
    return [title if title in quick else pytest.param(title, marks=pytest.mark.slow) for title in (PICTURE, *IDS)]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """What a person has at hand: a small photo, a checkpoint that is none, a session that is none."""
    folder = tmp_path_factory.mktemp("files")
    photo, other, session = folder / "photo.png", folder / "network.pth", folder / "session.json"
    Image.fromarray(example("coffee").read()[:64, :96]).save(photo)
    other.write_text("no checkpoint")
    session.write_text("{}")
    return {".json": session, ".pth": other, "": photo}


def open_cheaply(browser, address: str, title: str, photo: Path):
    """A view, or the panel of the picture, with models and a picture that take no time."""
    page = open_view_by_link(browser, address, "Compare" if title == PICTURE else title, models=CHEAP)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(COPY_A_PICTURE)
    if title == "Compare":
        with another_run(page):
            upload(page, photo)
    roots = {PICTURE: ["#picture-panel"], "Compare": [*BAR, "view"]}.get(title, ["view"])
    controls.prepare(page, roots, EXCLUDED, ALIKE)
    come_back(page, title)
    return page


def come_back(page, title: str) -> None:
    """Close what lies over the page, and open again what a control closed."""
    page.evaluate("() => document.fullscreenElement && document.exitFullscreen()")  # by Esc, but not without a window
    if page.evaluate("() => mtkdControls.layered()") and not page.evaluate("() => mtkdControls.more()"):
        page.keyboard.press("Escape")
    if title == PICTURE:
        open_picture_panel(page)
    elif page.evaluate("() => mtkdControls.tab()") != IDS[title]:
        open_view(page, title)
    else:
        return
    controls.settle(page)


@pytest.mark.sweep
@pytest.mark.parametrize("title", [PICTURE, *IDS])
def test_every_control_changes_something(browser, address, title, files):
    try_all(browser, address, title, controls.use, files)


@pytest.mark.sweep
@pytest.mark.parametrize("title", by_keyboard(PICTURE))
def test_every_control_changes_something_by_keyboard(browser, address, title, files):
    try_all(browser, address, title, controls.use_by_keyboard, files)


def try_all(browser, address: str, title: str, use, files) -> None:
    """Use each control of a view once: something is seen to change, and nothing is refused."""
    page = open_cheaply(browser, address, title, files[""])
    happenings = Happenings(files=files)
    happenings.watch(page)
    dead: list[str] = []
    used: list[str] = []
    while (control := controls.unused(page)) and len(used) < MOST:
        used.append(str(control))
        before = controls.seen(page), happenings.count
        try:
            use(page, control)
        except Error as error:
            if not page.locator(f"[data-control='{control.key}']").count():  # an answer has come, and drawn it anew
                continue
            dead.append(f"{control}: {error.message.splitlines()[0]}")
        if not controls.changes(page, happenings, *before):
            dead.append(str(control))
        assert page.refused == [] and page.page_errors == [], control
        controls.unfold(page, control)
        come_back(page, title)
    assert len(used) < MOST
    assert dead == []
    page.context.close()


@pytest.mark.sweep
@pytest.mark.parametrize("title", by_keyboard(PICTURE, "Compare"))
def test_the_keyboard_reaches_every_control(browser, address, title, files):
    page = open_cheaply(browser, address, title, files[""])
    wait_until_answered(page)  # what a late answer draws would be missed
    stops = controls.walk(page)
    wait_until_answered(page)  # keys may have asked for something, which could be cancelled meanwhile
    reached = set(map(str, stops.values()))  # by what they are called: what is answered meanwhile is drawn anew
    missed = [str(one) for one in controls.every(page) if str(one) not in reached and one.kind != "option"]
    assert missed == []
    assert [str(stop) for stop in stops.values() if not stop.name] == []
    assert [str(stop) for stop in stops.values() if not stop.ring] == []
    page.context.close()


@pytest.mark.sweep
def test_esc_closes_what_is_open_and_the_focus_comes_back(browser, address):
    page = open_view_by_link(browser, address, "Compare", models=CHEAP)
    for opener, opened in (
        (page.get_by_label("Keys and gestures (?)").first, "dialog.mv-dialog"),
        (page.get_by_label("Draw a region (r), or enter its place").first, ".mv-popover"),
        (page.locator("#tour-start"), "#tour"),
    ):
        opener.focus()
        page.keyboard.press("Enter")
        page.locator(opened).first.wait_for()
        page.wait_for_function("opened => document.querySelector(opened).contains(document.activeElement)", arg=opened)
        page.keyboard.press("Escape")
        page.locator(opened).first.wait_for(state="hidden")
        page.wait_for_function("node => document.activeElement === node", arg=opener.element_handle())
    page.context.close()
