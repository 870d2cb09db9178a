"""Plans: merging, variants and roles by hand, fair comparisons, the paper's setting, a user's own file."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import yaml
from torch import nn

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.experiments.plan import SIZES, load_plan, load_recipe, merge
from mtkd.methods import create
from mtkd.training.recipe import parse

PLANS = {size: load_plan(size) for size in SIZES}
MINE = {"title": "Mine", "student": "edsr", "variants": ["kd", "half"]}


def recipe(name: str, scale: int = 4):
    """``SIZE/MODEL`` of a bundled plan."""
    size, _, model = name.partition("/")
    return PLANS[size].recipe(model, scale)


def refused(*arguments, call=load_plan) -> str:
    """The error that a user gets: one line."""
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def user_plan(tmp_path):
    """Writes a plan file that extends ``mini`` and gives its path."""

    def write(**content) -> str:
        (path := tmp_path / "mine.yaml").write_text(yaml.safe_dump({"extends": "mini", **content}))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("below", "above", "merged"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"a": {"x": 1, "y": {"z": 2}}}, {"a": {"y": {"w": 3}}}, {"a": {"x": 1, "y": {"z": 2, "w": 3}}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": "net"}, {"a": "net"}),
        ({"a": "net"}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_merging(below, above, merged):
    before = repr((below, above))
    assert merge(below, above) == merged and repr((below, above)) == before


def test_like_chain_by_hand():
    """v7_zhang is like v7, which is like mtkd."""
    options = {"alpha": 1, "levels": 4, "wavelet": "haar", "details_only": True, "weight": 0.4}
    variant = PLANS["mini"].variant("v7_zhang")
    assert variant.title == "detail bands, K = 4, weight 0.4 (Zhang et al.)"
    assert (variant.teachers, variant.method) == (("MT",), {"name": "mtkd", "options": options})
    assert recipe("mini/rcan_tiny-v7_zhang").method.options == options


def test_a_like_chain_that_is_wrong(user_plan):
    circle = {"a": {"like": "b"}, "b": {"like": "c"}, "c": {"like": "a"}, "d": {"like": "mtkdd"}}
    plan = load_plan(user_plan(variants=circle))
    assert refused("a", call=plan.variant) == "variant 'a' refers to itself with 'like': a -> b -> c -> a"
    assert "unknown method or variant 'mtkdd'; did you mean 'mtkd'?" in refused("d", call=plan.variant)
    table = {"title": "Mine", "student": "edsr", "variants": ["c"]}
    assert "variant 'c' refers to itself with 'like': c -> a -> b -> c" in refused(
        user_plan(variants=circle, tables={"t": table})
    )


DUKD = {  # SPEC, appendix: lp, lk, p, zoom-out, tiles at x2, x3, x4
    "edsr": [(5, 1, 0.3, True, 2), (5, 1, 0.3, True, 1), (5, 1, 0.3, True, 1)],
    "rcan": [(1, 1, 0, False, 1), (2, 1, 0.3, True, 1), (1, 1, 0, False, 1)],
    "swinir": [(5, 1, 0.3, False, 1)] * 3,
}


@pytest.mark.parametrize("variant", ["dukd", "dukd_mt"])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("student", DUKD)
def test_dukd_has_the_values_of_its_publication(student, scale, variant):
    method = recipe(f"mini/{student}_tiny-{variant}", scale).method
    keys = ("lp", "lk", "p", "zoom_out", "tiles")
    assert method.name == "dukd" and method.options == dict(zip(keys, DUKD[student][scale - 2], strict=True))


@pytest.mark.parametrize(
    ("name", "teachers"),
    [
        ("mini/rcan_tiny-kd", ["rcan_mini"]),
        ("mini/rcan_tiny-kd_best", ["edsr_mini"]),
        ("small/rcan_mini-kd_best", ["swinir_small"]),
        ("paper/rcan_lightweight-best", ["swinir"]),
        ("mini/edsr_tiny-mtkd", ["aggregator_mini"]),
        ("small/edsr_mini-v1", ["aggregator_small-v1"]),
        ("mini/edsr_tiny-v4_masked", ["aggregator_mini-v4_masked"]),
        ("mini/swinir_tiny-mean", ["edsr_mini", "rcan_mini", "swinir_mini"]),
        ("mini/edsr_tiny-scratch", []),
        ("mini/rcan_tiny48-kd", ["rcan_mini"]),
        ("mini/rcan_tiny12-mtkd", ["aggregator_mini"]),
        ("mini/aggregator_mini-v1", ["edsr_mini", "swinir_mini"]),
        ("paper/aggregator-v2", ["swinir"]),
    ],
)
def test_roles_become_models(name, teachers):
    assert list(recipe(name).teachers) == teachers


@pytest.mark.parametrize(("role", "suffix"), [("", ""), ("-v1", ""), ("-v3", "_v3"), ("-v4_masked", "_v4_masked")])
def test_an_aggregator_and_its_network(role, suffix):
    found = recipe(f"mini/aggregator_mini{role}")
    assert (found.stage, found.network, found.seed) == ("aggregate", f"aggregator_mini{suffix}", 5)


@cache
def on_meta(name: str, scale: int) -> nn.Module:
    """The network of this name; for an aggregator's image, which no method looks into, anything."""
    with torch.device("meta"):
        return networks.build(name, scale) if name in networks.specs() else nn.Identity()


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_every_model_is_sound(size, scale):
    plan = PLANS[size]
    named = [t for t in plan.teachers.values() if isinstance(t, dict) and "name" in t]
    network = {teacher["name"]: teacher["network"] for teacher in named}
    assert len(set(plan.names())) == (0 if size == "paper" else 3) + 6 + len(plan.students) * len(plan.variants)
    for name in plan.names():
        found = plan.recipe(name, scale)
        assert (found.name, found.scale) == (name, scale)
        teachers = {teacher: on_meta(network.get(teacher, teacher), scale) for teacher in found.teachers}
        with torch.device("meta"):
            student = on_meta(found.network, scale)
            create(found.method.name, found.method.options, found.teachers, student, teachers)


