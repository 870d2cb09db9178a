"""Speed, as ratios measured in one run: ``make bench`` (or ``python tests/benchmarks/speed.py [NAME...]``).

The two things compared take turns, and the ratio is that of their medians, so that a noisy machine disturbs both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.data.examples import EXAMPLES
from mtkd.data.patches import Batch
from mtkd.explain.answer import explain
from mtkd.explain.lam import LamOptions
from mtkd.explain.neighbourhood import context_of, near
from mtkd.explain.question import Window, ask
from mtkd.explore import compare
from mtkd.explore.comparison.choices import default_models
from mtkd.export import export
from mtkd.losses import WaveletLoss
from mtkd.methods import create
from mtkd.metrics import PAPER
from mtkd.metrics.ssim import mean_similarity
from mtkd.zoo import models

Step = Callable[[], object]


def take_turns(steps: Sequence[Step], rounds: int) -> list[float]:
    """Median seconds of steps that take turns, after one warm-up each."""
    for step in steps:
        step()
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for step, times in zip(steps, seconds, strict=True):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in seconds]


def alternate(first: Step, second: Step, rounds: int) -> tuple[float, float]:
    """:func:`take_turns` of two."""
    one, other = take_turns((first, second), rounds)
    return one, other


def training_step(
    network: nn.Module,
    method: str,
    batch: Batch,
    outputs: tuple[str, ...],
    options: Mapping[str, Any] | None = None,
    teacher: nn.Module | None = None,
) -> Step:
    """One whole update: loss, backward, Adam."""
    teachers = dict.fromkeys(outputs, teacher) if teacher is not None else None
    loss = create(method, options or {}, outputs, network, teachers)
    optimizer = torch.optim.Adam([*network.parameters(), *loss.parameters()], 1e-4)

    def step() -> None:
        torch.stack(list(loss.loss(network, batch).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _stage2(name: str, lr_patch: int, size: int, rounds: int) -> tuple[float, float]:
    network = networks.build(name, 4)
    hr_image = torch.rand(size, 3, 4 * lr_patch, 4 * lr_patch)
    batch = Batch(torch.rand(size, 3, lr_patch, lr_patch), hr_image, {"MT": torch.rand_like(hr_image)})
    return alternate(
        training_step(network, "mtkd", batch, ("MT",)), training_step(network, "scratch", batch, ()), rounds
    )


def stage2_paper() -> tuple[float, float]:
    """mtkd step, cached target / the student's own step: edsr_baseline, LR 24, batch 2"""
    return _stage2("edsr_baseline", 24, 2, 12)


def stage2_mini() -> tuple[float, float]:
    """mtkd step, cached target / the student's own step: edsr_tiny, LR 32, batch 8"""
    return _stage2("edsr_tiny", 32, 8, 25)


def _backward(loss: Callable[[Tensor, Tensor], Tensor]) -> Step:
    student, target = torch.rand(8, 3, 128, 128, requires_grad=True), torch.rand(8, 3, 128, 128)

    def step() -> None:
        student.grad = None
        loss(student, target).backward()

    return step


def wavelet_loss() -> tuple[float, float]:
    """WaveletLoss forward + backward / plain L1, 8 x 3 x 128 x 128"""
    return alternate(_backward(WaveletLoss()), _backward(F.l1_loss), 60)


def aggregator() -> tuple[float, float]:
    """aggregator forward + backward, paper's configuration / without DCT (v4): LR 24, batch 2"""
    images = [torch.rand(2, 3, 96, 96) for _ in range(3)]

    def step(name: str) -> Step:
        network = networks.build(name, 4)
        return lambda: network(images).mean().backward()

    return alternate(step("aggregator"), step("aggregator_v4"), 20)


def imports() -> tuple[float, float]:
    """import mtkd (and its networks) / import torch, in fresh processes"""

    def step(code: str) -> Step:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    return alternate(step("import mtkd, mtkd.networks; mtkd.networks.specs()"), step("import torch"), 5)


def comparison() -> tuple[float, float]:
    """first comparison of all bundled models, 256x256 HR example / 3 seconds (cold: weights are read)"""
    began = time.perf_counter()
    compare(EXAMPLES[0].read(), ["bicubic", *(m.name for m in models(4))], 4)
    return time.perf_counter() - began, 3.0


def _command(*arguments: str) -> Step:
    unset = ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS")  # as its users have it: compiled modules, all cores
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    return lambda: subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)


_TORCH = ("-c", "import torch")


def listing() -> tuple[float, float]:
    """mtkd models --json / import torch, processes"""
    return alternate(_command("-m", "mtkd.cli", "models", "--json"), _command(*_TORCH), 5)


