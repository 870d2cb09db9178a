"""What is said in general beside a picture, against the records themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mtkd.data.examples import Place
from mtkd.experiments import records
from mtkd.experiments.plan import load_plan
from mtkd.experiments.statistics import pair
from mtkd.experiments.tables import Tables
from mtkd.explore.comparison.story import Story
from mtkd.explore.evidence.headline import Cost, Headline, Share, headline, place_caption
from mtkd.explore.evidence.results import load
from mtkd.zoo.costs import multiply_adds


def test_the_headline_is_that_of_the_records() -> None:
    found = headline(4, "Set14")
    assert found is not None and (found.student, found.set_name) == ("RCAN", "Set14")
    tables = Tables(load_plan("mini"), records.read(records.MEASURED / "mini.sqlite"))
    lines = {line.label: line for line in tables.matrix.lines(tables.matrix.table("table2"))}
    scores = {label: tables.scores(lines[label], 4, "Set14") for label in ("mtkd", "scratch", "bicubic", "MT")}
    student, alone, combined = (pair(scores[name], scores["bicubic"]) for name in ("mtkd", "scratch", "MT"))
    assert student is not None and alone is not None and combined is not None
    claim = next(one for one in load("mini").claims() if one.id == "distillation-helps")
    of_summary = next(one for one in claim.comparisons if (one["student"], one["scale"]) == ("RCAN", 4))
    told = ("mean", "interval", "seeds", "verdict")
    assert [found.gain[key] for key in told] == [of_summary[key] for key in told]
    assert found.cost.distilled.mean == pytest.approx(student.mean / combined.mean, abs=1e-4)
    assert found.cost.distilled.interval == pytest.approx([end / combined.mean for end in student.interval], abs=2e-4)
    assert found.cost.alone.mean == pytest.approx(alone.mean / combined.mean, abs=1e-4)
    assert found.cost.times == multiply_adds("aggregator_mini", 4) / multiply_adds("rcan_tiny-mtkd", 4)
    assert headline(4, "nowhere") is None


def test_a_place_is_said_to_be_chosen_beside_the_whole_picture() -> None:
    story = Story(None, None, None, 0.5, 0.4, 0.04, 1.72, None, None)  # type: ignore[arg-type]
    place = Place((0, 0, 8, 8), "the stripe")
    assert place_caption(place, story, 4) == (
        "The stripe: chosen because distillation helps most here, +1.72 dB. Whole picture +0.04 dB."
    )
    assert "helps most here at ×4; here at ×3, +1.72 dB. Whole" in place_caption(place, story, 3)


def compared(mean: float, interval: tuple[float, float] | None, seeds: int, verdict: str) -> dict[str, object]:
    return {"mean": mean, "interval": interval, "seeds": seeds, "verdict": verdict}


def told(mean: float, interval: tuple[float, float] | None, seeds: int, verdict: str = "undecided") -> Headline:
    cost = Cost(4e9, 72e9, Share(0.796, (0.741, 0.852), 3), Share(0.829, None, 1))
    return Headline("RCAN", 4, "Set14", compared(mean, interval, seeds, verdict), cost)


def test_the_verdict_says_how_sure_it_is() -> None:
    assert told(0.068, (-0.022, 0.159), 3).verdict() == (
        "On average distillation helps the RCAN student a little: +0.068 dB at ×4; 3 trainings are too few to be sure "
        "(97.5 % interval −0.022 to +0.159, n = 3, on Set14 and held-out images)."
    )
    assert told(0.3, (0.2, 0.4), 5, "better").verdict() == (
        "Distillation helps the RCAN student: +0.300 dB at ×4 (97.5 % interval +0.200 to +0.400, n = 5, on Set14 and "
        "held-out images)."
    )
    assert "distillation does not help the RCAN student a little" not in told(-0.1, (-0.3, 0.1), 3).verdict()
    assert "distillation does not help the RCAN student: −0.100 dB" in told(-0.1, (-0.3, 0.1), 3).verdict()
    assert told(0.004, (-0.01, 0.015), 4, "level").verdict().startswith("Distillation changes nothing that counts for")
    assert told(0.07, None, 1).verdict() == (
        "In one training, distillation helps the RCAN student a little: +0.070 dB at ×4, on Set14 and held-out images. "
        "One training says nothing of chance."
    )


def test_the_gain_over_plain_kd_says_how_sure_it_is() -> None:
    found = replace(told(0.07, None, 3), over_plain=compared(0.016, (-0.009, 0.042), 3, "undecided"))
    assert found.beside() == (
        "In general MTKD is +0.016 dB over KD at ×4 (97.5 % interval −0.009 to +0.042, n = 3, on Set14 and held-out "
        "images): undecided."
    )
    clear = replace(found, over_plain=compared(0.03, (0.01, 0.05), 3, "better"))
    assert clear.beside().endswith("(97.5 % interval +0.010 to +0.050, n = 3, on Set14 and held-out images): better.")
    bundled, without = headline(4), headline(3)
    assert bundled is not None and bundled.over_plain is not None and without is not None and without.beside() == ""


def test_the_cost_of_any_student_stands_beside_what_each_reaches() -> None:
    assert told(0.068, None, 1).sentence() == (
        "In general (RCAN student, ×4, Set14, 95 % intervals): any such student computes 18 times less than the "
        "combined teacher. The student alone reaches 80 % (74 to 85 %, n = 3) of the combined teacher's gain over "
        "bicubic, with MTKD 83 % (n = 1)."
    )
    other = headline(2)
    assert other is not None and other.student == "EDSR"
    assert "(EDSR student, ×2, Set14, one training each)" in other.sentence()
    assert other.sentence().endswith("(n = 1). The RCAN student was trained at ×4 only.")


def test_without_a_report_that_can_be_read_there_is_no_headline(monkeypatch, tmp_path):
    (tmp_path / "mini.json").write_text('{"tables": [')
    monkeypatch.setattr("mtkd.explore.evidence.headline.MEASURED", tmp_path)
    assert headline.__wrapped__() is None
