"""The picture of a training under way: every term is there, the bands add up, the axes go to the end."""

from __future__ import annotations

import json

from mtkd.explore.evidence.curves import training_figure

STEPS = [1, 2, 3]
CURVES = {
    "alpha L_stu": (STEPS, [0.3, 0.2, 0.1]),
    "L_dis": (STEPS, [0.4, 0.3, 0.2]),
    "loss": (STEPS, [0.7, 0.5, 0.3]),
    "LL1": (STEPS, [0.3, 0.2, 0.1]),
    "HH1": (STEPS, [0.1, 0.1, 0.1]),
    "lr": (STEPS, [1e-3] * 3),
    "it/s": (STEPS, [9.0] * 3),
    "validation PSNR-Y": ([3], [29.5]),
}
PARTS = {"LL1": "L_dis", "HH1": "L_dis"}


def test_terms_and_bands_left_and_quality_right() -> None:
    shown = json.loads(training_figure(CURVES, PARTS, 10).to_json())
    left = {trace["name"]: trace for trace in shown["data"] if trace["xaxis"] == "x"}
    assert list(left) == ["alpha L_stu", "L_dis", "sum", "LL1", "HH1"]
    assert left["L_dis"]["y"] == [0.4, 0.3, 0.2] and left["sum"]["y"] == [0.7, 0.5, 0.3]
    assert [name for name, trace in left.items() if trace["line"]["dash"] == "dot"] == ["LL1", "HH1"]
    (right,) = (trace for trace in shown["data"] if trace["xaxis"] == "x2")
    assert (right["x"], right["y"]) == ([3], [29.5])
    assert shown["layout"]["xaxis"]["range"] == [0, 10] and shown["layout"]["yaxis"]["type"] == "log"


def test_a_single_term_is_not_drawn_twice() -> None:
    curves = {"L1": (STEPS, [0.3, 0.2, 0.1]), "loss": (STEPS, [0.3, 0.2, 0.1])}
    assert [trace.name for trace in training_figure(curves, {}, 3).data] == ["L1"]
