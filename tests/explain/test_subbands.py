"""Losses by subband and by pixel: against pywt, by hand, and against the losses themselves."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch

from mtkd.errors import UserError
from mtkd.explain.subbands import (
    energies,
    loss_by_band,
    loss_map,
    names,
    subbands,
    transform,
    wavelets,
)
from mtkd.explore.inside.losses import loss_of, losses
from mtkd.losses import WaveletLoss


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(3, 45, 38, generator=generator, dtype=torch.float64) for _ in range(2))
    return first, second


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior2.2"])
def test_bands_are_those_of_pywt(pair, wavelet, levels):
    found = transform(pair[0], levels, wavelet)
    low, *details = pywt.wavedec2(pair[0].numpy(), wavelet, mode="symmetric", level=levels)
    assert list(found) == names(levels)
    np.testing.assert_allclose(found[f"LL{levels}"], low, atol=1e-10)
    for level, triple in zip(range(levels, 0, -1), details, strict=True):
        for kind, band in zip(("LH", "HL", "HH"), triple, strict=True):
            np.testing.assert_allclose(found[f"{kind}{level}"], band, atol=1e-10)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("wavelet", wavelets())
def test_contributions_add_up_to_the_wavelet_loss(pair, wavelet, levels):
    bands = subbands(*pair, levels, wavelet)
    loss = WaveletLoss(levels, wavelet)(pair[0][None], pair[1][None])
    assert sum(band.contribution for band in bands) == pytest.approx(float(loss), abs=1e-12)
    for band in bands:  # Eq. 3, band by band
        mean = float(band.difference.abs().mean())
        assert band.contribution == pytest.approx(mean / (3 * levels + 1), abs=1e-12)


@pytest.mark.parametrize("loss", losses())
@pytest.mark.parametrize(("levels", "wavelet"), [(1, "haar"), (2, "haar"), (2, "db2"), (1, "bior4.4")])
def test_map_and_bands_add_up_to_every_loss(pair, loss, levels, wavelet):
    module = loss_of(loss, levels, wavelet)
    value = float(module(pair[0][None], pair[1][None]))
    assert float(loss_map(*pair, module).sum()) == pytest.approx(value, rel=1e-9)
    assert sum(loss_by_band(*pair, module, levels, wavelet).values()) == pytest.approx(value, rel=1e-9)


def test_map_of_l1_is_the_absolute_difference(pair):
    expected = (pair[0] - pair[1]).abs().sum(0) / pair[0].numel()
    assert torch.allclose(loss_map(*pair, loss_of("v5")), expected, atol=1e-12)


def test_haar_contributions_equal_the_shares_by_band(pair):
    """Where the bands are orthogonal blocks of even images, both ways to split the wavelet loss agree."""
    even = tuple(image[:, :44] for image in pair)
    split = loss_by_band(*even, loss_of("wavelet"))
    for band in subbands(*even):
        assert split[band.name] == pytest.approx(band.contribution, abs=1e-12)


def test_v7_is_blind_to_brightness_and_v5_is_not(pair):
    darker = pair[0] - 0.1
    assert float(loss_of("v7")(pair[0][None], darker[None])) == pytest.approx(0, abs=1e-12)
    parts = loss_by_band(pair[0], darker, loss_of("v5"))
    assert parts["LL1"] == pytest.approx(0.1) and parts["HH1"] == pytest.approx(0, abs=1e-12)
    assert loss_by_band(*pair, loss_of("v7"))["LL1"] == pytest.approx(0, abs=0.01 * float(loss_of("v7")(*_batch(pair))))


def _batch(pair):
    return pair[0][None], pair[1][None]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ([[0.0, 0.0], [1.0, 1.0]], {"LL1": 1, "LH1": 1, "HL1": 0, "HH1": 0}),
        ([[0.0, 1.0], [0.0, 1.0]], {"LL1": 1, "LH1": 0, "HL1": 1, "HH1": 0}),
        ([[0.0, 1.0], [1.0, 0.0]], {"LL1": 1, "LH1": 0, "HL1": 0, "HH1": 1}),
    ],
    ids=["horizontal edge", "vertical edge", "checkerboard"],
)
def test_edges_lie_in_their_bands(block, expected):
    image = torch.tensor(block, dtype=torch.float64).repeat(4, 4)[None]
    assert energies(image) == pytest.approx(expected, abs=1e-12)


def test_orthonormal_energy_is_kept():
    image = torch.rand(3, 32, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    bands = transform(image, 2, "haar")
    assert sum(float(band.square().sum()) for band in bands.values()) == pytest.approx(float(image.square().sum()))


@pytest.mark.parametrize(
    ("levels", "wavelet", "message"),
    [(0, "haar", "levels"), (1, "harr", "did you mean 'haar'"), (6, "haar", "too small")],
)
def test_bad_choices_are_told(pair, levels, wavelet, message):
    with pytest.raises(UserError, match=message):
        subbands(*pair, levels, wavelet)
    with pytest.raises(UserError, match=message):
        transform(pair[0], levels, wavelet)


def test_unknown_loss_and_unequal_sizes(pair):
    with pytest.raises(UserError, match="unknown loss 'v0'"):
        loss_of("v0")
    with pytest.raises(UserError, match="unequal size"):
        loss_map(pair[0], pair[1][:, 1:], loss_of("v5"))
