"""A graph of tiny runs: three teachers, an aggregator of each kind, a student; seconds in all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtkd.experiments.matrix import Matrix, Task, images_hash
from mtkd.experiments.plan import Plan, load_plan
from mtkd.experiments.runner import Outcome, Place, needed, run_here
from tests.training.conftest import write_images

AGGREGATOR_STEPS = 30
CONTENT = {
    "extends": "mini",
    "defaults": {
        "lr_patch": 8,
        "batch": 2,
        "iterations": 4,
        "schedule": {"kind": "step", "warmup": 0},
        "precision": "fp32",
        "log_every": 1,
        "checkpoint_every": 2,
        "validate_every": 2,
    },
    "teachers": {
        "edsr": {"name": "ada", "network": "edsr_tiny", "seed": 2},
        "rcan": {"name": "bob", "network": "edsr_mini", "seed": 3},
        "swinir": {"name": "cyd", "network": "swinir_tiny", "seed": 1},
    },
    "aggregator": {"network": "aggregator_mini", "seed": 5},
    "at": {
        "x2": {
            "teachers": {name: {"iterations": 4} for name in ("edsr", "rcan", "swinir")},
            "aggregator": {"iterations": AGGREGATOR_STEPS},
            "student": {"iterations": 4},
        }
    },
    "scales": [2],
    "tables": {
        "trial": {
            "title": "A trial",
            "student": "rcan",
            "models": ["bicubic", "MT", "full"],
            "variants": ["scratch", "kd", "at", "mtkd", "v2"],
        }
    },
}


def write_plan(path: Path, images: Path, **changes: Any) -> Path:
    """The tiny plan as a file."""
    content = {**CONTENT, "defaults": {**CONTENT["defaults"], "data": {"train": str(images), "holdout": 2}}, **changes}
    path.write_text(yaml.safe_dump(content))
    return path


@contextmanager
def quiet(task: Task) -> Iterator[Any]:
    class Nothing:
        def report(self, event: Any) -> None:
            pass

    yield Nothing()


def graph(plan: Plan, table: str = "trial", seeds: tuple[int, ...] = (1,), only: tuple[str, ...] = ()) -> Matrix:
    made = Matrix(plan, images_hash(plan.images()))
    made.add(table, plan.scales, seeds, only)
    return made


def finish(plan: Plan, out: Path, announce: Callable[..., None] = lambda *_: None, **chosen: Any) -> list[Outcome]:
    """Do the graph in this process."""
    place = Place(out, None, plan.images())
    return run_here(needed(graph(plan, **chosen).tasks(), place), place, quiet, announce, patience=0.05)


@pytest.fixture(scope="session")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    return write_plan(folder / "tiny.yaml", write_images(folder / "images"))


@pytest.fixture(scope="session")
def tiny(plan_file: Path) -> Plan:
    return load_plan(str(plan_file))


@pytest.fixture(scope="session")
def finished(tiny: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs in which the tiny graph was done, in one process. Read it, never write to it."""
    out = tmp_path_factory.mktemp("finished")
    outcomes = finish(tiny, out)
    assert {outcome.state for outcome in outcomes} == {"done"}
    return out
