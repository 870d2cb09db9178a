"""The picture that "Copy image" puts on the clipboard."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mtkd.explore.draw import colours
from tests.explore.viewer.page import HEIGHT, IMAGES, NAMED, WIDTH

READ = """async () => {
  const [item] = await navigator.clipboard.read();
  const bytes = new Uint8Array(await (await item.getType("image/png")).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


def copied(viewer) -> np.ndarray:
    """What the clipboard holds after a click, (H, W, 3)."""
    viewer.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    viewer.page.get_by_role("button", name="Copy what is seen").click()
    viewer.page.wait_for_function("document.querySelector('.mv-live').innerText === 'Image copied'")
    picture = base64.b64decode(viewer.page.evaluate(READ))
    viewer.page.evaluate("document.querySelector('.mv-live').textContent = ''")
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def holds(picture: np.ndarray, part: np.ndarray, levels: int = 0) -> list[tuple[int, int]]:
    """Where a part lies in a picture, give or take so many levels: (top, left) of each place."""
    corner = np.abs(picture[: -len(part) + 1, : -part.shape[1] + 1] - part[0, 0]).max(-1) <= levels
    found = []
    for y, x in np.argwhere(corner):
        if np.abs(picture[y : y + part.shape[0], x : x + part.shape[1]] - part).max() <= levels:
            found.append((int(y), int(x)))
    return found


def test_what_is_seen_is_copied_with_names_and_source(named):
    named.click("1:1")
    bare = copied(named)
    for name in ("first", "second", "checkerboard"):  # at twice the size, for papers
        assert len(holds(bare, IMAGES[name].repeat(2, 0).repeat(2, 1))) == 1
    ((top, left),) = holds(bare, IMAGES["second"].repeat(2, 0).repeat(2, 1))
    assert (bare[0] == 255).all()
    name_and_caption = bare[:top, left : left + 2 * WIDTH].min(-1)
    assert (name_and_caption.min(1) < 140).sum() > 20  # two lines of writing
    options = {"reference": "truth", "source": "Portrait, ×4. mtkd 1.0"}
    named.page.evaluate("([panes, options]) => viewer.update(panes, options)", [NAMED[:3], options])
    sourced = copied(named)
    assert sourced.shape[0] == bare.shape[0] + 36 and sourced.shape[1] == bare.shape[1]
    assert (sourced[: len(bare) - 20] == bare[:-20]).all() and (sourced[-52:-16].min(-1) < 140).any()


def test_the_layer_is_copied_in_light_colours(open_viewer):
    viewer = open_viewer(NAMED[:3], reference="truth", theme="dark", view={"layer": "signed error"})
    viewer.click("1:1")
    before = viewer.pixels("mtkd")
    light = colours.signed_error_map(IMAGES["checkerboard"], IMAGES["first"])
    assert len(holds(copied(viewer), light.repeat(2, 0).repeat(2, 1).astype(int), 1)) == 1
    assert np.array_equal(viewer.pixels("mtkd"), before)  # the page is dark as it was
    middle = before[before.shape[0] // 2, before.shape[1] // 2, :3]
    assert np.abs(middle.astype(int) - light[HEIGHT // 2, WIDTH // 2]).max() > 1


@pytest.mark.parametrize("mode", ["swipe", "flicker"])
def test_one_large_picture_is_copied_without_the_ground_around_it(named, mode):
    named.page.evaluate("(mode) => viewer.setView({mode})", mode)
    named.click("1:1")
    picture = copied(named)
    assert picture.shape[1] == 2 * (WIDTH + 16)
    shown = IMAGES["second"].repeat(2, 0).repeat(2, 1)
    if mode == "flicker":
        assert len(holds(picture, shown)) == 1
    else:  # the divider is 2 pixels to each side
        assert len(holds(picture, shown[:, : WIDTH - 4])) == 1
        assert len(holds(picture, IMAGES["checkerboard"].repeat(2, 0).repeat(2, 1)[:, WIDTH + 4 :])) >= 1


def test_without_a_clipboard_the_image_is_downloaded(named):
    named.page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    with named.page.expect_download() as download:
        named.click("Copy image")
    assert download.value.suggested_filename == "comparison.png"
    assert Image.open(download.value.path()).size[0] > 3 * WIDTH
    assert named.page.locator(".mv-live").inner_text() == "Image downloaded"
