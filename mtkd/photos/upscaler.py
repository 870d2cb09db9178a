"""Reads, upscales and writes one file after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from mtkd import infer
from mtkd.errors import UserError
from mtkd.images.formats import Format, of_suffix
from mtkd.images.picture import Picture
from mtkd.images.reading import AS_IT_IS, Frames, Reading, decoded, file_content, frames
from mtkd.images.writing import AS_USUAL, Writing, check_side, write_frames, write_picture
from mtkd.memory import check_memory
from mtkd.photos.enlarge import PLAIN, Enlarging, enlarged
from mtkd.photos.jobs import Job

EACH = 12
"""Bytes for a pixel of a result whose format is not written in parts: the samples, and Pillow's copies."""


@dataclass(frozen=True)
class Upscaler:
    """Upscales files by one network.

    Attributes:
        begin: called when a file has been read, before the network runs.
    """

    network: nn.Module
    scale: int
    device: torch.device
    reading: Reading = AS_IT_IS
    enlarging: Enlarging = PLAIN
    writing: Writing = AS_USUAL
    begin: Callable[[], None] = field(default=lambda: None)

    def __call__(self, job: Job, progress: infer.Progress | None = None) -> tuple[str, ...]:
        """Do a job; returns what a person should know of the result.

        Raises:
            UserError: the image cannot be read, or the format cannot hold the result.
            Unwritable: the result cannot be written.
        """
        name, data = str(job.source), file_content(job.source)
        if job.frames:
            with frames(data, name, self.reading) as found:
                if found.count > 1:
                    return self._all(job, found, progress)
        picture = decoded(data, name, self.reading)
        self._check(job, picture.size, 1)
        self.begin()
        return write_picture(job.target, self._large(job.source, picture, job.target.parent, progress), self.writing)

    def _all(self, job: Job, found: Frames, progress: infer.Progress | None) -> tuple[str, ...]:
        kind = self._check(job, found.size, found.count)
        if not kind.frames:
            raise UserError(
                f"{job.source}: {found.count} frames or pages, but {kind.title} holds one; write a PNG, WebP, "
                "AVIF, GIF or TIFF, or take one with --frames N"
            )
        self.begin()
        results = []
        for number, picture in enumerate(found.pictures):
            told = _Part(progress, number, found.count)
            results.append(self._large(job.source, picture, job.target.parent, told))
        return write_frames(job.target, results, found.loop, self.writing)

    def _check(self, job: Job, size: tuple[int, int], count: int) -> Format:
        """The format of the result, which can hold it."""
        kind = of_suffix(job.target)
        assert kind is not None
        width, height = (self.scale * side for side in size)
        check_side(job.target, (width, height), kind)
        if count > 1 or not kind.in_parts:
            instead = "write PNG or TIFF" if count == 1 else "take some of them with --frames N"
            each = f"{count} results of" if count > 1 else "a result of"
            check_memory(EACH * width * height * count, f"{job.source}: {each} {width} x {height} pixels", instead)
        return kind

    def _large(self, source: Path, picture: Picture, folder: Path, progress: infer.Progress | None) -> Picture:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return enlarged(self.network, picture, self.scale, self.enlarging, self.device, progress, folder)
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            tile = self.enlarging.tile or "none"
            raise UserError(f"{source}: not enough memory; use a smaller --tile (now {tile})") from error


@dataclass(frozen=True)
class _Part:
    """Progress of one of several frames, as that of all of them."""

    progress: infer.Progress | None
    number: int
    count: int

    def __call__(self, done: int, of: int) -> None:
        if self.progress:
            self.progress(self.number * of + done, self.count * of)
