"""Benchmark sets on disk, in the layout of SelfExSR: ``Set5/image_SRF_4/img_001_SRF_4_{HR,LR}.png``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtkd.errors import UserError, unknown_name
from mtkd.images import UInt8Image, read_image


@dataclass(frozen=True)
class BenchmarkImage:
    """One image of a benchmark set: its official LR file and its HR file."""

    name: str
    lr: Path
    hr: Path

    def read(self) -> tuple[UInt8Image, UInt8Image]:
        """LR and HR, (H, W, 3) uint8."""
        return read_image(self.lr), read_image(self.hr)


SETS = ("Set5", "Set14", "BSD100", "Urban100")
"""The benchmark sets of Sec. 4.3."""


def present(root: Path, scale: int) -> list[str]:
    """Which of :data:`SETS` a folder of benchmark sets has at a scale."""
    folders = (root, root / "benchmarks")
    return [name for name in SETS if any((f / name / f"image_SRF_{scale}").is_dir() for f in folders)]


def benchmark(root: Path, name: str, scale: int) -> list[BenchmarkImage]:
    """The images of one set at one scale, sorted by name.

    ``root`` is the folder that holds the sets, or one that holds it as ``benchmarks``.

    Raises:
        UserError: no such folder, set or scale, or an LR file without its HR file.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of benchmark sets")
    if (root / "benchmarks").is_dir() and not (root / name).is_dir():
        root = root / "benchmarks"
    folder = root / name / f"image_SRF_{scale}"
    if not folder.is_dir():
        if (root / name).is_dir():
            raise UserError(f"{folder}: the set has no images for scale {scale}")
        raise unknown_name(f"set in {root}", name, (p.name for p in root.iterdir() if p.is_dir()))
    images = []
    for lr in sorted(folder.glob(f"*_SRF_{scale}_LR.png")):
        hr = lr.with_name(lr.name.replace("_LR.png", "_HR.png"))
        if not hr.is_file():
            raise UserError(f"{hr}: missing, but {lr.name} is there")
        images.append(BenchmarkImage(lr.name.removesuffix(f"_SRF_{scale}_LR.png"), lr, hr))
    if not images:
        raise UserError(f"{folder}: no files named *_SRF_{scale}_LR.png")
    return images
