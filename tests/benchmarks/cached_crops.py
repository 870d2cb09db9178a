"""How far a cached crop is from the network run on the patch alone: ``python tests/benchmarks/cached_crops.py``.

A cached crop is cut from the network's output on the whole image, turned with the patch. Online, the network sees
the turned patch alone: other borders, other global pooling (RCAN), other window positions (SwinIR), and a turned
input. Reported per teacher: PSNR (RGB) between the two, over all pixels and over the patch's inner half, and how
much nearer the cached crop is to the ground truth. Needs MTKD_DATA with train/BSDS400.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from mtkd import zoo
from mtkd.data.patches import ImagePairs, Patches, split
from mtkd.teacher_cache import TeacherCache
from mtkd.training.dataset import hr_folder
from mtkd.training.recipe import Data

PATCH, BATCHES, IMAGES = 32, 10, 20


def decibel(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float((a - b).square().mean()))


@torch.no_grad()
def main() -> None:
    """Print one row a teacher as markdown."""
    torch.set_num_threads(1)
    _, held_out = split(hr_folder(Data(train="BSDS400")), IMAGES)
    pairs = ImagePairs(held_out, 4)
    print(f"{IMAGES} held-out images, {BATCHES} batches of 8 patches, LR {PATCH}, x4\n")
    print("| teacher | cached against online, dB | inner half, dB | truth: cached, dB | truth: online, dB |")
    print("|---|--:|--:|--:|--:|")
    for name in (m.name for m in zoo.models(4) if m.role != "student"):
        network = zoo.load(name, 4)
        with tempfile.TemporaryDirectory() as folder:
            cache = TeacherCache(Path(folder), name, network, pairs)
            cache.fill(torch.device("cpu"))
            patches = Patches(pairs, PATCH, 8, 0, {name: cache})
            batches = [patches(i) for i in range(BATCHES)]
            cached = torch.cat([b.outputs[name] for b in batches])
        truth = torch.cat([b.hr_image for b in batches])
        online = torch.cat([network(b.lr_image) for b in batches])
        inner = (..., slice(PATCH, 3 * PATCH), slice(PATCH, 3 * PATCH))
        print(
            f"| {name} | {decibel(cached, online):.2f} | {decibel(cached[inner], online[inner]):.2f} "
            f"| {decibel(cached, truth):.2f} | {decibel(online, truth):.2f} |"
        )


if __name__ == "__main__":
    main()
