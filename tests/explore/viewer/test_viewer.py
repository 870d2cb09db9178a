"""The many-image viewer in a real browser, worked as a person would: wheel, drag, keys, layers, readout."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from mtkd.explore.viewer import gradio_parts, script
from tests.explore.viewer.page import EVIL, HEIGHT, IMAGES, PANES, START, WIDTH


def test_whole_image_is_shown_without_distortion(viewer):
    drawn = viewer.pixels("checkerboard")[..., 3] > 0
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(WIDTH / HEIGHT, rel=0.02)
    assert viewer.view == START


def test_all_panes_of_a_desktop_screen_are_visible_and_large(open_viewer):
    panes = [
        {"name": f"model {i}", "caption": "31.09 dB · 0.8801", "layers": {"image": "/first.png"}} for i in range(9)
    ]
    for width, height in ((1280, 800), (1920, 1080)):
        page = open_viewer(panes, width=width, height=height).page
        boxes = [box.bounding_box() for box in page.locator(".mv-pane").all()]
        columns = len({box["x"] for box in boxes})
        assert 3 <= columns <= 5
        assert max(box["y"] + box["height"] for box in boxes) <= height
        assert min(box["width"] for box in boxes) > 0.9 * width / 5
        labels = page.locator(".mv-name, .mv-caption, .mv-button")
        assert not any(labels.evaluate_all("(all) => all.map((e) => e.scrollWidth > e.clientWidth + 1)"))


def test_wheel_zooms_at_the_cursor_in_every_pane(viewer):
    place = (0.3, 0.6)
    before = viewer.pixels("LR")
    y, x = int(place[1] * before.shape[0]), int(place[0] * before.shape[1])
    viewer.wheel("edsr_mini", -1200, *place)
    after = viewer.pixels("LR")
    assert viewer.view["zoom"] == pytest.approx(np.exp(400 * 0.0015), rel=0.01)  # one turn is limited
    assert np.abs(after[y, x, :2].astype(int) - before[y, x, :2]).max() <= 1
    assert (viewer.pixels("edsr_mini")[..., :2] == after[..., :2]).all()


def test_panes_are_in_step_after_zoom_and_drag(viewer):
    for _ in range(3):
        viewer.wheel("LR", -300, 0.4, 0.4)
    start = viewer.view
    page = viewer.page
    page.mouse.move(*viewer.point("LR", 0.5, 0.5))
    page.mouse.down()
    page.mouse.move(*viewer.point("LR", 0.7, 0.4), steps=4)
    page.mouse.up()
    viewer.settle()
    moved = viewer.view
    assert moved["cx"] < start["cx"] and moved["cy"] > start["cy"] and moved["zoom"] == start["zoom"]
    first, second = viewer.pixels("LR"), viewer.pixels("edsr_mini")
    assert (first[..., :2] == second[..., :2]).all()
    assert set(np.unique(first[..., 2])) == {10} and set(np.unique(second[..., 2])) == {20}
    centre = first[first.shape[0] // 2, first.shape[1] // 2]
    assert centre[0] == pytest.approx(moved["cx"] * WIDTH, abs=1)
    assert centre[1] == pytest.approx(moved["cy"] * HEIGHT, abs=1)


def test_a_region_is_drawn_in_all_panes_and_told(viewer):
    """The colours under the corners say which pixels they are."""
    for _ in range(3):
        viewer.wheel("LR", -300)
    before = viewer.view
    shown = viewer.pixels("LR")
    corners = [(0.25, 0.4), (0.7, 0.8)]
    (left, top), (right, bottom) = (
        map(int, shown[int(y * shown.shape[0]), int(x * shown.shape[1]), :2]) for x, y in corners
    )
    page = viewer.page
    page.keyboard.down("Shift")
    page.mouse.move(*viewer.point("LR", *corners[0]))
    page.mouse.down()
    page.mouse.move(*viewer.point("LR", *corners[1]), steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    viewer.settle()
    y, x, height, width = viewer.view["region"]
    assert abs(y - top) <= 1 and abs(x - left) <= 1  # a canvas pixel may lie across an edge
    assert abs(y + height - 1 - bottom) <= 1 and abs(x + width - 1 - right) <= 1
    assert {k: v for k, v in viewer.view.items() if k != "region"} == {k: v for k, v in before.items() if k != "region"}
    boxes = page.locator(".mv-region")
    assert all(box.is_visible() for box in boxes.all()[:4])
    drawn = boxes.nth(1).bounding_box()
    stage = viewer.canvas("edsr_mini").bounding_box()
    assert (drawn["x"] - stage["x"]) / stage["width"] == pytest.approx(0.25, abs=0.03)
    assert (drawn["y"] + drawn["height"] - stage["y"]) / stage["height"] == pytest.approx(0.8, abs=0.03)
    region = [y, x, height, width]
    page.wait_for_function("region => String(views.at(-1)?.region) === String(region)", arg=region)
    page.locator("button:text-is('Fit')").click()
    assert viewer.view["zoom"] == 1 and viewer.view["region"] == region and boxes.first.is_visible()
    viewer.focus()
    viewer.key("Escape")
    assert viewer.view["region"] is None and not boxes.first.is_visible()


def test_region_tool_and_keyboard(viewer):
    viewer.page.locator("[aria-label^='Draw a region']").click()
    page = viewer.page
    page.mouse.move(*viewer.point("LR", 0.4, 0.4))
    page.mouse.down()
    page.mouse.move(*viewer.point("LR", 0.6, 0.6), steps=3)
    page.mouse.up()
    assert viewer.view["region"] is not None and viewer.view["zoom"] == 1
    viewer.focus()
    viewer.key("Enter")  # all that is seen
    assert viewer.view["region"] == [0, 0, HEIGHT, WIDTH]
    page.mouse.move(*viewer.point("LR", 0.4, 0.4))  # the tool is used up: this drag moves, and draws nothing
    page.mouse.down()
    page.mouse.move(*viewer.point("LR", 0.6, 0.6), steps=3)
    page.mouse.up()
    assert viewer.view["region"] == [0, 0, HEIGHT, WIDTH]


def test_after_fit_a_closer_look_is_where_the_last_one_was(viewer):
    viewer.page.evaluate("viewer.setView({zoom: 6, cx: 0.7, cy: 0.3})")
    viewer.settle()
    viewer.click("Fit")
    assert (viewer.view["zoom"], viewer.view["cx"]) == (1, 0.5)
    viewer.click("8×")
    assert (viewer.view["cx"], viewer.view["cy"]) == pytest.approx((0.7, 0.3))
    viewer.click("Fit")
    viewer.page.evaluate("viewer.setView({region: [90, 20, 20, 40]})")  # what was chosen last
    viewer.click("8×")
    assert (viewer.view["cx"], viewer.view["cy"]) == pytest.approx((40 / WIDTH, 100 / HEIGHT))


def test_a_link_to_the_whole_image_zooms_in_at_its_region(open_viewer):
    viewer = open_viewer(view={"region": [90, 20, 20, 40]})
    viewer.click("8×")
    assert (viewer.view["cx"], viewer.view["cy"]) == pytest.approx((40 / WIDTH, 100 / HEIGHT))


def test_the_region_by_numbers(viewer):
    """With the keyboard alone: the button, four numbers, Enter."""
    page = viewer.page
    page.get_by_role("button", name="Draw a region").focus()
    viewer.key("Enter")
    dialog = page.get_by_role("dialog", name="Region")
    fields = [dialog.get_by_label(name) for name in ("Top", "Left", "Height", "Width")]
    assert [field.input_value() for field in fields] == ["0", "0", str(HEIGHT), str(WIDTH)]
    for number in ("20", "30", "40", "50"):
        page.keyboard.type(number)  # in place of the one that was there
        page.keyboard.press("Tab")
    assert [field.input_value() for field in fields] == ["20", "30", "40", "50"]
    fields[3].press("Enter")
    assert viewer.view["region"] == [20, 30, 40, 50] and not dialog.is_visible()
    assert page.evaluate("document.activeElement.innerText") == "Region"
    viewer.key("Enter")
    for field, number in zip(fields, (140, 10, 10, 200), strict=True):
        field.fill(str(number))
    fields[0].press("Enter")
    assert viewer.view["region"] == [140, 10, 10, 190]  # cut at the edge
    viewer.key("Enter")
    viewer.key("Escape")
    assert not dialog.is_visible() and viewer.view["region"] == [140, 10, 10, 190]
    viewer.key("Enter")
    dialog.get_by_role("button", name="Remove").click()
    assert viewer.view["region"] is None and not dialog.is_visible()


def test_a_click_places_the_window(open_viewer):
    viewer = open_viewer(pick=16)
    for _ in range(3):
        viewer.wheel("LR", -300)
    shown = viewer.pixels("LR")
    x, y = map(int, shown[shown.shape[0] // 3, shown.shape[1] // 3, :2])
    viewer.page.mouse.click(*viewer.point("edsr_mini", 1 / 3, 1 / 3))
    top, left, height, width = viewer.view["region"]
    assert (height, width) == (16, 16)
    assert abs(top + 8 - y) <= 1 and abs(left + 8 - x) <= 1
    viewer.page.mouse.move(*viewer.point("LR", 0.4, 0.4))  # a drag moves the image, the window stays
    viewer.page.mouse.down()
    viewer.page.mouse.move(*viewer.point("LR", 0.6, 0.6), steps=3)
    viewer.page.mouse.up()
    assert viewer.view["region"] == [top, left, 16, 16]
    viewer.focus()
    for _ in range(60):
        viewer.key("ArrowLeft")
    viewer.page.mouse.click(*viewer.point("LR", 0.01, 0.5))  # at the edge it is moved inside
    assert viewer.view["region"][1] == 0
    viewer.key("Enter")
    assert viewer.view["region"][1] > 0


def test_limits_of_zoom_and_place(viewer):
    for _ in range(12):
        viewer.wheel("LR", -400, 0.01, 0.01)
    shown = viewer.pixels("LR")
    runs = np.diff(np.flatnonzero(np.diff(shown[shown.shape[0] // 2, :, 0].astype(int))))
    assert set(runs) == {64}
    for _ in range(14):
        viewer.wheel("LR", 400)
    assert viewer.view["zoom"] == 1 and viewer.view["cx"] == 0.5
    viewer.click("8×")
    viewer.focus()
    for _ in range(40):
        viewer.key("ArrowLeft")
    assert viewer.pixels("LR")[5, 0, 0] == 0  # the edge of the image is where moving ends


@pytest.mark.parametrize("scale", [1.5, *(pytest.param(scale, marks=pytest.mark.sweep) for scale in (1, 2))])
def test_magnified_pixels_have_only_colours_of_the_file(open_viewer, scale):
    viewer = open_viewer(scale=scale)
    canvas = viewer.canvas("checkerboard")
    assert canvas.evaluate("(c) => c.width") == pytest.approx(canvas.bounding_box()["width"] * scale, abs=1)
    for press in (lambda: viewer.click("4×"), lambda: viewer.wheel("LR", -137, 0.37, 0.71)):
        press()
        colours = np.unique(viewer.pixels("checkerboard").reshape(-1, 4), axis=0)
        drawn = colours[colours[:, 3] > 0]
        assert drawn.tolist() == [[10, 240, 130, 255], [250, 10, 20, 255]]


def test_zoom_buttons_count_screen_pixels(viewer):
    for label, factor in (("2×", 2), ("4×", 4), ("8×", 8)):
        viewer.click(label)
        row = viewer.pixels("LR")[100, :, 0].astype(int)
        assert set(np.diff(np.flatnonzero(np.diff(row)))) == {factor}
        assert viewer.page.locator(".mv-button[data-scale][aria-pressed=true]").inner_text() == label
    viewer.click("1:1")
    data = viewer.pixels("checkerboard")
    rows, columns = np.flatnonzero(data[..., 3].any(1)), np.flatnonzero(data[..., 3].any(0))
    exact = data[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]
    assert (exact == IMAGES["checkerboard"]).all()
    viewer.click("Fit")
    assert viewer.view["zoom"] == 1


def test_double_click_shows_the_whole_image(viewer):
    viewer.click("8×")
    viewer.page.mouse.dblclick(*viewer.point("noise"))
    viewer.settle()
    assert viewer.view["zoom"] == 1


def test_number_keys_show_one_image_at_the_same_place(viewer):
    for _ in range(2):
        viewer.wheel("LR", -300, 0.6, 0.3)
    view = viewer.view
    small = viewer.canvas("edsr_mini").bounding_box()
    viewer.focus()
    viewer.key("2")
    assert viewer.page.locator(".mv-canvas:visible").count() == 1
    assert viewer.canvas("edsr_mini").bounding_box()["width"] > 2 * small["width"]
    assert viewer.view == {**view, "mode": "flicker", "focus": "edsr_mini"}
    second = viewer.pixels("edsr_mini")
    viewer.key("1")
    first = viewer.pixels("LR")
    assert viewer.view["focus"] == "LR"
    assert (first[..., :2] == second[..., :2]).all()
    viewer.key("9")  # no such image
    assert viewer.view["focus"] == "LR"
    viewer.key("Escape")
    assert viewer.page.locator(".mv-canvas:visible").count() == len(PANES)
    assert viewer.view == view
    viewer.page.locator(".mv-key").nth(2).click()
    assert viewer.view["focus"] == "checkerboard"
    viewer.page.locator(".mv-chips .mv-button").first.click()
    assert viewer.view["focus"] == "LR"
    viewer.key("]")
    assert viewer.view["focus"] == "edsr_mini"
    viewer.key("[")
    viewer.key("[")  # around the beginning, also where there are more than nine
    assert viewer.view["focus"] == "lost"
    viewer.click("Grid")
    assert viewer.view == view


def test_keyboard_moves_and_zooms(viewer):
    viewer.page.keyboard.press("Tab")
    assert viewer.page.evaluate("document.activeElement.id") == "root"
    assert viewer.page.evaluate("getComputedStyle(document.activeElement).boxShadow") != "none"
    for _ in range(8):
        viewer.key("+")
    assert viewer.view["zoom"] == pytest.approx(1.25**8)
    viewer.key("ArrowRight")
    viewer.key("ArrowUp")
    assert viewer.view["cx"] > 0.5 > viewer.view["cy"]
    viewer.key("-")
    assert viewer.view["zoom"] == pytest.approx(1.25**7)
    viewer.key("f")
    viewer.page.wait_for_function("document.fullscreenElement?.id === 'root'")
    viewer.key("f")
    viewer.page.wait_for_function("!document.fullscreenElement")


def test_pixel_readout_is_the_pixel_of_the_file(viewer):
    viewer.click("8×")
    for fx, fy in ((0.31, 0.42), (0.77, 0.9), (0.013, 0.5)):
        viewer.page.mouse.move(*viewer.point("noise", fx, fy))
        viewer.settle()
        status = viewer.page.locator(".mv-status").inner_text().split()
        x, y = int(status[status.index("x") + 1]), int(status[status.index("y") + 1])
        shown = viewer.page.locator(".mv-value").all_inner_texts()
        for index, name in ((0, "first"), (1, "second"), (2, "checkerboard"), (3, "noise")):
            assert shown[index] == " ".join(map(str, IMAGES[name][y, x]))
        canvas = viewer.pixels("LR")  # and the pixel is the one drawn under the mouse
        assert canvas[int(fy * canvas.shape[0]), int(fx * canvas.shape[1]), :2].tolist() == [x, y]
        assert f"LR {x // 4}, {y // 4}" in " ".join(status)
        assert viewer.page.locator(".mv-cross:not([hidden])").count() == len(PANES) - 1
    viewer.page.mouse.move(1, 1)
    viewer.settle()
    assert viewer.page.locator(".mv-cross:not([hidden])").count() == 0
    assert set(viewer.page.locator(".mv-value").all_inner_texts()) == {""}


def test_layers_and_panes_without_them(viewer):
    viewer.page.locator('.mv-button[data-layer="error"]').click()
    viewer.wait_loaded()
    assert viewer.view["layer"] == "error"
    viewer.click("2×")
    data = viewer.pixels("edsr_mini")
    assert set(np.unique(data[data[..., 3] > 0, 2])) == {225}  # 255 - 30: the error picture
    notes = viewer.page.locator(".mv-note:visible").all_inner_texts()
    assert sorted(notes) == ["Not available for the LR image", *["Not available: Error"] * 3,
                             "This image could not be loaded"]  # fmt: skip
    assert viewer.page.locator(".mv-dimmed").count() == 4


def test_the_focus_stays_while_answers_come(viewer):
    """An answer that brings more layers or panes leaves the button alone that a person has reached."""
    page = viewer.page
    told = "document.activeElement.dataset.layer ?? document.activeElement.dataset.pane"
    page.locator('.mv-button[data-layer="error"]').focus()
    more = [{**PANES[0], "layers": {"image": "/first.png", "map": "/second.png", "error": "/error.png"}}, *PANES[1:]]
    for panes in (PANES, more, PANES[:2], more):
        page.evaluate("panes => viewer.update(panes)", panes)
        assert page.evaluate(told) == "error"
    shown = page.locator(".mv-layers .mv-button").evaluate_all("all => all.map((one) => one.dataset.layer)")
    assert [name for name in shown if name in ("map", "error")] == ["map", "error"]  # in the order of the panes
    page.evaluate("panes => viewer.update(panes)", [PANES[2]])  # it has no errors
    assert page.evaluate("document.activeElement.id") == "root"
    page.evaluate("panes => viewer.update(panes)", more)
    page.evaluate("viewer.setView({mode: 'flicker'})")
    page.locator('.mv-button[data-pane="LR"]').focus()
    page.evaluate("panes => viewer.update(panes)", more[:3])
    assert page.evaluate(told) == "LR"
    assert page.locator(".mv-chips .mv-button").all_inner_texts() == ["1LR", "2edsr_mini", "3checkerboard"]


def test_names_are_text_and_links_are_harmless(viewer):
    page = viewer.page
    assert page.locator(".mv-name").nth(4).inner_text() == EVIL
    assert page.locator(".mv-caption").nth(4).inner_text() == EVIL
    assert page.locator("#root img").count() == 0
    assert page.evaluate("window.hacked") is None
    links = page.locator(".mv-download")
    assert [link.is_visible() for link in links.all()] == [False, True, False, False, False, False]
    assert links.nth(3).get_attribute("href") is None
    with page.expect_download() as download:
        links.nth(1).click()
    assert download.value.suggested_filename == "edsr.png"


def test_new_panes_keep_the_place_and_a_new_size_resets_it(viewer):
    viewer.wheel("LR", -300, 0.3, 0.3)
    view = viewer.view
    update = "(panes) => viewer.update(panes)"
    viewer.page.evaluate(update, [{"name": "other", "layers": {"image": "/second.png"}}])
    viewer.wait_loaded()
    assert viewer.view == view
    assert viewer.page.locator(".mv-pane").count() == 1
    viewer.page.evaluate(update, [{"name": "other", "layers": {"image": "/other_size.png"}}])
    viewer.wait_loaded()
    assert viewer.view["zoom"] == 1 and viewer.view["cx"] == 0.5


def test_images_of_another_size_cover_the_same_area(open_viewer):
    viewer = open_viewer([PANES[0], {"name": "edsr_mini", "layers": {"image": "/small.png"}}])
    viewer.click("4×")
    large, small = viewer.pixels("LR").astype(int), viewer.pixels("edsr_mini").astype(int)
    assert np.abs(large[..., :2] // 2 - small[..., :2]).max() <= 1


def test_empty_viewer_says_so(open_viewer):
    viewer = open_viewer([])
    assert viewer.page.locator(".mv-empty").inner_text() == "Nothing to show yet"
    viewer.page.evaluate("(panes) => viewer.update(panes)", PANES)
    viewer.wait_loaded()
    assert not viewer.page.locator(".mv-empty").is_visible()
    viewer.page.evaluate("viewer.update(null)")
    assert viewer.page.locator(".mv-empty").is_visible()


def test_views_are_reported_at_rest_and_can_be_set(open_viewer):
    wanted = {"zoom": 3, "cx": 0.4, "cy": 0.6, "layer": "error", "focus": "edsr_mini", "region": [20, 30, 40, 50]}
    viewer = open_viewer(PANES, view=wanted, reference="noise")
    wanted |= {"mode": "flicker", "pair": None, "baseline": None, "gain": 1}  # a view of before there were modes
    assert viewer.view == wanted
    assert viewer.page.evaluate("views") == []  # nobody moved yet
    viewer.page.evaluate("viewer.setView({focus: null, zoom: 2, cx: null, layer: 7, mode: 'x', pair: ['noise']})")
    assert viewer.view == {**wanted, "mode": "grid", "focus": None, "zoom": 2}
    viewer.page.evaluate("viewer.setView({mode: 'swipe', pair: ['noise', 'gone'], focus: 'noise'})")
    assert viewer.view == {**wanted, "mode": "swipe", "focus": None, "zoom": 2}
    viewer.page.evaluate("viewer.setView({focus: 'gone'})")
    assert viewer.view["mode"] == "grid"
    turn = "(c) => c.dispatchEvent(new WheelEvent('wheel', {deltaY: -50, bubbles: true, cancelable: true}))"
    viewer.canvas("LR").evaluate(f"(c) => {{ for (let i = 0; i < 3; i++) ({turn})(c); }}")
    viewer.page.wait_for_function("() => views.length > 0")
    viewer.page.wait_for_timeout(200)
    assert viewer.page.evaluate("views") == [viewer.view]
    viewer.page.evaluate("viewer.destroy()")
    assert viewer.page.locator("#root *").count() == 0


def test_two_fingers_zoom_around_their_middle(open_viewer):
    viewer = open_viewer()
    pointer = """([type, id, x, y]) => document.elementFromPoint(x, y).dispatchEvent(new PointerEvent(type,
      {pointerId: id, pointerType: "touch", clientX: x, clientY: y, button: 0, bubbles: true, cancelable: true}))"""
    # Made-up pointers cannot be captured.
    viewer.page.evaluate("Element.prototype.setPointerCapture = () => {}")
    x, y = viewer.point("LR")
    send = partial(viewer.page.evaluate, pointer)
    send(["pointerdown", 11, x - 20, y])
    send(["pointerdown", 12, x + 20, y])
    send(["pointermove", 11, x - 60, y])
    send(["pointermove", 12, x + 60, y])
    send(["pointerup", 11, x - 60, y])
    send(["pointerup", 12, x + 60, y])
    viewer.settle()
    assert viewer.view["zoom"] == pytest.approx(3)
    assert viewer.view["cx"] == pytest.approx(0.5, abs=0.02)


def test_resize_redraws_at_the_new_size(viewer):
    viewer.page.set_viewport_size({"width": 700, "height": 900})
    viewer.settle()
    canvas = viewer.canvas("LR")
    assert canvas.evaluate("(c) => c.width") == round(canvas.bounding_box()["width"])
    assert viewer.page.evaluate("document.documentElement.scrollWidth") <= 700


def test_nothing_leaves_the_machine(viewer, browser):
    assert browser.requests and browser.external_requests() == []


def test_gradio_gets_strings_it_does_not_misread():
    parts = gradio_parts()
    assert set(parts) == {"html_template", "css_template", "js_on_load", "options"}
    # Gradio reads the style as a Handlebars and JavaScript template.
    assert not any(sign in parts["css_template"] for sign in ("{{", "${", "\\", "`"))
    assert "export " not in parts["js_on_load"] and "import " not in parts["js_on_load"].replace("import.", "")
    assert "'select'" in parts["js_on_load"] or '"select"' in parts["js_on_load"]  # or gr.HTML knows no such event


def test_jupyter_widget_takes_the_same_value():
    pytest.importorskip("anywidget", reason="needs the extra `notebooks`")
    from mtkd.explore.viewer.widget import Viewer as Widget

    widget = Widget(panes=PANES, reference="noise")
    assert widget.get_state()["panes"] == PANES and widget.view == {}
    assert script() in str(Widget._esm)


def test_jupyter_widget_and_kernel_follow_each_other(browser, address):
    """The widget's script with a model that does what Jupyter's does."""
    pytest.importorskip("anywidget", reason="needs the extra `notebooks`")
    page = browser.new_page()
    page.goto(address)
    page.evaluate(
        """async (panes) => {
      const widget = (await import("/widget.js")).default;
      const state = { panes, view: {}, reference: null, columns: 2 }, handlers = [];
      window.model = {
        saved: 0, get: (name) => state[name], save_changes() { this.saved++; },
        set(name, value) { state[name] = value; for (const [on, f] of handlers) if (on === name) f(); },
        on(names, f) { for (const name of names.split(" ")) handlers.push([name.replace("change:", ""), f]); },
        off(names, f) { for (let i = handlers.length; i--;) if (handlers[i][1] === f) handlers.splice(i, 1); },
        handlers,
      };
      window.end = widget.render({ model, el: document.querySelector("#root") });
    }""",
        PANES,
    )
    page.wait_for_function("() => !document.querySelector('.mv-loading')")
    page.locator(".mv-button", has_text="4×").click()
    page.wait_for_function("() => model.saved === 1 && model.get('view').zoom > 1")
    page.evaluate("model.set('view', {zoom: 1, focus: 'noise'})")
    page.wait_for_function("() => JSON.parse(document.querySelector('.mv').dataset.view).focus === 'noise'")
    page.evaluate("(panes) => model.set('panes', panes)", PANES[:2])
    assert page.locator(".mv-pane").count() == 2
    page.evaluate("end()")
    assert page.evaluate("model.handlers.length") == 0 and page.locator(".mv-pane").count() == 0
    assert page.evaluate("model.saved") == 1  # what Python set is not sent back
    page.context.close()
