"""What all tests share: where the benchmark images are, a few small photos, one thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from mtkd.cli.main import main
from mtkd.data.examples import example
from tests.browser import Browser, open_browser

torch.set_num_threads(1)  # reproducible sums; tests run side by side


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing that this computer's user trained or brought is seen by the tests."""
    folder = tmp_path_factory.mktemp("home")
    os.environ["MTKD_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with ``benchmarks/Set5/image_SRF_4/img_001_SRF_4_{HR,LR}.png``, ... and ``train/BSDS400``."""
    value = os.environ.get("MTKD_DATA")
    if not value:
        pytest.skip("MTKD_DATA is not set: it names the folder with the benchmark images")
    root = Path(value)
    if not (root / "benchmarks" / "Set5").is_dir():
        pytest.skip(f"MTKD_DATA is {root}, which holds no benchmarks/Set5")
    return root


def benchmark_images(root: Path, name: str, scale: int) -> list[tuple[Path, Path]]:
    """(HR file, LR file) of one benchmark set, in the order of their numbers."""
    folder = root / "benchmarks" / name / f"image_SRF_{scale}"
    pairs = [(hr, hr.with_name(hr.name.replace("_HR", "_LR"))) for hr in sorted(folder.glob("*_HR.png"))]
    assert len(pairs) == {"Set5": 5, "Set14": 14}[name]
    return pairs


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four RGB photos (PNG), cut from the bundled scikit-image pictures; sides of 96 to 133 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    crops = {"astronaut": (120, 120), "chelsea": (133, 120), "coffee": (129, 101), "rocket": (96, 96)}
    for name, (width, height) in crops.items():
        Image.open(example(name).path).crop((64, 72, 64 + width, 72 + height)).save(folder / f"{name}.png")
    return folder


@dataclass
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``mtkd`` with these arguments, in this process: starting one costs seconds."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mtkd", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return Outcome(int(stopped.value.code or 0), captured.out, captured.err)

    return call


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.fixture
def refused(run: Run, tmp_path: Path) -> Callable[..., str]:
    """A user's mistake: returns its one line; nothing under ``tmp_path`` is changed, made or left over."""

    def call(*arguments: object) -> str:
        before = contents(tmp_path)
        outcome = run(*arguments)
        assert outcome.code == 2
        assert outcome.out == ""
        assert outcome.err.startswith("mtkd: ") and outcome.err.endswith("\n") and outcome.err.count("\n") == 1
        assert "Traceback" not in outcome.err
        assert contents(tmp_path) == before
        return outcome.err.removeprefix("mtkd: ").rstrip("\n")

    return call


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a worker: Playwright starts once in a process."""
    with open_browser() as opened:
        yield opened