@pytest.mark.parametrize("name", ["edsr_mini", "rcan_mini", "swinir_mini", "aggregator_mini"])
def test_bundled_models_were_trained_by_this_plan(name, monkeypatch):
    monkeypatch.delenv("MTKD_ZOO", raising=False)
    model = zoo.find(name, 4)
    assert recipe(f"mini/{name}") == parse(model.card["recipe"], "card")


@pytest.mark.parametrize("variant", ["kd", "at", "fakd", "dukd", "crosskd", "mtkd"])
@pytest.mark.parametrize("student", ["mini/rcan_tiny", "small/edsr_mini", "paper/swinir_lightweight"])
def test_students_differ_in_their_method_alone(student, variant):
    scratch, other = (recipe(f"{student}-{v}").model_dump() for v in ("scratch", variant))
    assert {key for key in scratch if scratch[key] != other[key]} == {"name", "stage", "method", "teachers"}


@pytest.mark.parametrize(
    ("name", "notes"), [("aggregator", 1), ("edsr_baseline-mtkd", 1), ("edsr_baseline-scratch", 0)]
)
def test_paper_size_is_the_papers_setting(name, notes):
    found = recipe(f"paper/{name}", 2)
    assert found.deviations() == ["teachers' outputs computed once on whole images, float16, and cropped"][:notes]
    assert found.data.train == "DIV2K_train_HR"


def test_fewer_images_and_steps_are_all_that_differs():
    few, short = (recipe(f"mini/rcan_tiny-mtkd_{change}").model_dump() for change in ("8_images", "2500_steps"))
    usual = recipe("mini/rcan_tiny-mtkd").model_dump()
    assert few == usual | {"name": "rcan_tiny-mtkd_8_images", "data": usual["data"] | {"images": 8}}
    assert short == usual | {"name": "rcan_tiny-mtkd_2500_steps", "iterations": 2500}
    assert recipe("mini/edsr_tiny-kd_0_40_images").method.options == {"alpha": 0}


