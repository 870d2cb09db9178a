"""Two pictures under the losses, and the panes that show them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtkd import zoo
from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explore import compare
from mtkd.explore.inside.wavelet_plots import energy, losses_by_band
from mtkd.explore.inside.wavelets import Pair, choices, energy_table, picture
from mtkd.images import to_tensor
from mtkd.losses import WaveletLoss


@pytest.fixture(scope="module")
def comparison():
    photo = example("coffee").read()[40:104, 60:148]
    plain = np.full((64, 88, 3), 128, np.uint8)
    return compare(photo, ["bicubic", "edsr_tiny-mtkd"], 4, others={"grey": plain})


def test_pictures_are_the_networks_own_outputs(comparison):
    assert list(choices(comparison)) == ["bicubic", "edsr_tiny-mtkd", "grey", "ground truth"]
    expected = zoo.load("edsr_tiny-mtkd", 4)(to_tensor(comparison.lr_image))[0]
    assert torch.allclose(picture(comparison, "edsr_tiny-mtkd"), expected, atol=1e-6)
    assert (picture(comparison, "grey") == 128 / 255).all()
    with pytest.raises(UserError, match="unknown picture 'LR'"):
        picture(comparison, "LR")


@pytest.mark.parametrize(("levels", "wavelet"), [(1, "haar"), (3, "haar"), (2, "db2")])
def test_table_adds_up_to_the_loss_of_the_library(comparison, levels, wavelet):
    pair = Pair(comparison, "edsr_tiny-mtkd", "ground truth", levels, wavelet)
    rows = pair.table()
    loss = WaveletLoss(levels, wavelet)(pair.images[0][None], pair.images[1][None])
    assert len(rows) == 3 * levels + 2
    assert sum(row["contribution"] for row in rows[:-1]) == pytest.approx(float(loss), rel=1e-5)
    assert rows[-1]["contribution"] == pytest.approx(float(loss), rel=1e-5)
    assert sum(row["share"] for row in rows[:-1]) == pytest.approx(1)
    assert float(pair.map().sum()) == pytest.approx(pair.total("wavelet"), rel=1e-4)


def test_panes_have_the_images_size_and_layers(comparison):
    saved = {}
    pair = Pair(comparison, "edsr_tiny-mtkd", "ground truth", 2)
    panes = pair.panes(lambda name, image: saved.setdefault(name, image) is None or name)
    assert [pane["name"] for pane in panes][:3] == ["whole image", "where the loss comes from", "LL2"]
    assert all(list(pane["layers"]) == ["EDSR student, with MTKD", "Ground truth", "difference"] for pane in panes)
    assert {image.shape for image in saved.values()} == {(64, 88, 3)}
    low = saved["LL2 1"]  # a mean over blocks of 4 x 4 of the ground truth, shown as such
    mean = comparison.hr_image.reshape(16, 4, 22, 4, 3).mean((1, 3))
    assert abs(low[::4, ::4].astype(float) - mean).max() <= 0.51


def test_equal_pictures_have_no_loss(comparison):
    pair = Pair(comparison, "grey", "grey")
    assert pair.total("wavelet") == 0 and {row["share"] for row in pair.table()[:-1]} == {0.0}
    assert all(value == 0 for parts in pair.by_band().values() for value in parts.values())


def test_energy_is_relative_to_the_truth(comparison):
    reference, table = energy_table(comparison, 1, "haar")
    assert reference == "ground truth" and set(table) == {"bicubic", "edsr_tiny-mtkd", "grey"}
    assert table["bicubic"]["HH1"] < table["edsr_tiny-mtkd"]["HH1"] < 0  # blurred, less blurred
    assert table["grey"]["HH1"] < -100
    truth = comparison.hr_image / 255
    blocks = truth.reshape(32, 2, 44, 2, 3).sum((1, 3)) / 2
    assert table["grey"]["LL1"] == pytest.approx(
        10 * np.log10((2 * 128 / 255) ** 2 / np.square(blocks).mean()), abs=1e-4
    )


def test_figures_say_what_the_tables_say(comparison):
    pair = Pair(comparison, "edsr_tiny-mtkd", "ground truth")
    by_band = pair.by_band()
    figure = losses_by_band(by_band)
    assert [bar.name for bar in figure.data] == ["LL1", "LH1", "HL1", "HH1"]
    assert np.sum([bar.x for bar in figure.data], axis=0) == pytest.approx([100] * len(by_band))
    assert figure.data[0].x[list(by_band).index("v7")] == pytest.approx(0, abs=1e-4)  # it sees no LL
    bars = energy({"<b>evil</b>": {"LL1": 1.0}}, "ground truth").data[0]
    assert "<b>" not in bars.hovertemplate and "<b>" not in bars.name
