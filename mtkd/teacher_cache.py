"""Cached outputs of frozen networks on whole training images, from which patches are cropped.

A cached crop is a crop of the network run on the whole image. It differs from the network run on the patch
alone (borders, global pooling, window positions), and a turned crop of a cached image differs from the network
run on the turned image; ``tests/benchmarks/cached_crops.py`` measures by how much.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mtkd.data.patches import ImagePair, ImagePairs
from mtkd.errors import UserError
from mtkd.files import atomic_write, remove_unfinished
from mtkd.infer import upscale
from mtkd.zoo.checkpoints import weights_hash

DEAD_AFTER = 3600.0
"""Age in seconds from which an unfinished file counts as abandoned; one image takes far less."""


def read_output(path: Path) -> Tensor:
    """One cached output, (3, H, W) float16, mapped into memory.

    Raises:
        UserError: damaged, or not a cached output.
    """
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, in_columns, kind = np.lib.format.read_array_header_1_0(file)
            start, size = file.tell(), path.stat().st_size
        if in_columns or kind != np.float16 or len(shape) != 3 or size != start + 2 * math.prod(shape):
            raise ValueError(f"{shape} of {kind} in {size} bytes")
    except Exception as error:  # damaged headers make the reader raise almost anything
        raise UserError(f"{path}: damaged; remove it, then it is computed again") from error
    # torch closes the file once it is mapped. numpy keeps one descriptor an image, and 1,024 of them, the common limit,
    # are fewer than three teachers' outputs on BSDS400.
    whole = torch.from_file(str(path), shared=False, size=size // 2, dtype=torch.float16)
    return whole[start // 2 :].view(shape)


def check_disk(folder: Path, caches: Sequence[TeacherCache], progress: Callable[[str, int, int], None]) -> None:
    """Say what the outputs that are missing take on the disk, before they are computed.

    Raises:
        UserError: more than is free.
    """
    if not (needed := sum(cache.missing_bytes() for cache in caches)):
        return
    standing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(standing).free
    if needed > free:
        raise UserError(
            f"{folder}: the teachers' outputs take {_size(needed)}, {_size(free)} are free; free some space, choose "
            "another disk with --cache, fewer images (data.images), or teacher_outputs: online"
        )
    progress(f"teachers' outputs: {_size(needed)} on the disk, {_size(free)} free; images", 0, len(caches[0].pairs))


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


class TeacherCache:
    """A frozen network's output on every image of a set, float16, not clamped or rounded; of large images in tiles.

    Stored as one memory-mapped ``.npy`` file per image, ``folder/NAME-WEIGHTS/IMAGE.npy``. The hashes of weights and LR
    image are part of the names, so that runs share the outputs of a teacher and never read stale ones.

    Args:
        folder: the cache folder.
        name: name of the network, for readers.
        network: LR (1, 3, h, w) -> (1, 3, sh, sw), in eval mode.
        pairs: the images; crops are asked for by their index.
    """

    def __init__(self, folder: Path, name: str, network: nn.Module, pairs: ImagePairs) -> None:
        self.folder = folder / f"{name}-{weights_hash(network)}"
        self.network, self.pairs = network, pairs
        self._open: dict[int, Tensor] = {}

    def _file(self, pair: ImagePair) -> Path:
        digest = hashlib.sha256(f"{tuple(pair.lr.shape)}".encode() + pair.lr.cpu().numpy().tobytes()).hexdigest()
        return self.folder / f"{pair.name}-{digest[:12]}.npy"

    @torch.no_grad()
    def fill(
        self,
        device: torch.device,
        progress: Callable[[int, int], None] | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Compute the missing outputs. Images are written atomically, so an interrupted call can be repeated.

        Of several processes each computes every ``ranks``-th image; none waits for the others.
        """
        remove_unfinished(self.folder, DEAD_AFTER)
        network = self.network.to(device).eval()
        for index in range(rank, len(self.pairs), ranks):
            pair: ImagePair = self.pairs[index]
            path = self._file(pair)
            if not path.exists():
                output = upscale(network, pair.lr[None].to(device).float() / 255, self.pairs.scale)[0]
                if not torch.isfinite(output).all():
                    raise UserError(f"{pair.name}: the output of {self.folder.name} is not finite")
                with atomic_write(path) as temporary, temporary.open("wb") as file:
                    np.save(file, output.half().cpu().numpy())
            if progress:
                progress(index + 1, len(self.pairs))

    def _image(self, index: int) -> Tensor:
        if index not in self._open:
            self._open[index] = read_output(self._file(self.pairs[index]))
        return self._open[index]

    def missing_bytes(self) -> int:
        """Size of the outputs that are not on disk yet, in bytes."""
        sizes = (math.prod(p.lr.shape) * 2 * self.pairs.scale**2 for p in self.pairs if not self._file(p).exists())
        return sum(sizes)

    def bytes(self) -> int:
        """Size of all outputs in bytes."""
        return 2 * 3 * self.pairs.scale**2 * sum(math.prod(self.pairs.lr_size(i)) for i in range(len(self.pairs)))

    def hold(self, device: torch.device) -> None:
        """Read all outputs into a device's memory and keep them there."""
        for index in range(len(self.pairs)):
            self._open[index] = self._image(index).to(device)

    def crop(self, index: int, top: int, left: int, height: int, width: int) -> Tensor:
        """The window of image ``index``'s output, (3, height, width) float16."""
        return self._image(index)[:, top : top + height, left : left + width].contiguous()

    def whole(self, index: int) -> Tensor:
        """The whole output of image ``index``, (1, 3, sH, sW) float32."""
        return self._image(index)[None].float()
