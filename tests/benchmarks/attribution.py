"""LAM against a plain loop of as many passes, forward and backward, and a causal map of 8 x 8 patches against LAM.

``python -m tests.benchmarks.attribution``: mini networks, LR 64 x 64, 50 steps, on one thread; medians of alternating
rounds. Also the seconds of one deletion curve of 16 points.

``python -m tests.benchmarks.attribution --photos``: LAM of RCAN from a part of a photo against LAM from all of it,
with channel attention held at what it is for 256 x 256 pixels around the window (:mod:`mtkd.explain.neighbourhood`),
and with those pixels walked as if they were the photo. HR images of Set14 cut to 400 x 320 are the LR images.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from mtkd import zoo
from mtkd.data.benchmarks import benchmark
from mtkd.explain import LocalAttributionMap
from mtkd.explain.answer import answer
from mtkd.explain.curves import Removal, random_maps
from mtkd.explain.question import Detail, Question, Window, ask
from mtkd.home import data_folder
from mtkd.images import read_image
from tests.benchmarks.speed import take_turns

STEPS, SIDE, ROUNDS = 50, 64, 5
WIDTH, HEIGHT, PHOTOS, PHOTO_STEPS = 400, 320, 5, 5


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


class Plain(nn.Module):
    """A network that says of itself that it pools, and no more."""

    pools = True

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.network(image)
        return result


def photos() -> None:
    """Print one row a network and way to answer as markdown: means over the photos."""
    torch.set_num_threads(1)
    files = (one.hr for one in benchmark(data_folder(), "Set14", 4))
    images = [image for image in map(read_image, files) if image.shape[0] >= HEIGHT and image.shape[1] >= WIDTH]
    print("| network | from | time / whole | difference of the maps | correlation |\n|---|---|--:|--:|--:|")
    for name in ("rcan_mini", "rcan_tiny-mtkd"):
        rows: dict[str, list[tuple[float, float, float]]] = {"held attention": [], "256 x 256 alone": []}
        places = np.random.default_rng(0)
        for image in images[:PHOTOS]:
            row, column = (int(places.integers(100, 4 * side - 100)) for side in (HEIGHT, WIDTH))
            cut = np.ascontiguousarray(image[:HEIGHT, :WIDTH])
            question = ask(name, cut, 4, Window.around(row, column))
            plain = Detail(Plain(question.objective.network), question.window)
            exact, took = _map(question, whole=True)
            for how, asked in (("held attention", question), ("256 x 256 alone", replace(question, objective=plain))):
                found, seconds = _map(asked)
                off = float((found - exact).abs().sum() / exact.abs().sum())
                rows[how].append((seconds / took, off, float(torch.corrcoef(torch.stack([exact, found]))[0, 1])))
        for how, values in rows.items():
            ratio, off, alike = np.mean(values, 0)
            print(f"| {name} | {how} | {ratio:.2f} | {off:.1%} | {alike:.4f} |", flush=True)


def _map(question: Question, whole: bool = False) -> tuple[Tensor, float]:
    """LAM summed over colours, as a vector, and the seconds that it took."""
    began = time.perf_counter()
    found = answer(question, "lam", steps=PHOTO_STEPS, whole=whole).attributions[0].sum(0).flatten()
    return found, time.perf_counter() - began


if __name__ == "__main__":
    photos() if "--photos" in sys.argv else main()
