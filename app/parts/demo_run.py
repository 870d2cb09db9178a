"""The training of the quick demo: its recipe, its runs, and what other networks reach on its held-out picture."""

from __future__ import annotations

from functools import lru_cache

from mtkd.data.examples import example
from mtkd.experiments.plan import load_recipe
from mtkd.explore import Comparison, compare
from mtkd.explore.comparison.choices import BICUBIC
from mtkd.images import UInt8Image
from mtkd.training import jobs, run_state
from mtkd.training.dataset import Dataset
from mtkd.training.recipe import Recipe, parse
from mtkd.training.run_state import Run
from mtkd.zoo.model import split_snapshot

from .training_recipes import free_name

NAME = "quick-demo"
SNAPSHOT = "rcan_tiny-mtkd@280"
"""Blurred, and still 0.5 dB below bicubic: what the steps add is seen."""
ALONE = "rcan_tiny-scratch"
HELD_OUT = example("astronaut")
STEPS = 200
DETAIL = (slice(40, 168), slice(90, 218))
"""Rows and columns of the held-out picture that are shown."""


@lru_cache(1)
def recipe() -> Recipe:
    """MTKD from the snapshot on, on all example pictures but the held-out one, in a quarter of a minute."""
    content = load_recipe("mini/rcan_tiny-mtkd_x4").model_dump(mode="json")
    content |= {
        "name": NAME,
        "init": SNAPSHOT,
        "data": {"train": str(HELD_OUT.path.parent), "held_out": [HELD_OUT.path.name]},
        "iterations": STEPS,
        "batch": 4,
        "lr_patch": 24,
        "optimizer": {"lr": 0.004},
        "schedule": {"kind": "cosine", "warmup": 10},
        "ema": None,
        "precision": "fp32",
        "save_dtype": "float32",
        "snapshots": (),
        "log_every": 2,
        "validate_every": 10,
        "checkpoint_every": 50,
    }
    return parse(content, NAME)


def start() -> Run:
    """Start the demo's training, unless it runs already.

    Raises:
        UserError: see :func:`mtkd.training.jobs.start`.
    """
    if (run := latest()) and run.active:
        return run
    return jobs.start(recipe().model_copy(update={"name": free_name(NAME, recipe().scale)}))


def latest() -> Run | None:
    """The demo's run that was started last, whoever did it."""
    return next((run for run in run_state.runs() if _is_demo(run.recipe)), None)


def _is_demo(asked: Recipe | None) -> bool:
    return asked is not None and asked.model_copy(update={"name": NAME}) == recipe()


@lru_cache(1)
def references() -> Comparison:
    """Bicubic, the snapshot, the student alone and the combined teacher on the held-out picture."""
    return compare(HELD_OUT.read(), [BICUBIC, SNAPSHOT, ALONE, *recipe().teachers], recipe().scale, metrics=["psnr"])


def levels() -> dict[str, float]:
    """The PSNR that each reaches, in dB, by the name that people read."""
    titles = {
        BICUBIC: "Bicubic",
        SNAPSHOT: f"Snapshot, step {split_snapshot(SNAPSHOT)[1]}",
        ALONE: "Student alone, fully trained",
        recipe().teachers[0]: "Combined teacher (MT)",
    }
    return {titles[result.name]: result.psnr or 0.0 for result in references().results}


def detail(image: UInt8Image) -> UInt8Image:
    """What is shown of a picture of the held-out one's size."""
    return image[DETAIL]


def trained_on() -> int:
    """How many pictures the demo trains on."""
    return len(Dataset(recipe().data, recipe().scale).split()[0])
