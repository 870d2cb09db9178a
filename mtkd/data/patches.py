"""Training images in memory, and random patches from them.

The batch of iteration i is a pure function of (seed, i): there are no epochs, and a resumed training sees exactly
what an uninterrupted one would have seen (Sec. 4.2: random crops, flips, rotations). Each of several processes makes
its part of the batch, so that the result does not depend on their number.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mtkd.data.pairing import pair
from mtkd.errors import UserError, unknown_name
from mtkd.images import UInt8Image, chw, crop_to_multiple, find_images, read_image
from mtkd.resize import Border, imresize

ORIENTATIONS = 8
"""The dihedral group of the square: identity, flips, rotations, and their combinations."""


def orient(image: Tensor, k: int) -> Tensor:
    """The k-th of the 8 dihedral orientations of (..., H, W): bit 0 flips W, bit 1 flips H, bit 2 transposes."""
    flips = [dim for bit, dim in ((1, -1), (2, -2)) if k & bit]
    image = image.flip(flips) if flips else image
    return image.transpose(-1, -2) if k & 4 else image


def unorient(image: Tensor, k: int) -> Tensor:
    """The inverse of :func:`orient`."""
    image = image.transpose(-1, -2) if k & 4 else image
    flips = [dim for bit, dim in ((1, -1), (2, -2)) if k & bit]
    return image.flip(flips) if flips else image


class Crops(Protocol):
    """A source of windows of whole images, e.g. the cached outputs of a teacher."""

    def crop(self, index: int, top: int, left: int, height: int, width: int) -> Tensor:
        """The window of image ``index`` as (3, height, width) float."""

    def bytes(self) -> int:
        """What all images take."""

    def hold(self, device: torch.device) -> None:
        """Keep all images in a device's memory."""


@dataclass(frozen=True)
class ImagePair:
    """One training image: (3, sH, sW) HR and (3, H, W) LR, both uint8."""

    name: str
    hr: Tensor
    lr: Tensor


