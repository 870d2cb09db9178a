"""Pictures of a training under way: every term is there, the axes go to the end, levels have names."""

from __future__ import annotations

import json

from mtkd.explore.evidence.curves import Line, held_out_figure, loss_figure, psnr_figure

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


def test_terms_their_sum_and_dotted_their_parts() -> None:
    shown = json.loads(loss_figure(CURVES, PARTS, 10).to_json())
    drawn = {trace["name"]: trace for trace in shown["data"]}
    assert list(drawn) == ["alpha L_stu", "L_dis", "sum", "LL1", "HH1"]
    assert drawn["L_dis"]["y"] == [0.4, 0.3, 0.2] and drawn["sum"]["y"] == [0.7, 0.5, 0.3]
    assert [name for name, trace in drawn.items() if trace["line"]["dash"] == "dot"] == ["LL1", "HH1"]
    assert shown["layout"]["xaxis"]["range"] == [0, 10] and shown["layout"]["yaxis"]["type"] == "log"


def test_a_single_term_is_not_drawn_twice() -> None:
    curves = {"L1": (STEPS, [0.3, 0.2, 0.1]), "loss": (STEPS, [0.3, 0.2, 0.1])}
    assert [trace.name for trace in loss_figure(curves, {}, 3).data] == ["L1"]


def test_levels_of_other_networks_are_lines_with_their_names() -> None:
    shown = json.loads(psnr_figure(([0, 3], [26.5, 27.8]), 10, {"Bicubic": 27.1, "MT": 29.4}).to_json())
    lines = {trace["name"]: (trace["x"], trace["y"]) for trace in shown["data"]}
    assert lines == {"Bicubic": ([0, 10], [27.1] * 2), "MT": ([0, 10], [29.4] * 2), "This run": ([0, 3], [26.5, 27.8])}
    texts = [note["text"] for note in shown["layout"]["annotations"]]
    assert texts == ["Bicubic 27.10", "MT 29.40", "<b>This run 27.80</b>"]
    low, high = shown["layout"]["yaxis"]["range"]
    assert low < 26.5 and high > 29.4


def test_a_curve_with_a_note_is_dotted_and_says_it() -> None:
    figure = held_out_figure(
        [Line("seed 1", ([10, 20], [28.0, 28.5])), Line("seed 2", ([10], [27.0]), "Begins too low.")]
    )
    good, noted = figure.data
    assert (list(good.x), list(good.y)) == ([10, 20], [28.0, 28.5])
    assert (good.line.dash, noted.line.dash) == ("solid", "dot") and noted.hovertemplate.endswith("Begins too low.")
    assert "Begins" not in good.hovertemplate and good.line.color != noted.line.color
    assert held_out_figure([Line("a", ([10], [28.0]))], step=10).layout.xaxis.type == "log"


def test_a_run_that_was_not_validated_says_so_in_place_of_a_scale() -> None:
    empty, measured = psnr_figure(([], []), 10), psnr_figure(([5], [27.0]), 10)
    assert [note.text for note in empty.layout.annotations] == ["Not measured yet"]
    assert empty.layout.yaxis.showticklabels is False
    assert not measured.layout.annotations and measured.layout.yaxis.showticklabels is None
