"""Scores of networks on sets, and of files against files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor, nn

from mtkd.data.benchmarks import BenchmarkImage, benchmark
from mtkd.data.examples import EXAMPLES
from mtkd.errors import UserError
from mtkd.evaluate import Score, evaluate, score_folders, summarise
from mtkd.images import chw, read_image, to_uint8, write_image
from mtkd.metrics import psnr, ssim
from mtkd.networks.bicubic import Bicubic
from mtkd.resize import imresize

SCALE = 2


def fake_set(root: Path, name: str = "Tiny", images: int = 2, scale: int = SCALE) -> Path:
    """A benchmark set of small images in the layout of SelfExSR; returns its folder."""
    folder = root / name / f"image_SRF_{scale}"
    for number in range(images):
        hr = EXAMPLES[number].read()[100 : 100 + 20 * scale, 60 : 60 + 24 * scale]
        write_image(folder / f"img_{number + 1:03d}_SRF_{scale}_HR.png", hr)
        lr = imresize(chw(hr), 1 / scale)
        write_image(folder / f"img_{number + 1:03d}_SRF_{scale}_LR.png", lr.permute(1, 2, 0).contiguous().numpy())
    return folder


def test_a_set_is_the_mean_of_its_images(tmp_path: Path) -> None:
    fake_set(tmp_path, images=3)
    calls: list[tuple[int, int]] = []
    result = evaluate(Bicubic(SCALE), benchmark(tmp_path, "Tiny", SCALE), SCALE, progress=lambda *c: calls.append(c))
    assert [score.image for score in result.scores] == ["img_001", "img_002", "img_003"]
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert result.images == 3 and result.protocol == "Y, crop = scale, uint8"
    assert result.metrics["psnr"] == pytest.approx(np.mean([score.metrics["psnr"] for score in result.scores]))
    assert result.metrics["ssim"] == pytest.approx(np.mean([score.metrics["ssim"] for score in result.scores]))
    for number, score in enumerate(result.scores):
        hr = EXAMPLES[number].read()[100:140, 60:108]
        sr = to_uint8(imresize(imresize(chw(hr), 1 / SCALE).float() / 255, SCALE))
        y_hr, y_sr = (16 + (image @ [65.481, 128.553, 24.966])[2:-2, 2:-2] / 255 for image in (hr, sr))
        assert score.metrics["psnr"] == pytest.approx(peak_signal_noise_ratio(y_hr, y_sr, data_range=255), abs=1e-4)


def test_the_mean_is_that_of_decibels_and_not_of_errors() -> None:
    result = summarise([Score("a", {"psnr": 20, "ssim": 0.5}), Score("b", {"psnr": 40, "ssim": 0.7})])
    assert (result.metrics, result.images) == ({"psnr": 30, "ssim": 0.6}, 2)
    assert result.row() == {"psnr": 30, "ssim": 0.6, "images": 2, "protocol": "Y, crop = scale, uint8"}


def test_a_network_is_shown_the_whole_lr_image(tmp_path: Path) -> None:
    fake_set(tmp_path)
    seen: list[Tensor] = []

    class Noted(nn.Module):
        def forward(self, lr_image: Tensor) -> Tensor:
            seen.append(lr_image)
            return lr_image.repeat_interleave(2, -1).repeat_interleave(2, -2)

    evaluate(Noted(), benchmark(tmp_path, "Tiny", SCALE), SCALE)
    assert [tuple(image.shape) for image in seen] == [(1, 3, 20, 24)] * 2
    assert all(image.is_inference() and image.max() <= 1 for image in seen)


def test_a_set_of_wrong_sizes_is_refused(tmp_path: Path) -> None:
    folder = fake_set(tmp_path)
    small = folder / "small.png"
    write_image(small, np.zeros((5, 5, 3), np.uint8))
    images = benchmark(tmp_path, "Tiny", SCALE)
    with pytest.raises(UserError, match=r"img_001_SRF_2_LR.png: 2 times its size is not the size of small.png"):
        evaluate(Bicubic(SCALE), [BenchmarkImage("a", images[0].lr, small)], SCALE)
    write_image(folder / "hr.png", np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(UserError, match=r"hr.png: SSIM needs at least 11 pixels a side after cropping"):
        evaluate(Bicubic(SCALE), [BenchmarkImage("a", small, folder / "hr.png")], SCALE)


@pytest.mark.parametrize(
    ("known", "name", "scale", "message"),
    [
        ("Tiny", "Tniy", 2, "unknown set in .*'Tniy'; did you mean 'Tiny'?"),
        ("Empty/image_SRF_3", "Empty", 3, "the set has no images for scale 3"),
    ],
)
def test_an_unknown_set_is_refused(known: str, name: str, scale: int, message: str, tmp_path: Path) -> None:
    fake_set(tmp_path)
    (tmp_path / known).mkdir(parents=True, exist_ok=True)
    with pytest.raises(UserError, match=message):
        benchmark(tmp_path, name, scale)


def test_a_set_without_its_hr_image_or_folder(tmp_path: Path) -> None:
    folder = fake_set(tmp_path)
    (folder / "img_002_SRF_2_HR.png").unlink()
    with pytest.raises(UserError, match=r"img_002_SRF_2_HR.png: no such file, but img_002_SRF_2_LR.png exists"):
        benchmark(tmp_path, "Tiny", SCALE)
    with pytest.raises(UserError, match="nowhere: no such folder of benchmark sets"):
        benchmark(tmp_path / "nowhere", "Tiny", SCALE)


def test_sets_may_lie_under_benchmarks(tmp_path: Path) -> None:
    fake_set(tmp_path / "benchmarks")
    assert [image.name for image in benchmark(tmp_path, "Tiny", SCALE)] == ["img_001", "img_002"]


def test_files_are_scored_against_those_of_the_same_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = {}
    for sr_name, hr_name in (("a_x2", "a"), ("img_SRF_2_LR_x2", "img_SRF_2_HR"), ("same", "same")):
        hr = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        sr = hr if sr_name == "same" else rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        write_image(tmp_path / "sr" / f"{sr_name}.png", sr)
        write_image(tmp_path / "hr" / f"{hr_name}.png", hr)
        pairs[f"{sr_name}.png"] = (sr, hr)
    write_image(tmp_path / "hr" / "img_SRF_2_LR.png", hr[:15, :20])  # beside the HR files, as in SelfExSR
    result = score_folders(tmp_path / "sr", tmp_path / "hr", SCALE)
    assert [score.image for score in result.scores] == sorted(pairs)
    for score in result.scores:
        assert score.metrics["psnr"] == psnr(*pairs[score.image], SCALE) and score.metrics["ssim"] == ssim(
            *pairs[score.image], SCALE
        )
    assert result.scores[-1].metrics["psnr"] == float("inf") and result.metrics["psnr"] == float("inf")


def test_hr_may_be_larger_by_less_than_the_scale(tmp_path: Path) -> None:
    hr = np.random.default_rng(0).integers(0, 256, (31, 43, 3), dtype=np.uint8)
    write_image(tmp_path / "hr" / "a.png", hr)
    write_image(tmp_path / "sr" / "a.png", hr[:28, :40])
    assert score_folders(tmp_path / "sr", tmp_path / "hr", 4).metrics["psnr"] == float("inf")
    with pytest.raises(UserError, match=r"a.png: 40 x 28, but a.png is 43 x 31; HR may be up to"):
        score_folders(tmp_path / "sr", tmp_path / "hr", 3)


# MATLAB's bicubic rounds to 8 bits after each dimension: about 0.001 dB below ours
KNOWN = {
    ("Set5", 2): (33.68, 0.9304),
    ("Set5", 3): (30.41, 0.8690),
    ("Set5", 4): (28.43, 0.8113),
    ("Set14", 4): (26.09, 0.7049),
}


@pytest.mark.parametrize(("name", "scale"), KNOWN)
def test_bicubic_scores_what_is_known(name: str, scale: int, data_root: Path) -> None:
    result = evaluate(Bicubic(scale), benchmark(data_root, name, scale), scale)
    assert result.metrics["psnr"] == pytest.approx(KNOWN[name, scale][0], abs=0.008)
    assert result.metrics["ssim"] == pytest.approx(KNOWN[name, scale][1], abs=0.0003)
    assert result.images == {"Set5": 5, "Set14": 14}[name]


def test_scores_do_not_depend_on_the_readers_gradient_mode(tmp_path: Path) -> None:
    fake_set(tmp_path, images=1)
    images = benchmark(tmp_path, "Tiny", SCALE)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
    with torch.no_grad():
        expected = psnr(network(chw(read_image(images[0].lr))[None].float() / 255), read_image(images[0].hr), SCALE)
    assert evaluate(network, images, SCALE).metrics["psnr"] == pytest.approx(expected)
