"""Figures for papers: places by brute force, files that open, texts that can be found in a PDF."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explore import compare
from mtkd.explore.comparison.paper_figures import (
    PRESETS,
    Row,
    attribution_figure,
    busiest_region,
    crops_figure,
    preset_images,
    render,
    save,
)
from mtkd.explore.comparison.region import Region


@pytest.fixture(scope="module")
def comparison():
    return compare(example("brick").read()[:96, :128], ["bicubic", "rcan_tiny-mtkd"], 4)


def test_busiest_region_by_brute_force():
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2))
    luma = np.array([65.481, 128.553, 24.966]) / 255
    error = ((first.astype(float) - second) @ luma) ** 2
    sums = {(y, x): error[y : y + 5, x : x + 7].sum() for y in range(16) for x in range(24)}
    found = busiest_region(first, 5, 7, second)
    assert (found.top, found.left) == max(sums, key=sums.get) and (found.height, found.width) == (5, 7)
    flat = np.full((40, 40, 3), 90, np.uint8)
    flat[20:24, 30:34] = 255
    spot = busiest_region(flat, 8, 8)
    assert spot.top <= 20 and spot.top + 8 >= 24 and spot.left <= 30 and spot.left + 8 >= 34
    assert busiest_region(flat, 100, 100) == Region(0, 0, 40, 40)


def test_figure_as_png_and_pdf(comparison, tmp_path):
    figure = crops_figure([Row(comparison, Region(8, 8, 24, 32), "brick")])
    picture = np.asarray(Image.open(io.BytesIO(render(figure))).convert("RGB")).astype(int)
    red = (abs(picture - [220, 40, 40]).max(-1) < 12).sum()
    assert red > 100  # the box
    text = b"".join(render(figure, "pdf").split())
    assert text.startswith(b"%PDF") and b"/Font" in text
    assert save(figure, tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(UserError, match="png or pdf"):
        save(figure, tmp_path / "a.jpg")


def test_figure_prints_the_regions_numbers(comparison):
    region = Region(8, 8, 24, 32)
    figure = crops_figure([Row(comparison, region)], ["bicubic", "ground truth"])
    labels = [axes.get_xlabel() for axes in figure.axes]
    psnr, ssim = comparison.quality_in(region)["bicubic"].values()
    assert labels[1:] == [f"Bicubic\n{psnr:.2f} / {ssim:.4f}", "Ground truth\nPSNR / SSIM"]
    shown = figure.axes[1].images[0].get_array()
    assert np.array_equal(shown, region.cut(comparison["bicubic"].image))


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [(0, (), "at least one image"), (1, ("nobody",), "unknown picture 'nobody'"), (2, (), "leaves the image")],
)
def test_bad_figures_are_told(comparison, rows, names, message):
    made = [Row(comparison, Region(0, 0, 16, 16))] if rows == 1 else []
    made = [Row(comparison, Region(90, 90, 16, 90))] if rows == 2 else made
    with pytest.raises(UserError, match=message):
        crops_figure(made, names)


def test_presets_stand_in_where_the_sets_are_absent(tmp_path, monkeypatch):
    monkeypatch.delenv("MTKD_DATA", raising=False)
    for preset in PRESETS.values():
        found = preset_images(preset, 4)
        assert len(found) == len(preset.images) and all("in place of" in name for name, _ in found)
    folder = tmp_path / "Urban100" / "image_SRF_4"
    folder.mkdir(parents=True)
    for number in ("012", "062"):
        for kind, side in (("HR", 32), ("LR", 8)):
            Image.new("RGB", (side, side), (int(number), 0, 0)).save(folder / f"img_{number}_SRF_4_{kind}.png")
    found = preset_images(PRESETS["fig2"], 4, tmp_path)
    assert [name for name, _ in found] == ["Urban100 012", "Urban100 062"]
    assert [image[0, 0, 0] for _, image in found] == [12, 62]


def test_attribution_figure_has_a_map_and_a_di_each():
    image, one = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16, 3), np.uint8)
    figure = attribution_figure(image[:4, :4], [("a", image, one, 6.25), ("b", image, one, None)], Region(2, 2, 4, 4))
    assert [axes.get_xlabel() for axes in figure.axes] == ["LR", "a", "DI 6.25", "b", "DI –"]
