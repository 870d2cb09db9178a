"""A rehearsal of the whole chain at size ``small``, with the paper's own networks, in a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtkd.data.examples import EXAMPLES
from mtkd.images import write_image
from tests.conftest import Run

SIDE = 208  # LR patches of 48


@pytest.mark.slow
def test_the_small_chain(run: Run, tmp_path: Path) -> None:
    for number, example in enumerate(EXAMPLES[:3]):
        write_image(tmp_path / f"photos/{number}.png", example.read()[40 : 40 + SIDE, 40 : 40 + SIDE])
    options = ["--size", "small", "--out", tmp_path / "runs"]
    for assignment in (f"data.train={tmp_path / 'photos'}", "data.holdout=1", "iterations=2", "batch=2"):
        options += ["--set", assignment]
    outcome = run("matrix", "table3", *options, "--only", "scratch,kd,mtkd", "--json")
    assert outcome.code == 0, outcome.out
    assert {o["state"] for o in json.loads(outcome.out)["outcomes"]} == {"done"}
    (table,) = json.loads(run("matrix", "report", "table3", *options, "--json").out)["tables"]
    rows = {row["label"]: row for row in table["rows"]}
    assert all("held out" in rows[label]["measured"] for label in ("scratch", "kd", "mtkd"))
    assert rows["MT"]["model"] == "aggregator_small" and rows["full"]["model"] == "edsr_small"
    folders = {path.parent.name.split("_x4")[0]: path.parent for path in tmp_path.glob("runs/*/card.json")}
    assert json.loads((folders["aggregator_small"] / "card.json").read_text())["parameters"] == 418_083  # Table 1
    assert {"edsr_small", "rcan_small", "swinir_small", "edsr_mini-mtkd"} <= folders.keys()
