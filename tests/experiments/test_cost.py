"""Operations of a training step counted by hand, and what finished runs say of seconds."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mtkd import networks
from mtkd.experiments.cost import Estimator, lr_pixels
from mtkd.experiments.matrix import Matrix, Run, Task
from mtkd.experiments.plan import load_plan
from mtkd.experiments.records import Records
from mtkd.plugins import METHODS

SIDE, BATCH, STEPS = 8, 2, 100
PLAN = load_plan("mini", [f"lr_patch={SIDE}", f"batch={BATCH}", f"iterations={STEPS}"])
SPEED = 1e6
PIXELS = BATCH * SIDE**2


@pytest.fixture(autouse=True)
def nothing_is_timed(monkeypatch):
    monkeypatch.setattr(Estimator, "speed", lambda self: SPEED)


def graph(*scales: int) -> Matrix:
    made = Matrix(PLAN, "images")
    for table in ("table2", "table3"):
        made.add(table, scales, [1])
    return made


@cache
def estimator(*scales: int) -> Estimator:
    """One for all tests, so that no two recipes may be taken for one."""
    return Estimator(graph(*scales).runs, None, torch.device("cpu"))


def step(model: str, scale: int = 4, scales: tuple[int, ...] = (4,), **changes) -> float:
    """Operations of one step of a recipe of the plan; ``options`` are added to the method's."""
    recipe = PLAN.recipe(model, scale)
    options = {**recipe.method.options, **changes.pop("options", {})}
    method = recipe.method.model_copy(update={"options": options})
    return estimator(*scales).step(recipe.model_copy(update={"method": method, **changes}))


def multiply_adds(channels: int, blocks: int, scale: int) -> tuple[int, int]:
    """Of EDSR with one-step upsampling, by LR pixel: first convolution, all (2 a block, body's end, upsampler)."""
    first = 9 * 3 * channels
    return first, first + (2 * blocks + 1) * 9 * channels**2 + 9 * channels * 3 * scale**2


def teacher_forward(scale: int = 4) -> int:
    return 2 * multiply_adds(48, 8, scale)[1] * PIXELS


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_step_by_hand(scale):
    """Two operations a multiply-add; backward twice the forward, but for the gradient of the LR image."""
    first, every = multiply_adds(24, 4, scale)
    assert step("edsr_tiny-scratch", scale, (scale,)) == 2 * (3 * every - first) * PIXELS


@pytest.mark.parametrize("network", ["edsr_tiny", "rcan_tiny", "swinir_tiny"])
def test_step_is_three_forwards_of_a_real_network(network):
    module = networks.build(network, 4)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.rand(BATCH, 3, SIDE, SIDE))
    assert step(f"{network}-scratch") == pytest.approx(3 * counter.get_total_flops(), rel=0.03)


@pytest.mark.parametrize("model", ["edsr_tiny-scratch", "rcan_tiny-at", "edsr_tiny-crosskd", "aggregator_mini"])
def test_step_is_linear_in_the_batch(model):
    one = step(model, batch=1)
    assert [step(model, batch=batch) for batch in (2, 3, 8)] == [2 * one, 3 * one, 8 * one]


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"aggregate"}))
def test_every_method_is_counted(method):
    """On tensors without values: no method may look at them to choose what it computes."""
    assert step(f"rcan_tiny-{method}") >= step("rcan_tiny-scratch")


ONLINE = {"teacher_outputs": "online"}


@pytest.mark.parametrize(
    ("model", "changes", "students", "teachers"),
    [
        ("edsr_tiny-kd", {}, 1, 0),
        ("edsr_tiny-kd", ONLINE, 1, 1),
        ("edsr_tiny-kd", {**ONLINE, "self_ensemble": True}, 1, 8),
        ("edsr_tiny-at", {}, 1, 1),
        ("edsr_tiny-at", {"options": {"beta": 9.0}}, 1, 1),
        ("edsr_tiny-dukd", {"options": {"zoom_out": False}}, 2, 2),
        ("edsr_tiny-dukd", {"options": {"zoom_out": False, "tiles": 3}}, 4, 4),
    ],
)
def test_passes_of_student_and_teacher(model, changes, students, teachers):
    expected = students * step("edsr_tiny-scratch") + teachers * teacher_forward()
    assert step(model, **changes) == expected


