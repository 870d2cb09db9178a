"""Grid, swipe and flicker, panes on their way, the phone, the keyboard: in a real browser."""

from __future__ import annotations

import numpy as np

from tests.explore.viewer.page import HEIGHT, IMAGES, NAMED, START, WIDTH


def test_swipe_shows_two_images_at_the_same_place(named):
    named.click("2×")
    named.click("Swipe")
    page = named.page
    assert page.locator(".mv-canvas:visible").count() == 1
    assert page.locator(".mv-swipe .mv-name").all_inner_texts() == ["Student alone", "mtkd"]  # not the ground truth
    assert page.locator(".mv-swipe .mv-name").first.get_attribute("title") == "alone"
    named.click("2×")
    names = ("second", "checkerboard")

    def check(divider):
        shown = named.drawn()
        (height, width), edge = shown.shape[:2], round(divider * shown.shape[1])
        for half, name in ((slice(0, edge), names[0]), (slice(edge, None), names[1])):
            expected = np.zeros_like(shown)
            y, x = (height - 2 * HEIGHT) // 2, (width - 2 * WIDTH) // 2
            expected[y : y + 2 * HEIGHT, x : x + 2 * WIDTH, :3] = IMAGES[name].repeat(2, 0).repeat(2, 1)
            expected[y : y + 2 * HEIGHT, x : x + 2 * WIDTH, 3] = 255
            assert np.array_equal(shown[:, half], expected[:, half])

    check(0.5)
    handle = page.get_by_role("slider")
    assert handle.get_attribute("aria-label") == "Divider between Student alone and mtkd"
    box = page.locator(".mv-canvas:visible").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 60, steps=3)
    page.mouse.up()
    assert handle.get_attribute("aria-valuenow") == "60"
    handle.focus()
    for key, value in (("ArrowLeft", "59"), ("PageDown", "49"), ("End", "100"), ("ArrowRight", "100"), ("Home", "0")):
        named.key(key)
        assert handle.get_attribute("aria-valuenow") == value
    check(0)
    before = named.view
    named.wheel_over(box)
    assert named.view["zoom"] > before["zoom"] and named.view["mode"] == "swipe"
    page.get_by_label("Left image").select_option("mtkd")  # the right one already: they change places
    assert named.view["pair"] == ["mtkd", "alone"]
    page.get_by_label("Right image").select_option("truth")
    assert page.locator(".mv-swipe .mv-name").all_inner_texts() == ["mtkd", "Ground truth"]
    page.wait_for_function("() => views.at(-1)?.mode === 'swipe' && String(views.at(-1).pair) === 'mtkd,truth'")


def test_the_space_bar_flickers_between_the_two(named):
    named.focus()
    seen = []
    for key in (" ", " ", " ", "1", " ", "0", "s", "Escape"):
        named.key(key)
        seen.append(named.view["focus"] or named.view["mode"])
    assert seen == ["alone", "mtkd", "alone", "truth", "alone", "grid", "swipe", "grid"]
    named.click("Flicker")
    assert named.page.locator(".mv-name:visible").all_inner_texts() == ["Student alone"]
    assert named.page.locator(".mv-live").inner_text() == "Student alone, 29 dB"
    named.click("Flicker")  # again: the other one
    assert named.page.locator(".mv-caption:visible").all_inner_texts() == ["31 dB"]


def test_panes_fill_one_by_one_and_errors_are_told(open_viewer):
    waiting = {"name": "teacher", "layers": {}, "pending": "waiting"}
    viewer = open_viewer([NAMED[0]])
    viewer.page.evaluate("([panes]) => viewer.update(panes)", [[*NAMED, waiting]])
    viewer.page.wait_for_function("document.querySelectorAll('.mv-loading').length === 1")
    assert viewer.page.locator(".mv-note:visible").all_inner_texts() == ["Running…", "Waiting"]
    assert viewer.page.locator(".mv-name").nth(3).inner_text() == "Combined teacher"
    viewer.page.evaluate("([panes]) => viewer.update(panes)", [NAMED[:3]])
    viewer.wait_loaded()
    assert viewer.page.locator(".mv-note:visible").count() == 0
    options = {"error": "The photo is too large.", "empty": "Run a comparison first"}
    viewer.page.evaluate("([options]) => viewer.update([], options)", [options])
    assert viewer.page.get_by_role("alert").inner_text() == options["error"]
    assert viewer.page.locator(".mv-empty:visible").count() == 0
    viewer.page.evaluate("([options]) => viewer.update(null, options)", [{"empty": options["empty"]}])
    assert viewer.page.get_by_role("alert").count() == 0
    assert viewer.page.locator(".mv-empty").inner_text() == options["empty"]


def test_four_panes_fit_into_a_given_height(open_viewer):
    panes = [{"name": f"model {i}", "caption": "31.09 dB", "layers": {"image": "/first.png"}} for i in range(4)]
    viewer = open_viewer(panes, width=1280, height=720)
    viewer.page.evaluate("(panes) => viewer.update(panes, {height: 560})", panes)
    for mode in ("Grid", "Swipe", "Flicker"):
        viewer.click(mode)
        box = viewer.page.locator("#root").bounding_box()
        assert box["height"] <= 560
    viewer.click("Grid")
    assert len({box.bounding_box()["y"] for box in viewer.page.locator(".mv-pane").all()}) == 1


def test_a_phone_shows_one_pane_and_names_to_switch(open_viewer):
    viewer = open_viewer(NAMED[:3], width=390, height=800)
    page = viewer.page
    assert page.locator(".mv-canvas:visible").count() == 1
    assert page.locator(".mv-canvas:visible").bounding_box()["width"] > 360
    viewer.page.locator('[data-scale="4"]').click()
    place = viewer.view
    chip = page.locator(".mv-chips .mv-button", has_text="mtkd")
    assert chip.bounding_box()["y"] > page.locator(".mv-canvas:visible").bounding_box()["y"]
    chip.click()
    assert viewer.view == {**place, "mode": "flicker", "focus": "mtkd"}
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".mv-bar").bounding_box()["height"] < 90  # two lines
    for title in ("Show the whole image", "Keys and gestures (?)"):
        button = page.get_by_label(title).bounding_box()
        assert button["x"] + button["width"] <= 390


def test_the_dialog_holds_the_focus_and_tells_the_keys(viewer):
    viewer.focus()
    viewer.key("?")
    dialog = viewer.page.get_by_role("dialog")
    assert "Draw a region" in dialog.inner_text()
    viewer.key("2")
    assert viewer.view["mode"] == "grid"  # keys are the dialog's
    viewer.key("Escape")
    assert not dialog.is_visible() and viewer.view == START
    assert viewer.page.evaluate("document.activeElement.id") == "root"


def test_few_stops_of_the_tab_key(viewer):
    """The viewer, its bar, the buttons of the panes; the arrow keys move inside."""
    page = viewer.page
    stops = []
    for _ in range(4):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert stops[:3] == ["root", "mv-button", "mv-key"] and stops[3] not in ("mv-button", "mv-key", "mv-download")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    labels = []
    for key in ("ArrowRight", "ArrowRight", "End", "ArrowRight"):
        page.keyboard.press(key)
        labels.append(page.evaluate("document.activeElement.innerText"))
    assert labels == ["Swipe", "Flicker", "?", "Grid"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    assert viewer.view["mode"] == "swipe" and page.evaluate("document.activeElement.innerText") == "Swipe"
