"""Benchmark sets on disk, in the common layouts.

SelfExSR: ``Set5/image_SRF_4/img_001_SRF_4_{HR,LR}.png``; BasicSR: ``Set5/GTmod12/baby.png`` with
``Set5/LRbicx4/baby.png``; EDSR and SwinIR: ``Set5/HR/baby.png`` with ``Set5/LR_bicubic/X4/babyx4.png``; or a folder of
HR images alone. Missing LR images are derived from the HR images with the exact kernel; numbers measured on them are
marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mtkd.data.sources import benchmark_sets, set_names
from mtkd.errors import UserError, unknown_name
from mtkd.images import SUFFIXES, UInt8Image, chw, crop_to_multiple, read_image
from mtkd.resize import imresize


@dataclass(frozen=True)
class BenchmarkImage:
    """One image of a benchmark set: its official LR file and its HR file."""

    name: str
    lr: Path
    hr: Path

    @property
    def derived(self) -> bool:
        """Whether the LR image is derived from the HR image."""
        return False

    def read(self) -> tuple[UInt8Image, UInt8Image]:
        """Read LR and HR, (H, W, 3) uint8; HR is cropped at the right and bottom to a multiple of LR if necessary."""
        lr, hr = read_image(self.lr), read_image(self.hr)
        scale = hr.shape[0] // lr.shape[0]
        height, width = scale * lr.shape[0], scale * lr.shape[1]
        fits = 0 <= hr.shape[0] - height < scale and 0 <= hr.shape[1] - width < scale
        return lr, hr[:height, :width] if fits else hr


@dataclass(frozen=True)
class DerivedImage(BenchmarkImage):
    """An image without an LR file: HR is cropped to multiples of ``scale``, and LR derived from it as for official
    files (clamp)."""

    scale: int

    @property
    def derived(self) -> bool:
        return True

    def read(self) -> tuple[UInt8Image, UInt8Image]:
        try:
            hr = crop_to_multiple(read_image(self.hr), self.scale)
        except UserError as error:
            raise UserError(f"{self.hr}: {error}" if str(self.hr) not in str(error) else str(error)) from error
        return imresize(chw(hr), 1 / self.scale).permute(1, 2, 0).contiguous().numpy(), hr


NO_SETS = "no benchmark sets; give --data FOLDER, set MTKD_DATA, or fetch them: mtkd data fetch set5"
LAYOUTS = {"SelfExSR": "image_SRF_2", "BasicSR": "GTmod12", "HR and LR_bicubic": "HR"}
"""The subfolder that marks each layout; anything else is a folder of HR images."""


def set_folder(root: Path, name: str) -> Path | None:
    """The folder of a set in ``root`` or ``root/benchmarks``; None if there is none."""
    aliases = next((entry.aliases for entry in benchmark_sets() if entry.title == name), ())
    tried = [parent / alias for parent in (root, root / "benchmarks") for alias in (name, *aliases)]
    return next((folder for folder in tried if folder.is_dir()), None)


def layout(folder: Path) -> str:
    """The layout of a set's folder, in words."""
    if any(folder.glob("image_SRF_*")):
        return "SelfExSR"
    return next((name for name, part in LAYOUTS.items() if (folder / part).is_dir()), "HR images alone")


def present(root: Path, scale: int) -> list[str]:
    """The benchmark sets in a folder that have official or derived LR images at a scale."""
    return [name for name in set_names() if (folder := set_folder(root, name)) and pairs(folder, scale)]


def benchmark(root: Path, name: str, scale: int) -> list[BenchmarkImage]:
    """The images of one set at one scale, sorted by name.

    ``root`` is the folder of the sets, or contains it as ``benchmarks``.

    Raises:
        UserError: no such folder, set or scale, or an LR file without its HR file.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of benchmark sets")
    folder = set_folder(root, name)
    if folder is None:
        if (root / "benchmarks").is_dir():
            root = root / "benchmarks"
        raise unknown_name(f"set in {root}", name, (p.name for p in root.iterdir() if p.is_dir()))
    images = pairs(folder, scale)
    for image in images:
        if not image.hr.is_file():
            raise UserError(f"{image.hr}: no such file, but {image.lr.name} exists")
    if not images:
        raise UserError(f"{folder}: the set has no images for scale {scale}")
    return images


def pairs(folder: Path, scale: int) -> list[BenchmarkImage]:
    """The images of a set at a scale: those with LR files, else HR images from which LR is derived."""
    official = sorted(_official(folder, scale), key=lambda image: image.name)
    if official:
        return official
    # The HR images of the smallest scale are the least cropped ones.
    places = [*(folder / f"image_SRF_{s}" for s in (2, 3, 4)), folder / "GTmod12", folder / "HR", folder]
    for place in places:
        files = [path for path in _images(place) if not path.stem.endswith("_LR")]
        if files:
            return [DerivedImage(re.sub(r"_SRF_\d_HR$", "", path.stem), path, path, scale) for path in files]
    return []


def _official(folder: Path, scale: int) -> Iterator[BenchmarkImage]:
    for lr in (folder / f"image_SRF_{scale}").glob(f"*_SRF_{scale}_LR.png"):
        name = lr.name.removesuffix(f"_SRF_{scale}_LR.png")
        yield BenchmarkImage(name, lr, lr.with_name(lr.name.replace("_LR.png", "_HR.png")))
    for hr_part, lr_part in (("GTmod12", f"LRbicx{scale}"), ("HR", f"LR_bicubic/X{scale}")):
        for lr in _images(folder / lr_part):
            name = re.sub(rf"_?x{scale}$", "", lr.stem)
            yield BenchmarkImage(name, lr, folder / hr_part / f"{name}{lr.suffix}")


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
