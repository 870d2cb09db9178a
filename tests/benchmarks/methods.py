"""One training step of each method / one of ``scratch``: ``python -m tests.benchmarks.methods [STUDENT...]``.

Students at mini size, LR 32, batch 8, x4, fp32, one thread; whole updates (forward, backward, Adam). Targets of kd,
mtkd and v5 to v7 are cached: they are in the batch. The others run their teacher, the mini network of the student's
architecture. The two steps compared take turns; the ratio is that of their medians.
"""

from __future__ import annotations

import sys

import torch

from mtkd import networks, zoo
from mtkd.data.patches import Batch
from mtkd.experiments.plan import load_plan
from mtkd.methods import runs_teacher
from tests.benchmarks.speed import alternate, training_step

PATCH, SIZE, ROUNDS = 32, 8, 9
VARIANTS = ("kd", "mtkd", "v5", "v6", "v7", "at", "fakd", "dukd", "crosskd")
CACHED_TARGET = 1.25


def main(students: list[str]) -> None:
    """Print one row a student as markdown."""
    torch.set_num_threads(1)
    plan = load_plan("mini")
    print(f"| student | scratch, ms | {' | '.join(VARIANTS)} |\n|---|--:|{'--:|' * len(VARIANTS)}")
    for architecture in plan.students:
        network = plan.student_network(architecture)
        if students and architecture not in students:
            continue
        teacher = zoo.load(plan.teacher_name(architecture), 4)
        hr_image = torch.rand(SIZE, 3, 4 * PATCH, 4 * PATCH)
        cells, milliseconds = [], []
        for variant in VARIANTS:
            recipe = plan.recipe(f"{network}-{variant}", 4)
            assert recipe is not None
            outputs = recipe.teachers
            batch = Batch(
                torch.rand(SIZE, 3, PATCH, PATCH), hr_image, {name: torch.rand_like(hr_image) for name in outputs}
            )
            own, plain = networks.build(network, 4), networks.build(network, 4)
            step = training_step(own, recipe.method.name, batch, outputs, recipe.method.options, teacher)
            scratch = training_step(plain, "scratch", batch, ())
            measured, reference = alternate(step, scratch, ROUNDS)
            ratio = measured / reference
            over = not runs_teacher(recipe.method.name) and ratio > CACHED_TARGET
            cells.append(f"{ratio:.2f}" + (f" (target {CACHED_TARGET})" if over else ""))
            milliseconds.append(1000 * reference)
        print(f"| {network} | {sorted(milliseconds)[len(milliseconds) // 2]:.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
