"""Run folders of before are brought to today's form: what today's code writes of the same run, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mtkd.errors import UserError
from mtkd.experiments import records
from mtkd.experiments.maintain.older_runs import update_all
from mtkd.training.measured import Measured


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def make_old(run: Path) -> None:
    card = json.loads((run / "card.json").read_text())
    (run / "card.json").write_text(json.dumps({k: v for k, v in card.items() if k != "role"}, indent=1) + "\n")
    lines = []
    for row in rows(run):
        bands = row.pop("parts", {}).get("L_dis", {})
        lines.append(json.dumps(row | {f"band {name}": value for name, value in bands.items()}) + "\n")
    (run / "metrics.jsonl").write_text("".join(lines))


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """The finished graph's folders with their weights and scores."""
    return Path(shutil.copytree(finished, tmp_path / "out", ignore=shutil.ignore_patterns("cache", "checkpoints")))


def contents(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_as_todays_code_writes_them(out: Path) -> None:
    (run,) = out.glob("rcan_tiny-mtkd_*")
    before, measured = contents(out), rows(run)
    assert len(measured[0]["parts"]["L_dis"]) > 1 and update_all(out) == []
    make_old(run)
    assert Measured(run).read() and rows(run) != measured
    assert update_all(out) == [run] and update_all(out) == []
    assert rows(run) == measured
    after = contents(out)
    assert {path for path in before if after[path] != before[path]} <= {run / "metrics.jsonl"}  # order of keys
    records.read(records.rebuild(out))


def test_what_is_still_trained_is_left_alone(out: Path) -> None:
    (run,) = out.glob("rcan_tiny-mtkd_*")
    make_old(run)
    (run / "finished.json").unlink()
    before = contents(out)
    assert update_all(out) == [] and contents(out) == before


def test_a_damaged_card(out: Path) -> None:
    (run,) = out.glob("rcan_tiny-mtkd_*")
    (run / "card.json").write_text("{")
    with pytest.raises(UserError, match=r"card\.json: damaged .*; move rcan_tiny-mtkd_.* away"):
        update_all(out)
