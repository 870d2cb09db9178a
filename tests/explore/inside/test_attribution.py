"""Attribution as the app and notebooks show it: windows, steps that can be stopped, pictures, files."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explain import explain
from mtkd.explain.answer import answer
from mtkd.explain.question import Window
from mtkd.explore import compare
from mtkd.explore.comparison.region import Region
from mtkd.explore.inside.attribution import (
    archive,
    distance,
    figure,
    marks,
    models,
    paper_question,
    preview,
    question,
    sentence,
    shown,
    used,
    window_in,
)
from mtkd.explore.inside.side_by_side import SideBySide, comparable
from mtkd.networks.edsr import EDSR


@pytest.fixture(scope="module")
def comparison():
    names = ["bicubic", "edsr_tiny-mtkd", "aggregator_mini"]
    photo = example("coffee").read()[40:104, 60:148]
    return compare(photo, names, 4, others={"mine": photo})


def test_models_and_windows(comparison):
    assert models(comparison) == ["edsr_tiny-mtkd", "aggregator_mini"]
    assert window_in(comparison, Region(20, 30, 16, 16), 16) == Window(20, 30, 16)
    assert window_in(comparison, Region(60, 80, 4, 8), 16) == Window(47, 71, 16)  # 1 pixel more is needed
    assert window_in(comparison, Region(0, 0, 2, 2), 8) == Window(0, 0, 8)
    with pytest.raises(UserError, match="too small for a window of 64"):
        window_in(comparison, None, 64)


def test_teachers_images_are_those_of_the_comparison(comparison, monkeypatch):
    window = window_in(comparison, None, 8)
    expected = explain("aggregator_mini", comparison.lr_image, 4, window, steps=2)
    monkeypatch.setattr(EDSR, "forward", lambda *_: pytest.fail("a teacher ran again"))
    assert answer(question(comparison, "aggregator_mini", window), steps=2).row() == expected.row()


def test_panes_of_an_aggregator(comparison):
    saved = {}

    def save(name, image):
        saved[name] = image
        return name

    asked = question(comparison, "aggregator_mini", window_in(comparison, Region(24, 40, 8, 8), 8))
    early = panes = preview(asked, 4).panes(comparison, save)
    assert [pane["name"] for pane in panes] == ["aggregator_mini", "edsr_mini", "rcan_mini", "swinir_mini"]
    assert [pane["title"] for pane in panes[:2]] == ["Combined teacher (MT)", "EDSR teacher"]
    assert panes[1]["caption"] == "Preview"
    found = answer(asked, steps=3)
    panes = shown(asked, found).panes(comparison, save)
    assert panes[1]["caption"] == f"{found.row()['inputs'][0]['share']:.0%} of the attribution"
    assert not set(panes[1]["layers"].values()) & set(early[1]["layers"].values())  # a browser would show the old ones
    assert {image.shape for image in saved.values()} == {(64, 88, 3)}
    bright = np.argmax(saved["edsr_mini map"].astype(int).sum(-1))
    assert np.hypot(bright // 88 - 28, bright % 88 - 44) < 16  # the strongest pixel lies by the window
    far = saved["rcan_mini on the image"][:4, :4].astype(int)  # away from it the darkened, grey image shows
    assert abs(far - far.mean(-1, keepdims=True)).max() < 40


def test_map_of_an_lr_input_is_enlarged(comparison):
    saved = {}
    asked = question(comparison, "edsr_tiny-mtkd", Window(20, 20, 8))
    preview(asked, 4).panes(comparison, lambda name, image: saved.setdefault(name, image) is None)
    heat = saved["LR map preview"]
    assert heat.shape == (64, 88, 3) and np.array_equal(heat[:4, :4], np.broadcast_to(heat[:1, :1], (4, 4, 3)))
    assert np.array_equal(saved["LR image preview"], comparison.pictures()["LR"])


def test_files(comparison):
    asked = question(comparison, "aggregator_mini", window_in(comparison, None, 8))
    found = answer(asked, steps=3)
    with zipfile.ZipFile(io.BytesIO(archive(found))) as packed:
        assert json.loads(packed.read("explanation.json")) == json.loads(json.dumps(found.row()))
        stored = np.load(io.BytesIO(packed.read("swinir_mini.npy")))
    assert np.array_equal(stored, found.attributions[2].numpy())
    with Image.open(io.BytesIO(figure(comparison, asked, found, "png"))) as picture:
        assert picture.format == "PNG" and json.loads(picture.text["Description"]) == json.loads(
            json.dumps(found.row())
        )
    assert figure(comparison, asked, found, "pdf").startswith(b"%PDF")


def test_maps_side_by_side():
    """One scale; the window's box; a signed map is white where nothing happens; all files."""
    seen = compare(example("coffee").read()[40:104, 60:148], ["bicubic", "edsr_tiny-mtkd", "rcan_tiny-mtkd"], 4)
    names = comparable(seen)
    assert names == ["edsr_tiny-mtkd", "rcan_tiny-mtkd"]
    window = Window(24, 40, 8)
    answers = tuple(answer(question(seen, name, window), "causal", around=0, curves=True) for name in names)
    together, saved = SideBySide(answers), {}
    assert max(float(one.abs().max()) for one in together.maps) == 1
    assert together.largest == max(float(one.attributions[0].sum(0).abs().max()) for one in answers)
    panes = together.panes(seen, lambda name, image: saved.setdefault(name, image) is None)
    assert [pane["title"] for pane in panes] == ["EDSR student, with MTKD", "RCAN student, with MTKD"]
    assert panes[0]["caption"].startswith("DI ") and "deletion area" in panes[0]["caption"]
    assert tuple(saved["edsr_tiny-mtkd map"][0, 0]) == (247, 247, 247)  # far away: no effect
    assert (saved["edsr_tiny-mtkd difference from the first"] == 247).all()
    assert not (saved["rcan_tiny-mtkd difference from the first"] == 247).all()
    with Image.open(io.BytesIO(together.drawn("png", {n: seen[n].image for n in names}, seen.titles()))) as picture:
        assert json.loads(picture.text["Description"])["models"][1]["model"] == "rcan_tiny-mtkd"
    assert marks(answers[0]).startswith("Blurring the marked pixels first changes the window sooner than")


