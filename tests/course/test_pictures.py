"""Pictures of the course: the map is the page's drawing, and every picture says what it shows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mtkd.course import alt, schemes
from mtkd.course.conclusions import CONCLUSIONS, conclusion
from mtkd.course.figures import dct_cosines, haar_square, path_sheet, receptive_fields, similarity_sheet
from mtkd.course.map import LIT, TITLES, framework_map
from mtkd.experiments.maintain.evidence import measured_report
from mtkd.explore.comparison.crops import sheet
from mtkd.explore.draw.alt import described
from mtkd.explore.evidence.charts import bars, lines
from mtkd.explore.inside.framework_map import BOXES, HEIGHT, WIDTH, flow, teacher_boxes
from mtkd.explore.inside.framework_map import lines as parts


def test_the_map_has_every_box_of_the_framework_and_lights_those_of_the_lesson():
    boxes = BOXES | teacher_boxes(["teacher-1", "teacher-2", "teacher-3"])
    assert set(TITLES) == set(boxes) and all(set(names) <= set(boxes) for names in LIT.values())
    whole, wavelets = framework_map("00"), framework_map("04")
    assert whole.size == (WIDTH * 0.8, HEIGHT * 0.8)
    changed = np.any(np.asarray(whole.convert("RGB")) != np.asarray(wavelets.convert("RGB")), axis=2)
    box = boxes["loss-dis"]
    y, x = (round(0.8 * v) for v in (box.y + 12, box.x + 12))
    assert not changed[y, x] and np.asarray(wavelets.convert("RGB"))[y, x, 2] < 210  # lit in both: yellow
    other = boxes["mt"]
    assert changed[round(0.8 * (other.y + 12)), round(0.8 * (other.x + 12))]
    assert "wavelet loss to MT, Eq. 3." in wavelets.info["alt"] and "Lit here" not in whole.info["alt"]


def test_every_arrow_of_the_drawing_is_a_line_from_box_to_box():
    found = parts(flow(BOXES | teacher_boxes(["teacher-1"])))
    assert len(found) == len(set(found)) and all(one.startswith("M") and one[1].isdigit() for one in found)


def test_sheets_and_charts_say_what_they_show():
    grey = np.zeros((4, 4, 3), np.uint8)
    assert sheet([("LR", "64 pixels", grey), ("SR", "", grey)]).info["alt"] == "Pictures: LR (64 pixels); SR."
    assert bars({"L1": {"blur": 0.1}}, "loss", ".1f").info["alt"] == "Bars, loss. L1: blur 0.1."
    assert lines({"a": ([1, 2], [3.0, 4.0])}, "step", "dB").info["alt"] == "Curves of dB over step: a from 3 to 4."


def test_a_notebook_stores_the_alt_text_of_a_picture():
    picture = Image.new("RGB", (2, 2))
    assert isinstance(alt.png(picture), bytes)
    data, metadata = alt.png(described(picture, "a black square"))
    assert data.startswith(b"\x89PNG") and metadata == {"alt": "a black square"}


@pytest.mark.parametrize("lesson", LIT)
def test_a_map_is_small(lesson, tmp_path):
    framework_map(lesson).save(tmp_path / "map.png", optimize=True)
    assert (tmp_path / "map.png").stat().st_size < 30_000


@pytest.mark.parametrize(
    "draw",
    [
        schemes.block_schemes,
        schemes.window_schemes,
        schemes.unshuffle_scheme,
        schemes.student_t,
        schemes.method_schemes,
        dct_cosines,
    ],
)
def test_a_scheme_is_described_and_small(draw, tmp_path):
    picture = draw()
    picture.save(tmp_path / "scheme.png", optimize=True)
    assert (tmp_path / "scheme.png").stat().st_size < 25_000 and len(picture.info["alt"]) > 60


def test_the_limits_of_student_t_are_those_of_the_tables():
    assert "±2.24" in schemes.student_t().info["alt"] and "±6.21" in schemes.student_t().info["alt"]


def test_the_cosines_are_flat_first_and_change_sign_at_every_pixel_last():
    pixels = np.asarray(dct_cosines(zoom=1).convert("RGB")).astype(int)
    first, last = pixels[3:11, 3:11], pixels[-11:-3, -11:-3]
    assert (first == first[0, 0]).all()
    redder = last[..., 0] > last[..., 2]
    assert (redder[:, 1:] != redder[:, :-1]).all() and (redder[1:] != redder[:-1]).all()


def test_the_square_holds_the_bands_where_they_belong():
    stripes = torch.zeros(3, 16, 16, dtype=torch.double)
    stripes[:, 0::2] = 1  # horizontal stripes: LH alone
    pixels = np.asarray(haar_square(stripes, levels=1, zoom=8).convert("RGB")).astype(int)
    saturation = pixels.max(2) - pixels.min(2)
    quarters = {"HL": saturation[30:60, 70:120], "LH": saturation[90:120, 8:60], "HH": saturation[90:120, 70:120]}
    assert quarters["LH"].min() > 100 > 10 > max(quarters["HL"].max(), quarters["HH"].max())


def test_a_receptive_field_is_as_wide_as_the_convolutions_make_it():
    image = torch.rand(1, 3, 25, 25, generator=torch.Generator().manual_seed(1))
    layer = nn.Conv2d(3, 3, 3, padding=1)
    nn.init.constant_(layer.weight, 1.0)
    networks = {"one": nn.Sequential(layer), "three": nn.Sequential(*(copy.deepcopy(layer) for _ in range(3)))}
    alt_text = receptive_fields(networks, image, scale=1).info["alt"]
    assert "one (99 % within 3 x 3)" in alt_text and "three (99 % within 7 x 7)" in alt_text


def test_similarity_and_path_say_their_numbers():
    grey = np.full((8, 8, 3), 128, np.uint8)
    assert "mean 0.500" in similarity_sheet(grey, grey, torch.full((8, 8), 0.5)).info["alt"]
    images = [torch.rand(1, 3, 8, 8)] * 2
    assert path_sheet(images, [0, 0.5], [1.0, 2.0]).info["alt"] == "Pictures: a = 0 (F = 1.0); a = 0.5 (F = 2.0)."


@pytest.fixture(scope="module")
def report():
    return measured_report("mini")


@pytest.mark.parametrize("lesson", CONCLUSIONS)
def test_a_conclusion_follows_the_records(lesson, report):
    text = conclusion(lesson, report)
    assert text.count("\n") == 4 and all(line.count(" | ") == 1 for line in text.splitlines()[2:])
    changed = copy.deepcopy(report)
    for claim in changed["claims"]:
        claim["verdict"] = "holds"
    assert lesson == "08" or "*holds*" in conclusion(lesson, changed)
    assert lesson == "08" or any(f"*{claim['verdict']}*" in text for claim in report["claims"])
