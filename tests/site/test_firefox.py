"""Four checks in Firefox: a report from disk, and the site: its numbers, its LR images, its networks."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from mtkd.data.examples import PICTURES, example
from mtkd.explore import compare
from mtkd.explore.report import Report
from mtkd.images import chw
from mtkd.metrics import psnr
from mtkd.resize import imresize
from tests.firefox import open_firefox
from tests.site.conftest import BYTES, GIVEN, data_of, expected

pytestmark = pytest.mark.sweep
PANES = "() => [...document.querySelectorAll('#viewer .mv-canvas')].map((canvas) => canvas.dataset.name)"
CELLS = """() => [...document.querySelectorAll('#table tbody tr')]
  .map((row) => [...row.children].map((cell) => cell.innerText))"""


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    with open_firefox(tmp_path_factory.mktemp("firefox")) as opened:
        yield opened
        assert opened.requests and opened.external_requests() == []


def made(firefox, code: str, *arguments: object) -> np.ndarray:
    """The ImageData that a piece of code of the site gives, (h, w, 3)."""
    width, height, data = firefox.evaluate(f"async (...given) => ({BYTES})(await ({code})(...given))", *arguments)
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


def test_a_report_opens_from_disk(firefox, tmp_path):
    """All panes are drawn, with the picture's own pixels, and move together."""
    image = example("coffee").read()[40:168, 30:190]
    with Report(tmp_path / "report.html") as report:
        report.add("cup", compare(image, ["bicubic", "rcan_tiny-mtkd"]))
    firefox.open((tmp_path / "report.html").as_uri())
    firefox.wait_for("() => document.querySelectorAll('#viewer .mv-canvas').length === 4")
    assert firefox.evaluate(PANES) == ["ground truth", "bicubic", "rcan_tiny-mtkd", "LR"]
    draw = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(
      [...document.querySelectorAll('#viewer .mv-canvas')].map((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.reduce((sum, value) => sum + value, 0) / data.length;
      })))))"""
    firefox.wait_for(f"async () => (await ({draw})()).every((mean) => mean > 20)")  # no empty canvas
    before = firefox.evaluate(draw)
    firefox.evaluate("""() => { const canvas = document.querySelector('#viewer .mv-canvas');
      canvas.focus(); canvas.dispatchEvent(new KeyboardEvent('keydown', { key: '+', bubbles: true })); }""")
    after = firefox.evaluate(draw)
    assert all(abs(a - b) > 0.01 for a, b in zip(before, after, strict=True))


def test_the_site_shows_what_the_command_measures(firefox, address):
    firefox.open(address, 390, 844)
    firefox.wait_for("() => document.body.dataset.ended")
    truth = PICTURES[0].read()
    truth = truth[: truth.shape[0] // 4 * 4, : truth.shape[1] // 4 * 4]
    lr = imresize(chw(truth), 1 / 4).permute(1, 2, 0).numpy()
    names = firefox.evaluate(PANES)[1:3]
    assert names == ["rcan_tiny-scratch", "rcan_tiny-mtkd"]
    for row, name in zip(firefox.evaluate(CELLS), names, strict=True):
        assert row[2] == f"{psnr(expected(name, lr), truth, 4):.2f}"
    assert firefox.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_lr_is_matlabs_bit_for_bit(firefox, address):
    firefox.open(address)
    image = np.random.default_rng(0).integers(0, 256, (63, 81, 3), dtype=np.uint8)
    code = f"async (...given) => (await import('./resize.js')).resize(({GIVEN})(...given), 1 / 4, true)"
    assert np.array_equal(made(firefox, code, *data_of(image)), imresize(chw(image), 1 / 4).permute(1, 2, 0).numpy())


def test_results_are_those_of_the_command(firefox, address):
    firefox.open(address)
    image = example("coffee").read()[:44, :70]
    code = f"async (...given) => (await import('./engine.js')).upscale('edsr_tiny-mtkd', 4, ({GIVEN})(...given))"
    found = made(firefox, code, *data_of(image)).astype(int)
    assert np.abs(found - expected("edsr_tiny-mtkd", image)).max() <= 1
