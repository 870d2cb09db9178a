"""``mtkd matrix`` as people use it: plan, run, look, report, and every mistake in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from mtkd.experiments.matrix import run_folder
from mtkd.experiments.plan import Plan, load_plan
from tests.conftest import Outcome, Run
from tests.experiments.conftest import CONTENT, graph, write_plan
from tests.training.conftest import write_images, write_model
from tests.training.test_resume import _environment


@pytest.fixture
def matrix(run: Run, plan_file: Path, tmp_path: Path):
    """``mtkd matrix NAMES --size tiny.yaml --out tmp/runs ...``"""

    def call(*names: object, out: Path = tmp_path / "runs", plan: Path = plan_file) -> Outcome:
        return run("matrix", *names, "--size", plan, "--out", out)

    return call


def test_dry_run_prints_the_graph_and_its_cost_and_writes_nothing(matrix, tmp_path: Path) -> None:
    outcome = matrix("trial", "--dry-run")
    lines = outcome.out.splitlines()
    assert outcome.code == 0 and not (tmp_path / "runs").exists()
    tasks = [line.split()[:2] for line in lines[2:-3]]
    for wanted in (["train", "ada"], ["cache", "aggregator_mini"], ["train", "rcan_tiny-mtkd"], ["measure", "bicubic"]):
        assert wanted in tasks
    assert tasks.index(["cache", "ada"]) < tasks.index(["train", "aggregator_mini"])
    assert lines[-2].startswith("remaining: ") and "hours on one cpu thread" in lines[-2]
    assert lines[-1].startswith("on a GPU that sustains 20 TFLOP/s: ")


@pytest.mark.sweep
def test_dry_run_estimates_for_another_device(matrix) -> None:
    told = [json.loads(matrix("trial", "--dry-run", "--tflops", tflops, "--json").out) for tflops in (1, 4)]
    assert told[0]["flops"] == told[1]["flops"] > 0
    for tflops, found in zip((1, 4), told, strict=True):
        assert found["hours"] == pytest.approx(found["flops"] / (tflops * 1e12) / 3600)
        assert found["measured_hours"] == 0
    text = matrix("trial", "--dry-run", "--tflops", "0.5").out
    assert text.endswith("on one device that sustains 0.5 TFLOP/s\n")


@pytest.mark.sweep
def test_dry_run_of_every_size_without_its_data_or_teachers(run: Run, monkeypatch, tmp_path: Path) -> None:
    """Planning a paper-size graph needs neither DIV2K nor the published weights."""
    monkeypatch.delenv("MTKD_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    for size, first in (("mini", "edsr_mini"), ("small", "edsr_small"), ("paper", "edsr")):
        outcome = run("matrix", "table5", "--size", size, "--only", "v1", "--scales", "4", "--dry-run", "--json")
        assert outcome.code == 0
        told = json.loads(outcome.out)
        assert told["tasks"][0]["model"] == first
        assert told["flops"] > 0 and told["hours"] > 0
        assert {t["state"] for t in told["tasks"]} <= {"ready", "waiting", "missing"}
        assert ("missing" in told["states"]) == (size == "paper")
    assert list(tmp_path.iterdir()) == []


def test_the_bundled_zoo_is_not_trained_again(run: Run, data_root: Path, tmp_path: Path) -> None:
    outcome = run(
        "matrix", "controls", "--size", "mini", "--only", "k2", "--seeds", "9", "--dry-run", "--json", "--out", tmp_path
    )
    states = {(t["kind"], t["model"]): t["state"] for t in json.loads(outcome.out)["tasks"]}
    for name in ("edsr_mini", "rcan_mini", "swinir_mini", "aggregator_mini"):
        assert states["train", name] == "in the zoo"
    assert states["train", "rcan_tiny-k2"] == "waiting"


def test_run_status_report(plan_file: Path, finished: Path, tiny: Plan, tmp_path: Path) -> None:
    """As processes, from nothing: two rows, then the rest, then what stands and what came out."""
    command = [sys.executable, "-m", "mtkd.cli", "matrix"]
    where = ["--size", str(plan_file), "--out", str(tmp_path / "runs")]

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *words, *where], env=_environment(), capture_output=True, text=True, check=False, timeout=300
        )

    first = call("trial", "--only", "scratch,kd")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-2].startswith("6 of 6 tasks done; records: ")
    told = json.loads(call("status", "trial", "--json").stdout)
    assert told["states"]["done"] == 6 and told["states"]["waiting"] > 0  # bob and his outputs, two students, measured
    second = call("trial", "--only", "scratch,kd")
    assert "reading images" not in second.stdout and second.returncode == 0
    report = call("report", "trial", "-o", str(tmp_path / "report"))
    assert report.returncode == 0
    data = json.loads((tmp_path / "report" / "report.json").read_text())
    measured = [row["label"] for row in data["tables"][0]["rows"] if row["measured"]]
    assert measured == ["scratch", "kd"]
    text = (tmp_path / "report" / "report.md").read_text()
    assert text == call("report", "trial").stdout
    for path in (tmp_path / "runs").glob("*/model.safetensors"):
        assert path.read_bytes() == (finished / path.parent.name / "model.safetensors").read_bytes()


def test_status_tells_what_runs_failed_and_waits(matrix, tiny: Plan, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    shutil.copytree(finished, out, ignore=shutil.ignore_patterns("cache", ".lock"))
    made = {run.name: run for run in graph(tiny).runs.values()}
    for name in ("rcan_tiny-mtkd", "rcan_tiny-kd", "rcan_tiny-v2"):
        folder = run_folder(out, made[name])
        for file in ("finished.json", "run.json", "scores.json"):
            (folder / file).unlink()
    key = f"train-{made['rcan_tiny-kd'].folder}"
    (run_folder(out, made["rcan_tiny-kd"]) / "failed.json").write_text(json.dumps({"task": key, "message": "it broke"}))
    with FileLock(out / ".locks" / f"train-{made['rcan_tiny-mtkd'].folder}.lock"):
        told = json.loads(matrix("status", "trial", "--json").out)
    states = {(t["kind"], t["model"]): (t["state"], t["note"]) for t in told["tasks"]}
    assert states["train", "rcan_tiny-mtkd"] == ("running", "")
    assert states["train", "rcan_tiny-kd"] == ("failed", "it broke")
    assert states["train", "rcan_tiny-v2"][0] == "waiting"  # for the cache, which was not copied
    assert states["cache", "aggregator_mini-v2"][0] == "ready"
    assert states["measure", "rcan_tiny-v2"][0] == "waiting"
    assert states["train", "ada"][0] == "done" and states["cache", "cyd"][0] == "not needed"
    (running,) = [t for t in told["tasks"] if t["state"] == "running"]
    assert (running["iteration"], running["iterations"]) == (4, 4)
    assert "failed" in matrix("status", "trial").out and "it broke" in matrix("status", "trial").out


def test_a_failure_is_reported_and_ends_with_code_1(matrix, small_plan: Path, tmp_path: Path) -> None:
    """A patch larger than the images: the run fails, bicubic is measured all the same."""
    outcome = matrix("trial", "--only", "scratch,bicubic", "--set", "lr_patch=64", plan=small_plan)
    assert outcome.code == 1
    assert "failed: train rcan_tiny-scratch x2 seed 1: " in outcome.out and "lower lr_patch" in outcome.out
    assert "skipped: measure rcan_tiny-scratch x2 seed 1: needs train rcan_tiny-scratch" in outcome.out
    assert "done: measure bicubic x2" in outcome.out and "1 of 3 tasks done" in outcome.out
    assert "Traceback" not in outcome.out + outcome.err
    assert len(list((tmp_path / "runs").glob("*/failed.json"))) == 1
    again = matrix("trial", "--only", "scratch,bicubic", plan=small_plan)  # another recipe: its own run
    assert again.code == 0
    assert "skipped" not in again.err


def test_json_of_a_run_is_json(matrix, small_plan: Path) -> None:
    told = json.loads(matrix("trial", "--only", "scratch,bicubic", "--json", plan=small_plan).out)
    assert [outcome["state"] for outcome in told["outcomes"]] == ["done"] * 3


def test_a_damaged_folder_is_left_out_and_the_rest_is_told(matrix, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    shutil.copytree(finished, out, ignore=shutil.ignore_patterns("cache", ".lock"))
    (damaged,) = out.glob("rcan_tiny-kd_*")
    (damaged / "scores.json").write_text("{")
    (damaged / "failed.json").write_text("{")
    outcome = matrix("report", "trial")
    assert outcome.code == 0 and "| MTKD | " in outcome.out
    assert outcome.err.startswith(f"mtkd: skipped: {damaged}: damaged run folder (")


def test_a_report_without_a_match_says_so(matrix, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "runs", ignore=shutil.ignore_patterns("cache", ".lock"))
    assert "no row of these tables has been measured" in matrix("report", "trial", "--set", "iterations=9").err
    assert matrix("report", "trial").err == ""


@pytest.fixture
def small_plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path / "p.yaml", write_images(tmp_path / "images"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tabel2",), "unknown table 'tabel2'; did you mean 'table2'?"),
        (("trial", "status"), "'status' among the tables: put it first"),
        (("trial", "--seeds-needed"), "--seeds-needed needs status before it: mtkd matrix status --seeds-needed"),
        (("report", "tabel2"), "unknown table 'tabel2'; did you mean 'table2'?"),
        (("trial", "--only", "mtdk"), "unknown method or variant 'mtdk'; did you mean 'mtkd'?"),
        (("trial", "--scales", "5"), "--scales 5: give 2, 3 or 4"),
        (("table5", "--scales", "2"), "no such row in table5"),
        (("trial", "--seeds", "one"), "--seeds one: give whole numbers, separated by commas"),
        (("trial", "--seeds", "-1"), "seed: "),
        (("trial", "--set", "iteration=5"), "did you mean 'iterations'?"),
        (("trial", "--threads", "0"), "--threads"),
        (("report", "trial"), "no records; run `mtkd matrix` first"),
    ],
)
def test_a_mistake_is_one_line(words, message: str, refused, small_plan: Path, tmp_path: Path) -> None:
    assert message in refused("matrix", *words, "--size", small_plan, "--out", tmp_path / "runs")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"teachers": CONTENT["teachers"] | {"rcan": "nobody"}},
            "nobody x2 is needed, but this plan does not train it: ",
        ),
        ({"variants": {"kd": {"method": {"name": "kdd"}}}}, "unknown method 'kdd'; did you mean 'kd'?"),
        ({"variants": {"kd": {"like": "mtdk"}}}, "unknown method or variant 'mtdk'; did you mean 'mtkd'?"),
        (
            {"aggregators": {"MT": {"teachers": ["MT-v1"]}, "MT-v1": {"teachers": ["MT"]}}},
            "the graph has a cycle: aggregator_mini -> aggregator_mini-v1 -> aggregator_mini",
        ),
    ],
)
def test_a_graph_that_cannot_be_done_is_refused(changes, message: str, refused, tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "p.yaml", write_images(tmp_path / "images"), **changes)
    assert message in refused("matrix", "trial", "--size", plan, "--out", tmp_path / "runs")


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"at": {"teachers": ["MT"]}}, "method at compares features, and the teacher (MultiTeacher) declares none"),
        ({"mtkd": {"method": {"options": {"alpa": 1}}}}, "option of method mtkd 'alpa'; did you mean 'alpha'?"),
        ({"mtkd": {"method": {"options": {"wavelet": "harr"}}}}, "unknown wavelet 'harr'; did you mean 'haar'?"),
    ],
)
def test_a_run_that_cannot_be_trained_is_told_before_its_teachers_are(
    variants, message: str, refused, tmp_path: Path
) -> None:
    plan = write_plan(tmp_path / "p.yaml", write_images(tmp_path / "images"), variants=variants)
    assert message in refused("matrix", "trial", "--size", plan, "--out", tmp_path / "runs")


def test_a_teacher_of_another_scale(refused, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "zoo").mkdir()
    write_model(tmp_path / "zoo", "old", "edsr_tiny", 1, scale=3)
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path / "zoo"))
    teachers = CONTENT["teachers"] | {"rcan": "old"}
    plan = write_plan(tmp_path / "p.yaml", write_images(tmp_path / "images"), teachers=teachers)
    said = refused("matrix", "trial", "--size", plan, "--out", tmp_path / "runs")
    assert "old x2 is needed" in said and "model 'old' is trained for scale 3, not 2" in said


def test_no_training_images(refused, tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "p.yaml", tmp_path / "nowhere")
    assert "data.train: no folder" in refused("matrix", "trial", "--size", plan, "--out", tmp_path / "runs")


def test_a_run_folder_of_another_recipe_is_refused(matrix, small_plan: Path, tmp_path: Path) -> None:
    """A folder that was copied or changed by hand is not taken for what its name says."""
    assert matrix("trial", "--only", "scratch", plan=small_plan).code == 0
    (folder,) = (tmp_path / "runs").glob("rcan_tiny-scratch_*")
    for name in ("finished.json", "scores.json"):
        (folder / name).unlink()
    content = yaml.safe_load((folder / "recipe.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content | {"seed": 8}))
    outcome = matrix("trial", "--only", "scratch", plan=small_plan)
    assert outcome.code == 1 and "contains a run of another recipe (seed differ)" in outcome.out


def test_seeds_needed(run: Run, tmp_path: Path) -> None:
    """Of the bundled records: what was fixed is what the spread of the first three asks for, and is in the plan."""
    fixed = {name: seeds for by_day in load_plan("mini").second_look.values() for name, seeds in by_day.items()}
    shown = json.loads(run("matrix", "status", "--seeds-needed", "--out", tmp_path, "--json").out)
    by_name = {one["comparison"]: one for one in shown}
    assert fixed.keys() <= by_name.keys()
    for name, seeds in fixed.items():
        one = by_name[name]
        assert one["fixed"] == seeds == one["planned"] and one["needed"] in (0, seeds - one["measured"])
    text = run("matrix", "status", "table2", "--seeds-needed", "--out", tmp_path).out
    (line,) = (line for line in text.splitlines() if line.startswith("rcan_tiny-mtkd - rcan_tiny-kd x4"))
    assert f"{fixed['rcan_tiny-mtkd - rcan_tiny-kd x4']} (fixed)" in line
