"""What the Results tab shows, from records made by hand: every number is known beforehand."""

from __future__ import annotations

import csv
import io
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path

import pytest
from mtkd_app.parts.results_table import table

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.experiments import records
from mtkd.experiments.plan import Plan, load_plan
from mtkd.experiments.records import Records
from mtkd.experiments.tables import Tables
from mtkd.experiments.titles import titles as model_titles
from mtkd.explore.draw.colours import STORY
from mtkd.explore.draw.theme import INK
from mtkd.explore.evidence import columns, plots
from mtkd.explore.evidence.columns import Column, as_csv, as_markdown
from mtkd.explore.evidence.results import Results, load, titles

IMAGES = ("a", "b")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan("mini")


def made(plan: Plan, scores: dict[tuple[str, int, int | None], tuple[float, float]], *sets: str) -> Results:
    """Results of finished runs: {(model, scale, seed): PSNR of image a and b of each set}; SSIM is PSNR / 50."""
    matrix = Tables(plan, Records({}, {}, frozenset())).matrix
    runs, numbers = {}, {}
    for (name, scale, seed), psnr in scores.items():
        run = matrix.run(name, scale, seed)
        recipe = run.recipe.model_dump(mode="json") if run.recipe else None
        runs[run.digest] = dict.fromkeys(records.RUNS) | {
            "digest": run.digest, "name": name, "scale": scale, "seed": run.seed, "folder": run.folder,
            "recipe": recipe, "network": recipe and recipe["network"], "parameters": 1000 if recipe else None,
            "curve": [[10, 30.0]],
        }  # fmt: skip
        for name in sets or ("Set5",):
            numbers[run.digest, name] = {i: {"psnr": p, "ssim": p / 50} for i, p in zip(IMAGES, psnr, strict=True)}
    return Results(plan, Records(runs, numbers, frozenset({"Y, crop = scale, uint8"})))


STUDENTS = {
    ("rcan_tiny-scratch", 4, 1): (30.0, 31.0),
    ("rcan_tiny-scratch", 4, 2): (29.0, 30.0),
    ("rcan_tiny-kd", 4, 1): (30.1, 31.1),
    ("rcan_tiny-dukd", 4, 1): (30.0, 31.1),
    ("rcan_tiny-mtkd", 4, 1): (30.2, 31.1),
    ("rcan_tiny-mtkd", 4, 2): (29.3, 29.8),
    ("rcan_mini", 4, None): (32.0, 32.2),
    ("bicubic", 4, None): (27.0, 28.0),
}


@pytest.fixture(scope="module")
def results(plan: Plan) -> Results:
    return made(plan, STUDENTS)


def test_measured_and_printed_stand_side_by_side(results: Results) -> None:
    rows = {row.label: row for row in results.view("table2", 4, "Set5").rows}
    mtkd = rows["mtkd"]
    # seeds: 30.65 and 29.55; over scratch of the same seed: +0.15 and +0.05, image b loses in the mean
    assert (mtkd.measured, mtkd.seeds, mtkd.printed) == (pytest.approx(30.1), 2, 32.62)
    assert mtkd.spread == pytest.approx(0.7778, abs=1e-4)
    assert mtkd.over is not None and (mtkd.over.mean, mtkd.over.won, mtkd.over.images) == (pytest.approx(0.1), 1, 2)
    assert mtkd.printed_over == pytest.approx(32.62 - 32.32)
    assert rows["at"].measured is None and rows["at"].printed == 32.31 and rows["at"].runs == ()
    ssim = {row.label: row for row in results.view("table2", 4, "Set5", "ssim").rows}["kd"]
    assert (ssim.measured, ssim.printed) == (pytest.approx(30.6 / 50), 0.8980)


def test_best_and_second_are_of_the_distilled_students(results: Results) -> None:
    rows = results.view("table2", 4, "Set5").rows
    assert {row.label: row.mark for row in rows if row.mark} == {"kd": "best", "dukd": "second"}
    # Table 2, x4, Set5: MTKD 32.62, DUKD 32.56; Full (32.63) and MT (32.83) do not compete
    assert {row.label: row.printed_mark for row in rows if row.printed_mark} == {"mtkd": "best", "dukd": "second"}
    # Table 4, x4, Set5: KD and FAKD share the second place at 32.43
    shared = results.view("table4", 4, "Set5").rows
    assert {row.label for row in shared if row.printed_mark == "second"} == {"kd", "fakd"}


