"""The layers that the browser makes, pixel by pixel against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from mtkd.explore.draw import colours
from mtkd.explore.viewer import script
from tests.explore.viewer.page import HEIGHT, IMAGES, WIDTH

PANES = [
    {"name": "LR", "layers": {"image": "/small.png"}, "scale": 2},
    {"name": "far", "title": "Student alone", "caption": "29 dB", "layers": {"image": "/far.png"}},
    {"name": "near", "title": "With MTKD", "caption": "31 dB", "layers": {"image": "/near.png"}},
    {"name": "truth", "title": "Ground truth", "layers": {"image": "/noise.png"}},
]
TRUTH, NEAR, FAR = (IMAGES[name] for name in ("noise", "near", "far"))


@pytest.fixture(scope="module")
def opened(open_viewer):
    """A viewer at 1:1, so that the canvas holds the layer's pixels, by theme."""

    def open_(theme="light"):
        viewer = open_viewer(PANES, reference="truth", theme=theme)
        viewer.click("1:1")
        return viewer

    return open_


def choose(viewer, layer, gain=1):
    viewer.page.locator(f'[data-layer="{layer}"]').click()
    viewer.page.locator(f'[data-gain="{gain}"]').click()
    viewer.wait_loaded()


def shown(viewer, name) -> np.ndarray:
    """The image's pixels on the canvas, (H, W, 3)."""
    canvas = viewer.pixels(name)
    y, x = (np.flatnonzero(canvas[..., 3].any(axis))[0] for axis in (1, 0))
    return canvas[y : y + HEIGHT, x : x + WIDTH, :3].astype(int)


def closer_by(image, baseline=FAR) -> np.ndarray:
    """Levels by which an image is closer to the ground truth, (H, W)."""
    error, before = (np.abs(one.astype(int) - TRUTH).mean(-1) for one in (image, baseline))
    return before - error


