"""The folders of DIV2K: pairs of LR and HR images, and the border rule of the LR files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch

from mtkd.data.benchmarks import BenchmarkImage
from mtkd.data.patches import lr_file
from mtkd.errors import UserError
from mtkd.images import chw, crop_to_multiple, find_images
from mtkd.resize import Border, imresize


def hr_folder(root: Path, name: str) -> Path | None:
    """The folder ``name`` of DIV2K in a data folder; None if there is none."""
    return next((f for f in (root / "DIV2K" / name, root / name, root / "train" / name) if f.is_dir()), None)


def official_lr(hr: Path, scale: int) -> Path | None:
    """The LR folder that belongs to an HR folder: ``DIV2K_train_HR`` -> ``DIV2K_train_LR_bicubic/X4``; None: none."""
    name = hr.name.removesuffix("_HR")
    folder = hr.with_name(f"{name}_LR_bicubic") / f"X{scale}"
    return folder if name != hr.name and folder.is_dir() else None


def pairs(hr: Path, scale: int) -> list[BenchmarkImage]:
    """The HR images of a folder with their official LR files.

    Raises:
        UserError: no LR folder beside ``hr``, or a missing LR file.
    """
    lr = official_lr(hr, scale)
    if lr is None:
        beside = hr.with_name(hr.name.removesuffix("_HR") + "_LR_bicubic")
        raise UserError(f"{beside / f'X{scale}'}: no such folder of LR images beside {hr.name}")
    images = [BenchmarkImage(path.stem, lr_file(lr, path, scale), path) for path in find_images(hr)]
    if lacking := [image.lr for image in images if not image.lr.exists()]:
        raise UserError(f"{lacking[0]}: no such file; every HR image needs its LR image")
    return images


@dataclass(frozen=True)
class BorderCheck:
    """How many of ``images`` LR files each border rule reproduces exactly, and its differences from the others."""

    images: int
    exact: dict[str, int]
    pixels: dict[str, int]
    """Number of differing samples over all images."""
    worst: dict[str, int]
    """The greatest difference, in levels."""

    @property
    def rule(self) -> str:
        """``clamp``, ``mirror``, ``both`` (no image distinguishes them) or ``neither``."""
        fits = [rule for rule, count in self.exact.items() if count == self.images]
        return "both" if len(fits) > 1 else fits[0] if fits else "neither"

    def row(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "rule": self.rule,
            "images": self.images,
            "exact": self.exact,
            "differing_samples": self.pixels,
            "greatest_difference": self.worst,
        }


def check_border(
    images: Sequence[BenchmarkImage], scale: int, progress: Callable[[], None] = lambda: None
) -> BorderCheck:
    """Derive LR images from the HR images with both rules and compare them with the LR files.

    Raises:
        UserError: an unreadable image, or an LR file that is not 1/scale of its HR image.
    """
    rules: tuple[Border, ...] = get_args(Border)
    exact, pixels, worst = (dict.fromkeys(map(str, rules), 0) for _ in range(3))
    for image in images:
        lr, hr = map(chw, _read(image, scale))
        for rule in rules:
            difference = (imresize(hr, 1 / scale, rule).int() - lr.int()).abs()
            exact[rule] += not difference.any()
            pixels[rule] += int(torch.count_nonzero(difference))
            worst[rule] = max(worst[rule], int(difference.max()))
        progress()
    return BorderCheck(len(images), exact, pixels, worst)


def _read(image: BenchmarkImage, scale: int) -> tuple[Any, Any]:
    lr, hr = image.read()
    hr = crop_to_multiple(hr, scale)
    if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
        raise UserError(f"{image.lr}: {lr.shape[1]} x {lr.shape[0]} is not 1/{scale} of its HR image")
    return lr, hr
