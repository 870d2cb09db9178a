"""The images of a run: find, split and pair them as its recipe describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mtkd.data.div2k import official_lr
from mtkd.data.patches import ImagePairs, damaged, lr_file, split
from mtkd.errors import UserError
from mtkd.home import data_folder
from mtkd.images import UInt8Image, crop_to_multiple, find_images, image_size, read_image
from mtkd.training.recipe import OFFICIAL, Data, parse


def find_folder(data: Data) -> Path | None:
    """The folder of HR images; None if neither the folder nor the name below the data folder exists."""
    given, root = Path(data.train), data_folder()
    candidates = (given, root / "train" / data.train, root / data.train, root / "DIV2K" / data.train)
    return next((path for path in candidates if path.is_dir()), None)


def hr_folder(data: Data) -> Path:
    """Where the HR images are.

    Raises:
        UserError: neither the folder nor the name below the data folder exists.
    """
    if (path := find_folder(data)) is not None:
        return path
    name = Path(data.train).name
    public = next((n for n in ("BSDS400", "DIV2K") if name.startswith(n)), None)
    fetch = f", or fetch it: mtkd data fetch {public.lower()}" if public else ""
    raise UserError(
        f"data.train: no folder '{data.train}'; give a folder of HR images with --set data.train=FOLDER, "
        f"or set MTKD_DATA to the folder that holds train/{name}{fetch}"
    )


@dataclass(frozen=True)
class Dataset:
    """The images described by ``data``, at one scale.

    Raises:
        UserError: in all methods, the folder does not exist.
    """

    data: Data
    scale: int

    def lr_folder(self) -> Path | None:
        """The folder of LR images; None if they are derived from the HR images."""
        if self.data.lr == OFFICIAL:
            return official_lr(hr_folder(self.data), self.scale)
        return Path(self.data.lr) if self.data.lr else None

    def left_out(self) -> dict[Path, str]:
        """Damaged HR files, which are skipped, with the reason; with ``skip_damaged`` every image is decoded."""
        if not self.data.skip_damaged:
            return {}
        return damaged(find_images(hr_folder(self.data)), self.scale, self.lr_folder())

    def split(self) -> tuple[list[Path], list[Path]]:
        """The files to train on, and those held out; see :func:`mtkd.data.patches.split`."""
        return split(hr_folder(self.data), self.data.holdout, self.left_out(), self.data.held_out)

    def drawn(self, files: Sequence[Path], seed: int) -> list[Path]:
        """The first ``images`` of the training files, in an order given by ``seed``: a smaller set is part of a larger
        one.

        Raises:
            UserError: there are fewer files.
        """
        number = self.data.images
        if number is None:
            return list(files)
        if number > len(files):
            raise UserError(
                f"data.images: {number} images, but only {len(files)} to train on; give at most {len(files)}"
            )
        return [files[i] for i in np.random.default_rng(seed).permutation(len(files))[:number]]

    def files(self) -> list[Path]:
        """All image files: HR for training, HR held out, then LR if they are read from files."""
        hr, lr = [file for files in self.split() for file in files], self.lr_folder()
        if lr is None:
            return hr
        return hr + ([lr_file(lr, path, self.scale) for path in hr] if self.data.skip_damaged else find_images(lr))

    def pairs(self, files: Sequence[Path]) -> ImagePairs:
        """HR files with their LR images; see :class:`mtkd.data.patches.ImagePairs`."""
        return ImagePairs(files, self.scale, self.data.border, self.lr_folder())

    def record(self) -> dict[str, Any]:
        """The record of the images in a card: origin of the LR images, skipped files."""
        record: dict[str, Any] = {}
        if self.data.lr:
            lr = self.lr_folder()
            record["lr"] = (
                f"files of {lr.parent.name}/{lr.name}" if lr else f"made from HR (bicubic, {self.data.border})"
            )
        if left_out := self.left_out():
            record["left_out"] = {path.name: reason for path, reason in left_out.items()}
        return record


def trained_on(card: Mapping[str, Any], hr_image: UInt8Image) -> bool:
    """Whether an HR image, cut to a multiple of the scale, is one that the run of a ``card`` was trained on.

    Its pixels are compared with those of the run's images; where these are not on this computer, it is not.
    """
    try:
        recipe = parse(card.get("recipe"), "card")
        if (folder := find_folder(recipe.data)) is None:
            return False
        sizes = _sizes(recipe.data, recipe.scale, recipe.seed, folder.stat().st_mtime_ns)
    except (UserError, OSError):
        return False
    height, width = hr_image.shape[:2]
    alike = [path for path, (w, h) in sizes.items() if {w - w % recipe.scale, h - h % recipe.scale} == {width, height}]
    return any(np.array_equal(crop_to_multiple(read_image(path), recipe.scale), hr_image) for path in alike)


@lru_cache(64)
def _sizes(data: Data, scale: int, seed: int, changed: int) -> dict[Path, tuple[int, int]]:
    """Width and height of the images to train on; ``changed`` is the time of their folder's last change."""
    dataset = Dataset(data, scale)
    return {path: _size(path, changed) for path in dataset.drawn(dataset.split()[0], seed)}


@lru_cache(8192)
def _size(path: Path, changed: int) -> tuple[int, int]:
    return image_size(path)
