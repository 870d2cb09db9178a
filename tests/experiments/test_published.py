"""The paper's numbers: cells by hand, which rows there are, what they say and where they contradict the text."""

from __future__ import annotations

import pytest
import torch

from mtkd import networks
from mtkd.experiments.plan import load_plan
from mtkd.experiments.published import published

PAPER = published()
SETS = ["Set5", "Set14", "BSD100", "Urban100"]
ROWS = {
    "table2": {"MT", "full", "scratch", "kd", "at", "fakd", "dukd", "crosskd", "mtkd"},
    "table3": {"MT", "full", "scratch", "kd", "at", "fakd", "mtkd"},
    "table4": {"MT", "full", "scratch", "kd", "at", "fakd", "dukd", "mtkd"},
}
PSNR, SSIM = 0, 1


def cells():
    """(table, scale, set) of Tables 2 to 4, and the rows there."""
    for table in ROWS:
        for scale, rows in PAPER.tables[table].items():
            for name in SETS:
                yield (table, scale, name), {label: row[name] for label, row in rows.items()}


@pytest.mark.parametrize(
    ("label", "rcan", "swinir", "edsr"),
    [
        ("scratch", 26.34, 26.47, 26.03),
        ("kd", 26.49, 26.50, 26.02),
        ("at", 26.29, 26.47, 26.00),
        ("fakd", 26.42, 26.51, 26.11),
        ("crosskd", 26.53, None, None),
        ("dukd", 26.62, 26.43, None),
        ("mtkd", 27.08, 26.85, 26.32),
        ("MT", 27.44, 27.44, 27.44),
    ],
)
def test_psnr_on_urban100_at_x4(label, rcan, swinir, edsr):
    found = [PAPER.cell(table, 4, label, "Urban100") for table in ("table2", "table4", "table3")]
    assert [cell and cell[PSNR] for cell in found] == [rcan, swinir, edsr]


@pytest.mark.parametrize(
    ("table", "scale", "label", "row"),
    [
        ("table2", 4, "MT", [(32.83, 0.9027), (29.06, 0.7934), (27.93, 0.7496), (27.44, 0.8232)]),
        ("table2", 3, "dukd", [(34.74, 0.9296), (30.54, 0.8458), (29.25, 0.8088), (28.79, 0.8646)]),
        ("table3", 2, "full", [(38.11, 0.9601), (33.92, 0.9195), (32.32, 0.9013), (32.93, 0.9351)]),
        ("table3", 4, "kd", [(32.12, 0.8952), (28.56, 0.7823), (27.56, 0.7382), (26.02, 0.7861)]),
        ("table4", 2, "fakd", [(38.16, 0.9615), (33.87, 0.9216), (32.34, 0.9024), (32.81, 0.9345)]),
        ("table4", 3, "at", [(34.59, 0.9289), (30.53, 0.8464), (29.22, 0.8094), (28.63, 0.8618)]),
        ("table5", 4, "mtkd", [None, None, None, (27.08, 0.8108)]),
        ("table5", 4, "v7", [None, None, None, (26.28, 0.7958)]),
        ("table3", 4, "dukd", [None] * 4),
        ("table5", 2, "v7", [None] * 4),
    ],
)
def test_rows_by_hand(table, scale, label, row):
    assert [PAPER.cell(table, scale, label, name) for name in SETS] == row


def test_every_row_is_there():
    assert list(PAPER.sets) == SETS
    for table, labels in ROWS.items():
        assert {scale: set(rows) for scale, rows in PAPER.tables[table].items()} == dict.fromkeys((2, 3, 4), labels)
    assert set(PAPER.tables["table5"][4]) == {"v1", "v2", "v3", "v4", "v5", "v6", "v7", "mtkd"}
    rows = [row for table in ROWS for by_label in PAPER.tables[table].values() for row in by_label.values()]
    assert len(rows) == 72 and all(sorted(row) == sorted(SETS) for row in rows)


def test_the_aggregator_is_one_in_all_tables():
    for (_, scale, name), rows in cells():
        assert rows["MT"] == PAPER.cell("table2", scale, "MT", name)
    assert PAPER.tables["table5"][4]["mtkd"]["Urban100"] == PAPER.cell("table2", 4, "mtkd", "Urban100")


def test_the_misprint_is_corrected():
    (correction,) = PAPER.corrections
    where = (correction.table, correction.scale, correction.row, correction.set)
    assert where == ("table3", 4, "mtkd", "BSD100")
    assert (correction.metric, correction.printed, correction.read) == ("SSIM", 0.4707, 0.7407)
    assert PAPER.cell(*where) == (27.69, 0.7407)


def test_numbers_are_plausible_and_fall_with_the_scale():
    for (table, scale, name), rows in cells():
        for label, (psnr, ssim) in rows.items():
            assert 25 < psnr < 39 and 0.73 < ssim < 0.97
            if scale < 4:
                assert psnr > PAPER.cell(table, scale + 1, label, name)[PSNR] + 0.5
                assert ssim > PAPER.cell(table, scale + 1, label, name)[SSIM] + 0.01


