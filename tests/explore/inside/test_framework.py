"""The steps of Fig. 1: shapes by hand, images of the library, losses against PyWavelets."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import pywt
import torch

from mtkd import zoo
from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explore import Comparison, compare
from mtkd.explore.inside.framework import Step, busiest_window, chosen, framework, run, steps, window_step
from mtkd.images import to_tensor, to_uint8
from tests.training.conftest import write_model

TEACHERS = ["edsr_mini", "rcan_mini", "swinir_mini"]
HR = example("astronaut").read()[60:156, 80:160]
"""96 x 80: at ×4 an LR image of 24 x 20, which is padded to 24 x 24, 3 x 3 windows."""


@functools.cache
def compared(*models: str, truth: bool = True) -> Comparison:
    return compare(HR if truth else HR[:24, :20], models, 4, truth)


@functools.cache
def default_steps() -> dict[str, Step]:
    return by_id(framework(compared("bicubic", *TEACHERS, "aggregator_mini", "rcan_tiny-kd", "rcan_tiny-mtkd")))


def by_id(found: list[Step]) -> dict[str, Step]:
    return {step.id: step for step in found}


@functools.cache
def image_of(name: str) -> torch.Tensor:
    """What the library makes of the LR image."""
    with torch.inference_mode():
        return zoo.load(name, 4)(to_tensor(compared("bicubic").lr_image))


def test_shapes() -> None:
    shapes = {name: step.shape for name, step in default_steps().items()}
    hr = "(1, 3, 96, 80)"
    assert shapes == {
        "lr": "(1, 3, 24, 20)",
        "teacher-1": hr,
        "teacher-2": hr,
        "teacher-3": hr,
        "concat": "(1, 9, 96, 96)",
        "unshuffle": "(1, 144, 24, 24)",
        "shallow": "(1, 24, 24, 24)",
        "window": "(9, 64, 24)",
        "deep": "(1, 24, 24, 24)",
        "merged": "(1, 24, 24, 24)",
        "mt": hr,
        "loss-ka": "",
        "gt": hr,
        "student": hr,
        "loss-dis": "4 × (1, 3, 48, 40)",
        "loss-stu": "",
        "loss-total": "",
    }
    assert not any(step.missing for step in default_steps().values())


def test_images_are_the_librarys() -> None:
    found = default_steps()
    for name, model in [*((f"teacher-{n}", t) for n, t in enumerate(TEACHERS, 1)), ("mt", "aggregator_mini")]:
        assert np.array_equal(found[name].pictures[0].image, to_uint8(image_of(model)))
    assert found["student"].title == "RCAN student, with MTKD"  # the distilled one, of two
    assert np.array_equal(found["student"].pictures[0].image, to_uint8(image_of("rcan_tiny-mtkd")))
    mt = compared("aggregator_mini")["aggregator_mini"]
    assert np.array_equal(found["mt"].pictures[0].image, mt.image)
    assert found["mt"].pictures[0].caption == f"Combined teacher (MT): {mt.psnr:.2f} dB"


def test_concatenation_and_phases() -> None:
    found, teacher = default_steps(), image_of("edsr_mini")[0]
    strip = found["concat"].pictures[0].image
    assert strip.shape == (96, 3 * 96 + 4, 3)
    assert np.abs(strip[:, :80].astype(int) - to_uint8(teacher)).max() <= 1  # the mean colour, taken off and put back
    luma = (16 + torch.tensor([65.481, 128.553, 24.966]) @ teacher.flatten(1)).view(96, 80)
    tile = found["unshuffle"].pictures[0].image[26 : 26 + 24, 3 * 26 : 3 * 26 + 20, 0]  # phase (1, 3), without padding
    assert np.abs(tile - luma[1::4, 3::4].numpy()).max() < 0.51


def test_losses() -> None:
    """Eqs. 1 to 4 with NumPy and PyWavelets."""
    found, alpha = default_steps(), 0.1
    mt, student = (image_of(name)[0].double().numpy() for name in ("aggregator_mini", "rcan_tiny-mtkd"))
    truth = HR.transpose(2, 0, 1) / 255
    low, *details = pywt.wavedec2(student - mt, "haar", mode="symmetric", level=1)
    bands = dict(zip(("LL1", "LH1", "HL1", "HH1"), (low, *details[0]), strict=True))
    terms = {name: np.abs(band).mean() / 4 for name, band in bands.items()}
    l1 = np.abs(student - truth).mean()
    close = pytest.approx
    assert found["loss-dis"].numbers == close(terms, rel=1e-4)
    assert found["loss-dis"].total == ("L_dis", close(sum(terms.values()), rel=1e-4))
    assert found["loss-dis"].total[1] == close(sum(found["loss-dis"].numbers.values()), rel=1e-6)
    assert found["loss-ka"].numbers == {"L_KA": close(np.abs(mt - truth).mean(), rel=1e-4)}
    assert found["loss-stu"].numbers == {"L_stu": close(l1, rel=1e-4), "α L_stu": close(alpha * l1, rel=1e-4)}
    total = found["loss-total"]
    assert total.numbers == {"α L_stu": close(alpha * l1, rel=1e-4), "L_dis": close(sum(terms.values()), rel=1e-4)}
    assert total.total == ("L_total", close(sum(total.numbers.values())))


def test_what_was_not_compared_is_taken_from_the_catalogue() -> None:
    comparison = compared("bicubic")
    teachers, aggregator, student = chosen(comparison)
    assert (teachers, aggregator) == (TEACHERS, "aggregator_mini") and student and student.endswith("-mtkd")
    found = by_id(framework(comparison))
    assert np.array_equal(found["mt"].pictures[0].image, default_steps()["mt"].pictures[0].image)
    assert found["mt"].pictures[0].caption == "Combined teacher (MT)"


def test_what_was_compared_comes_first() -> None:
    assert chosen(compared("aggregator_mini-v1", "edsr_tiny-kd")) == (
        list(zoo.find("aggregator_mini-v1", 4).header.teachers),
        "aggregator_mini-v1",
        "edsr_tiny-kd",
    )


def test_without_ground_truth() -> None:
    found = by_id(framework(compared("bicubic", truth=False)))
    missing = {name for name, step in found.items() if step.missing}
    assert missing == {"loss-ka", "gt", "loss-stu"} and "LR image" in found["gt"].missing
    assert dict(found["loss-total"].numbers) == {"L_dis": pytest.approx(found["loss-dis"].total[1])}
    assert "left out" in found["loss-total"].text


def test_scale_without_aggregator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path, "edsr_mini", "edsr_mini", 1, scale=4)
    monkeypatch.setattr(zoo.catalogue, "BUNDLED", tmp_path)
    found = by_id(framework(compare(HR, ["bicubic"], 4)))
    assert {name for name, step in found.items() if not step.missing} == {"lr", "teacher-1", "gt"}
    assert found["mt"].missing == found["loss-total"].missing == "There is no aggregator for ×4."


@pytest.mark.parametrize(("variant", "said"), [("v3", "no DCT and no attention"), ("v4", "no DCT")])
def test_aggregators_without_dct(variant: str, said: str) -> None:
    step = by_id(framework(compared(f"aggregator_mini-{variant}")))["window"]
    assert said in step.text and variant in step.text and len(step.pictures) == 3
    assert not any("DCT" in picture.caption for picture in step.pictures)


def test_window_of_most_detail_and_its_place() -> None:
    lr_image = np.full((24, 20, 3), 128, np.uint8)
    lr_image[8:16, 0:8] = np.random.default_rng(0).integers(0, 256, (8, 8, 3))
    comparison = Comparison(4, lr_image, None, ())
    assert busiest_window(comparison, 8) == (1, 0)
    made = run(comparison)
    step = by_id(steps(made))["window"]
    place = step.pictures[0]
    assert place.caption == "The window: row 1, column 0"
    red = (place.image == (220, 40, 40)).all(-1)
    assert red[30:32, :34].all() and red[64:66, :34].all() and red[30:66, 32:34].all() and red.sum() < 36 * 34
    cut = window_step(comparison, made.trace.windows, (2, 2)).pictures[0]  # half of it is padding
    assert cut.caption == "The window: row 2, column 2"
    with pytest.raises(UserError, match="no window in row 3, column 0: there are 3 rows and 3 columns"):
        window_step(comparison, made.trace.windows, (3, 0))


def test_window_shows_coefficients_of_the_window_asked_for() -> None:
    made = run(compared("aggregator_mini"))
    first, second = (window_step(made.comparison, made.trace.windows, place).pictures for place in ((0, 0), (1, 1)))
    assert [p.image.shape for p in first[1:5]] == [(8, 8, 3)] * 4
    assert not np.array_equal(first[2].image, second[2].image)
    assert [p.caption.partition(":")[0] for p in first[1:5]] == ["LN(x)", "DCT", "SW-MSA", "IDCT"]


def test_of_a_large_image_the_centre_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtkd.explore.inside.framework_run.TILE", 16)
    comparison = compared("aggregator_mini", "rcan_tiny-mtkd")
    found = by_id(framework(comparison))
    assert found["lr"].shape == "(1, 3, 16, 16)" and "24" in found["lr"].text and "16 × 16" in found["lr"].text
    assert np.array_equal(found["lr"].pictures[0].image, comparison.lr_image[4:20, 2:18])
    assert np.array_equal(found["gt"].pictures[0].image, HR[16:80, 8:72])
    assert found["mt"].pictures[0].caption == "Combined teacher (MT)"  # the PSNR is that of the whole image


def test_progress_names_what_runs() -> None:
    told: list[tuple[str, int, int]] = []
    run(compared("aggregator_mini", "rcan_tiny-mtkd"), lambda *state: told.append(state))
    assert told == [(name, n, 5) for n, name in enumerate([*TEACHERS, "aggregator_mini", "rcan_tiny-mtkd"])]
