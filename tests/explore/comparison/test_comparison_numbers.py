"""What a comparison says beyond its pictures: outputs kept, regions, gains, results from elsewhere, error maps."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import pywt
import skimage.metrics
import torch

from mtkd import zoo
from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explore import compare
from mtkd.explore.comparison import outputs as kept
from mtkd.explore.comparison.core import LR, TRUTH, Comparison, Result
from mtkd.explore.comparison.region import Region
from mtkd.explore.draw import colours
from mtkd.images import to_tensor

MODELS = ["bicubic", "rcan_tiny-scratch", "rcan_tiny-mtkd"]


@pytest.fixture(scope="module")
def comparison():
    return compare(example("coffee").read()[40:136, 60:188], MODELS, 4)


def luma(image: np.ndarray) -> np.ndarray:
    return 16 + image.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255


def test_region_is_measured_as_scikit_image_does(comparison):
    region = Region(8, 20, 32, 40)
    measured = comparison.quality_in(region)
    truth = luma(region.cut(comparison.hr_image))
    for name in MODELS:
        part = luma(region.cut(comparison[name].image))
        psnr = skimage.metrics.peak_signal_noise_ratio(truth, part, data_range=255)
        ssim = skimage.metrics.structural_similarity(
            truth, part, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )[1][5:-5, 5:-5].mean()
        assert measured[name] == pytest.approx({"psnr": psnr, "ssim": ssim}, rel=1e-6)
    inside, whole = measured["bicubic"], comparison["bicubic"].psnr
    assert comparison.captions(region)["bicubic"] == (
        f"region {inside['psnr']:.2f} dB · SSIM {inside['ssim']:.4f} · whole {whole:.2f}"
    )


def test_small_and_outside_regions(comparison):
    assert comparison.quality_in(Region(0, 0, 10, 30))["bicubic"]["ssim"] is None
    with pytest.raises(UserError, match="leaves the image"):
        comparison.quality_in(Region(90, 0, 10, 10))


def test_gains_are_differences_of_psnr(comparison):
    rows = {row["name"]: row for row in comparison.table()}
    assert rows["bicubic"]["over_bicubic"] == 0 and rows["bicubic"]["over_scratch"] is None
    gain = rows["rcan_tiny-mtkd"]["psnr"] - rows["rcan_tiny-scratch"]["psnr"]
    assert rows["rcan_tiny-mtkd"]["over_scratch"] == pytest.approx(gain)
    assert rows["rcan_tiny-scratch"]["over_scratch"] is None
    without = compare(comparison.hr_image, ["rcan_tiny-mtkd"], 4).table()[0]
    assert without["over_scratch"] is None  # scratch was not compared
    assert without["over_bicubic"] == pytest.approx(rows["rcan_tiny-mtkd"]["over_bicubic"])  # bicubic always is


def test_csv_has_every_row_with_its_protocol(comparison):
    rows = list(csv.DictReader(io.StringIO(comparison.csv())))
    assert [row["name"] for row in rows] == MODELS
    assert float(rows[1]["psnr"]) == comparison[MODELS[1]].psnr
    assert {(row["scale"], row["protocol"]) for row in rows} == {("4", "Y, crop = scale, uint8")}


def test_results_from_elsewhere(comparison):
    mine = comparison["bicubic"].image
    found = compare(comparison.hr_image, ["bicubic"], 4, others={"theirs": mine})
    assert found["theirs"].role == "elsewhere" and found["theirs"].psnr == comparison["bicubic"].psnr
    assert found.table()[1]["parameters"] is None
    assert "theirs" in found.pictures() and "| elsewhere | – | – |" in found.markdown()
    with pytest.raises(UserError, match="theirs: 128 x 92, but x4 of this LR image is 128 x 96"):
        compare(comparison.hr_image, ["bicubic"], 4, others={"theirs": mine[4:]})
    for taken in ("bicubic", LR, TRUTH):
        with pytest.raises(UserError, match="name is taken"):
            compare(comparison.hr_image, ["bicubic"], 4, others={taken: mine})


def test_wavelet_error_is_pywts_pyramid(comparison):
    """Level by level against pywt, in the places that pywt's own arrangement has."""
    sr, hr = comparison["bicubic"].image, comparison.hr_image
    coefficients = pywt.wavedec2(luma(sr) - luma(hr), "haar", mode="symmetric", level=2)
    scaled = [coefficients[0] / 4, tuple(b / 4 for b in coefficients[1]), tuple(b / 2 for b in coefficients[2])]
    expected, _ = pywt.coeffs_to_array(scaled)
    shown = colours.wavelet_error_map(sr, hr)
    assert np.array_equal(shown, colours.heat_map(np.abs(expected) / colours.ERROR_RANGE))
    assert colours.wavelet_error_map(sr[:33, :47], hr[:33, :47]).shape == (33, 47, 3)
    assert colours.wavelet_error_map(sr[:1, :5], hr[:1, :5]).shape == (1, 5, 3)