@pytest.mark.parametrize("student", ["span_tiny", "compact_tiny"])
def test_a_student_without_a_teacher_of_its_family_learns_from_the_best(student):
    assert recipe(f"mini/{student}-kd").teachers == recipe(f"mini/{student}-kd_best").teachers == ("edsr_mini",)
    plan = PLANS["mini"]
    assert "no teacher of the family 'span'" in refused("full", "span", call=plan.model_name)


def test_a_recipe_by_name():
    found = load_recipe("mini/rcan_tiny-v5_x3", ["iterations=7"])
    assert (found.name, found.network, found.scale, found.iterations) == ("rcan_tiny-v5", "rcan_tiny", 3, 7)
    assert found.method.options == {"alpha": 0.1, "loss": "l1"}
    assert load_recipe("mini/rcan_tiny-v5").scale == 4


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("mini/edsr_minni", "mini/edsr_mini"),
        ("minni/edsr_mini", "mini/edsr_mini"),
        ("mini/rcan_tiny-mtdk", "mini/rcan_tiny-mtkd"),
        ("mini/rcan_tiny-v5_x5", "mini/rcan_tiny-v5"),
    ],
)
def test_the_nearest_name_is_suggested(given, nearest):
    assert f"unknown recipe '{given}'; did you mean '{nearest}'?" in refused(given, call=load_recipe)


def test_a_users_plan_adds_to_a_bundled_one(user_plan):
    half = {"like": "mtkd", "method": {"options": {"alpha": 0.5}}, "recipe": {"iterations": 5}}
    plan = load_plan(user_plan(variants={"half": half}, tables={"mine": MINE}, student={"batch": 3}))
    found = plan.recipe("edsr_tiny-half", 4)
    assert found.method.options == {"alpha": 0.5, "levels": 1, "wavelet": "haar"}
    assert (found.teachers, found.iterations, found.batch, found.lr_patch) == (("aggregator_mini",), 5, 3, 32)
    assert plan.tables["mine"].variants == ("kd", "half")
    assert plan.tables["table2"] == PLANS["mini"].tables["table2"]


def test_a_student_and_a_scale_may_differ(user_plan):
    """The keys of a scale win over those of a student, these over those of all students."""
    plan = load_plan(
        user_plan(
            students={"edsr": {"network": "edsr_tiny", "iterations": 7, "batch": 2}},
            student={"iterations": 9},
            at={
                "x2": {
                    "student": {"iterations": 3},
                    "teachers": {"rcan": {"iterations": 4}},
                    "aggregator": {"ema": 0.5},
                }
            },
        )
    )
    steps = {
        (name, scale): plan.recipe(name, scale).iterations
        for name in ("edsr_tiny-kd", "rcan_tiny-kd", "rcan_mini")
        for scale in (2, 4)
    }
    assert steps == {
        ("edsr_tiny-kd", 4): 7,
        ("edsr_tiny-kd", 2): 3,
        ("rcan_tiny-kd", 4): 9,
        ("rcan_tiny-kd", 2): 3,
        ("rcan_mini", 4): 10000,
        ("rcan_mini", 2): 4,
    }
    assert [plan.recipe("edsr_tiny-kd", scale).batch for scale in (2, 4)] == [2, 2]
    assert [plan.recipe("aggregator_mini-v1", scale).ema for scale in (2, 4)] == [0.5, 0.999]


