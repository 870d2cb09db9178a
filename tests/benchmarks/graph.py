"""One process on the graph against two, and Ray with two workers: ``python tests/benchmarks/graph.py``.

A graph of four students of the bundled teachers (scratch and kd, two seeds, 300 steps, LR 32, batch 8) on 32 images
cut from the bundled examples; every way starts from an empty folder. Seconds are those of whole commands, start of
Python included; the ratio is to one process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from mtkd.data.examples import EXAMPLES
from mtkd.images import write_image

STEPS = 300
WORDS = ["matrix", "pair", "--seeds", "1,2"]


def write_plan(folder: Path) -> Path:
    """The plan and its images."""
    for number in range(32):
        top, left = 8 * (number // 8), 12 * (number % 8)
        image = EXAMPLES[number % len(EXAMPLES)].read()[top : top + 160, left : left + 160]
        write_image(folder / "images" / f"{number:02d}.png", image)
    content = {
        "extends": "mini",
        "defaults": {"data": {"train": str(folder / "images"), "holdout": 2}, "validate_every": 10_000},
        "teachers": {name: f"{name}_mini" for name in ("edsr", "rcan", "swinir")},
        "student": {"iterations": STEPS},
        "tables": {"pair": {"title": "Pair", "student": "edsr", "variants": ["scratch", "kd"]}},
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(content))
    return folder / "plan.yaml"


def seconds(plan: Path, out: Path, processes: int, *options: str) -> float:
    """How long the graph takes."""
    command = [sys.executable, "-m", "mtkd.cli", *WORDS, "--size", str(plan), "--out", str(out), *options]
    began = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(processes)]
    if any(process.wait() for process in running):
        raise SystemExit("a process failed")
    return time.perf_counter() - began


def main() -> None:
    """Print one row a way as markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = write_plan(folder)
        one = seconds(plan, folder / "one", 1)
        print("| way | seconds | ratio |\n|---|--:|--:|")
        print(f"| one process | {one:.0f} | 1.00 |", flush=True)
        for title, processes, options in (("two processes", 2, ()), ("Ray, two workers", 1, ("--ray",))):
            taken = seconds(plan, folder / title.split()[0], processes, *options)
            print(f"| {title} | {taken:.0f} | {taken / one:.2f} |", flush=True)


if __name__ == "__main__":
    main()
