"""A training step of the paper's networks, by how the teachers' outputs come: ``python -m tests.benchmarks.paper``.

Teachers with random weights; on a CUDA device LR 64, batch 16 (Sec. 4.2), on a CPU LR 24, batch 2, one thread. Ways:

- authors: teachers and aggregator run on every batch, and gradients flow through them, as in the public code;
- online: they run on every batch, without gradients;
- cached: their outputs are crops of files made once; the batch is cut within the step (on a CUDA device there, from
  images and outputs that it holds, as the training loop does it);
- own: the trained network's step alone (Stage 1: the aggregator with its loss; Stage 2: the student, L1 to the truth).

Then what each way to run the student's step faster gives, and how far its output moves. All steps that are compared
take turns in one run. ``--write`` keeps the result as ``results/paper-DEVICE.md`` beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd import networks
from mtkd.data.examples import EXAMPLES
from mtkd.data.patches import Batch, ImagePairs, Patches
from mtkd.losses import WaveletLoss
from mtkd.methods import create
from mtkd.networks.aggregator import KnowledgeAggregator, MultiTeacher
from mtkd.networks.bicubic import Bicubic
from mtkd.networks.common import SuperResolutionNetwork
from mtkd.networks.windows import WindowAttention
from mtkd.teacher_cache import TeacherCache
from tests.benchmarks.speed import Step, take_turns

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
LR_PATCH, BATCH = (64, 16) if CUDA else (24, 2)
SCALE, TEACHERS = 4, ("edsr", "rcan", "swinir")
STUDENTS = ("edsr_baseline", "rcan_lightweight", "swinir_lightweight")
WAYS = ("authors", "online", "cached", "own")
RESULTS = Path(__file__).parent / "results"


@contextlib.contextmanager
def patches(outputs: Sequence[str]) -> Iterator[Patches]:
    """Random patches of the bundled examples, with cached outputs under these names (bicubic's: only time counts)."""
    pairs = ImagePairs([example.path for example in EXAMPLES], SCALE)
    with tempfile.TemporaryDirectory() as folder:
        caches: dict[str, Any] = {name: TeacherCache(Path(folder), name, Bicubic(SCALE), pairs) for name in outputs}
        for cache in caches.values():
            cache.fill(torch.device("cpu"))
        yield Patches(pairs, LR_PATCH, BATCH, 0, caches)


class Ways:
    """The steps of one stage and student: ``step(way)``."""

    def __init__(self, student: str | None, source: Patches) -> None:
        self.stage1, self.source = student is None, source
        self.teachers: dict[str, nn.Module] = {}
        self.student = student
        self.plain = Patches(source.pairs, LR_PATCH, BATCH, 0)
        if CUDA:
            source.hold(DEVICE)
        self.fixed = source(0).to(DEVICE)

    def frozen(self) -> None:
        """Build what is learned from; a cached step never needs it."""
        if self.teachers:
            return
        teachers = {name: networks.build(name, SCALE).to(DEVICE).eval() for name in TEACHERS}
        if self.stage1:
            self.teachers = teachers
            return
        aggregator = networks.build("aggregator", SCALE, teachers=TEACHERS)
        assert isinstance(aggregator, KnowledgeAggregator)
        self.teachers = {"MT": MultiTeacher(list(teachers.values()), aggregator).to(DEVICE).eval()}

    def step(self, way: str) -> Step:
        """One update by a way: batch, frozen networks, loss, backward, Adam."""
        network = (
            networks.build(self.student, SCALE)
            if self.student
            else networks.build("aggregator", SCALE, teachers=TEACHERS)
        )
        network.to(DEVICE)
        outputs: tuple[str, ...] = TEACHERS if self.stage1 else ("MT",)
        name = "aggregate" if self.stage1 else "scratch" if way == "own" else "mtkd"
        method = create(name, {}, () if name == "scratch" else outputs)
        optimizer = torch.optim.Adam(network.parameters(), 1e-4, fused=CUDA)
        if way in ("authors", "online"):
            self.frozen()

        def run() -> None:
            batch = self._batch(way)
            torch.stack(list(method.loss(network, batch).values())).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            for teacher in self.teachers.values():
                teacher.zero_grad()
            if CUDA:
                torch.cuda.synchronize()

        return run

    def _batch(self, way: str) -> Batch:
        if way == "own":
            return self.fixed
        if way == "cached":
            return self.source(1).to(DEVICE)
        batch = self.plain(1).to(DEVICE)
        with torch.set_grad_enabled(way == "authors"):
            batch.outputs = {name: teacher(batch.lr_image) for name, teacher in self.teachers.items()}
        return batch


def peak(student: str | None, way: str) -> float:
    """GiB that one step takes at its peak: of the GPU's memory, or of a process of its own."""
    if CUDA:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        with patches(TEACHERS if student is None else ("MT",)) as source:
            Ways(student, source).step(way)()
        return torch.cuda.max_memory_allocated() / 2**30
    words = [sys.executable, "-m", "tests.benchmarks.paper", "--peak", student or "", way]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def stages(rounds: int) -> Iterator[str]:
    """The table of ways."""
    yield "| step | authors | online | cached | own, s | authors / cached | target | GiB: authors, online, cached |"
    yield "|---|--:|--:|--:|--:|--:|---|---|"
    for student in (None, *STUDENTS):
        with patches(TEACHERS if student is None else ("MT",)) as source:
            ways = Ways(student, source)
            seconds = dict(zip(WAYS, take_turns([ways.step(way) for way in WAYS], rounds), strict=True))
            cached, own = take_turns([ways.step("cached"), ways.step("own")], 8 * rounds)
        memory = ", ".join(f"{peak(student, way):.1f}" for way in WAYS[:3])
        title = f"Stage 2, {student}" if student else "Stage 1, aggregator"
        target = "cached ≤ 1.10, authors / cached ≥ 10" if student else "cached ≤ 1.15"
        yield (
            f"| {title} | {seconds['authors'] / own:.1f} | {seconds['online'] / own:.1f} | {cached / own:.2f} "
            f"| {own:.2f} | {seconds['authors'] / cached:.1f} | {target} | {memory} |"
        )


def _wavelet_share(rounds: int) -> Iterator[str]:
    student = torch.rand(BATCH, 3, SCALE * LR_PATCH, SCALE * LR_PATCH, device=DEVICE, requires_grad=True)
    target, loss = torch.rand_like(student), WaveletLoss()

    def backward() -> None:
        student.grad = None
        loss(student, target).backward()
        if CUDA:
            torch.cuda.synchronize()

    with patches(("MT",)) as source:
        for name in STUDENTS:
            own = Ways(name, source).step("own")
            measured, whole = take_turns([backward, own], 4 * rounds)
            yield f"| wavelet loss, forward and backward / step of {name} | {measured / whole:.3f} | ≤ 0.05 |"


def _aggregator(rounds: int) -> Iterator[str]:
    images = tuple(torch.rand(BATCH, 3, SCALE * LR_PATCH, SCALE * LR_PATCH, device=DEVICE) for _ in TEACHERS)

    def backward(name: str) -> Step:
        network = networks.build(name, SCALE).to(DEVICE)

        def run() -> None:
            network(images).mean().backward()
            if CUDA:
                torch.cuda.synchronize()

        return run

    full, without = take_turns([backward("aggregator"), backward("aggregator_v4")], 6 * rounds)
    yield f"| aggregator, forward and backward / the same without DCT (v4) | {full / without:.2f} | ≤ 1.10 |"


def parts(rounds: int) -> Iterator[str]:
    """The table of single parts."""
    yield "| what | ratio | target |"
    yield "|---|--:|---|"
    yield from _wavelet_share(rounds)
    yield from _aggregator(rounds)


def _own_step(network: Any, batch: Batch, precision: torch.dtype | None = None, **adam: bool) -> Step:
    optimizer = torch.optim.Adam(network.parameters(), 1e-4, **adam)

    def run() -> None:
        with torch.autocast(DEVICE.type, precision, enabled=precision is not None):
            image = network(batch.lr_image)
        F.l1_loss(image.float(), batch.hr_image).backward()
        optimizer.step()
        optimizer.zero_grad()
        if CUDA:
            torch.cuda.synchronize()

    return run


def _contiguous(network: nn.Module, step: Step) -> Step:
    """The step without channels last in memory."""

    def run() -> None:
        before = SuperResolutionNetwork.normalise
        SuperResolutionNetwork.normalise = (  # type: ignore[method-assign]
            lambda self, image: (image - self.mean) * self.value_range
        )
        try:
            step()
        finally:
            SuperResolutionNetwork.normalise = before  # type: ignore[method-assign]

    return run


def _sdpa(step: Step) -> Step:
    """The step with PyTorch's fused attention, as on a GPU."""

    def attend(self: WindowAttention, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        full = bias.expand(len(q) // len(bias), *bias.shape).reshape(len(q), *bias.shape[1:])
        return F.scaled_dot_product_attention(q, k, v, attn_mask=full, scale=self.scale)

    def run() -> None:
        before = WindowAttention._attend
        WindowAttention._attend = attend  # type: ignore[method-assign]
        try:
            step()
        finally:
            WindowAttention._attend = before  # type: ignore[method-assign]

    return run


def options(rounds: int) -> Iterator[str]:
    """The table of what can be switched, on each student's own step; the ratio is to the step without it."""
    half = [torch.bfloat16, torch.float16] if CUDA else [torch.bfloat16]
    yield "| student | what | time | largest difference of the output |"
    yield "|---|---|--:|--:|"
    with patches(()) as source:
        batch = source(0).to(DEVICE)
    for name in STUDENTS:
        network = networks.build(name, SCALE).to(DEVICE)
        plain = _own_step(network, batch, fused=False)
        tried: list[tuple[str, Step, float | None]] = []
        for dtype in half:
            tried.append(
                (
                    f"{str(dtype).removeprefix('torch.')} autocast",
                    _own_step(network, batch, dtype),
                    _moved(network, batch, dtype),
                )
            )
        tried.append(("fused Adam", _own_step(network, batch, fused=True), None))
        compiled = networks.build(name, SCALE).to(DEVICE)
        compiled.load_state_dict(network.state_dict())
        expected, fast = network(batch.lr_image).detach(), torch.compile(compiled, dynamic=False)
        tried.append(
            ("torch.compile", _own_step(fast, batch), float((fast(batch.lr_image) - expected).abs().max().detach()))
        )
        if name == "swinir_lightweight":
            if not CUDA:
                tried.append(("fused attention", _sdpa(plain), None))
        elif not CUDA:
            reference = _contiguous(network, plain)
            last, contiguous = take_turns([plain, reference], 3 * rounds)
            yield f"| {name} | channels last (always on, on a CPU) | {last / contiguous:.2f} | |"
        for title, step, moved in tried:
            without, measured = take_turns([plain, step], 3 * rounds)
            difference = "" if moved is None else f"{255 * moved:.2g} of 255"
            yield f"| {name} | {title} | {measured / without:.2f} | {difference} |"


@torch.no_grad()
def _moved(network: nn.Module, batch: Batch, dtype: torch.dtype) -> float:
    exact = network(batch.lr_image)
    with torch.autocast(DEVICE.type, dtype):
        return float((network(batch.lr_image).float() - exact).abs().max())


def main() -> None:
    """Print the three tables as markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20 if CUDA else 2)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--peak", nargs=2, metavar=("STUDENT", "WAY"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.peak:
        student, way = chosen.peak
        with patches(TEACHERS if not student else ("MT",)) as source:
            Ways(student or None, source).step(way)()
        status = Path("/proc/self/status").read_text()  # getrusage would also count the process that started this one
        print(int(status.split("VmHWM:")[1].split()[0]) / 2**20)
        return
    device = torch.cuda.get_device_name() if CUDA else "one CPU thread"
    lines = [
        f"x{SCALE}, LR {LR_PATCH}, batch {BATCH}, fp32, {device}, torch {torch.__version__}; "
        "times are ratios to the trained network's own step in the same run.",
    ]
    print(lines[0], flush=True)
    for table in (stages, parts, options):
        lines.append("")
        print(flush=True)
        for line in table(chosen.rounds):
            lines.append(line)
            print(line, flush=True)
    if chosen.write:
        (RESULTS / f"paper-{DEVICE.type}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
