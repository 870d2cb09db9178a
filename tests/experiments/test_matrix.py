"""The graph of runs: what identifies a run, what comes before what, which rows a table has."""

from __future__ import annotations

import pytest
import yaml

from mtkd.errors import UserError
from mtkd.experiments import records
from mtkd.experiments.matrix import Matrix, images_by_scale, images_hash, run_folder
from mtkd.experiments.plan import load_plan
from mtkd.training.recipe import Data
from tests.training.conftest import write_model

MINI = load_plan("mini")


@pytest.fixture(autouse=True)
def zoo_folder(tmp_path, monkeypatch):
    """A user's zoo, empty, in front of the bundled one."""
    (folder := tmp_path / "zoo").mkdir()
    monkeypatch.setenv("MTKD_ZOO", str(folder))
    return folder


@pytest.fixture
def user_plan(tmp_path):
    """The plan of a file that extends a bundled one."""

    def write(extends: str = "mini", **content):
        (path := tmp_path / "mine.yaml").write_text(yaml.safe_dump({"extends": extends, **content}))
        return load_plan(str(path))

    return write


def graph(table: str, *only: str, plan=MINI, scales=(4,), seeds=(1,)) -> Matrix:
    made = Matrix(plan, "images")
    made.add(table, scales, seeds, only)
    return made


def digest(name: str, plan=MINI, images="images", scale=4, seed=None) -> str:
    return Matrix(plan, images).run(name, scale, seed).digest


KEYS = """iterations=9 batch=3 lr_patch=16 optimizer.lr=0.5 schedule.warmup=7 ema=null precision=fp32
save_dtype=float32 data.holdout=10 data.images=8"""


@pytest.mark.parametrize("assignment", KEYS.split())
def test_a_run_is_another_with_another_recipe(assignment):
    assert digest("edsr_mini", load_plan("mini", [assignment])) != digest("edsr_mini")


def test_every_variant_scale_seed_and_set_of_images_is_another_run():
    runs = [digest(f"rcan_tiny-{variant}") for variant in MINI.variants]
    runs += [digest("rcan_tiny-kd", scale=2), digest("rcan_tiny-kd", seed=2), digest("rcan_tiny-kd", images="other")]
    assert len(set(runs)) == len(MINI.variants) + 3
    assert digest("rcan_tiny-kd") == digest("rcan_tiny-kd", seed=1)  # the plan's own seed


