"""Subbands averaged over pictures, against PyWavelets and values by hand."""

from __future__ import annotations

import numpy as np
import pytest
import pywt

from mtkd import zoo
from mtkd.data.examples import PICTURES
from mtkd.errors import UserError
from mtkd.explore.inside.wavelet_plots import along_training, energy, errors
from mtkd.explore.inside.wavelet_sets import EXAMPLES, Pictures, measure, pictures, sets, steps
from mtkd.images import to_tensor

MODEL = "rcan_tiny-mtkd"


@pytest.fixture(scope="module")
def three() -> Pictures:
    """Parts of three examples."""
    whole = pictures(EXAMPLES, 4)
    return Pictures("three", 4, [(lr[:24, :20], hr[:96, :80]) for lr, hr in whole.pairs[:3]])


def bands(image: np.ndarray) -> dict[str, np.ndarray]:
    """One level of Haar by PyWavelets, (3, H, W) -> band -> (3, h, w)."""
    low, details = pywt.dwt2(image, "haar", mode="symmetric")
    return dict(zip(("LL1", "LH1", "HL1", "HH1"), (low, *details), strict=True))


def test_means_are_those_of_pywavelets(three) -> None:
    measured = measure(MODEL, three, 1, "haar")
    network = zoo.load(MODEL, 4)
    error: dict[str, list[float]] = {}
    energies: dict[str, list[float]] = {}
    for lr, hr in three.pairs:
        sr = network(to_tensor(lr))[0].detach().numpy().astype(np.float64)
        own, truth = bands(sr), bands(hr.transpose(2, 0, 1) / 255)
        for band in own:
            error.setdefault(band, []).append(np.abs(own[band] - truth[band]).mean() / 4)  # Eq. 3: mean of the bands
            energies.setdefault(band, []).append(10 * np.log10((own[band] ** 2).mean() / (truth[band] ** 2).mean()))
    means, over = measured.means()
    for band, values in error.items():
        assert measured.error[band] == pytest.approx(values, rel=1e-4)
        assert means[band] == pytest.approx(np.mean(values), rel=1e-4)
        assert over[band] == pytest.approx(np.mean(energies[band]), abs=1e-3)


def test_a_training_is_followed_to_its_end(three) -> None:
    way = steps(MODEL, 4)
    assert list(way) == sorted(way) and way[10_000] == MODEL and len(way) > 3
    first, last = (sum(measure(way[step], three, 1, "haar").means()[0].values()) for step in (min(way), 10_000))
    assert last < first
    assert steps("edsr_mini", 4) == {} == steps("bicubic", 4)


def test_sets_that_are_here(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MTKD_DATA", str(tmp_path))
    assert sets(4) == [EXAMPLES] and len(pictures(EXAMPLES, 3).pairs) == len(PICTURES)
    with pytest.raises(UserError, match="unknown set of pictures 'Set5'"):
        pictures("Set5", 4)


def test_figures() -> None:
    table = {"a": {"LL1": 0.1, "LH1": 0.2}, "b": {"LL1": 0.0, "LH1": -3.0}}
    assert [list(bar.y) for bar in errors(table).data] == [[0.1, 0.2], [0.0, -3.0]]
    assert list(energy({"a": {"LL1": 0.01, "LH1": 2.0}}, "Ground truth").data[0].x) == ["LH1"]
    along = along_training({"a": {150: table["a"], 10_000: table["b"]}})
    assert [(line.name, list(line.x), list(line.y)) for line in along.data] == [
        ("LL1", [150, 10_000], [0.1, 0.0]), ("LH1", [150, 10_000], [0.2, -3.0]),
    ]  # fmt: skip
