"""The table of all runs: made anew from the folders, read back whole, and nothing but what the folders say."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mtkd import zoo
from mtkd.errors import UserError
from mtkd.experiments import records
from mtkd.experiments.matrix import run_folder
from mtkd.experiments.plan import Plan
from mtkd.experiments.runner import HELD_OUT
from mtkd.zoo.checkpoints import weights_hash
from tests.experiments.conftest import graph


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished graph's folders, without their caches."""
    return Path(shutil.copytree(finished, tmp_path / "out", ignore=shutil.ignore_patterns("cache", "checkpoints")))


def test_the_table_says_what_the_folders_say(tiny: Plan, out: Path) -> None:
    read = records.read(records.rebuild(out))
    made = graph(tiny)
    assert read.runs.keys() == made.runs.keys()
    for digest, run in made.runs.items():
        row, folder = read.runs[digest], run_folder(out, run)
        assert (row["name"], row["scale"], row["seed"], row["folder"]) == (run.name, 2, run.seed, folder.name)
        if run.recipe is None:
            continue
        card = json.loads((folder / "card.json").read_text())
        for key in ("network", "method", "iterations", "parameters", "teacher_passes", "seconds", "teachers", "recipe"):
            assert row[key] == card[key], key
        assert row["held_out_psnr"] == card["held_out"]["psnr"] and row["images"] == card["data"]["hash"]
        if (folder / "scores.json").exists():
            assert row["weights"] == weights_hash(zoo.load(run.name, 2, sources=[out]))
            assert row["measured_with"] == card["versions"]
        logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        curve = [(r["iteration"], r["validation PSNR-Y"]) for r in logged if "validation PSNR-Y" in r]
        assert len(curve) >= 2 and [tuple(point) for point in row["curve"]] == [
            (iteration, pytest.approx(value, abs=1e-4)) for iteration, value in curve
        ]


def test_records_of_another_format_say_what_to_do(out: Path) -> None:
    path = records.rebuild(out)
    with closing(sqlite3.connect(path)) as table, table:
        table.execute("PRAGMA user_version = 2")
    with pytest.raises(UserError, match=re.escape(f"run `mtkd matrix status --out {out}`")):
        records.read(path)


def test_scores_are_kept_image_by_image(tiny: Plan, out: Path) -> None:
    read = records.read(records.rebuild(out))
    digests = {row.digest for row in graph(tiny).rows}
    assert read.scores.keys() == {(digest, HELD_OUT) for digest in digests}
    for digest in digests:
        (stored,) = json.loads((run_folder(out, graph(tiny).runs[digest]) / "scores.json").read_text()).values()
        expected = {image.pop("image"): image for image in stored["images"]}
        assert read.scores[digest, HELD_OUT] == expected and len(expected) == 2
    assert read.protocols == {"Y, crop = scale, uint8"}


def test_any_program_can_read_it(out: Path) -> None:
    with closing(sqlite3.connect(records.rebuild(out))) as table:
        best = table.execute(
            "SELECT name, avg(metrics ->> '$.psnr') AS p FROM runs JOIN scores USING (digest) GROUP BY digest"
        ).fetchall()
    assert len(best) == 8 and all(15 < psnr < 50 for _, psnr in best)


def test_made_anew_it_is_the_same_and_forgets_what_is_gone(tiny: Plan, out: Path) -> None:
    first = records.read(records.rebuild(out))
    (out / records.NAME).unlink()
    assert records.read(records.rebuild(out)) == first
    (gone,) = out.glob("rcan_tiny-kd_*")
    shutil.rmtree(gone)
    assert len(records.read(records.rebuild(out)).runs) == len(first.runs) - 1


def test_known_records_stay_as_they_are_and_new_ones_are_added(out: Path, tmp_path: Path) -> None:
    whole = records.read(records.rebuild(out))
    known = Path(shutil.copy(out / records.NAME, tmp_path / "known.sqlite"))
    (gone,) = out.glob("rcan_tiny-kd_*")
    shutil.move(gone, tmp_path / "gone")
    fewer = Path(shutil.copy(records.rebuild(out), tmp_path / "fewer.sqlite"))
    with closing(sqlite3.connect(fewer)) as table, table:
        table.execute("UPDATE runs SET seconds = 12345")
    shutil.move(tmp_path / "gone", gone)
    added = records.read(records.rebuild(out, known=fewer))
    assert added.runs.keys() == whole.runs.keys() and added.scores == whole.scores and added.sets == whole.sets
    assert [run["name"] for run in added.runs.values() if run["seconds"] != 12345] == ["rcan_tiny-kd"]
    shutil.rmtree(gone)
    assert records.read(records.rebuild(out, known=known)) == whole


def test_unfinished_runs_and_other_files_are_left_out(out: Path) -> None:
    before = records.read(records.rebuild(out))
    (out / "begun").mkdir()
    (out / "begun" / "recipe.yaml").write_text("name: begun")
    (out / "notes.txt").write_text("mine")
    assert records.read(records.rebuild(out)) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("card.json", "no"),
        ("scores.json", '{"Set5": 1}'),
        ("metrics.jsonl", "{"),
    ],
)
def test_a_damaged_folder_is_named(out: Path, name: str, content: str) -> None:
    (folder,) = out.glob("rcan_tiny-kd_*")
    (folder / name).write_text(content)
    with pytest.raises(UserError) as caught:
        records.rebuild(out)
    assert str(caught.value).startswith(f"{folder}: damaged run folder (") and "\n" not in str(caught.value)


def test_a_table_that_is_none(out: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no records; run `mtkd matrix` first"):
        records.read(tmp_path / "nothing.sqlite")
    (tmp_path / "text.sqlite").write_text("not a database at all, but longer than its header would be" * 20)
    with pytest.raises(UserError, match="not a table of runs"):
        records.read(tmp_path / "text.sqlite")
    path = records.rebuild(out)
    with closing(sqlite3.connect(path)) as table:
        table.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="records of format 99, this version reads 3; update mtkd"):
        records.read(path)
