"""Peak memory of a training on photos: ``python tests/benchmarks/photo_memory.py [MEGAPIXELS] [PHOTOS]``.

Distils ``aggregator_mini`` into a student on generated photos, one of them held out, for two iterations: what takes the
memory is reading, the teacher's outputs and validation. Linux and macOS.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

MEGAPIXELS, PHOTOS = 12.0, 3
PEAK = """
import resource
from pathlib import Path

def peak():
    try:  # of this process alone: on Linux ru_maxrss begins with that of its parent
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

"""
"""Code of a function that gives the most bytes that a process has had in memory. Linux and macOS."""


def write_photos(folder: Path, megapixels: float, count: int) -> None:
    """Smooth JPEG files of 4:3 with fine noise, as a phone's."""
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    width = round(height * 4 / 3)
    for number in range(count):
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 256, (height // 64, width // 64, 3), dtype=np.uint8))
        photo = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
        photo = np.clip(photo + rng.integers(-6, 7, photo.shape, dtype=np.int16), 0, 255).astype(np.uint8)
        Image.fromarray(photo).save(folder / f"photo{number}.jpg", quality=92)


def peak(megapixels: float = MEGAPIXELS, count: int = PHOTOS) -> float:
    """GiB of the process that trains."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        write_photos(folder / "photos", megapixels, count)
        recipe = {
            "name": "student", "stage": "distill", "network": "edsr_tiny", "scale": 4, "method": {"name": "mtkd"},
            "teachers": ["aggregator_mini"], "data": {"train": str(folder / "photos"), "holdout": 1}, "lr_patch": 32,
            "batch": 4, "iterations": 2,
        }  # fmt: skip
        (folder / "recipe.yaml").write_text(json.dumps(recipe))
        code = PEAK + (
            "from mtkd.cli import main\n"
            "try: main()\n"
            "except SystemExit as ended: assert not ended.code, ended.code\n"
            "print(peak())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "train", str(folder / "recipe.yaml"), "--out", str(folder / "run")],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        return int(done.stdout.split()[-1]) / 2**30


def main() -> None:
    """Print the peak."""
    megapixels = float(sys.argv[1]) if len(sys.argv) > 1 else MEGAPIXELS
    count = int(sys.argv[2]) if len(sys.argv) > 2 else PHOTOS
    began = time.monotonic()
    print(f"{count} photos of {megapixels:g} megapixels: {peak(megapixels, count):.2f} GiB")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