def upscale_command() -> tuple[float, float]:
    """mtkd upscale of 512 x 384 by edsr_tiny, its PNG written / import torch, processes"""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "photo.png")
        Image.fromarray(_photo(384, 512)).save(source)
        command = ("-m", "mtkd.cli", "upscale", str(source), "-o", folder, "--model", "edsr_tiny-mtkd")
        return alternate(_command(*command), _command(*_TORCH), 5)


def ssim() -> tuple[float, float]:
    """SSIM of 2000 x 1356 / scikit-image's on the same luma"""
    from skimage.metrics import structural_similarity

    a, b = (PAPER.planes(_photo(1356, 2000, seed), 4) for seed in (0, 1))
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 255}
    return alternate(
        lambda: mean_similarity(a, b), lambda: structural_similarity(a[0].numpy(), b[0].numpy(), **options), 7
    )


def _photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth coloured noise, as hard to pack as a photo: (H, W, 3) uint8."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = gaussian_filter(noise, (3, 3, 0))
    return np.uint8((smooth - smooth.min()) / np.ptp(smooth) * 255)


def _exported(name: str, lr_image: Tensor) -> Step:
    """A network in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        export(name, 4, Path(folder, "model.onnx"))
        session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: lr_image.numpy()}
    return lambda: session.run(None, given)


def _in_onnx(name: str, lr_image: Tensor, rounds: int = 5) -> tuple[float, float]:
    network = zoo.load(name, 4)
    with torch.inference_mode():
        return alternate(lambda: network(lr_image), _exported(name, lr_image), rounds)


def swinir_onnx() -> tuple[float, float]:
    """swinir_mini, LR 256 x 192 / the same in onnxruntime"""
    return _in_onnx("swinir_mini", torch.rand(1, 3, 192, 256))


def aggregator_onnx() -> tuple[float, float]:
    """aggregator_mini with its teachers, LR 512 x 384 / the same in onnxruntime"""
    return _in_onnx("aggregator_mini", torch.rand(1, 3, 384, 512), 3)


def large_comparison() -> tuple[float, float]:
    """comparison of the default models, 2000 x 1356 HR / their networks in onnxruntime"""
    names = default_models(4)
    networks_alone = [_exported(name, torch.rand(1, 3, 339, 500)) for name in names]
    number = iter(range(100))  # another picture each time: results are kept
    return alternate(
        lambda: compare(_photo(1356, 2000, next(number)), names, 4), lambda: [run() for run in networks_alone], 2
    )


def _attribution(name: str) -> tuple[float, float]:
    """A window in the middle of LR 500 x 339 / of an LR image as large as what the window sees."""
    lr_image, window = _photo(339, 500), Window.around(678, 1000)
    part = near(ask(name, lr_image, 4, window), context_of(LamOptions()))[1]
    rows, columns = part.frame
    inside = Window(window.top - 4 * rows.start, window.left - 4 * columns.start)
    small = np.ascontiguousarray(lr_image[rows, columns])
    return alternate(lambda: explain(name, lr_image, 4, window), lambda: explain(name, small, 4, inside, whole=True), 3)


def edsr_attribution() -> tuple[float, float]:
    """LAM of edsr_mini, LR 500 x 339 / of its field of view alone"""
    return _attribution("edsr_mini")


def swinir_attribution() -> tuple[float, float]:
    """LAM of swinir_mini, LR 500 x 339 / of its field of view alone"""
    return _attribution("swinir_mini")


TARGETS = {
    stage2_paper: 1.10,
    stage2_mini: 1.1,
    wavelet_loss: 8.0,
    aggregator: 1.1,
    imports: 2.0,
    comparison: 1.0,
    listing: 0.3,
    upscale_command: 1.5,
    ssim: 0.5,
    swinir_onnx: 1.2,
    aggregator_onnx: 1.2,
    large_comparison: 1.3,
    edsr_attribution: 1.2,
    swinir_attribution: 1.2,
}


def main(names: list[str]) -> None:
    """Print one row a benchmark as markdown."""
    torch.set_num_threads(1)
    print("| what | ratio | target | ms |\n|---|--:|--:|--:|")
    for benchmark, target in TARGETS.items():
        if names and benchmark.__name__ not in names:
            continue
        measured, reference = benchmark()
        milliseconds = f"{1000 * measured:.0f} / {1000 * reference:.0f}"
        print(f"| {benchmark.__doc__} | {measured / reference:.2f} | ≤ {target:.2f} | {milliseconds} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
