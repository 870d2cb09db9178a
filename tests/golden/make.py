"""Golden values: what the commands answered before the code was rearranged, so that a rearrangement can be compared.

``python tests/golden/make.py`` writes every file of golden values, ``python tests/golden/make.py losses`` one of them.
They are written again only where a change of the numbers is meant, and the commit says why. Everything goes through
the commands, as users give them: nothing here names a module that may move.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

HERE = Path(__file__).parent
IMAGES = HERE / "images"
"""Five RGB crops of the bundled examples, 64 x 56 pixels."""
RELATIVE, ABSOLUTE = 1e-5, 1e-7
"""How far a float may be from its golden value; everything else is equal.

Losses of 1e-3 are differences of values in [0, 1]: another CPU's kernels change them by some 2e-8.
"""
UNSTABLE = {"aggregator_mini_x3": 0.05, "aggregator_mini-v1": 1e-4, "aggregator_mini-v2": 1e-4}
"""Recipes whose steps enlarge rounding: how far they may be, as a ratio, from the third row on. Those of the first do
so a thousandfold; on a CPU without AVX-512 the other two are off by 1.2e-5."""

AGGREGATORS = ["aggregator_mini", *(f"aggregator_mini-{v}" for v in ("v1", "v2", "v3", "v4", "v4_masked"))]
TEACHERS = ["edsr_mini", "rcan_mini", "swinir_mini"]
METHODS = ["scratch", "kd", "at", "fakd", "crosskd", "dukd", "mtkd"]
VARIANTS = ["v5", "v6", "v7", "v7_zhang", "k2", "sym4", "summed", "mean", "self_ensemble", "online"]
RECIPES = [
    *AGGREGATORS,
    *TEACHERS,
    *(f"rcan_tiny-{method}" for method in (*METHODS, *VARIANTS)),
    *(f"{student}_tiny-{method}" for student in ("edsr", "swinir") for method in ("at", "fakd", "crosskd", "dukd")),
    "edsr_tiny-dukd_x2",
    "aggregator_mini_x3",
]
"""Recipes of the bundled plan: every method and stage, what features they read in every architecture."""
SETTING = [
    f"data.train={IMAGES}",
    "data.holdout=2",
    "lr_patch=8",
    "batch=2",
    "iterations=20",
    "schedule.warmup=5",
    "precision=fp32",
    "log_every=1",
    "snapshots=[]",
]
"""Assignments that make a recipe one of seconds; its method, networks, teachers, optimiser and average stay."""
CLOCK = {"it/s"}

BENCHMARKED = ["bicubic", "edsr_tiny-mtkd", "rcan_tiny-kd", "swinir_tiny-mtkd", "aggregator_mini-v1"]
EXPLAINED = ["rcan_tiny-mtkd", "aggregator_mini"]


def command(*arguments: object) -> str:
    """What ``mtkd`` with these arguments prints, run in this process."""
    (script,) = entry_points(group="console_scripts", name="mtkd")
    main, printed, told = script.load(), io.StringIO(), io.StringIO()
    words = ["mtkd", *map(str, arguments)]
    with patch.object(sys, "argv", words), redirect_stdout(printed), redirect_stderr(told):
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"{' '.join(words)}: exit status {ended.code}: {told.getvalue()}") from None
    return printed.getvalue()


@contextmanager
def empty_folder(**environment: str) -> Iterator[Path]:
    """A working folder without runs and models of a user, without benchmark images, and one thread."""
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as name, chdir(name), patch.dict(os.environ):
        for variable in ("MTKD_DATA", "MTKD_ZOO", "MTKD_PLUGINS"):
            os.environ.pop(variable, None)
        os.environ.update(
            {"MTKD_HOME": str(Path(name, "home")), **environment}
        )  # apart from the runs that are made here
        torch.set_num_threads(1)
        try:
            yield Path(name)
        finally:
            torch.set_num_threads(threads)


def losses() -> dict[str, Any]:
    """By recipe, all that is logged at each of 20 steps, and the held-out PSNR (dB) after them."""
    with empty_folder() as folder:
        return {recipe: training(recipe, folder) for recipe in RECIPES}


def training(recipe: str, folder: Path) -> list[dict[str, float]]:
    """What one recipe of the bundled plan logs."""
    out = folder / "runs" / recipe
    settings = [word for assignment in SETTING for word in ("--set", assignment)]
    command("train", f"mini/{recipe}", "--out", out, "--cache", folder / "cache", *settings)
    rows = map(json.loads, (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [{name: value for name, value in _numbers(row).items() if name not in CLOCK} for row in rows]


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row; the golden values name the subbands of L_dis as "band LL1" beside the terms."""
    bands = {f"band {name}": value for name, value in row.get("parts", {}).get("L_dis", {}).items()}
    return {name: value for name, value in row.items() if name != "parts"} | bands


