"""What lecturers get: the numbers of the quiz are computed here, plans add up, letters name code that exists."""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mtkd import networks, zoo
from mtkd.experiments.maintain.agreement import gain_of_averaging
from mtkd.experiments.maintain.evidence import measured_agreements
from mtkd.experiments.published import published
from mtkd.experiments.records import MEASURED
from mtkd.experiments.statistics import ALPHA, MARGIN, quantile
from mtkd.explain.maps import diffusion_index
from mtkd.explain.subbands import names, transform
from mtkd.losses import WaveletLoss
from mtkd.metrics import luma, psnr
from mtkd.networks.dct import window_dct_matrix
from mtkd.resize import imresize

TEACHING = Path(__file__).parents[1] / "docs" / "teaching"
QUIZ = (TEACHING / "quiz.md").read_text(encoding="utf-8")
QUESTION = re.compile(r"\*\*(\d+)\.\*\* (.+?)\nA: (.+?)\. B: (.+?)\. C: (.+?)\. D: (.+?)\.\n", re.DOTALL)
ANSWERS = dict(re.findall(r"^\| (\d+) \| ([A-D]) \|", QUIZ, flags=re.MULTILINE))
QUESTIONS = {number: dict(zip("ABCD", options, strict=True)) for number, _, *options in QUESTION.findall(QUIZ)}


def right(number: int) -> str:
    """The answer of a question that the key calls right."""
    return QUESTIONS[str(number)][ANSWERS[str(number)]]


def test_thirty_questions_with_four_options_and_a_key() -> None:
    assert [*map(int, QUESTIONS)] == [*map(int, ANSWERS)] == list(range(1, 31))
    assert all(len(set(options.values())) == 4 for options in QUESTIONS.values())
    assert all(list(ANSWERS.values()).count(letter) - 8 < 8 and letter in ANSWERS.values() for letter in "ABCD")


# --- numbers


def pixels_that_one_reads() -> int:
    """Along a row of zeros with a single one, at how many places does the middle LR pixel change?"""
    row = torch.eye(64, dtype=torch.float64)[:, None, None, :].expand(64, 3, 64, 64)
    shrunk = torch.stack([imresize(image, 1 / 4)[0, 8, 8] for image in row])
    return int((shrunk.abs() > 1e-12).sum())


def grey_pair() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)).expand(1, 3, 32, 32)
    return image, (image + 0.05 * torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))).clamp(0, 1)


def luma_over_rgb() -> float:
    first, second = (255 * image[0].double() for image in grey_pair())
    on_rgb = (first - second).square().mean()
    on_luma = (luma(first) - luma(second)).square().mean()
    return float(10 * torch.log10(on_rgb / on_luma))


def too_bright(loss: WaveletLoss) -> float:
    image = torch.zeros(1, 3, 16, 16)
    return float(loss(image + 0.2, image)) / 0.2


def over_the_mean() -> float:
    row = next(row for row in measured_agreements("mini") if (row["set"], row["scale"]) == ("Set14", 4))
    return row["gains"]["aggregator_mini"] - row["gains"]["mean"]


def better_than_full() -> int:
    table = published().tables["table2"]
    return sum(rows["mtkd"][name][0] > rows["full"][name][0] for rows in table.values() for name in rows["mtkd"])


NUMBERS: dict[int, tuple[Callable[[], float], float]] = {
    1: (pixels_that_one_reads, 0.5),
    2: (luma_over_rgb, 0.005),
    3: (lambda: psnr_of(1) - psnr_of(2), 0.005),
    6: (lambda: gain_of_averaging(3, 0.9), 0.005),
    7: (lambda: gain_of_averaging(10**6, 0.9), 0.005),
    10: (lambda: zoo.load("aggregator_mini", 4).aggregator.conv_first.in_channels, 0.5),
    15: (lambda: len(names(3)), 0.5),
    22: (lambda: quantile(2, ALPHA) / math.sqrt(3), 0.05),
    24: (lambda: MARGIN, 1e-9),
    29: (lambda: diffusion_index(torch.tensor([0.0, 1.0]).repeat(32)) or 0.0, 0.01),
    30: (better_than_full, 0.5),
}


def psnr_of(error: float) -> float:
    """PSNR of a grey image that is wrong by so many levels everywhere."""
    grey = torch.full((3, 32, 32), 100 / 255, dtype=torch.float64)
    return float(psnr(grey + error * 4 / 255, grey, 2))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_of_the_quiz(number: int) -> None:
    measure, tolerance = NUMBERS[number]
    printed = re.search(r"\d+(?:\.\d+)?", right(number))
    assert printed and measure() == pytest.approx(float(printed[0]), abs=tolerance)


def test_what_else_the_key_says() -> None:
    counts = {
        name: networks.parameter_count(networks.specs()[name].build(scale=4)) for name in ("edsr", "rcan", "swinir")
    }
    assert right(5) == max(counts, key=counts.__getitem__).upper()
    assert right(12) == "8 x" and (window_dct_matrix(8).double() @ torch.ones(64).double())[0].item() == pytest.approx(
        8
    )
    assert right(14) == "2 c" and transform(torch.ones(1, 3, 8, 8), 1, "haar")["LL1"].mean().item() == pytest.approx(2)
    assert right(16) == "c / 2" and too_bright(WaveletLoss(1, "haar")) == pytest.approx(1 / 2, rel=1e-5)
    assert "v7" in right(17) and too_bright(WaveletLoss(1, "haar", details_only=True)) == pytest.approx(0, abs=1e-6)
    verdicts = [
        claim["verdict"] for claim in json.loads((MEASURED / "mini.json").read_text(encoding="utf-8"))["claims"]
    ]
    assert right(26) == "none" and "holds" not in verdicts and len(verdicts) == 9
    words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    key = f"{words[verdicts.count('does not hold')]} do not hold, {words[verdicts.count('undecided')]} are undecided"
    assert key in QUIZ
    assert right(27) == "less than 0.01 dB" and abs(over_the_mean()) < 0.01


# --- plans, rubrics, letters


def tables(page: str) -> list[list[list[str]]]:
    """The rows of a page's tables, without their heads."""
    found = re.findall(r"(?:^\|.*\n)+", (TEACHING / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|\n").split("|")] for row in one.splitlines()[2:]] for one in found]


def test_the_minutes_of_a_plan_add_up() -> None:
    plans = [[row[0] for row in one] for one in tables("plans.md") if one[-1][0].startswith("**")]
    assert len(plans) == 2
    for *minutes, total in plans:
        assert sum(map(int, minutes)) == int(total.strip("*"))


def test_each_open_question_has_ten_points() -> None:
    rubrics = tables("open-questions.md")
    assert len(rubrics) == 10 and all(sum(int(row[0]) for row in one) == 10 for one in rubrics)


def test_letters_name_code_that_exists() -> None:
    rows = [row for one in tables("notation.md") for row in one]
    assert len(rows) > 25
    for *_, code in rows:
        dotted, _, member = re.fullmatch(r"`([\w.]+)`( \(`(\w+)`\))?", code).groups()  # type: ignore[union-attr]
        module, _, name = dotted.rpartition(".")
        found = getattr(importlib.import_module(module), name)
        if member:
            known = {*dir(found), *getattr(found, "__annotations__", ()), *found.__init__.__annotations__}
            assert member in known, code
