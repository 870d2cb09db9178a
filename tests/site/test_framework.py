"""The site's figure of the method: its tensors are those of the networks, its losses those of the training."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from mtkd import zoo
from mtkd.data.examples import PICTURES, example
from mtkd.explore.inside.trace import trace
from mtkd.images import chw, to_tensor
from mtkd.methods.mtkd import MTKD
from mtkd.resize import imresize
from mtkd.site.build import build
from tests.site.conftest import GIVEN, data_of, expected, hosted

pytestmark = pytest.mark.sweep
MT, STUDENT = "aggregator_mini", "rcan_tiny-mtkd"


@pytest.fixture(scope="module")
def address(runtime_folder, tmp_path_factory):
    """A site with the combined teacher, which takes most of the time of building one."""
    folder = tmp_path_factory.mktemp("host") / "group" / "demo"
    yield from hosted(build(folder, ("rcan_tiny-scratch", STUDENT, MT), 4, runtime_folder))


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(1280, 900)
    page.page_errors = []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    page.goto(address)
    page.wait_for_function("document.body.dataset.ended > 0", timeout=120_000)
    yield page
    assert page.page_errors == []
    page.context.close()


def test_its_tensors_are_those_of_the_networks(page):
    """Teachers, features and result of an odd image, against hooks on the modules themselves."""
    image = example("coffee").read()[:21, :34]
    code = f"""async ([name, given]) => {{
      const {{ inside }} = await import('./engine.js');
      const found = await inside(name, ({GIVEN})(...given));
      const plain = ([name, {{ dims, data }}]) => [name, [dims, [...data]]];
      return Object.fromEntries(Object.entries(found).map(plain)); }}"""
    found = {
        name: np.array(data, np.float32).reshape(dims)
        for name, (dims, data) in page.evaluate(code, [MT, data_of(image)]).items()
    }
    mt = zoo.load(MT, 4)
    with torch.inference_mode():
        images = [teacher(to_tensor(image)) for teacher in mt.teachers]
    wanted = trace(mt.aggregator, images)
    assert len(found) == 3 + 1 + len(wanted.blocks) + 1 + 1
    for name, tensor in (
        *((f"teacher_{number}", one) for number, one in enumerate(images, 1)),
        ("shallow", wanted.shallow),
        *((f"block_{number}", one) for number, one in enumerate(wanted.blocks, 1)),
        ("merged", wanted.merged),
        ("sr", wanted.image),
    ):
        np.testing.assert_allclose(
            found[name], tensor.numpy(), atol=2e-3 if tensor.shape[1] > 3 else 1e-4, err_msg=name
        )


def test_its_losses_are_those_of_the_training(page):
    """Of the first example, whole: L_dis, L_stu and their sum, within the rounding to 8 bits."""
    page.locator("#framework summary").click()
    page.wait_for_function("document.querySelector('#framework').dataset.numbers", timeout=180_000)
    numbers = json.loads(page.locator("#framework").get_attribute("data-numbers"))
    truth = PICTURES[0].read()
    truth = truth[: truth.shape[0] // 4 * 4, : truth.shape[1] // 4 * 4]
    lr = imresize(chw(truth), 1 / 4).permute(1, 2, 0).numpy()
    part = page.evaluate(
        "async ([size, region]) => (await import('./framework.js')).partOf(size, region, 4)",
        [{"width": lr.shape[1], "height": lr.shape[0]}, PICTURES[0].view()["region"]],
    )
    top, left, height, width = (part[name] for name in ("top", "left", "height", "width"))
    lr = lr[top : top + height, left : left + width]
    truth = truth[4 * top : 4 * (top + height), 4 * left : 4 * (left + width)]
    student, target = to_tensor(expected(STUDENT, lr)), to_tensor(expected(MT, lr))
    method = MTKD(("MT",))
    l_dis = method.distillation(student, target).item()
    l_stu = (student - to_tensor(truth)).abs().mean().item()
    assert numbers == pytest.approx(
        {"L_dis": l_dis, "L_stu": l_stu, "L_total": l_dis + method.alpha * l_stu}, rel=2e-3, abs=2e-5
    )
    assert f"L_total = {numbers['L_total']:.5f}" in page.locator("#framework output").inner_text()
    blocks = len(zoo.load(MT, 4).aggregator.body)
    assert page.locator("#framework .flow").first.locator("canvas").count() == 1 + 3 + 1 + blocks + 1 + 1


@pytest.mark.parametrize("region", [None, [0, 0, 40, 40], [900, 700, 80, 60]])
def test_a_large_picture_is_shown_in_part(page, region):
    """96 LR pixels a side at most, inside the picture, with the region in it."""
    part = page.evaluate(
        "async (region) => (await import('./framework.js')).partOf({ width: 200, height: 300 }, region, 4)", region
    )
    assert (part["width"], part["height"]) == (96, 96)
    assert 0 <= part["left"] <= 104
    assert 0 <= part["top"] <= 204
    if region:
        top, left, height, width = (value / 4 for value in region)
        assert part["top"] <= top and top + height <= part["top"] + 96
        assert part["left"] <= left and left + width <= part["left"] + 96


def test_another_student_is_shown_when_chosen(page):
    before = page.locator("#framework").get_attribute("data-numbers")
    page.locator("#framework select").first.select_option("rcan_tiny-scratch")
    page.wait_for_function("before => document.querySelector('#framework').dataset.numbers !== before", arg=before)
    assert page.locator("#framework .flow").nth(1).locator("figure b").first.inner_text() == "RCAN student, alone"
