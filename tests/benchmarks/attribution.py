"""LAM against a plain loop of as many passes, forward and backward, on one thread; medians of alternating rounds.

``python -m tests.benchmarks.attribution``: mini networks, LR 64 x 64, 50 steps.
"""

from __future__ import annotations

import torch

from mtkd import zoo
from mtkd.explain.lam import LocalAttributionMap
from mtkd.explain.question import Detail, Window
from tests.benchmarks.speed import alternate

STEPS, SIDE, ROUNDS = 50, 64, 5


def main() -> None:
    """Print one row a network as markdown."""
    torch.set_num_threads(1)
    print("| network | plain loop, s | LAM / plain loop |\n|---|--:|--:|")
    for name in ("edsr_mini", "rcan_mini", "swinir_mini", "rcan_tiny-mtkd"):
        objective = Detail(zoo.load(name, 4), Window(120, 120))
        image = torch.rand(1, 3, SIDE, SIDE)

        def loop(objective: Detail = objective, image: torch.Tensor = image) -> None:
            for _ in range(STEPS):
                point = image.clone().requires_grad_()
                torch.autograd.grad(objective(point).sum(), point)

        def attribute(objective: Detail = objective, image: torch.Tensor = image) -> None:
            LocalAttributionMap(objective).attribute(image, n_steps=STEPS)

        plain, lam = alternate(loop, attribute, ROUNDS)
        print(f"| {name} | {plain:.2f} | {lam / plain:.2f} |", flush=True)


if __name__ == "__main__":
    main()
