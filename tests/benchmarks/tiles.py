"""Tiles against whole images, and 3840 x 2160 from the command line within 4 GB.

Run ``python -m tests.benchmarks.tiles [error|memory] [x2|x3|x4] [NAME...]``: without names every mini network, the
aggregator with its teachers, and the paper's three students with random weights. ``error`` is always
x4 and needs MTKD_DATA with benchmarks/Set14; ``memory`` of everything takes two hours on one core. Rows of markdown are
printed as they come.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.data.benchmarks import benchmark
from mtkd.data.examples import example
from mtkd.images import to_tensor
from mtkd.infer import TILE, _grid, aggregate, overlap_of, upscale
from mtkd.metrics import psnr
from mtkd.networks.aggregator import KnowledgeAggregator, MultiTeacher
from mtkd.zoo.checkpoints import save_weights
from mtkd.zoo.headers import Header

MINI = ("edsr_mini", "rcan_mini", "swinir_mini", "aggregator_mini")
MINI += ("edsr_tiny-mtkd", "rcan_tiny-mtkd", "swinir_tiny-mtkd")
STUDENTS = ("edsr_baseline", "rcan_lightweight", "swinir_lightweight")
OVERLAPS = (8, 16, 32, 64)
SCALES = {"x4": 4, "x3": 3, "x2": 2}
SMALL_TILE = 32
WIDTH, HEIGHT, LIMIT_GB = 3840, 2160, 4


def _trained(name: str, scale: int) -> bool:
    return name == "bicubic" or any(model.name == name for model in zoo.models(scale))


def _network(name: str, scale: int) -> nn.Module:
    """A trained model, else a network of that name with random weights."""
    if _trained(name, scale):
        return zoo.load(name, scale)
    torch.manual_seed(0)
    return networks.build(name, scale).eval().requires_grad_(False)


def _runner(network: nn.Module, lr_image: Tensor, scale: int) -> Callable[[int | None, int | None], Tensor]:
    """The network in tiles; of an aggregator it alone, on whole images of its teachers."""
    if not isinstance(network, MultiTeacher):
        return lambda tile, overlap: upscale(network, lr_image, scale, tile, overlap)
    images = [upscale(teacher, lr_image, scale, None) for teacher in network.teachers]
    return lambda tile, overlap: aggregate(network.aggregator, images, tile, overlap)


def error(names: Sequence[str], scales: Sequence[int]) -> Iterator[str]:
    """Rows of the table: one network each."""
    image = benchmark(Path(os.environ["MTKD_DATA"]), "Set14", 4)[1]
    lr, hr = image.read()
    lr_image = to_tensor(lr)
    yield f"x4 of {image.name} of Set14 ({lr.shape[1]} x {lr.shape[0]}), tiles {SMALL_TILE} LR pixels apart\n"
    overlaps = " | ".join(f"overlap {o}" for o in OVERLAPS)
    yield f"| network | reach | {overlaps} | by default | PSNR-Y whole, dB | change by default, dB |"
    yield "|---|--:|" + "--:|" * (len(OVERLAPS) + 3)
    for name in names or (*MINI, *STUDENTS):
        network = _network(name, 4)
        run = _runner(network, lr_image, 4)
        part = network.aggregator if isinstance(network, MultiTeacher) else network
        whole = run(None, None)
        tiled = {overlap: run(SMALL_TILE, overlap) for overlap in sorted({*OVERLAPS, overlap_of(part)})}
        quality = ["", ""]
        if _trained(name, 4):
            of_whole, of_tiles = psnr(whole, hr, 4), psnr(tiled[overlap_of(part)], hr, 4)
            quality = [f"{of_whole:.3f}", f"{of_tiles - of_whole:+.4f}"]
        cells = [_difference(tiled[o], whole) for o in OVERLAPS]
        default = f"{overlap_of(part)}: {_difference(tiled[overlap_of(part)], whole)}"
        yield f"| {' | '.join([name, str(part.reach), *cells, default, *quality])} |"


def _difference(image: Tensor, whole: Tensor) -> str:
    """Greatest absolute difference, and PSNR between the two."""
    off = image.double() - whole.double()
    mean = float(off.square().mean())
    return f"{float(off.abs().max()):.0e}, {-10 * math.log10(mean):.0f} dB" if mean else "0"


def memory(names: Sequence[str], scales: Sequence[int]) -> Iterator[str]:
    """Rows of the table: one network at one scale each, ``mtkd upscale`` as a process of its own."""
    yield f"`mtkd upscale` to {WIDTH} x {HEIGHT}, tiles {TILE} LR pixels apart; at most {LIMIT_GB} GB\n"
    yield "| network | scale | overlap | tiles | LR pixels computed / of the image | peak memory, MiB | minutes |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    with tempfile.TemporaryDirectory() as folder:
        for scale in scales:
            picture = Path(folder) / f"lr_x{scale}.png"
            Image.open(example("astronaut").path).resize((WIDTH // scale, HEIGHT // scale)).save(picture)
            for name in names or (*MINI, *STUDENTS):
                if not _trained(name, scale):
                    if name not in networks.specs():  # a student that was trained for x4 alone
                        continue
                    file = Path(folder) / f"{name}_x{scale}.safetensors"
                    save_weights(file, _network(name, scale), Header(name, name, scale))
                yield _measured(name, scale, picture, Path(folder))


def _measured(name: str, scale: int, picture: Path, folder: Path) -> str:
    command = ["upscale", str(picture), "-o", str(folder / "out.png"), "--model", name, "--scale", str(scale)]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "mtkd.cli", *command],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "MTKD_ZOO": str(folder)},
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    with Image.open(folder / "out.png") as image:
        assert status == 0 and image.size == (WIDTH, HEIGHT)
    (folder / "out.png").unlink()
    peak = used.ru_maxrss / 1024
    assert peak < LIMIT_GB * 1000**3 / 1024**2, f"{name} x{scale}: {peak:.0f} MiB"
    network = _network(name, scale)
    parts = [*network.teachers, network.aggregator] if isinstance(network, MultiTeacher) else [network]
    each = zip(*(_work(part, HEIGHT // scale, WIDTH // scale) for part in parts), strict=True)
    return f"| {name} | {scale} | {' | '.join(map(', '.join, each))} | {peak:,.0f} | {seconds / 60:.1f} |"


def _work(network: nn.Module, height: int, width: int) -> tuple[str, str, str]:
    """Overlap, number of tiles, and how many pixels they have together over those of the image."""
    unit = network.scale if isinstance(network, KnowledgeAggregator) else 1
    grid = _grid(network, unit * height, unit * width, TILE, None)
    pixels = sum(len(rows.sees) * len(columns.sees) for rows, columns in grid)
    return str(overlap_of(network)), str(len(grid)), f"{pixels / (unit * unit * height * width):.2f}"


def main(arguments: Sequence[str]) -> None:
    """Print the tables that are asked for."""
    torch.set_num_threads(1)
    tables = {"error": error, "memory": memory}
    asked = [a for a in arguments if a in tables] or list(tables)
    scales = [SCALES[a] for a in arguments if a in SCALES] or list(SCALES.values())
    names = [a for a in arguments if a not in (*tables, *SCALES)]
    for number, table in enumerate(asked):
        if number:
            print()
        for line in tables[table](names, scales):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