def test_one_measured_student_is_not_called_the_best(plan: Plan) -> None:
    rows = made(plan, {("rcan_tiny-kd", 4, 1): (30, 31)}).view("table2", 4, "Set5").rows
    assert not any(row.mark for row in rows)


def test_what_is_missing_is_said(results: Results) -> None:
    some, none = results.view("table2", 4, "Set5"), results.view("table2", 3, "BSD100")
    assert some.missing.startswith("Not measured on Set5 at ×4 yet") and "AT, FAKD" in some.missing
    assert none.missing == "Nothing of this table is measured on BSD100 at ×3 yet: the paper's numbers alone."
    assert not none.empty
    # Table 5 has no undistilled student: it is that of Table 2, 26.34 dB.
    over = {row.label: row.printed_over for row in results.view("table5", 4, "Urban100").rows}
    assert (over["mtkd"], over["v7"], over["scratch"]) == (0.74, -0.06, None)
    other_scale = results.view("table5", 3, "Urban100")
    assert other_scale.empty and other_scale.rows == () and other_scale.missing == "This table is for ×4 alone."
    unprinted = results.view("aggregators", 2, "Set5")
    assert unprinted.empty and "the paper's" not in unprinted.missing


def test_notes_of_the_paper(results: Results) -> None:
    assert any("printed 0.4707, read as 0.7407" in note for note in results.view("table3", 4, "BSD100").notes)
    assert not any("0.4707" in note for note in results.view("table3", 4, "Set5").notes)
    assert any("MiPKD 26.55" in note for note in results.view("table2", 4, "Urban100").notes)
    assert any(note.startswith("Held out") for note in results.view("table2", 4, "held out").notes)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("tabel2", 4, "Set5", "psnr"), "did you mean 'table2'"),
        (("table2", 5, "Set5", "psnr"), "give 2, 3 or 4"),
        (("table2", 4, "Set6", "psnr"), "did you mean 'Set5'"),
        (("table2", 4, "Set5", "mse"), "Known: psnr, ssim"),
    ],
)
def test_bad_questions_are_told(results: Results, asked: tuple, message: str) -> None:
    with pytest.raises(UserError, match=message):
        results.view(*asked)
    with pytest.raises(UserError, match="did you mean 'mtkd'"):
        results.runs("table2", 4, "mtdk")


def test_csv_holds_what_is_shown(results: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(results.view("table2", 4, "Set5")))))
    mtkd = next(row for row in rows if row["label"] == "mtkd")
    assert (float(mtkd["psnr"]), mtkd["seeds"], float(mtkd["psnr_printed"])) == (pytest.approx(30.1), "2", 32.62)
    assert (float(mtkd["difference"]), mtkd["difference_is"]) == (pytest.approx(0.1), "over the student alone")
    mt = next(row for row in rows if row["label"] == "MT")
    assert mt["title"] == "Combined teacher (MT)" and mt["psnr"] == ""


def test_rows_are_called_as_their_models_are(plan: Plan) -> None:
    shipped = load("mini")
    rows = [row for table in ("table2", "table5") for row in shipped.view(table, 4, "Set5").rows]
    here = {model.name: model.title for model in zoo.models(4)}
    assert len(rows) > 20 and all(row.title == here[row.model] for row in rows if row.model in here)
    roles = {plan.aggregator_name(role): plan.title(role) for role in plan.aggregators}
    assert roles.items() <= model_titles(plan).items()


def test_csv_has_its_heads_in_order(results: Results) -> None:
    head = as_csv(results.view("table2", 4, "Set5", "ssim")).partition("\n")[0]
    assert head == (
        "table,scale,set,label,title,model,parameters,ssim,ssim_spread,seeds,ssim_printed,"
        "difference,difference_is,difference_spread,difference_printed"
    )


def test_markdown_holds_what_is_shown(results: Results) -> None:
    lines = as_markdown(results.view("table2", 4, "Set5")).splitlines()
    assert lines[2] == (
        "| Model | PSNR, dB: measured | PSNR, dB: seeds | PSNR, dB: paper "
        "| over the student alone, dB: measured | over the student alone, dB: paper | parameters |"
    )
    spread = statistics.stdev([30.65, 29.55])
    assert any(
        line.startswith(f"| RCAN student, with MTKD | 30.100 ± {spread:.3f} | 2 | **32.62** | +0.100 ± ")
        for line in lines
    )
    assert any(line.startswith("| RCAN student, with KD | **30.600** | 1 | ") for line in lines)
    assert any(line.startswith("| RCAN student, with DUKD | <u>30.550</u> | 1 | ") for line in lines)
    assert any(line.startswith("| Combined teacher (MT) | – | – | 32.83 | – | – |") for line in lines)