def identities() -> dict[str, Any]:
    """Hashes that identify runs: of all that were recorded, and of all that the plans hold on the golden images."""
    with empty_folder():
        report = json.loads(command("matrix", "report", "--size", "mini", "--json"))
        lines = [(f"{line['model']} x{table['scale']}", line) for table in report["tables"] for line in table["rows"]]
        recorded = {digest: name for name, line in lines for digest in line["runs"]}
        return {"recorded": recorded, **{size: planned(size) for size in ("mini", "small", "paper")}}


def planned(size: str) -> dict[str, str]:
    """By model, scale and seed, the first digits of the hash of every run of a bundled plan."""
    images = ("--set", f"data.train={IMAGES}", "--set", "data.holdout=2", "--set", "data.lr=null")
    tasks = json.loads(command("matrix", "status", "all", "--size", size, *images, "--json"))["tasks"]
    folders = (task["folder"].rpartition("-") for task in tasks)
    return {name: digest for name, _, digest in sorted(folders)}


def benchmark() -> list[dict[str, Any]]:
    """PSNR and SSIM of five bundled models on Set5, scale 4; the folder of sets is named by ``MTKD_DATA``."""
    with empty_folder(MTKD_DATA=os.environ["MTKD_DATA"]):
        rows = json.loads(command("benchmark", *BENCHMARKED, "--sets", "Set5", "--json"))
    return [{key: value for key, value in row.items() if key != "versions"} for row in rows]


def explanations() -> dict[str, Any]:
    """Attribution of a student and of an aggregator, in a window of 16 pixels."""
    common = ("--at", "100,120", "--window", 16, "--steps", 6, "--json")
    with empty_folder():
        return {
            model: json.loads(command("explain", IMAGES / "astronaut.png", "--model", model, *common))
            for model in EXPLAINED
        }


def endpoints() -> list[str]:
    """The names of what a program can ask of the page."""
    from tests.app.conftest import served

    with served() as (address, _), urllib.request.urlopen(f"{address}gradio_api/info", timeout=60) as answer:
        return sorted(json.load(answer)["named_endpoints"])


PARTS: Mapping[str, Callable[[], Any]] = {
    part.__name__: part for part in (losses, identities, benchmark, explanations, endpoints)
}


def golden(part: str) -> Any:
    """The golden values of one part."""
    return json.loads((HERE / f"{part}.json").read_text(encoding="utf-8"))


def differences(expected: Any, actual: Any, where: str = "", relative: float = RELATIVE) -> list[str]:
    """Every place in which values are not the golden ones; what mappings hold beyond those is no difference."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        lost = [f"{where}: no '{key}'" for key in expected if key not in actual]
        shared = (key for key in expected if key in actual)
        return lost + [
            line for key in shared for line in differences(expected[key], actual[key], f"{where}/{key}", relative)
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [
            line for number, (one, other) in pairs for line in differences(one, other, f"{where}/{number}", relative)
        ]
    if isinstance(expected, float) and isinstance(actual, int | float):
        same = math.isclose(expected, actual, rel_tol=relative, abs_tol=ABSOLUTE)
    else:
        same = bool(expected == actual)
    return [] if same else [f"{where}: {actual!r} instead of {expected!r}"]


def write(parts: Sequence[str]) -> None:
    """Measure and write these parts."""
    for part in parts:
        text = json.dumps(PARTS[part](), indent=1)
        (HERE / f"{part}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))
    write(sys.argv[1:] or list(PARTS))