class ImagePairs(Sequence[ImagePair]):
    """A folder of HR images as (LR, HR) pairs; LR is MATLAB bicubic, or read from ``lr_folder``.

    Images are kept in memory as uint8, up to ``memory_limit`` bytes; the others are decoded when needed. LR files may
    differ from 1/scale of their HR image by less than a pixel: both are cut, which ``cut`` says by HR file.

    Raises:
        UserError: no images, an image smaller than ``scale``, or an LR file that does not match.
    """

    def __init__(
        self,
        files: Sequence[Path],
        scale: int,
        border: Border = "clamp",
        lr_folder: Path | None = None,
        memory_limit: int = 8 << 30,
    ) -> None:
        self.files, self.scale, self.border, self.lr_folder = list(files), scale, border, lr_folder
        self.cut: dict[str, str] = {}
        self._held: dict[int, ImagePair] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._room = memory_limit
        if self.files:
            self[0]  # a folder that does not match is told at once

    def _read(self, index: int) -> ImagePair:
        path = self.files[index]
        try:
            whole = _whole(path)
            hr = chw(crop_to_multiple(whole, self.scale))
        except UserError as error:
            raise UserError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error
        if self.lr_folder is None:
            return ImagePair(path.stem, hr, imresize(hr, 1 / self.scale, self.border))
        lr_path = lr_file(self.lr_folder, path, self.scale)
        if not lr_path.exists():
            if not self.lr_folder.is_dir():
                raise UserError(f"data.lr: {lr_path}: no such file; there is no folder {self.lr_folder}")
            raise UserError(f"data.lr: {lr_path}: no such file, nor another LR image of {path.name}; add it, or leave "
                            "such images out with --set data.skip_damaged=true")  # fmt: skip
        lr = chw(_whole(lr_path))
        height, width = self._common(path, whole.shape[:2], lr_path, lr.shape[1:])
        hr = hr[:, : self.scale * height, : self.scale * width].contiguous()
        return ImagePair(path.stem, hr, lr[:, :height, :width].contiguous())

    def _common(self, path: Path, hr: Sequence[int], lr_path: Path, lr: Sequence[int]) -> tuple[int, int]:
        """Height and width of what an HR image and its LR file both show, in LR pixels.

        Raises:
            UserError: they differ by the scale or more.
        """
        s = self.scale
        if any(abs(side - s * own) >= s for side, own in zip(hr, lr, strict=True)):
            raise UserError(f"{lr_path}: {lr[1]} x {lr[0]} is not 1/{s} of its HR image {path.name}, {hr[1]} x {hr[0]}")
        height, width = (min(own, side // s) for side, own in zip(hr, lr, strict=True))
        if (s * height, s * width) != tuple(hr) or (height, width) != tuple(lr):
            self.cut[path.name] = f"HR to {s * width} x {s * height}, LR to {width} x {height}"
        return height, width

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # Sequence's overloads: int only here
        index = range(len(self.files))[index]
        if index in self._held:
            return self._held[index]
        pair = self._read(index)
        self._sizes[index] = (pair.lr.shape[1], pair.lr.shape[2])
        size = pair.hr.numel() + pair.lr.numel()
        if size <= self._room:
            self._held[index], self._room = pair, self._room - size
        return pair

    def lr_size(self, index: int) -> tuple[int, int]:
        """Height and width of an LR image; it is decoded at most once for this."""
        if index not in self._sizes:
            self[index]
        return self._sizes[index]

    def bytes(self) -> int:
        """Size of all pairs in bytes, as uint8."""
        pixels = sum(math.prod(self.lr_size(index)) for index in range(len(self)))
        return 3 * pixels * (1 + self.scale**2)

    def hold(self, device: torch.device) -> None:
        """Move all pairs to a device and keep them there."""
        for index in range(len(self)):
            pair: ImagePair = self[index]
            self._held[index] = ImagePair(pair.name, pair.hr.to(device), pair.lr.to(device))


def _whole(path: Path) -> UInt8Image:
    """An image of a training set; one that cannot be read is named, with what to do."""
    try:
        return read_image(path)
    except UserError as error:
        raise UserError(f"{error}; remove it, or skip damaged images with --set data.skip_damaged=true") from error


def lr_file(folder: Path, hr: Path, scale: int) -> Path:
    """The LR file of an HR file: the same name, or as in DIV2K, ``0001.png`` -> ``0001x4.png``; else the one that the
    names tell (:mod:`mtkd.data.pairing`). Where there is none, a file that does not exist.

    Raises:
        UserError: names that do not decide.
    """
    names = (hr.name, f"{hr.stem}x{scale}{hr.suffix}")
    usual = next((f for f in (folder / n for n in names) if f.exists()), None)
    if usual is not None or not (folder.is_dir() and hr.parent.is_dir()):
        return usual or folder / names[0]
    changed = (folder.stat().st_mtime_ns, hr.parent.stat().st_mtime_ns)
    return _paired(folder, hr.parent, scale, changed).get(hr, folder / names[0])


@lru_cache(maxsize=64)
def _paired(lr_folder: Path, hr_folder: Path, scale: int, _changed: tuple[int, int]) -> dict[Path, Path]:
    """The LR files of HR files that have none of the usual names; on either side files may be left over."""
    hr, lr = find_images(hr_folder), []
    with suppress(UserError):  # an empty folder
        lr = find_images(lr_folder)
    usual = {h: {lr_folder / h.name, lr_folder / f"{h.stem}x{scale}{h.suffix}"} for h in hr}
    hr = [h for h in hr if not usual[h] & set(lr)]
    lr = [one for one in lr if not any(one in names for names in usual.values())]
    if not lr:
        return {}
    what = "another name, such as that of the HR image,"
    if len(lr) < len(hr):
        return {h: one for one, h in pair(lr, hr, what)}
    try:
        return dict(pair(hr, lr, what))
    except UserError as error:
        with suppress(UserError):
            return {h: one for one, h in pair(lr, hr, what)}
        raise UserError(f"data.lr: {error}") from error


def damaged(files: Iterable[Path], scale: int, lr_folder: Path | None = None) -> dict[Path, str]:
    """The HR files that cannot be read, or whose LR files cannot, with the reason. Decodes every image."""
    reasons = {}
    for path in files:
        for file in (path, lr_file(lr_folder, path, scale)) if lr_folder else (path,):
            if problem := _problem(file, file.stat().st_mtime_ns if file.exists() else 0):
                reasons[path] = problem
                break
    return reasons


@lru_cache(maxsize=100_000)
def _problem(path: Path, changed: int) -> str | None:
    try:
        read_image(path)
    except UserError as error:
        logging.getLogger("mtkd").warning("skipped: %s", error)
        return str(error)
    return None


def split(
    folder: Path, holdout: int, left_out: Container[Path] = (), named: Sequence[str] = ()
) -> tuple[list[Path], list[Path]]:
    """Split image files into training files and ``holdout`` held-out files, spread evenly over the sorted names.

    If file names are ``named``, these are held out instead.

    Raises:
        UserError: no images to train on remain, or a named image does not exist.
    """
    files = [path for path in find_images(folder) if path not in left_out]
    if named:
        names = [path.name for path in files]
        if unknown := [name for name in named if name not in names]:
            raise UserError(f"{folder}: {unknown_name('image', unknown[0], names)}")
        chosen = [[f for f in files if (f.name in named) == held] for held in (False, True)]
        if not chosen[0]:
            raise UserError(f"{folder}: all images are held out; name fewer in data.held_out")
        return chosen[0], chosen[1]
    if holdout >= len(files):
        raise UserError(f"{folder}: {len(files)} images, too few to hold {holdout} out; lower data.holdout")
    held = {round((i + 0.5) * len(files) / holdout - 0.5) for i in range(holdout)}
    return [f for i, f in enumerate(files) if i not in held], [f for i, f in enumerate(files) if i in held]


@dataclass
class Batch:
    """One batch, or a process's part of it: ``lr_image`` (B, 3, p, p), ``hr_image`` (B, 3, sp, sp) in [0, 1];
    ``outputs`` by network name, each (B, 3, sp, sp) float32, neither clamped nor rounded."""

    lr_image: Tensor
    hr_image: Tensor
    outputs: dict[str, Tensor] = field(default_factory=dict)
    seed: int = 0
    """Seed for the random choices of a method on this batch; a pure function of (seed, iteration)."""
    first: int = 0
    """Index of the first sample of this part in the whole batch."""
    whole: int | None = None
    """Number of samples of the whole batch; None: this is the whole batch."""

    @property
    def size(self) -> int:
        """Number of samples of the whole batch. Draw random choices for all of them, in this order."""
        return len(self.lr_image) if self.whole is None else self.whole

    @property
    def own(self) -> slice:
        """Slice of the samples of this part in the whole batch."""
        return slice(self.first, self.first + len(self.lr_image))

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device; copies from pinned memory are asynchronous."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """The same batch in page-locked memory, for asynchronous copies to a GPU."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        outputs = {name: function(value) for name, value in self.outputs.items()}
        return replace(self, lr_image=function(self.lr_image), hr_image=function(self.hr_image), outputs=outputs)


class Patches:
    """Random aligned patches of image pairs and of cached network outputs on them.

    Args:
        batch: size of the whole batch, over all processes.

    Raises:
        UserError: an image is smaller than the patch.
    """

    def __init__(
        self, pairs: ImagePairs, lr_patch: int, batch: int, seed: int, outputs: dict[str, Crops] | None = None
    ) -> None:
        self.pairs, self.lr_patch, self.batch, self.seed = pairs, lr_patch, batch, seed
        self.outputs = outputs or {}

    def __call__(self, iteration: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The batch of one iteration, or the part of process ``rank`` of ``ranks``."""
        rng = np.random.default_rng([self.seed, iteration, 0])
        drawn = [self._draw(rng) for _ in range(self.batch)]
        each = self.batch // ranks
        p, s = self.lr_patch, self.pairs.scale
        lr, hr = [], []
        outputs: dict[str, list[Tensor]] = {name: [] for name in self.outputs}
        for index, top, left, k in drawn[rank * each : (rank + 1) * each]:
            pair: ImagePair = self.pairs[index]
            lr.append(orient(pair.lr[:, top : top + p, left : left + p], k))
            window = (s * top, s * left, s * p, s * p)
            hr.append(orient(pair.hr[:, window[0] : window[0] + s * p, window[1] : window[1] + s * p], k))
            for name, source in self.outputs.items():
                outputs[name].append(orient(source.crop(index, *window), k))
        return Batch(
            torch.stack(lr).float() / 255,
            torch.stack(hr).float() / 255,
            {name: torch.stack(crops).float() for name, crops in outputs.items()},
            int(rng.integers(2**63)),
            rank * each,
            self.batch,
        )

    def bytes(self) -> int:
        """Size of all images and outputs in bytes."""
        return self.pairs.bytes() + sum(source.bytes() for source in self.outputs.values())

    def hold(self, device: torch.device) -> None:
        """Move all images and outputs to a device; patches are then cropped there."""
        self.pairs.hold(device)
        for source in self.outputs.values():
            source.hold(device)

    def _draw(self, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """One sample: image, top, left, orientation."""
        index = int(rng.integers(len(self.pairs)))
        height, width = self.pairs.lr_size(index)
        p = self.lr_patch
        if min(height, width) < p:
            raise UserError(
                f"{self.pairs.files[index].stem}: LR image of {width} x {height} is smaller than the patch of {p}; "
                "lower lr_patch or remove the image"
            )
        top, left = int(rng.integers(height - p + 1)), int(rng.integers(width - p + 1))
        return index, top, left, int(rng.integers(ORIENTATIONS))