def test_a_column_is_one_entry(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column added to the list is in the page's table, in the CSV and in the markdown."""
    column = Column("images_won", "images <won>", lambda row: row.over and row.over.won)
    monkeypatch.setattr(columns, "COLUMNS", [*columns.COLUMNS, column])
    view = results.view("table2", 4, "Set5")
    kd, page = next(row for row in view.rows if row.label == "kd"), table(view, None)
    assert kd.over is not None and kd.over.won == 2
    assert ">images &lt;won&gt;</button></th></tr></thead>" in page
    assert page.partition('data-label="kd"')[2].partition("</tr>")[0].endswith('<td data-value="2">2</td>')
    saved = {row["label"]: row for row in csv.DictReader(io.StringIO(as_csv(view)))}
    assert (saved["kd"]["images_won"], saved["MT"]["images_won"]) == ("2", "")
    lines = as_markdown(view).splitlines()
    assert lines[2].endswith("| images <won> |")
    assert next(line for line in lines if line.startswith("| RCAN student, with KD |")).endswith("| 2 |")


def test_runs_behind_a_number(results: Results) -> None:
    first, second = results.runs("table2", 4, "mtkd")
    assert (first["seed"], second["seed"]) == (1, 2) and first["recipe"]["method"]["name"] == "mtkd"
    assert first["scores"] == {"Set5": {"psnr": pytest.approx(30.65), "ssim": pytest.approx(30.65 / 50)}}
    assert first["source"] == "bundled"
    assert results.runs("table2", 4, "at") == []


def test_points_of_models(plan: Plan) -> None:
    scores = {("aggregator_mini", 4, 5): (32.4, 32.5), ("aggregator_mini-v2", 4, 5): (32.1, 32.3), **STUDENTS}
    results = made(plan, scores)
    points = {point.model: point for point in results.points(4, "Set5")}
    assert set(points) == {name for name, *_ in scores}
    assert (points["rcan_tiny-mtkd"].group, points["rcan_tiny-mtkd"].title) == (
        "RCAN student",
        "RCAN student, with MTKD",
    )
    assert (points["rcan_mini"].group, points["rcan_mini"].title) == ("Teachers", "RCAN teacher")
    # teachers count, measured or not
    assert set(points["aggregator_mini"].parts) == {"aggregator_mini", "edsr_mini", "rcan_mini", "swinir_mini"}
    assert set(points["aggregator_mini-v2"].parts) == {"aggregator_mini-v2", "swinir_mini"}
    assert points["bicubic"].parts == {}
    assert results.points(3, "Set5") == []


def test_claims_in_words(results: Results) -> None:
    claims = {claim.id: claim for claim in results.claims()}
    over_kd = claims["mtkd-over-kd"]
    assert over_kd.verdict == "undecided" and over_kd.printed == "12 of 12"
    assert over_kd.evidence.startswith("of 3 comparisons 3 not measured")  # Set5 is shown, not tested
    assert [one["seeds"] for one in over_kd.comparisons] == [0, 0, 0]


def test_default_set_is_the_largest_measured(plan: Plan, results: Results) -> None:
    assert results.default_set(4) == "Set5"
    assert made(plan, STUDENTS, "BSD100").default_set(4) == "BSD100"
    assert results.default_set(2) == "Set5"


# --- the user's own records


def test_own_runs_are_told_apart(tmp_path: Path) -> None:
    """One run of the user's own over the bundled ones."""
    bundled = load(out=tmp_path)
    assert bundled.own == frozenset() and bundled.source.endswith("and none of your own")
    own = tmp_path / records.NAME
    own.write_bytes((records.MEASURED / "mini.sqlite").read_bytes())
    with closing(sqlite3.connect(own)) as table, table:
        table.execute("UPDATE runs SET digest = 'mine' WHERE digest = (SELECT min(digest) FROM runs)")
    both = load(out=tmp_path)
    assert both.own == {"mine"} and both.source.endswith("and 1 of your own")
    own.write_text("no database")
    with pytest.raises(UserError, match="not a table of runs"):
        load(out=tmp_path)


def test_bundled_means_are_those_of_the_file(tmp_path: Path) -> None:
    """Means over seeds and images, computed from the table of scores itself."""
    shown = load(out=tmp_path)
    with closing(sqlite3.connect(records.MEASURED / "mini.sqlite")) as table:
        for name, label in (("rcan_tiny-mtkd", "mtkd"), ("aggregator_mini", "MT"), ("rcan_mini", "full")):
            (row,) = (row for row in shown.view("table2", 4, "Set14").rows if row.label == label)
            query = (
                "SELECT avg(metrics ->> '$.psnr') FROM runs JOIN scores USING (digest) WHERE name = ? AND scale = 4 "
            )
            query += "AND set_name = 'Set14' AND digest IN ({}) GROUP BY digest".format(", ".join("?" * len(row.runs)))
            by_seed = [mean for (mean,) in table.execute(query, (name, *row.runs))]
            assert row.measured == pytest.approx(statistics.fmean(by_seed), abs=1e-4) and row.seeds == len(by_seed) > 0


# --- what has data


def test_what_has_no_data_is_no_choice(results: Results) -> None:
    """Table 2 is printed at every scale; the paper's further sets come after what was measured."""
    assert results.sets_with_data("table2", 4) == (["Set5"], ["Set14", "BSD100", "Urban100"])
    assert results.sets_with_data("table2", 3)[0] == [] and results.scales_with_data("table2") == (2, 3, 4)
    assert results.scales_with_data("length") == () and results.scales_with_data("controls") == (4,)
    assert results.measured_sets(4) == ["Set5"] and results.measured_sets(3) == []


# --- pictures


def test_an_aggregator_stands_at_the_cost_of_all_its_networks(plan: Plan) -> None:
    results = made(plan, {("aggregator_mini-v2", 4, 5): (32.1, 32.3), ("bicubic", 4, None): (27.0, 28.0)})
    points = results.points(4, "Set5")
    (mt,) = (point for point in points if point.parts)
    (trace,) = (trace for trace in plots.tradeoff(points, "Set5 ×4").data if trace.x)
    assert list(trace.x) == [sum(cost.multiply_adds for cost in mt.parts.values())]
    assert list(trace.y) == [pytest.approx(32.2)] and "G swinir_mini" in trace.customdata[0][0]


def test_the_story_is_in_colour_and_the_rest_in_grey(results: Results) -> None:
    figure = plots.tradeoff(results.points(4, "Set5"), "Set5 ×4")
    colours = {trace.name: trace.marker.color for trace in figure.data if trace.x}
    assert colours == {"": INK, "alone": STORY["scratch"], "KD": STORY["kd"], "MTKD": STORY["mtkd"]}
    assert {note.text for note in figure.layout.annotations} == {"RCAN", "Teachers"}


def test_dots_are_hollow_with_one_seed_and_an_arrow_says_that_an_interval_goes_on(results: Results) -> None:
    rows = {row.label: row for row in results.view("table2", 4, "Set5").rows if row.over}
    figure = plots.dots({"RCAN student": [plots.row_dot(rows[label]) for label in ("kd", "mtkd")]}, "dB")
    interval, printed, measured = figure.data
    assert list(measured.marker.symbol) == ["circle-open", "circle"]  # KD has one seed
    assert list(measured.x) == [pytest.approx(0.1), pytest.approx(0.1)] and list(printed.x) == [0.13, 0.3]
    low, high = rows["mtkd"].over.interval  # 0.1 +- 12.706 * 0.0707 / sqrt(2)
    assert (low, high) == (pytest.approx(-0.5353, abs=1e-3), pytest.approx(0.7353, abs=1e-3))
    left, right = figure.layout.xaxis.range
    assert interval.x == (left, high) and low < left and high < right
    assert interval.marker.symbol[0] == "triangle-left" and list(interval.marker.size) == [9, 0]


def test_figures_without_data_say_so() -> None:
    assert "No model is measured" in plots.tradeoff([], "Set5 ×3").layout.annotations[0].text


def test_titles_name_all_tables() -> None:
    assert {"table2", "table3", "table4", "table5", "controls", "aggregators"} <= titles().keys()