MISTAKES = {
    "key of a scale": ({"at": {"x2": {"students": {}}}}, ["'students'", "x2", "did you mean 'student'?"]),
    "a scale": ({"at": {"x5": {}}}, ["at.x5", "'x4'"]),
    "student of a table": ({"tables": {"mine": {**MINE, "student": "rcna"}}}, ["'rcna'", "did you mean 'rcan'?"]),
    "unknown network": ({"students": {"rcan9": "rcan_tinny"}}, ["rcan9", "'rcan_tinny'", "'rcan_tiny'?"]),
    "network of a student": ({"students": {"edsr": {"iterations": 3}}}, ["students.edsr.network", "missing"]),
    "key of a plan": ({"tabels": {}}, ["'tabels'", "did you mean 'tables'?"]),
    "key of a variant": ({"variants": {"kd": {"teacher": ["own"]}}}, ["'teacher'", "kd", "did you mean 'teachers'?"]),
    "key of a table": ({"tables": {"table2": {"model": ["MT"]}}}, ["'model'", "table2", "did you mean 'models'?"]),
    "architecture": ({"variants": {"kd": {"for": {"rcna": {"method": {}}}}}}, ["'rcna'", "did you mean 'rcan'?"]),
    "key for an architecture": ({"variants": {"kd": {"for": {"rcan": {"metod": {}}}}}}, ["'metod'", "'method'?"]),
    "variant": ({"tables": {"mine": {**MINE, "variants": ["kdd"]}}}, ["'kdd'", "did you mean 'kd'?"]),
    "no student": (
        {"tables": {"mine": {"title": "Mine", "variants": ["kd"]}}},
        ["'Mine'", "add its name under 'student'"],
    ),
    "no title": ({"tables": {"mine": {"variants": ["kd"]}}}, ["'tables.mine.title' is missing"]),
    "type of seeds": ({"seeds": "one"}, ["seeds", "'one'"]),
    "scale": ({"scales": [2, 5]}, ["scales.1", "2, 3 or 4", "got 5"]),
    "type of variants": ({"variants": ["kd"]}, ["variants", "['kd']"]),
    "type of teachers": ({"teachers": ["edsr"]}, ["teachers", "['edsr']"]),
    "size": ({"extends": "minni"}, ["'minni'", "did you mean 'mini'?"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_wrong_in_a_users_plan_is_named(mistake, user_plan):
    content, parts = MISTAKES[mistake]
    message = refused(user_plan(**content))
    assert [part for part in parts if part not in message] == []


def test_a_plan_needs_the_teachers_that_it_names(tmp_path):
    content = PLANS["mini"].model_dump(mode="json", by_alias=True, exclude_unset=True)
    del content["teachers"]["rcan"]
    (path := tmp_path / "two.yaml").write_text(yaml.safe_dump(content))
    assert "rcan" in refused(str(path))


def test_a_file_that_extends_itself(tmp_path):
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(f"extends: {two}")
    two.write_text(f"extends: {one}")
    assert refused(str(one)) == f"{one}: extends itself"


SET = {"iterations=9": ("iterations", 9), "optimizer.lr=0.5": ("optimizer", {"lr": 0.5})}


@pytest.mark.parametrize("model", ["edsr_mini", "aggregator_mini", "aggregator_mini-v3", "rcan_tiny-scratch"])
@pytest.mark.parametrize("assignment", SET)
def test_assignments_reach_every_recipe(model, assignment):
    key, value = SET[assignment]
    found = (
        load_plan("mini", ["batch=3", assignment]).recipe(model, 4).model_dump(exclude={"optimizer": {"betas", "eps"}})
    )
    assert (found["batch"], found[key]) == (3, value)


@pytest.mark.parametrize("key", ["seed", "scale", "name", "network", "method.options.alpha", "teachers"])
def test_what_the_plan_decides_is_not_set_for_all(key):
    with pytest.raises(UserError, match=f"--set {key.split('.')[0]}=...: (choose|the plan decides)"):
        load_plan("mini", [f"{key}=1"])


def test_a_variant_has_the_last_word_over_what_it_is_like(tmp_path):
    """RCAN's values of dukd come before those of the variant that is like dukd."""
    (path := tmp_path / "p.yaml").write_text(
        yaml.safe_dump({"extends": "mini", "variants": {"mine": {"like": "dukd", "method": {"options": {"p": 0.5}}}}})
    )
    options = load_plan(str(path)).recipe("rcan_tiny-mine", 4).method.options
    assert options == {"lp": 1, "lk": 1, "p": 0.5, "zoom_out": False, "tiles": 1}