def test_an_aggregator_costs_more_than_the_teacher_within_it():
    assert step("edsr_tiny-kd_mt", **ONLINE) > step("edsr_tiny-kd", **ONLINE)
    assert step("edsr_tiny-kd_mt") == step("edsr_tiny-kd")  # cached


@pytest.mark.parametrize("method", ["at", "fakd", "dukd", "crosskd"])
def test_a_graph_of_several_scales_costs_what_each_scale_costs(method):
    model = f"rcan_tiny-{method}"
    assert step(model, 4, (2, 4)) == step(model, 4, (4,))


def task(kind: str, run: Run, self_ensemble: bool = False) -> Task:
    return Task(kind, run, (), (), self_ensemble)


@pytest.mark.parametrize("scales", [(4,), (2, 4)])
@pytest.mark.parametrize(("self_ensemble", "passes"), [(False, 1), (True, 8)])
def test_cached_outputs_cost_a_forward_pass_of_every_pixel(self_ensemble, passes, scales):
    made = graph(*scales)
    cost = Estimator(made.runs, None, torch.device("cpu"))
    found = cost.cost(task("cache", made.run("edsr_mini", 4), self_ensemble), 1000)
    expected = 1000 * 2 * multiply_adds(48, 8, 4)[1] * passes
    assert (found.flops, found.measured) == (pytest.approx(expected), False)
    assert found.seconds == pytest.approx(expected / SPEED)


def test_pixels_of_the_images():
    assert lr_pixels([(101, 51), (7, 8)], 2) == 50 * 25 + 3 * 4


def record(seconds: int | None, device: str = "cpu", **changes) -> dict:
    """A finished run of the plan's undistilled EDSR student, of 10 steps."""
    recipe = PLAN.recipe("edsr_tiny-scratch", 4).model_copy(update={"iterations": 10, **changes})
    return {"recipe": recipe.model_dump(mode="json"), "seconds": seconds, "device": device, "folder": "f"}


def seconds(*found: dict) -> tuple[float, bool]:
    """Seconds of a training of that student, given these records, and whether they were measured."""
    made = graph(4)
    records = Records({str(number): run for number, run in enumerate(found)}, {}, frozenset())
    cost = Estimator(made.runs, records, torch.device("cpu")).cost(task("train", made.run("edsr_tiny-scratch", 4)), 0)
    assert cost.flops == STEPS * step("edsr_tiny-scratch")
    return cost.seconds, cost.measured


@pytest.mark.parametrize(
    ("found", "expected"),
    [([record(5)], 50.0), ([record(5), record(7)], 60.0), ([record(5, seed=9), record(99, batch=1)], 50.0)],
)
def test_finished_runs_win_over_the_estimate(found, expected):
    assert seconds(*found) == (pytest.approx(expected), True)


@pytest.mark.parametrize(
    "found",
    [
        [],
        [record(None)],
        [record(5, "cuda")],
        [record(5, "cuda, cpu")],
        [record(5, lr_patch=16)],
        [record(5, precision="fp32")],
    ],
)
def test_without_an_equal_run_seconds_are_estimated(found):
    assert seconds(*found) == (pytest.approx(STEPS * step("edsr_tiny-scratch") / SPEED), False)


@pytest.mark.parametrize(("kind", "model"), [("measure", "edsr_tiny-scratch"), ("train", "bicubic")])
def test_nothing_to_compute(kind, model):
    found = estimator(4).cost(task(kind, graph(4).run(model, 4)), 1000)
    assert (found.flops, found.seconds) == (0, 0)
