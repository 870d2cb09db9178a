"""Pictures of every kind on the page: read as everywhere, the transparent ones on a checkerboard."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd.images import read_picture
from mtkd.networks.bicubic import Bicubic
from mtkd.photos import Enlarging, enlarged
from tests.app.pages import another_run, fetch, last_run, open_page, upload
from tests.photos.pictures import rgb_profile, save, smooth
from tests.photos.test_depth import png16
from tests.photos.test_transparency import logo

pytestmark = pytest.mark.sweep


def upscaling(browser, address):
    """A page that upscales by bicubic interpolation alone."""
    page = open_page(browser, address, "?models=bicubic", models=["bicubic"])
    before = last_run(page)
    page.get_by_label("Upscale my photo").check()
    page.locator("#image").wait_for()  # an example is nobody's photo: the person chooses one
    assert last_run(page) == before
    assert "Choose a photo of yours" in page.inner_text("#note")
    return page


def upscaled(page, path: Path) -> None:
    with another_run(page):
        upload(page, path)


def shown(page, address: str) -> dict[str, Image.Image]:
    """The pictures that can be saved, by the names of their files."""
    links = page.eval_on_selector_all(
        "#viewer a[download]", "all => all.map((link) => [link.getAttribute('download'), link.getAttribute('href')])"
    )
    return {name: Image.open(io.BytesIO(fetch(address, href))) for name, href in links if href}


def test_pictures_of_every_kind(browser, address, tmp_path):
    page = upscaling(browser, address)
    clear = save(tmp_path / "logo.png", logo(20, (250, 240, 20), (0, 0, 0), 64))
    upscaled(page, clear)
    picture = shown(page, address)["bicubic_x4.png"]
    expected = enlarged(Bicubic(4), read_picture(clear), 4, Enlarging(), torch.device("cpu"))
    assert picture.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(picture)[..., 3], expected.alpha)
    np.testing.assert_array_equal(np.asarray(picture)[..., :3], expected.colour)
    corner = page.evaluate(
        """() => {
          const canvas = document.querySelector("#viewer .mv-pane:not([hidden]) .mv-canvas");
          const [x, y] = [canvas.width / 2, canvas.height / 2].map(Math.round);
          const middle = [...canvas.getContext("2d").getImageData(x, y, 1, 1).data];
          const edge = [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
          const seen = new Set();
          for (let i = 0; i < edge.length; i += 4) seen.add(edge.slice(i, i + 4).join());
          return { middle, board: ["255,255,255,255", "204,204,204,255"].every((colour) => seen.has(colour)) };
        }"""
    )
    assert corner["board"] and np.abs(np.subtract(corner["middle"][:3], (250, 240, 20))).max() <= 2
    page.screenshot(path=str(tmp_path / "checkerboard.png"))

    wide = save(tmp_path / "wide.jpg", smooth(64, 64).astype(np.uint8), icc_profile=rgb_profile("Display P3"))
    (tmp_path / "deep.png").write_bytes(png16(smooth(64, 64, top=65535).astype(np.uint16), 2))
    grey = save(tmp_path / "grey.png", smooth(64, 64, 1)[..., 0].astype(np.uint8))
    for path in (wide, tmp_path / "deep.png", grey):
        upscaled(page, path)
        expected = enlarged(Bicubic(4), read_picture(path), 4, Enlarging(bits=8), torch.device("cpu"))
        found = np.asarray(shown(page, address)["bicubic_x4.png"]).astype(int)
        assert found.shape == (256, 256, 3) and np.abs(found - expected.colour).max() <= 1
    page.context.close()


def test_nothing_of_a_photo_but_its_pixels(browser, address, tmp_path):
    """What the page hands out tells neither camera nor place."""
    from tests.photos.test_metadata import photo

    page = upscaling(browser, address)
    upscaled(page, photo(tmp_path / "x.jpg", 0, dpi=(300, 300)))
    for picture in shown(page, address).values():
        picture.load()
        assert not dict(picture.getexif()) and not set(picture.info) & {"dpi", "exif", "icc_profile"}
    page.context.close()
