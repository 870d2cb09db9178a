"""LAM against a plain loop of as many passes, forward and backward, and a causal map of 8 x 8 patches against LAM.

``python -m tests.benchmarks.attribution``: mini networks, LR 64 x 64, 50 steps, on one thread; medians of alternating
rounds. Also the seconds of one deletion curve of 16 points.
"""

from __future__ import annotations

import torch

from mtkd import zoo
from mtkd.explain import LocalAttributionMap
from mtkd.explain.answer import answer
from mtkd.explain.curves import Removal, random_maps
from mtkd.explain.question import Detail, Question, Window
from tests.benchmarks.speed import take_turns

STEPS, SIDE, ROUNDS = 50, 64, 5


def main() -> None:
    """Print one row a network as markdown."""
    torch.set_num_threads(1)
    print("| network | plain loop, s | LAM / plain loop | causal map / LAM | both curves, s |\n|---|--:|--:|--:|--:|")
    for name in ("edsr_mini", "rcan_mini", "swinir_mini", "rcan_tiny-mtkd"):
        objective = Detail(zoo.load(name, 4), Window(120, 120))
        image = torch.rand(1, 3, SIDE, SIDE)
        question = Question(name, 4, "", objective.window, objective, ("LR",), (image,))

        def loop(objective: Detail = objective, image: torch.Tensor = image) -> None:
            for _ in range(STEPS):
                point = image.clone().requires_grad_()
                torch.autograd.grad(objective(point).sum(), point)

        def attribute(objective: Detail = objective, image: torch.Tensor = image) -> None:
            LocalAttributionMap(objective).attribute(image, n_steps=STEPS)

        def causal(question: Question = question) -> None:
            answer(question, "causal", patch=8, around=SIDE)

        def curves(question: Question = question) -> None:
            Removal.of(question).curves(random_maps(question))

        plain, lam, patches, both = take_turns((loop, attribute, causal, curves), ROUNDS)
        print(f"| {name} | {plain:.2f} | {lam / plain:.2f} | {patches / lam:.2f} | {both:.2f} |", flush=True)


if __name__ == "__main__":
    main()