def test_errors_are_those_of_the_python_maps(opened):
    viewer = opened()
    for gain in (1, 4):
        choose(viewer, "error", gain)
        expected = colours.heat_map(np.abs(colours.luma_error(NEAR, TRUTH)) * gain / 32)
        assert np.abs(shown(viewer, "near") - expected).max() <= 1
        choose(viewer, "signed error", gain)
        expected = colours.diverging(colours.luma_error(NEAR, TRUTH) * gain / 32)
        assert np.abs(shown(viewer, "near") - expected).max() <= 1
    assert viewer.view["layer"] == "signed error" and viewer.view["gain"] == 4
    assert viewer.page.locator(".mv-scale").inner_text().split("\n") == ["darker by 8", "brighter by 8 luma levels"]
    notes = viewer.page.locator(".mv-note:visible").all_inner_texts()
    assert notes == ["Not available for the LR image", "This is the ground truth"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_closer_and_farther_differ_in_hue_and_lightness(opened, theme):
    viewer = opened(theme)
    choose(viewer, "closer", 2)
    by, found = closer_by(NEAR), shown(viewer, "near").astype(float)
    full = np.abs(by) >= 4  # 8 levels, twice magnified
    near, far = found[full & (by > 0)], found[full & (by < 0)]
    assert len(near) > 100 and len(far) > 100
    assert np.ptp(near, axis=0).max() == 0 == np.ptp(far, axis=0).max()  # one colour each
    near, far = near[0], far[0]
    assert near[2] > near[0] and far[0] > far[2]  # teal, orange
    weights = [0.299, 0.587, 0.114]
    assert abs(near @ weights - far @ weights) > 40
    grey = found[by == 0]
    assert np.ptp(grey, axis=1).max() == 0  # the ground truth, faded
    half = (by > 1.9) & (by < 2.1)
    strength = (by[half] / 4)[:, None]
    luma = colours.luma_error(TRUTH, np.zeros_like(TRUTH))[half][:, None]
    faint, span = (214, 38) if theme == "light" else (12, 46)
    middle = faint + span * luma / 219
    assert np.abs(found[half] - (middle + strength * (near - middle))).max() <= 1


def test_the_caption_counts_pixels_of_the_image_or_the_region(opened):
    viewer = opened()
    choose(viewer, "closer")
    captions = viewer.page.locator(".mv-caption")

    def told(part, where):
        return f"Closer on {(part > 0).mean():.0%} of {where}, farther on {(part < 0).mean():.0%}".replace("%", " %")

    assert captions.all_inner_texts() == ["", "29 dB", told(closer_by(NEAR), "pixels"), ""]
    viewer.page.evaluate("viewer.setView({region: [20, 30, 40, 50]})")
    viewer.settle()
    assert captions.nth(2).inner_text() == told(closer_by(NEAR)[20:60, 30:80], "the region")
    label = viewer.canvas("near").get_attribute("aria-label")
    assert label == f"With MTKD, {captions.nth(2).inner_text()}"


def test_any_pane_is_the_baseline(opened):
    viewer = opened()
    choose(viewer, "difference", 4)
    baseline = viewer.page.get_by_label("Baseline", exact=True)
    assert baseline.locator("option").all_inner_texts() == ["Student alone", "With MTKD", "Ground truth"]
    expected = colours.diverging(colours.luma_error(NEAR, FAR) * 4 / 12)
    assert np.abs(shown(viewer, "near") - expected).max() <= 1
    baseline.select_option("near")
    viewer.settle()
    assert np.abs(shown(viewer, "far") - colours.diverging(colours.luma_error(FAR, NEAR) * 4 / 12)).max() <= 1
    assert viewer.view["baseline"] == "near"
    baseline.select_option("truth")
    viewer.settle()
    assert np.abs(shown(viewer, "far") - colours.diverging(colours.luma_error(FAR, TRUTH) * 4 / 12)).max() <= 1
    viewer.page.locator('[data-layer="closer"]').click()  # than the ground truth nothing is
    assert baseline.locator("option").all_inner_texts() == ["Student alone", "With MTKD"]
    viewer.page.wait_for_function("() => views.at(-1)?.layer === 'closer' && views.at(-1).baseline === 'truth'")


def test_the_readout_is_the_layers_value(opened):
    viewer = opened()
    viewer.click("8×")
    choose(viewer, "closer")
    viewer.page.mouse.move(*viewer.point("near", 0.31, 0.42))
    viewer.settle()
    status = viewer.page.locator(".mv-status").inner_text().split()
    x, y = int(status[status.index("x") + 1]), int(status[status.index("y") + 1])
    value = viewer.page.locator(".mv-value").nth(2).inner_text()
    assert float(value.replace("−", "-")) == pytest.approx(closer_by(NEAR)[y, x], abs=0.051)
    choose(viewer, "error")
    viewer.page.mouse.move(*viewer.point("near", 0.31, 0.42))
    viewer.settle()
    value = viewer.page.locator(".mv-value").nth(2).inner_text()
    assert float(value) == pytest.approx(abs(colours.luma_error(NEAR, TRUTH)[y, x]), abs=0.051)


def test_layers_that_need_what_is_not_there_are_not_offered(opened):
    viewer = opened()

    def layers(panes, options):
        viewer.page.evaluate("([panes, options]) => viewer.update(panes, options)", [panes, options])
        return viewer.page.locator(".mv-bar [data-layer]").evaluate_all("all => all.map((b) => b.dataset.layer)")

    assert layers(PANES, {}) == ["image"]
    assert layers(PANES, {"baseline": "far"}) == ["image", "difference"]
    assert layers(PANES[2:], {"reference": "truth"}) == ["image", "error", "signed error"]
    assert layers(PANES, {"reference": "truth"}) == ["image", "closer", "error", "signed error", "difference"]
    pending = {"name": "far", "layers": {}, "pending": "waiting"}
    filling = [PANES[0], pending, *PANES[2:]]  # as many while they fill
    assert layers(filling, {"reference": "truth"}) == ["image", "closer", "error", "signed error", "difference"]


def test_other_sizes_are_told(opened):
    viewer = opened()
    panes = [*PANES[1:], {"name": "other", "layers": {"image": "/other_size.png"}}]
    viewer.page.evaluate("(panes) => viewer.update(panes, {reference: 'truth', view: {layer: 'error'}})", panes)
    viewer.wait_loaded()
    assert viewer.page.locator(".mv-note:visible").all_inner_texts() == ["This is the ground truth", "The sizes differ"]


LARGE = [
    {"name": "truth", "layers": {"image": "/large.png"}},
    *({"name": f"{i}", "layers": {"image": f"/large_{i}.png"}} for i in range(3)),
]
MAKE = """async (views) => {
  const Canvas = OffscreenCanvas, made = [], notes = [];
  window.OffscreenCanvas = class extends Canvas {
    constructor(w, h) { super(w, h); if (w * h > 1e6) made[made.length - 1]++; }
  };
  const busy = () => [...document.querySelectorAll('.mv-pane')].some((pane) => pane.matches(':has(.mv-loading)'));
  const turns = [];
  for (const view of views) {
    made.push(0);
    turns.push(0);
    viewer.setView(view);
    notes.push([...document.querySelectorAll('.mv-note')].some((note) => note.textContent === 'Computing…'));
    while (busy()) { turns[turns.length - 1]++; await new Promise((done) => setTimeout(done)); }
  }
  window.OffscreenCanvas = Canvas;
  return {made, notes, turns};
}"""


@pytest.fixture
def large(open_viewer):
    return open_viewer(LARGE, reference="truth").page


def test_a_large_photo_never_blocks_the_page_and_says_that_it_computes(large):
    result = large.evaluate(MAKE, [{"layer": "closer"}])
    assert result["notes"] == [True]  # told at once, before any of the three is ready
    assert result["turns"][0] >= 3  # whatever else there is to do has its turn meanwhile
    assert large.locator(".mv-note:visible").all_inner_texts() == ["This is the ground truth", "This is the baseline"]


def test_the_last_settings_are_kept_and_no_more_than_memory_allows(large):
    views = [{"layer": "error", "gain": gain} for gain in (1, 2, 1, 4, 8, 16)]
    views += [{"layer": "signed error", "gain": 16}, {"layer": "error", "gain": 16}, {"layer": "error", "gain": 1}]
    made = large.evaluate(MAKE, views)["made"]
    assert made == [3, 3, 0, 3, 3, 3, 3, 0, 3]  # 33 MB each: the first is forgotten after four others


def test_a_region_counts_its_pixels_after_another_layer(opened):
    viewer = opened()
    viewer.page.evaluate("viewer.setView({layer: 'closer', region: [20, 30, 40, 50]})")
    viewer.wait_loaded()
    first = viewer.page.locator(".mv-caption").nth(2).inner_text()
    viewer.page.evaluate("viewer.setView({layer: 'error'})")
    viewer.page.evaluate("viewer.setView({layer: 'closer', region: null})")
    viewer.settle()
    assert "of pixels" in viewer.page.locator(".mv-caption").nth(2).inner_text()
    viewer.page.evaluate("viewer.setView({region: [20, 30, 40, 50]})")
    viewer.settle()
    assert viewer.page.locator(".mv-caption").nth(2).inner_text() == first


@pytest.mark.parametrize("layer", ["error", "signed error", "difference", "closer"])
def test_a_layer_of_four_images_is_made_in_a_moment(open_viewer, layer):
    """512 x 512: 0.02 s on an idle machine; the limit is far from that, for one that is busy."""
    page = open_viewer(PANES).page
    shared = "Object.assign(window, {drawLayer, finish}); export function mount"
    source = script().replace("export function mount", shared)
    page.evaluate("(source) => import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})))", source)
    seconds = page.evaluate(
        """(layer) => {
      const noise = () => Uint16Array.from({length: 512 * 512}, () => Math.random() * 219 * 256);
      const numbers = {image: noise(), truth: noise(), baseline: noise(), against: noise()}, start = performance.now();
      for (let i = 0; i < 4; i++) finish(drawLayer(layer, numbers, 512, 512, 4, false));
      return (performance.now() - start) / 1000;
    }""",
        layer,
    )
    print(f"{layer}: {seconds:.3f} s")
    assert seconds < 1
