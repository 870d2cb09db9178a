"""One file of one's own, in an empty folder: trained, scored, benchmarked, reported and seen in the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtkd.data.examples import EXAMPLES
from mtkd.images import read_image, write_image
from tests.app.pages import choose, open_page, open_view, wait_for_run, wait_for_text

from .conftest import served

pytestmark = pytest.mark.sweep

PLUGIN = """import mtkd
import torch.nn.functional as F
from mtkd.plugins import loss, method, metric, network
from torch import nn


@network("small_net", title="Small net", features=1)
class SmallNet(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, 3 * scale**2, 3, padding=1)
        self.scale = scale

    def forward(self, lr_image, with_features=False):
        features = self.first(lr_image).relu()
        base = F.interpolate(lr_image, scale_factor=self.scale, mode="bilinear")
        sr_image = base + F.pixel_shuffle(self.last(features), self.scale)
        return (sr_image, (features,)) if with_features else sr_image


@loss("smooth", title="Smooth L1 loss")
class Smooth(nn.Module):
    def forward(self, student_image, target_image):
        return F.smooth_l1_loss(student_image, target_image)


@method("pull", title="Pull")
class Pull(mtkd.Method):
    def __init__(self, outputs, pull=1.0):
        super().__init__()
        self.outputs, self.pull = outputs, pull

    def loss(self, network, batch):
        image = network(batch.lr_image)
        target = batch.outputs[self.outputs[0]]
        return {"gt": F.l1_loss(image, batch.hr_image), "pull": self.pull * F.mse_loss(image, target)}


@metric("mae", unit="levels", better="lower", digits=2)
def mae(sr_image, hr_image):
    return float((sr_image - hr_image).abs().mean())
"""
PLAN = """plugins: [mine.py]
extends: mini
defaults: {data: {train: photos, holdout: 1}, lr_patch: 16, batch: 2, log_every: 1, precision: fp32}
teachers: {edsr: edsr_mini, rcan: rcan_mini, swinir: swinir_mini}
students: {mine: small_net}
student: {iterations: 4, snapshots: []}
metrics: [mae]
variants:
  alone: {title: "Small net alone", method: {name: scratch}}
  pulled: {title: "Small net, pulled", teachers: [edsr], method: {name: pull}}
  smoothed: {title: "Small net, smooth loss", teachers: [rcan], method: {name: mtkd, options: {loss: smooth}}}
tables:
  mine:
    title: A network of my own
    student: mine
    scales: [4]
    models: [bicubic]
    variants: [alone, pulled, smoothed]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the plugin, a plan, three photos, and two of them as a benchmark set."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.py").write_text(PLUGIN, encoding="utf-8")
    (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
    for number, example in enumerate(EXAMPLES[:3]):
        write_image(folder / "photos" / f"{number}.png", example.read()[:96, :96])
        write_image(folder / "benchmarks" / "Set5" / f"{number}.png", example.read()[96:192, :96])
    return folder


def environment(folder: Path) -> dict[str, str]:
    """That of a fresh machine: nothing is found but what lies in the folder and in the package."""
    return {"MTKD_HOME": str(folder / "home"), "MTKD_DATA": str(folder), "MTKD_PLUGINS": "", "OMP_NUM_THREADS": "1"}


def mtkd(folder: Path, *arguments: str) -> str:
    """A command with the plugin, run in the folder."""
    command = [sys.executable, "-m", "mtkd.cli", "--plugin", "mine.py", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """The folder after the plan's table was trained and measured."""
    mtkd(folder, "matrix", "mine", "--size", "plan.yaml")
    return folder


def test_the_report_has_the_rows_and_the_metric(trained: Path) -> None:
    content = json.loads(mtkd(trained, "matrix", "report", "mine", "--size", "plan.yaml", "--json"))
    rows = {row["label"]: row["measured"]["Set5"] for row in content["tables"][0]["rows"]}
    assert {"bicubic", "alone", "pulled", "smoothed"} <= rows.keys()
    assert all(0 < row["mae"] < 50 and row["images"] == 3 for row in rows.values())
    text = mtkd(trained, "matrix", "report", "mine", "--size", "plan.yaml")
    assert "PSNR in dB / SSIM / MAE" in text and f"/ {rows['pulled']['mae']:.2f}"[:6] in text


def test_a_model_is_listed_measured_and_scored(trained: Path) -> None:
    names = {model["name"] for model in json.loads(mtkd(trained, "models", "--json"))}
    assert {"small_net-alone", "small_net-pulled", "small_net-smoothed"} <= names
    (row,) = json.loads(
        mtkd(trained, "benchmark", "small_net-pulled", "--sets", "Set5", "--metrics", "psnr,mae", "--json")
    )
    assert row["images"] == 3 and row["mae"] > 0
    mtkd(trained, "upscale", "photos/0.png", "--model", "small_net-pulled", "-o", "sr/0.png")
    assert read_image(trained / "sr" / "0.png").shape == (384, 384, 3)
    scored = json.loads(mtkd(trained, "score", "photos", "photos", "--metrics", "mae,ssim", "--json"))
    assert scored["mae"] == 0 and scored["ssim"] == pytest.approx(1)


def test_feature_methods_take_a_network_with_features(trained: Path) -> None:
    recipe = {"name": "attentive", "stage": "distill", "network": "small_net", "scale": 4, "method": {"name": "at"},
              "teachers": ["small_net-alone"], "data": {"train": "photos", "holdout": 1}, "lr_patch": 16, "batch": 2,
              "iterations": 2}  # fmt: skip
    (trained / "at.json").write_text(json.dumps(recipe), encoding="utf-8")
    mtkd(trained, "train", "at.json", "--out", "attentive")
    assert (trained / "attentive" / "model.safetensors").is_file()


@pytest.fixture(scope="module")
def page(browser, trained: Path) -> Iterator:
    with served(**environment(trained) | {"MTKD_PLUGINS": str(trained / "mine.py")}) as (address, _):
        page = open_page(browser, address)
        yield page
        page.context.close()


def test_the_page_names_the_plugin_without_its_folder(page, trained: Path) -> None:
    text = page.inner_text("#plugins")
    assert "mine.py (" in text and "network small_net" in text and "metric mae" in text and str(trained) not in text


def test_compare_offers_the_model_and_has_the_metrics_column(page) -> None:
    page.goto(f"{page.url.partition('?')[0]}?models=small_net-alone,small_net-pulled")
    wait_for_run(page, "")
    wait_for_text(page, "#table", "MAE-Y (levels)")
    caption = page.locator("#viewer .mv-pane:has(canvas[data-name='small_net-pulled'])").inner_text()
    assert "MAE" in caption and "levels" in caption


def test_results_show_the_plan_with_its_metric(page) -> None:
    open_view(page, "Tables")
    wait_for_text(page, "#results-table", "student, alone")
    choose(page, "#results-plan", "plan")
    choose(page, "#results-name", "A network of my own")
    page.wait_for_function(
        "document.querySelector('#results-table')?.innerText.includes('Small net, pulled')", timeout=180_000
    )
    page.locator("#results-metric").get_by_label("MAE", exact=True).check()
    wait_for_text(page, "#results-table", "MAE, levels")


def test_the_loss_is_among_the_ablations(page) -> None:
    open_view(page, "Wavelet loss")
    wait_for_text(page, "body", "Smooth L1 loss")
