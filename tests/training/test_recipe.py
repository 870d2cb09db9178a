"""Recipes: the paper's defaults, the bundled files, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtkd import networks
from mtkd.errors import UserError
from mtkd.experiments.plan import SIZES, load_plan, load_recipe
from mtkd.training.dataset import hr_folder
from mtkd.training.recipe import Optimizer, Schedule, parse
from tests.training.conftest import AGGREGATE, DISTILL, recipe_content

BUNDLED = [f"{size}/{name}" for size in SIZES for name in load_plan(size).names()]
MINIMAL = {
    "name": "x",
    "stage": "pretrain",
    "network": "edsr_baseline",
    "scale": 4,
    "data": {"train": "photos"},
    "method": {"name": "scratch"},
}


def refused(content: Any) -> str:
    """The error that a recipe gets: one line that names the source."""
    with pytest.raises(UserError) as caught:
        parse(content, "my.yaml")
    message = str(caught.value)
    assert message.startswith("my.yaml: ") and "\n" not in message
    return message.removeprefix("my.yaml: ")


def changed(**changes: Any) -> dict[str, Any]:
    return {**MINIMAL, **changes}


def test_there_is_a_recipe_for_every_network_of_the_mini_zoo() -> None:
    zoo = {"edsr_mini", "rcan_mini", "swinir_mini", "aggregator_mini", "edsr_tiny-scratch", "edsr_tiny-mtkd"}
    assert {name.removeprefix("mini/") for name in BUNDLED if name.startswith("mini/")} >= zoo


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_recipes_are_sound(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert parse(yaml.safe_load(recipe.dump()), "dumped") == recipe
    assert recipe.scale in networks.specs()[recipe.network].scales
    (tmp_path / "recipe.yaml").write_text(recipe.dump())
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe
    if name.startswith("mini/"):
        assert recipe.name == name.removeprefix("mini/")
        assert recipe.data.holdout == 20
        assert set(networks.specs()[recipe.network].deviations) <= set(recipe.deviations())


def test_the_students_compared_differ_in_their_method_alone() -> None:
    scratch, mtkd = load_recipe("mini/edsr_tiny-scratch"), load_recipe("mini/edsr_tiny-mtkd")
    different = {key for key, value in scratch.model_dump().items() if mtkd.model_dump()[key] != value}
    assert different == {"name", "stage", "method", "teachers"}
    assert mtkd.method.options == {"alpha": 0.1, "levels": 1, "wavelet": "haar"}


def test_defaults_are_the_paper() -> None:
    """Section 4.2: LR patch 64, batch 16, 250k iterations, Adam, 1e-4 divided by 10 every 100k."""
    recipe = parse(MINIMAL, "minimal")
    assert (recipe.lr_patch, recipe.batch, recipe.iterations) == (64, 16, 250_000)
    assert recipe.optimizer == Optimizer(lr=1e-4, betas=(0.9, 0.999), eps=1e-8)
    assert (recipe.schedule.kind, recipe.schedule.every, recipe.schedule.gamma) == ("step", 100_000, 0.1)
    assert recipe.ema is None and recipe.precision == "fp32" and recipe.schedule.warmup == 0
    assert recipe.deviations() == []


def test_deviations_say_what_differs() -> None:
    notes = parse(
        changed(
            stage="distill",
            method={"name": "mtkd"},
            teachers=["t"],
            iterations=1000,
            batch=8,
            ema=0.999,
            precision="bf16",
            optimizer={"lr": 5e-4},
            schedule={"kind": "cosine", "warmup": 50},
        ),
        "x",
    ).deviations()
    assert notes == [
        "batch 8 (paper: 16)",
        "iterations 1000 (paper: 250000)",
        "learning rate 0.0005 (paper: 1e-4)",
        "cosine schedule to 0.01 of the rate (paper: times 0.1 every 100,000)",
        "warm-up over 50 iterations (not in the paper)",
        "exponential moving average of the weights, 0.999 (not in the paper)",
        "bf16 mixed precision",
        "teachers' outputs computed once on whole images, float16, and cropped",
    ]
    assert parse(changed(lr_patch=48), "x").deviations() == ["lr_patch 48 (paper: 64)"]


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({"optimizer": {"betas": [0.9, 0.99]}}, ["Adam betas 0.9, 0.99 (paper: 0.9, 0.999)"]),
        ({"optimizer": {"eps": 1e-7}}, ["Adam eps 1e-07 (paper: 1e-8)"]),
        ({"schedule": {"every": 500}}, ["step schedule, times 0.1 every 500 (paper: times 0.1 every 100,000)"]),
        ({"schedule": {"gamma": 0.5}}, ["step schedule, times 0.5 every 100,000 (paper: times 0.1 every 100,000)"]),
        ({"schedule": {"final": 0.5}}, []),  # of a cosine
        (
            {"schedule": {"kind": "cosine", "gamma": 0.5}},
            ["cosine schedule to 0.01 of the rate (paper: times 0.1 every 100,000)"],
        ),
    ],
)
def test_no_more_of_optimizer_and_schedule_is_named_than_differs(changes: dict[str, Any], notes: list[str]) -> None:
    assert parse(changed(**changes), "x").deviations() == notes


WHOLE = "teachers' outputs computed once on whole images, float16, and cropped"


@pytest.mark.parametrize(
    ("method", "options", "notes"),
    [
        ("kd", {"weight": 1}, [WHOLE]),
        ("kd", {"weight": 0.5}, ["kd: weight 0.5 (default: 1.0)", WHOLE]),
        ("mtkd", {"alpha": 0.1, "levels": 1, "wavelet": "haar"}, [WHOLE]),
        ("mtkd", {"alpha": 0, "levels": 2}, ["mtkd: alpha 0 (default: 0.1)", "mtkd: levels 2 (default: 1)", WHOLE]),
        (
            "mtkd",
            {"loss": "dct", "block": 8},
            ["mtkd: loss dct (default: wavelet)", "mtkd: block 8 (default: None)", WHOLE],
        ),
        *((method, {}, []) for method in ("at", "fakd", "dukd", "crosskd")),  # they run their teacher in every step
        ("at", {"beta": 0.1}, ["at: beta 0.1 (default: 1.0)"]),
    ],
)
def test_what_deviates_in_a_method(method: str, options: dict[str, Any], notes: list[str]) -> None:
    recipe = parse(changed(stage="distill", teachers=["t"], method={"name": method, "options": options}), "x")
    assert recipe.deviations() == notes


@pytest.mark.parametrize(
    ("iteration", "rate"),
    [(0, 1e-4), (99_999, 1e-4), (100_000, 1e-5), (199_999, 1e-5), (200_000, 1e-6), (249_999, 1e-6)],
)
def test_the_papers_schedule(iteration: int, rate: float) -> None:
    assert 1e-4 * Schedule().factor(iteration, 250_000) == pytest.approx(rate, rel=1e-12)


def test_the_cosine_schedule() -> None:
    schedule = Schedule(kind="cosine", final=0.01)
    assert schedule.factor(0, 1000) == 1
    assert schedule.factor(250, 1000) == pytest.approx(0.01 + 0.99 * (2 + math.sqrt(2)) / 4)
    assert schedule.factor(500, 1000) == pytest.approx(0.505)
    assert schedule.factor(999, 1000) == pytest.approx(0.01, abs=1e-5)
    factors = [schedule.factor(i, 1000) for i in range(1000)]
    assert factors == sorted(factors, reverse=True)


def test_the_warm_up_rises_in_equal_steps_to_one() -> None:
    for kind in ("step", "cosine"):
        schedule = Schedule(kind=kind, warmup=4)
        assert [schedule.factor(i, 100) for i in range(5)] == [0.25, 0.5, 0.75, 1, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(iteratons=5), "unknown key 'iteratons'; did you mean 'iterations'?"),
        (changed(data={"train": "p", "hold_out": 3}), "unknown key of data 'hold_out'; did you mean 'holdout'?"),
        (changed(optimizer={"learning_rate": 1}), "unknown key of optimizer 'learning_rate'. Known: betas, eps, lr"),
        (changed(schedule={"gama": 0.5}), "unknown key of schedule 'gama'; did you mean 'gamma'?"),
        (changed(method={"name": "scratch", "option": {}}), "did you mean 'options'?"),
        (changed(iterations="many"), "iterations: Input should be a valid integer"),
        (changed(iterations=1.5), "iterations: Input should be a valid integer"),
        (changed(iterations=0), "iterations: Input should be greater than or equal to 1 (got 0)"),
        (changed(optimizer={"lr": "fast"}), "optimizer.lr: Input should be a valid number"),
        (changed(optimizer={"betas": [0.9]}), "optimizer.betas.1"),
        (changed(optimizer=3), "optimizer: "),
        (changed(scale=5), "scale: Input should be 2, 3 or 4 (got 5)"),
        (changed(precision="fp8"), "precision: Input should be 'fp32', 'bf16' or 'fp16' (got 'fp8')"),
        (changed(stage="train"), "stage: Input should be 'pretrain', 'aggregate' or 'distill'"),
        (changed(name="a/b"), "name: "),
        (changed(ema=1), "ema: Input should be less than 1"),
        (changed(seed=-1), "seed: "),
        (changed(teachers="edsr"), "teachers: "),
        (changed(lr_patch=4), "lr_patch: "),
        (changed(network="edsr_bas"), "unknown network 'edsr_bas'; did you mean 'edsr_baseline'?"),
        (changed(network="aggregator"), "stage pretrain cannot train 'aggregator', whose role is aggregator"),
        (changed(stage="aggregate", teachers=["a"]), "stage aggregate cannot train 'edsr_baseline'"),
        (changed(teachers=["a"]), "stage pretrain takes no teachers"),
        (changed(stage="distill"), "stage distill needs teachers"),
        *(
            (
                changed(stage="distill", teachers=["a"], self_ensemble=True, method={"name": method}),
                f"method {method} compares features, which self_ensemble does not have",
            )
            for method in ("at", "fakd", "crosskd")
        ),
        ({k: v for k, v in MINIMAL.items() if k != "scale"}, "key 'scale' is missing"),
        (changed(data={}), "key 'data.train' is missing"),
        ([MINIMAL], "not a recipe; write a mapping of keys to values"),
        (None, "not a recipe; write a mapping of keys to values"),
        ("edsr", "not a recipe; write a mapping of keys to values"),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(content: Any, message: str) -> None:
    assert message in refused(content)


def test_a_recipe_that_is_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    for text, message in (
        (b"name: [1, 2", "not a readable YAML file"),
        (b"\tname: x", "not a readable YAML file"),
        (b"\xff\xfe\x00\x80", "not a readable YAML file"),
        (b"", "not a mapping of keys to values"),
        (b"- 1", "not a mapping of keys to values"),
        (b"!!python/object/apply:os.system [ls]", "not a readable YAML file"),
    ):
        path.write_bytes(text)
        with pytest.raises(UserError, match=message) as caught:
            load_recipe(str(path))
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_an_unknown_recipe_suggests_a_bundled_one() -> None:
    with pytest.raises(UserError, match=r"unknown recipe 'mini/edsr_mimi'; did you mean 'mini/edsr_mini'\?"):
        load_recipe("mini/edsr_mimi")
    with pytest.raises(UserError, match="unknown recipe 'mini'"):  # a folder
        load_recipe("mini")


def test_assignments_replace_values() -> None:
    assignments = ["iterations=7", "data.train=my photos", "method.options.alpha=0.5", "optimizer.lr=1e-3"]
    recipe = load_recipe("mini/edsr_tiny-mtkd", [*assignments, "ema=null", "teachers=[a]", "iterations=8"])
    assert recipe.iterations == 8  # the last one counts
    assert recipe.data.train == "my photos" and recipe.data.holdout == 20
    assert recipe.method.options == {"alpha": 0.5, "levels": 1, "wavelet": "haar"}
    assert recipe.optimizer.lr == 0.001 and recipe.ema is None and recipe.teachers == ("a",)
    assert load_recipe("mini/edsr_mini", ["method.options.x=a=b"]).method.options == {"x": "a=b"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("iterations", "--set iterations: write key=value"),
        ("=5", "--set =5: write key=value"),
        ("name.first=5", "'name' is a value; it has no keys"),
        ("data.train=[1", "not a YAML value"),
        ("iterations=soon", "iterations: Input should be a valid integer"),
        ("iteration=5", "did you mean 'iterations'?"),
        ("data.holdout=0", "data.holdout: "),
        ("method=mtkd", "method: "),
    ],
)
def test_a_wrong_assignment_is_one_clear_line(assignment: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe("mini/edsr_mini", [assignment])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = parse(changed(data={"train": "Photos"}), "x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MTKD_DATA", raising=False)
    with pytest.raises(UserError, match="no folder 'Photos'; give a folder of HR images with --set data.train=FOLDER"):
        hr_folder(recipe.data)
    library = tmp_path / "library"
    (library / "train" / "Photos").mkdir(parents=True)
    monkeypatch.setenv("MTKD_DATA", str(library))
    assert hr_folder(recipe.data) == library / "train" / "Photos"
    (tmp_path / "Photos").mkdir()  # what stands here comes first
    assert hr_folder(recipe.data).resolve() == tmp_path / "Photos"


def test_the_small_recipes_of_these_tests(tmp_path: Path) -> None:
    for changes in ({}, AGGREGATE, DISTILL):
        parse(recipe_content(tmp_path, **changes), "small")