def test_later_methods():
    assert PAPER.later["rcan"] == {"MiPKD": 26.55, "DUKD": 26.62, "DCKD": 26.69, "DCKD+DUKD": 26.74, "MTKD": 27.08}
    assert PAPER.later["swinir"] == {"MCLIR": 26.57, "DCKD": 26.64, "MTKD": 26.85}
    assert PAPER.later["edsr"] == {"MTKD": 26.32}


# The scales at which a network has as many parameters as Table 1 prints, which names none.
TABLE1 = {
    "swinir": (180, 6, None, "11.8", {2}),
    "swinir_lightweight": (60, 4, None, "0.9", {2, 3, 4}),
    "rcan": (64, 20, 10, "15.6", {3, 4}),
    "rcan_lightweight": (64, 6, 10, "5.2", {3, 4}),
    "edsr": (256, 32, None, "43", {4}),
    "edsr_baseline": (64, 16, None, "1.5", {4}),
}


@pytest.mark.parametrize("entry", PAPER.table1, ids=lambda entry: entry.network)
def test_networks_of_table_1(entry):
    channels, blocks, groups, printed, scales = TABLE1[entry.network]
    assert (entry.channels, entry.blocks, entry.groups) == (channels, blocks, groups)
    assert f"{entry.parameters:g}" == printed and entry.role == networks.specs()[entry.network].role
    digits = len(printed.partition(".")[2])
    with torch.device("meta"):
        built = {scale: networks.build(entry.network, scale) for scale in (2, 3, 4)}
    counts = {scale: f"{networks.parameter_count(net) / 1e6:.{digits}f}" for scale, net in built.items()}
    assert {scale for scale, count in counts.items() if count == printed} == scales
    assert built[4].feature_channels == channels
    body = built[4].layers if entry.network.startswith("swinir") else built[4].body
    assert len(body) == (groups or blocks)
    if groups:
        assert {len(group.residual_group) for group in body} == {blocks}


def test_table_1_is_complete():
    assert sorted(entry.network for entry in PAPER.table1) == sorted(TABLE1)


@pytest.mark.parametrize("claim", PAPER.claims, ids=lambda claim: claim.id)
def test_claims_are_about_rows_that_exist(claim):
    plan = load_plan("paper")
    named = {label for pair in claim.pairs for label in pair}
    named |= {label for pair in (claim.grows or {}).values() for label in pair}
    assert named and bool(claim.pairs) != bool(claim.grows)
    assert set(claim.grows or ("gain", "gap")) == {"gain", "gap"}
    printed = {label for table in claim.tables for rows in PAPER.tables[table].values() for label in rows}
    planned = {label for table in claim.tables for label in (*plan.tables[table].models, *plan.tables[table].variants)}
    assert named <= printed and named <= planned


def test_pairs_of_a_claim():
    pairs = {claim.id: claim.pairs for claim in PAPER.claims}
    assert pairs["wavelet-loss"] == (("mtkd", "v5"), ("mtkd", "v6"), ("mtkd", "v7"))
    assert pairs["more-teachers"] == (("mtkd", "v1"), ("v1", "v2"))


def exceptions(metric: int, first: str, *others: str, tables=tuple(ROWS)) -> set[tuple]:
    """Where ``first`` is not better than each of the others that are there (all, where none is named)."""
    found = set()
    for (table, scale, name), rows in cells():
        for label in others or rows.keys() - {first, "MT", "full"}:
            if table in tables and label in rows and rows[first][metric] <= rows[label][metric]:
                found.add((table, scale, name, label))
    return found


def test_mtkd_is_the_best_student_but_for_one_tie():
    """Sec. 5.1: "consistently offers the best performance"."""
    assert exceptions(PSNR, "mtkd") == set()
    assert exceptions(SSIM, "mtkd") == {("table4", 2, "Set5", "kd")}
    assert PAPER.cell("table4", 2, "mtkd", "Set5")[SSIM] == PAPER.cell("table4", 2, "kd", "Set5")[SSIM] == 0.9619


def test_the_aggregator_is_better_than_every_teacher():
    assert exceptions(PSNR, "MT", "full") == exceptions(SSIM, "MT", "full") == set()


def test_where_the_rcan_student_is_not_better_than_its_teacher():
    """Sec. 5.1 says that it "even outperforms its original full version"; it gains 0.26 dB on Urban100 at x4."""
    below = {(2, name) for name in SETS} | {(3, "Set14"), (4, "Set5"), (4, "Set14")}
    assert {where[1:3] for where in exceptions(PSNR, "mtkd", "full", tables=["table2"])} == below
    ssim = {where[1:3] for where in exceptions(SSIM, "mtkd", "full", tables=["table2"])}
    assert ssim == {(2, "Urban100"), (3, "BSD100")}
    gain = PAPER.cell("table2", 4, "mtkd", "Urban100")[PSNR] - PAPER.cell("table2", 4, "full", "Urban100")[PSNR]
    assert gain == pytest.approx(0.26)


def test_ablations_in_order():
    ordered = sorted(PAPER.tables["table5"][4].items(), key=lambda item: item[1]["Urban100"][PSNR])
    assert [label for label, _ in ordered] == ["v7", "v2", "v5", "v1", "v4", "v3", "v6", "mtkd"]