def test_outputs_are_computed_once_and_by_weights(monkeypatch, tmp_path):
    runs = []
    outputs = kept.Outputs()
    real = kept.upscale
    monkeypatch.setattr(kept, "upscale", lambda network, *rest, **more: runs.append(1) or real(network, *rest, **more))
    lr = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    first = outputs("edsr_tiny-kd", lr, 4)
    assert outputs("edsr_tiny-kd", lr.copy(), 4) is first and len(runs) == 1
    outputs("aggregator_mini", lr, 4)
    assert len(runs) == 4  # its three teachers; the aggregator itself is not an LR network
    teacher = outputs("rcan_mini", lr, 4)
    assert len(runs) == 4 and teacher.seconds < outputs("aggregator_mini", lr, 4).seconds
    outputs("edsr_tiny-kd", lr[:, :8].copy(), 4)
    assert len(runs) == 5
    # A model trained anew under its name is another one.
    bundled = zoo.find("edsr_tiny-mtkd", 4).path
    mine = tmp_path / "edsr_tiny-kd_x4.safetensors"
    from mtkd.zoo.checkpoints import save_weights
    from mtkd.zoo.headers import Header

    save_weights(mine, zoo.load("edsr_tiny-mtkd", 4), Header("edsr_tiny-kd", "edsr_tiny", 4))
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    assert bundled.exists() and not torch.equal(outputs("edsr_tiny-kd", lr, 4).sr, first.sr)


def test_outputs_are_what_the_network_says():
    lr = np.random.default_rng(1).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    for name in ("edsr_tiny-kd", "aggregator_mini"):
        expected = zoo.load(name, 4)(to_tensor(lr))
        assert torch.allclose(kept.outputs(name, lr, 4).sr, expected, atol=1e-6)


def test_oldest_outputs_go_first():
    lr = np.zeros((8, 8, 3), dtype=np.uint8)
    size = 3 * 32 * 32 * 4
    outputs = kept.Outputs(limit=2 * size)
    first = outputs("bicubic", lr, 4)
    outputs("bicubic", lr + 1, 4)
    outputs("bicubic", lr, 4)  # used again: stays
    outputs("bicubic", lr + 2, 4)
    assert outputs("bicubic", lr, 4) is first
    assert sum(o.sr.nbytes for o in outputs._kept.values()) <= 2 * size


def test_of_many_teachers_the_best_have_a_colour_each():
    truth = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    teachers = [Result(f"t{n}", "teacher", 1, 1, 1.0, np.roll(truth, n + 1, 1), {"psnr": 20.0 + n}) for n in range(9)]
    found = Comparison(4, truth[::4, ::4], truth, tuple(teachers)).best_teacher()
    assert found is not None
    assert list(found[1]) == [f"t{n}" for n in range(2, 9)] and sum(found[1].values()) == pytest.approx(1)
