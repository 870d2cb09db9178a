"""What a training step is made of, in ms of one CPU: ``python -m tests.benchmarks.parts [STUDENT...]``.

Students at mini size, LR 32, batch 8, x4, fp32; the target of mtkd is cached. The steps take turns; each part is the
least of several: other programs only add to it.
"""

from __future__ import annotations

import copy
import sys
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor

from mtkd import networks
from mtkd.data.examples import EXAMPLES
from mtkd.data.patches import Batch, ImagePairs, Patches
from mtkd.methods import create
from mtkd.training.average import average_weights

PATCH, SIZE, SCALE, ROUNDS = 32, 8, 4, 15
PARTS = ("data", "forward", "loss", "backward", "optimiser", "average")


class Crops:
    """Cached outputs, held in memory."""

    def __init__(self, images: list[Tensor]) -> None:
        self.images = images

    def crop(self, index: int, top: int, left: int, height: int, width: int) -> Tensor:
        return self.images[index][:, top : top + height, left : left + width]

    def bytes(self) -> int:
        return sum(image.nbytes for image in self.images)


class Step:
    """One step of a method, part by part."""

    def __init__(self, student: str, method: str) -> None:
        outputs = ("MT",) if method == "mtkd" else ()
        pairs = ImagePairs([example.path for example in EXAMPLES], SCALE)
        crops = {name: Crops([torch.rand(pair.hr.shape) for pair in pairs]) for name in outputs}
        self.patches = Patches(pairs, PATCH, SIZE, 0, dict(crops))
        self.network = networks.build(student, SCALE)
        self.average = copy.deepcopy(self.network)
        self.method = create(method, {}, outputs, self.network, None)
        self.optimizer = torch.optim.Adam([*self.network.parameters(), *self.method.parameters()], 1e-4)
        self.least: dict[str, float] = defaultdict(lambda: float("inf"))

    def __call__(self, number: int) -> None:
        batch: Batch = self._timed("data", lambda: self.patches(number))
        with torch.enable_grad():
            image = self._timed("forward", lambda: self.network(batch.lr_image))
            terms = self._timed("loss", lambda: self.method.loss(lambda _: image, batch))
        self._timed("backward", sum(terms.values()).backward)
        self._timed("optimiser", self.optimizer.step)
        self.optimizer.zero_grad()
        self._timed("average", lambda: average_weights(self.average, self.network, 0.999, number + 1))

    def _timed(self, part: str, act: Callable[[], object]) -> object:
        began = time.process_time()
        result = act()
        self.least[part] = min(self.least[part], 1000 * (time.process_time() - began))
        return result


def main(students: list[str]) -> None:
    """Print a row a student and method as markdown."""
    torch.set_num_threads(1)
    print(f"| student | method | {' | '.join(PARTS)} | all | / scratch |\n|---|---|{'--:|' * (len(PARTS) + 2)}")
    for student in students or ["edsr_tiny", "rcan_tiny", "swinir_tiny"]:
        steps = {name: Step(student, name) for name in ("scratch", "mtkd")}
        for number in range(ROUNDS):
            for step in steps.values():
                step(number)
        alone = sum(steps["scratch"].least.values())
        for name, step in steps.items():
            cells = [f"{step.least[part]:.1f}" for part in PARTS]
            total = sum(step.least.values())
            print(f"| {student} | {name} | {' | '.join(cells)} | {total:.1f} | {total / alone:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
