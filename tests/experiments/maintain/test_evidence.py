"""The evidence that is shipped: tables follow from the records, cards and records agree."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.experiments import records
from mtkd.experiments.maintain.evidence import agreements, measured_agreements
from mtkd.experiments.plan import load_plan
from mtkd.zoo.checkpoints import weights_hash
from tests.conftest import Run

MINI = records.MEASURED / "mini.sqlite"
TEACHERS, SETS = ("edsr_mini", "rcan_mini", "swinir_mini"), ("Set5", "Set14")
BUNDLED = [model for model in zoo.models() if model.bundled]


def test_the_report_makes_the_shipped_tables_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, in an empty folder, without the images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MTKD_DATA", raising=False)
    assert run("matrix", "report", "-o", "made").code == 0
    for kind in ("md", "json"):
        assert (tmp_path / f"made/report.{kind}").read_bytes() == MINI.with_suffix(f".{kind}").read_bytes()


@pytest.mark.parametrize("model", BUNDLED, ids=lambda m: f"{m.name}_x{m.scale}")
def test_cards_and_records_agree(model: zoo.Model) -> None:
    """Of the run with the card's seed: the same numbers."""
    known = records.read(MINI)
    card = model.card
    (digest,) = [
        digest
        for digest, run in known.runs.items()
        if (run["name"], run["scale"], run["seed"]) == (model.name, model.scale, card["seed"])
    ]
    for row in card["benchmarks"]:
        psnr = statistics.fmean(metrics["psnr"] for metrics in known.scores[digest, row["set"]].values())
        assert row["psnr"] == pytest.approx(psnr, abs=1e-4)


def test_agreements_are_those_of_the_bundled_networks() -> None:
    found = measured_agreements("mini")
    scales = {model.scale for model in BUNDLED}
    assert {(row["scale"], row["set"]) for row in found} == {(s, n) for s in scales for n in ("held out", *SETS)}
    for scale in scales:
        merging = [m.name for m in BUNDLED if m.scale == scale and m.role == "aggregator"]
        hashes = {name: weights_hash(zoo.load(name, scale)) for name in (*TEACHERS, *merging)}
        for row in found:
            if row["scale"] == scale:
                assert (tuple(row["models"]), row["networks"]) == (TEACHERS, hashes)


def test_an_agreement_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of other weights anew; with no known ones left, the set of benchmarks is looked for."""
    plan, known = load_plan("mini"), measured_agreements("mini")
    assert agreements(plan, tmp_path, known) == known
    changed = [row | {"networks": {}} for row in known]
    monkeypatch.delenv("MTKD_DATA", raising=False)
    with pytest.raises(UserError, match="data.train: no folder 'BSDS400'"):
        agreements(plan, tmp_path, changed)


def test_records_of_ones_own_lie_over_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, own = tmp_path / "measured", tmp_path / "runs"
    shipped.mkdir()
    own.mkdir()
    monkeypatch.setattr(records, "MEASURED", shipped)
    with pytest.raises(UserError, match="no records; run"):
        records.available(own, "mini")
    (shipped / "mini.sqlite").write_bytes(MINI.read_bytes())
    known = records.available(own, "mini")
    assert known == records.read(MINI)
    with pytest.raises(UserError, match="no records; run"):
        records.available(own, "mine")
    one = next(iter(known.runs))
    mine = records.Records({one: known.runs[one] | {"seconds": 1}, "new": known.runs[one]}, {}, frozenset())
    both = mine.over(known)
    assert both.runs[one]["seconds"] == 1 and both.runs.keys() == {*known.runs, "new"}
    assert both.scores == known.scores and both.protocols == known.protocols
