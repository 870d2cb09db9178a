"""The evidence in short, from records made by hand: every number is known beforehand."""

from __future__ import annotations

import pytest
from mtkd_app.parts import claims_list

from mtkd.experiments.plan import Plan, load_plan
from mtkd.experiments.tables import PRIMARY
from mtkd.explore.evidence import plots, summary
from mtkd.explore.evidence.results import Results
from tests.explore.evidence.test_results import made

ALONE = ((30.0, 31.0), (30.1, 31.1), (30.2, 31.0))


def seeds(model: str, by: float = 0.0, spread: float = 0.001) -> dict:
    """Three seeds, better than the student alone by so much on both images."""
    gains = (by - spread, by, by + spread) if by else (0.0,) * 3
    return {(model, 4, n): (a + g, b + g) for n, ((a, b), g) in enumerate(zip(ALONE, gains, strict=True), start=1)}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan("mini")


@pytest.fixture(scope="module")
def results(plan: Plan) -> Results:
    """RCAN: MTKD 0.1 better, KD as good; EDSR: 0.1 worse; few images: more to gain."""
    scores = seeds("rcan_tiny-scratch") | seeds("rcan_tiny-mtkd", 0.1) | seeds("rcan_tiny-kd", 0.1, 0.003)
    scores |= seeds("edsr_tiny-scratch") | seeds("edsr_tiny-mtkd", -0.1) | seeds("edsr_tiny-kd", 0.1, 0.5)
    scores |= seeds("rcan_tiny-scratch_4_images") | seeds("rcan_tiny-mtkd_4_images", 0.4)
    scores |= seeds("rcan_tiny-alpha_0_4_images", 0.9) | seeds("rcan_tiny12-scratch")
    scores |= {("aggregator_mini", 4, 5): (32.0, 33.0), ("bicubic", 4, None): (28.0, 29.0)}
    return made(plan, scores, *PRIMARY)


@pytest.fixture(autouse=True)
def all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of these records do not say on which data: the 380 images of the bundled models."""
    monkeypatch.setattr(summary, "_images", lambda scale: {None: 380})


def test_three_questions_with_their_numbers(results: Results) -> None:
    helps, over_kd, cost = summary.answers(results)
    assert helps.answer == "Yes for RCAN; no for EDSR."
    assert helps.numbers["RCAN"] == "+0.100 dB (+0.096 to +0.104, n = 3)"  # 6.205 * 0.001 / sqrt(3) = 0.0036
    images = "×4, on Set14 and held-out images together, 97.5 % intervals over n trainings"
    assert helps.about == f"MTKD over the student alone, {images}"
    assert helps.claim == (
        "The paper's claim needs all 3 comparisons; 1 of 3 is better: does not hold. In the paper's numbers: 12 of 12."
    )
    assert over_kd.answer == "No for RCAN; undecided for EDSR."  # level
    # bicubic 28.5, alone 30.567 by seed 30.5, 30.6, 30.6, MTKD 30.667, MT 32.5: 4.303 * 0.0577 / sqrt(3) / 4 = 0.036
    assert "The student alone reaches 52 % (48 to 55 %, n = 3) of the combined teacher's gain over" in cost.about
    assert "with MTKD 54 % (" in cost.about and "(RCAN student, ×4, Set14, 95 % intervals.)" in cost.about
    page = claims_list.answers([helps, over_kd, cost])
    assert "undecided for EDSR." in page and "+0.100 dB" in page


def test_nothing_measured_nothing_said(plan: Plan) -> None:
    empty = made(plan, {})
    assert summary.answers(empty) == [] and summary.pays(empty) == {} and summary.gains(empty, 4, "Set14") == {}


def test_gains_are_those_of_the_paper_s_tables_of_methods(results: Results) -> None:
    found = summary.gains(results, 4, "Set14")
    assert {student: [row.label for row in rows] for student, rows in found.items()} == {
        "RCAN student": ["kd", "mtkd"], "EDSR student": ["kd", "mtkd"],
    }  # fmt: skip


def test_points_are_found_by_what_the_recipes_say(results: Results) -> None:
    """Of another method (alpha = 0) or family, and without the student alone beside it, there is none."""
    panels = summary.pays(results)
    assert list(panels) == ["images"]
    found = {(point.method, point.value): point.comparison["mean"] for point in panels["images"]}
    assert found == {("kd", 380): 0.1, ("mtkd", 4): 0.4, ("mtkd", 380): 0.1}
    (few,) = (point for point in panels["images"] if point.value == 4)
    assert len(few.runs) == 3 and all(run.startswith("rcan_tiny-mtkd_4_images_x4_s") for run in few.runs)
    assert summary.reading(panels["images"], "images") == "MTKD: +0.40 dB at 4 images, +0.10 dB at 380 images."
    kd, mtkd = plots.paying(panels["images"], "images").data
    assert (list(kd.y), list(mtkd.y)) == ([0.1], [0.4, 0.1])
    assert mtkd.error_y.array[0] == pytest.approx(0.0036, abs=1e-4)
    assert "3 runs" in claims_list.points(panels) and few.runs[0] in claims_list.points(panels)


def test_claims_have_a_chip_and_a_line_a_comparison(results: Results) -> None:
    claims = results.claims()
    page = claims_list.claims(claims, results.claims_at)
    assert page.count("<summary>") == len(claims)
    (helps,) = (claim for claim in claims if claim.id == summary.HELPS)
    forest = claims_list.forest(helps.comparisons)
    assert forest.count("<svg") == 3 and forest.count("<circle") == 2  # SwinIR is not measured
    assert 'verdict-better">better<' in forest and 'verdict-worse">worse<' in forest and "not measured" in forest
    assert claims_list.forest([]) == ""


def test_an_arrow_says_that_an_interval_goes_on() -> None:
    shared = {"of": "A - B", "needed": 0, "seeds": 3, "verdict": "undecided"}
    whole, longer = ({**shared, "mean": 0.1, "interval": ends} for ends in ((-0.2, 0.25), (-0.9, 0.25)))
    assert "goes-on" not in claims_list.forest([whole])
    forest = claims_list.forest([whole, longer])
    assert forest.count("goes-on") == 1 and '"M6 4.0L0 9.0l6 5"' in forest and "−0.900 to +0.250" in forest


def test_names_are_escaped() -> None:
    bad = summary.Answer("<b>", "<i>", "<u>", {"<s>": "<em>"})
    assert not any(tag in claims_list.answers([bad]) for tag in ("<b>", "<i>", "<u>", "<s>", "<em>"))
