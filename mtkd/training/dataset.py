"""The images of a run, found, split, paired and recorded, from what its recipe says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtkd.data.div2k import official_lr
from mtkd.data.patches import ImagePairs, damaged, lr_file, split
from mtkd.errors import UserError
from mtkd.home import data_folder
from mtkd.images import find_images
from mtkd.training.recipe import OFFICIAL, Data


def find_folder(data: Data) -> Path | None:
    """Where the HR images are; None where neither the folder nor the name under the data folder exists."""
    given, root = Path(data.train), data_folder()
    candidates = (given, root / "train" / data.train, root / data.train, root / "DIV2K" / data.train)
    return next((path for path in candidates if path.is_dir()), None)


def hr_folder(data: Data) -> Path:
    """Where the HR images are.

    Raises:
        UserError: neither the folder nor the name under the data folder exists.
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
    """The images that ``data`` names, at one scale.

    Raises:
        UserError: in all methods, no such folder.
    """

    data: Data
    scale: int

    def lr_folder(self) -> Path | None:
        """Where the LR images are read from; None where they are made from the HR images."""
        if self.data.lr == OFFICIAL:
            return official_lr(hr_folder(self.data), self.scale)
        return Path(self.data.lr) if self.data.lr else None

    def left_out(self) -> dict[Path, str]:
        """The HR files that are left out as damaged, with the reason; with ``skip_damaged`` every image is decoded."""
        if not self.data.skip_damaged:
            return {}
        return damaged(find_images(hr_folder(self.data)), self.scale, self.lr_folder())

    def split(self) -> tuple[list[Path], list[Path]]:
        """The files to train on, and those held out; see :func:`mtkd.data.patches.split`."""
        return split(hr_folder(self.data), self.data.holdout, self.left_out())

    def drawn(self, files: Sequence[Path], seed: int) -> list[Path]:
        """Of the files to train on, the first ``images`` in the order of ``seed``: fewer are the first of more.

        Raises:
            UserError: there are not so many.
        """
        number = self.data.images
        if number is None:
            return list(files)
        if number > len(files):
            raise UserError(f"data.images: {number} of {len(files)} training images; give at most {len(files)}")
        return [files[i] for i in np.random.default_rng(seed).permutation(len(files))[:number]]

    def files(self) -> list[Path]:
        """All image files, HR of training, HR held out, then LR where they are read: together they are the data."""
        hr, lr = [file for files in self.split() for file in files], self.lr_folder()
        if lr is None:
            return hr
        return hr + ([lr_file(lr, path, self.scale) for path in hr] if self.data.skip_damaged else find_images(lr))

    def pairs(self, files: Sequence[Path]) -> ImagePairs:
        """HR files with their LR images; see :class:`mtkd.data.patches.ImagePairs`."""
        return ImagePairs(files, self.scale, self.data.border, self.lr_folder())

    def record(self) -> dict[str, Any]:
        """What a run's card says of its images beyond their folder: where LR came from, what was left out."""
        record: dict[str, Any] = {}
        if self.data.lr:
            lr = self.lr_folder()
            record["lr"] = (
                f"files of {lr.parent.name}/{lr.name}" if lr else f"made from HR (bicubic, {self.data.border})"
            )
        if left_out := self.left_out():
            record["left_out"] = {path.name: reason for path, reason in left_out.items()}
        return record
