"""Attribution as the app and notebooks show it: windows, steps that can be stopped, pictures, files."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.explain import explain
from mtkd.explain.answer import answer
from mtkd.explain.question import Window
from mtkd.explain.saliency import gradient_sizes
from mtkd.explore import compare
from mtkd.explore.comparison.region import Region
from mtkd.explore.inside.attribution import (
    Shown,
    answer_in_steps,
    archive,
    figure,
    models,
    paper_question,
    question,
    window_in,
)


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


def test_steps_lead_to_the_answer_of_explain(comparison):
    window = window_in(comparison, None, 16)
    told = list(answer_in_steps(question(comparison, "edsr_tiny-mtkd", window), steps=7))
    expected = explain("edsr_tiny-mtkd", comparison.lr_image, 4, window, steps=7)
    assert told[-1][2].row() == expected.row()
    parts = [done / of for done, of, _ in told]
    assert parts == sorted(parts) and parts[-1] == 1 and all(found is None for *_, found in told[:-1])


def test_closing_stops_the_walk(comparison):
    asked = question(comparison, "aggregator_mini", window_in(comparison, None, 16))
    before = threading.active_count()
    walk = answer_in_steps(asked, steps=100_000)
    next(walk)
    assert threading.active_count() == before + 1
    walk.close()
    end = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert threading.active_count() == before


def test_an_error_comes_out_of_the_walk(comparison):
    asked = question(comparison, "edsr_tiny-mtkd", Window(60, 60, 16))
    with pytest.raises(UserError, match="leaves the SR image"):
        list(answer_in_steps(asked, steps=5))


def test_panes_of_an_aggregator(comparison):
    saved = {}

    def save(name, image):
        saved[name] = image
        return name

    asked = question(comparison, "aggregator_mini", window_in(comparison, Region(24, 40, 8, 8), 8))
    preview = Shown(asked, gradient_sizes(asked), True).panes(comparison, save)
    assert [pane["name"] for pane in preview] == ["aggregator_mini", "edsr_mini", "rcan_mini", "swinir_mini"]
    assert preview[1]["caption"] == "88 × 64 · preview"
    *_, found = list(answer_in_steps(asked, steps=3))[-1]
    panes = Shown(asked, found.attributions, False).panes(comparison, save)
    assert panes[1]["caption"] == f"88 × 64 · DI {found.row()['inputs'][0]['di']:.2f}"
    assert {image.shape for image in saved.values()} == {(64, 88, 3)}
    bright = np.argmax(saved["edsr_mini map"].astype(int).sum(-1))
    assert np.hypot(bright // 88 - 28, bright % 88 - 44) < 16  # the strongest pixel lies by the window
    far = saved["rcan_mini on the image"][:4, :4].astype(int)  # away from it the darkened, grey image shows
    assert abs(far - far.mean(-1, keepdims=True)).max() < 40


def test_map_of_an_lr_input_is_enlarged(comparison):
    saved = {}
    asked = question(comparison, "edsr_tiny-mtkd", Window(20, 20, 8))
    Shown(asked, gradient_sizes(asked), True).panes(
        comparison, lambda name, image: saved.setdefault(name, image) is None
    )
    assert saved["LR map"].shape == (64, 88, 3)
    assert np.array_equal(saved["LR map"][:4, :4], np.broadcast_to(saved["LR map"][:1, :1], (4, 4, 3)))
    assert np.array_equal(saved["LR image"], comparison.pictures()["LR"])


def test_files(comparison):
    asked = question(comparison, "aggregator_mini", window_in(comparison, None, 8))
    *_, found = list(answer_in_steps(asked, steps=3))[-1]
    with zipfile.ZipFile(io.BytesIO(archive(found))) as packed:
        assert json.loads(packed.read("explanation.json")) == json.loads(json.dumps(found.row()))
        stored = np.load(io.BytesIO(packed.read("swinir_mini.npy")))
    assert np.array_equal(stored, found.attributions[2].numpy())
    with Image.open(io.BytesIO(figure(comparison, asked, found, "png"))) as picture:
        assert picture.format == "PNG" and json.loads(picture.text["Description"]) == json.loads(
            json.dumps(found.row())
        )
    assert figure(comparison, asked, found, "pdf").startswith(b"%PDF")


def test_the_papers_own_figure(monkeypatch):
    monkeypatch.delenv("MTKD_DATA", raising=False)
    title, shown, asked = paper_question(4, 8)
    assert title == "brick (in place of Urban100 012)" and asked.model == "aggregator_mini"
    expected = explain("aggregator_mini", shown.lr_image, 4, asked.window, steps=2)
    assert answer(asked, steps=2).row() == expected.row()


def test_the_official_codes_differences(comparison):
    window = window_in(comparison, None, 16)
    asked = question(comparison, "edsr_tiny-mtkd", window)
    *_, found = list(answer_in_steps(asked, steps=4, compat="official"))[-1]
    assert found.row() == explain("edsr_tiny-mtkd", comparison.lr_image, 4, window, steps=4, compat="official").row()