def test_images_are_known_by_their_contents(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(name.encode())
    images = Data(train=str(tmp_path), holdout=1)
    before = images_hash(images, ["recorded"])
    assert images_hash(images) == before != "recorded"
    (tmp_path / "b.png").write_bytes(b"other")
    assert images_hash(images) != before
    gone = Data(train=str(tmp_path / "gone"))
    assert [images_hash(gone, recorded) for recorded in (["one"], [], ["one", "two"])] == ["one", "absent", "absent"]


LEARN = ["edsr_mini", "edsr_tiny-kd", "edsr_tiny-at", "aggregator_mini", "rcan_tiny-mtkd"]  # the last one in two steps
OTHERS = ["rcan_mini", "rcan_tiny-kd", "edsr_tiny-scratch", "aggregator_mini-v2", "rcan_tiny-v2"]  # v2: SwinIR alone


@pytest.mark.parametrize("name", LEARN + OTHERS)
def test_a_teachers_seed_changes_all_that_learn_from_it(name, user_plan):
    other = user_plan(teachers={"edsr": {"seed": 99}})
    assert (digest(name, other) != digest(name)) == (name in LEARN)


def test_what_does_not_decide_the_result_does_not_change_the_run():
    for assignment in ("log_every=7", "checkpoint_every=9", "validate_every=11", "data.train=elsewhere/BSDS400"):
        assert digest("rcan_tiny-mtkd", load_plan("mini", [assignment])) == digest("rcan_tiny-mtkd")


def test_every_recorded_run_is_one_of_the_plan():
    """Whatever is added to recipes, methods and plans, what was trained before is found again."""
    recorded = records.read(records.MEASURED / "mini.sqlite")
    known = Matrix(MINI, images_by_scale(MINI.images(), recorded.images, elsewhere=True))
    for run_digest, run in recorded.runs.items():
        assert known.run(run["name"], run["scale"], run["seed"]).digest == run_digest, run["folder"]


def test_two_names_are_two_runs(user_plan):
    """Whoever learns from a model looks it up by its name."""
    plan = user_plan(variants={"twin": {"like": "kd"}})
    assert digest("edsr_tiny-twin", plan) != digest("edsr_tiny-kd", plan) == digest("edsr_tiny-kd")


@pytest.mark.parametrize(
    ("name", "changes"),
    [("edsr_tiny-kd", True), ("aggregator_mini", True), ("rcan_tiny-kd_merged", True), ("rcan_tiny-kd", False)],
)
def test_other_weights_of_a_given_model_change_all_that_learn_from_it(name, changes, zoo_folder, user_plan):
    """EDSR is given, and so is "merged", which stands on it."""
    plan = user_plan(teachers={"edsr": "ada"}, variants={"kd_merged": {"like": "kd", "teachers": ["merged"]}})
    write_model(zoo_folder, "merged", "aggregator_mini", 3, scale=4, teachers=("ada", "rcan_mini"))
    found = []
    for seed in (1, 2):
        write_model(zoo_folder, "ada", "edsr_tiny", seed, scale=4)
        found.append(digest(name, plan))
    assert (found[0] != found[1]) == changes


def test_a_given_aggregator_brings_its_teachers(zoo_folder, user_plan):
    write_model(zoo_folder, "ada", "edsr_tiny", 1, scale=4)
    write_model(zoo_folder, "merged", "aggregator_mini", 3, scale=4, teachers=("ada", "rcan_mini"))
    made = Matrix(user_plan(variants={"kd_merged": {"like": "kd", "teachers": ["merged"]}}), "images")
    closure = made.closure(made.run("edsr_tiny-kd_merged", 4))
    assert {str(run) for run in closure} == {"merged x4", "ada x4", "rcan_mini x4 seed 3"}


@pytest.mark.parametrize("table", MINI.tables)
def test_every_task_comes_after_its_needs(table):
    tasks = graph(table, scales=(2, 4), seeds=(1, 2)).tasks()
    done = set()
    for key, task in tasks.items():
        assert key == task.key and done >= set(task.needs)
        assert done >= {f"train-{run.folder}" for run in task.inputs}
        done.add(key)
    assert {task.kind for task in tasks.values()} >= {"train", "measure"}


AGGREGATED = ["edsr_mini", "rcan_mini", "swinir_mini", "aggregator_mini"]


@pytest.mark.parametrize(
    ("label", "cached"),
    [
        *((label, []) for label in ("scratch", "at", "fakd", "dukd", "crosskd")),
        ("kd", ["rcan_mini"]),
        ("MT", AGGREGATED[:3]),
        ("mtkd", AGGREGATED),
    ],
)
def test_outputs_are_cached_for_those_that_learn_from_outputs(label, cached):
    tasks = graph("table2", label).tasks()
    order = [f"{task.kind} {task.run.name}" for task in tasks.values()]
    assert sorted(name for name in order if name.startswith("cache")) == sorted(f"cache {name}" for name in cached)
    last = "train aggregator_mini" if label == "MT" else f"train rcan_tiny-{label}"
    for name in cached:
        assert order.index(f"train {name}") < order.index(f"cache {name}") < order.index(last)


def test_online_teachers_are_not_cached():
    tasks = graph("table2", plan=load_plan("mini", ["teacher_outputs=online"])).tasks()
    assert {task.kind for task in tasks.values()} == {"train", "measure"}


def test_self_ensembled_outputs_are_a_cache_of_their_own():
    tasks = graph("controls", "kd", "kd_self_ensemble").tasks()
    caches = {str(task): key for key, task in tasks.items() if task.kind == "cache"}
    plain, averaged = "cache rcan_mini x4 seed 3", "cache rcan_mini x4 seed 3, self-ensembled"
    assert set(caches) == {plain, averaged}
    needs = {t.run.name: {n for n in t.needs if n.startswith("cache")} for t in tasks.values() if t.kind == "train"}
    assert needs["rcan_tiny-kd"] == {caches[plain]} and needs["rcan_tiny-kd_self_ensemble"] == {caches[averaged]}


def test_rows_of_a_students_table():
    """Students come once a seed, what they are compared with once."""
    rows = graph("table2", scales=(2, 4), seeds=(1, 2, 3)).rows
    assert len(rows) == 2 * (3 + 7 * 3)
    seeds = {label: {row.seed for row in rows if row.label == label} for label in ("bicubic", "MT", "full", "kd")}
    assert seeds == {"bicubic": {None}, "MT": {5}, "full": {3}, "kd": {1, 2, 3}}


def test_rows_of_the_aggregators_table():
    """Without students the aggregators come once a seed, counted from their own first one."""
    made = graph("aggregators", seeds=(1, 2))
    teachers = [("bicubic", None), ("edsr", 2), ("rcan", 3), ("swinir", 1)]
    aggregators = ["MT", "MT-v1", "MT-v2", "MT-v3", "MT-v4", "MT-v4_masked"]
    expected = teachers + [(label, seed) for label in aggregators for seed in (5, 6)]
    assert [(row.label, row.seed) for row in made.rows] == expected
    (first, _) = [row.digest for row in made.rows if row.label == "MT"]
    assert first == digest("aggregator_mini")


@pytest.mark.parametrize("content", [{"aggregator": {"seed": 3}}, {"defaults": {"seed": 3}}])
def test_the_first_aggregator_is_that_of_the_students(content, user_plan):
    plan = user_plan(extends="paper", **content)
    (row,) = graph("aggregators", "MT", plan=plan, seeds=plan.seeds).rows
    assert row.digest == digest("aggregator", plan)


def test_the_ablations_are_at_x4_alone():
    rows = graph("table5", scales=(2, 3, 4), seeds=(1, 2)).rows
    variants = load_plan("mini").tables["table5"].variants
    assert {row.scale for row in rows} == {4} and len(rows) == 5 + len(variants) * 2


@pytest.mark.parametrize(
    ("only", "labels"),
    [
        (["v[1-7]"], ["v1", "v2", "v3", "v4", "v5", "v6", "v7"]),
        (["MT-v[34]", "mtkd"], ["MT-v3", "MT-v4", "mtkd"]),
        (["kd"], []),  # a row of other tables
    ],
)
def test_patterns_choose_rows(only, labels):
    assert [row.label for row in graph("table5", *only).rows] == labels


@pytest.mark.parametrize(("table", "only", "nearest"), [("table5", ["mtdk"], "mtkd"), ("tabel5", [], "table5")])
def test_unknown_rows_and_tables(table, only, nearest):
    with pytest.raises(UserError, match=f"did you mean '{nearest}'"):
        graph(table, *only)


@pytest.mark.parametrize(
    ("content", "cycle"),
    [
        ({"aggregators": {"MT": {"teachers": ["MT"]}}}, ["aggregator_mini"] * 2),
        (
            {"aggregators": {"MT": {"teachers": ["edsr", "MT-v3"]}, "MT-v3": {"teachers": ["MT"]}}},
            ["aggregator_mini", "aggregator_mini-v3", "aggregator_mini"],
        ),
    ],
)
def test_a_cycle_is_named(content, cycle, user_plan):
    with pytest.raises(UserError) as caught:
        graph("table2", "mtkd", plan=user_plan(**content))
    assert str(caught.value) == f"the graph has a cycle: {' -> '.join(cycle)}"


def test_models_that_are_neither_trained_nor_found():
    paper = load_plan("paper")
    assert graph("table2", "scratch", "bicubic", plan=paper).missing() == []
    missing = graph("table2", "mtkd", plan=paper).missing()
    assert [run.name for run in missing] == ["edsr", "rcan", "swinir"]
    assert all(run.recipe is None and f"mtkd models fetch {run.name} --scale" in run.missing for run in missing)


@pytest.mark.parametrize(
    ("teachers", "scale", "fits"),
    [
        (("edsr_mini", "rcan_mini", "swinir_mini"), 4, True),
        (("rcan_mini", "edsr_mini", "swinir_mini"), 4, False),
        (("rcan_mini", "edsr_mini", "swinir_mini"), 2, True),  # not the scale that is trained
        (("swinir_mini", "edsr_mini"), 4, True),  # another aggregator, whose place this one takes
    ],
)
def test_the_zoos_aggregator_and_the_order_of_teachers(teachers, scale, fits, zoo_folder):
    write_model(zoo_folder, "aggregator_mini", "aggregator_mini", 1, scale=scale, teachers=teachers)
    if fits:
        assert digest("aggregator_mini")
        return
    with pytest.raises(UserError, match="in the order rcan_mini, edsr_mini, swinir_mini, the plan in the order edsr_m"):
        digest("aggregator_mini")


def test_given_models_of_every_scale_have_their_own_folders(tmp_path):
    made = graph("table2", "bicubic", scales=(2, 3, 4))
    assert [(run.name, run.scale) for run in made.runs.values()] == [("bicubic", 2), ("bicubic", 3), ("bicubic", 4)]
    folders = {run_folder(tmp_path, run) for run in made.runs.values()}
    for folder in folders:
        folder.mkdir()
    assert {run_folder(tmp_path, run) for run in made.runs.values()} == folders and len(folders) == 3