def test_the_papers_own_figure(monkeypatch):
    monkeypatch.delenv("MTKD_DATA", raising=False)
    title, shown, asked = paper_question(4, 8)
    assert title == "brick (in place of Urban100 012)" and asked.model == "aggregator_mini"
    expected = explain("aggregator_mini", shown.lr_image, 4, asked.window, steps=2)
    assert answer(asked, steps=2).row() == expected.row()


def test_the_official_codes_differences(comparison):
    window = window_in(comparison, None, 16)
    asked = question(comparison, "edsr_tiny-mtkd", window)
    found = answer(asked, steps=4, compat="official")
    assert found.row() == explain("edsr_tiny-mtkd", comparison.lr_image, 4, window, steps=4, compat="official").row()


def test_the_answer_in_words(comparison):
    asked = question(comparison, "aggregator_mini", Window(24, 40, 8))
    found = answer(asked, steps=2)
    text, parts = sentence(comparison, asked, found), [one["share"] for one in found.row()["inputs"]]
    places = sorted((text.index(f"{name} teacher ({part:.0%})"), -part) for name, part in
                    zip(("EDSR", "RCAN", "SwinIR"), parts, strict=True))  # fmt: skip
    assert [part for _, part in places] == sorted(-part for part in parts)  # the largest first
    asked = question(comparison, "edsr_tiny-mtkd", Window(24, 40, 8))
    text = sentence(comparison, asked, answer(asked, steps=2))
    assert text.startswith("95% of the attribution lies within ") and text.endswith("this network sees 11 pixels far.")


def test_distance_by_hand():
    """A window of 8 at row 8, column 16 lies on the LR pixels of rows 2 to 4, columns 4 to 6, at a ratio of 4."""
    attribution = torch.zeros(3, 12, 14)
    attribution[0, 3, 5], attribution[1, 3, 9] = 0.9, -0.1
    assert distance(attribution, Window(8, 16, 8), 4) == 3
    attribution[1, 3, 9] = 0.04
    assert distance(attribution, Window(8, 16, 8), 4) == 0


def test_what_a_photo_was_answered_from(comparison):
    asked = question(comparison, "edsr_tiny-mtkd", Window(40, 40, 8))
    assert used(answer(asked, steps=1).part, asked) == ""
    photo = compare(np.tile(comparison.hr_image, (4, 4, 1)), ["edsr_tiny-mtkd"], 4)
    asked = question(photo, "edsr_tiny-mtkd", Window(100, 100, 8))
    assert used(answer(asked, steps=1).part, asked) == (
        "Computed from the 40 × 40 of 88 × 64 LR pixels that the window depends on, with the same result as from the "
        "whole image."
    )
