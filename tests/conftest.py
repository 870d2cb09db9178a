"""Fixtures of all tests: where the benchmark images are, and small photos that are always there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from mtkd.data.examples import EXAMPLES

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of benchmark and training images; tests that need it are skipped without."""
    root = os.environ.get("MTKD_DATA")
    if not root or not (Path(root) / "benchmarks" / "Set5").is_dir():
        pytest.skip("needs MTKD_DATA, a folder that holds benchmarks/Set5, benchmarks/Set14 and train/BSDS400")
    return Path(root)


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder of six small HR photos, 96 x 72."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        image = Image.fromarray(EXAMPLES[number % 3].read())
        left, top = 40 * (number // 3) + 16, 56 * (number // 3) + 32
        image.crop((left, top, left + 96, top + 72)).save(folder / f"photo{number}.png")
    return folder
