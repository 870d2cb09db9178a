"""Feeds malformed files to the program: it reads them or refuses them in one line, and nothing else happens.

``python -m tests.benchmarks.fuzz --write`` tries 5,000 images, 2,000 recipes and 500 checkpoints and makes
``results/fuzz.md``. A fresh process tries them in turn. A failure is any exception but a user's error, a crash, more
than :data:`SECONDS` or :data:`MEMORY` for one file, and anything that :data:`FORBIDDEN` names.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import corpus

RESULTS = Path(__file__).parent / "results" / "fuzz.md"
SECONDS = 10.0
MEMORY = 1 << 30
"""Bytes beyond what the process takes before."""
FORBIDDEN = {
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
    "socket.connect", "socket.bind", "urllib.Request", "pickle.find_class", "ctypes.dlopen", "os.remove", "os.rename",
    "os.chmod", "os.kill",
}  # fmt: skip
"""What reading a file never does (Python's audit events), beside opening files that are none of its business."""
NUMBERS = {"images": 5000, "recipes": 2000, "checkpoints": 500}


def read_image(path: Path) -> None:
    from mtkd.images import MAX_PIXELS, read_image

    read_image(path, MAX_PIXELS)


def read_recipe(path: Path) -> None:
    from mtkd.experiments.plan import load_recipe
    from mtkd.training.request import check

    check(load_recipe(str(path)))


def read_checkpoint(path: Path) -> None:
    """As whoever meets such a file: the importer, the catalogue, a training that is resumed, a cache."""
    from mtkd import zoo
    from mtkd.teacher_cache import read_output
    from mtkd.training.checkpoint import RunFolder
    from mtkd.zoo.imports import inspect
    from mtkd.zoo.model import read_card

    if path.suffix == ".npy":
        read_output(path).sum()
    elif path.suffix == ".json":
        read_card(path)
    elif "latest" in path.name:
        run = RunFolder.__new__(RunFolder)
        run.checkpoint = path
        run.load()
    else:
        if path.suffix == ".safetensors":
            zoo.models(sources=[path.parent])
        inspect(path)


def read_carelessly(path: Path) -> None:
    """What must not be done: the control that shows that this harness would notice it."""
    import torch

    torch.load(path, map_location="cpu", weights_only=False)


Reader = tuple[Callable[[random.Random, int], Iterator[tuple[str, bytes]]], Callable[[Path], None]]
KINDS: dict[str, Reader] = {
    "images": (corpus.images, read_image),
    "recipes": (corpus.recipes, read_recipe),
    "checkpoints": (corpus.checkpoints, read_checkpoint),
}
CONTROL: dict[str, Reader] = {"control": (corpus.checkpoints, read_carelessly)}


@dataclass
class Attempt:
    """What came of one file."""

    name: str
    outcome: str
    """"read", "refused", or what went wrong."""
    seconds: float = 0.0
    bytes: int = 0


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def _worker(kind: str, number: int, seed: int, folder: str, results: Any) -> None:
    """Try one file after the other; the parent sees how far this came."""
    home = Path(folder)
    os.environ |= {"MTKD_HOME": str(home / "home"), "MTKD_DATA": str(home / "data")}
    os.environ.pop("MTKD_ZOO", None)
    os.chdir(home)
    from mtkd.errors import UserError

    make, read = (KINDS | CONTROL)[kind]
    happened: list[str] = []
    watching = False
    ours = tuple(
        map(str, (home, sys.prefix, sys.base_prefix, Path(__file__).parents[2], "/proc/self", "/usr/share/zone"))
    )

    def seen(event: str, arguments: tuple[Any, ...]) -> None:
        if not watching:
            return
        path = os.fspath(arguments[0]) if event == "open" and isinstance(arguments[0], (str, os.PathLike)) else None
        if event in FORBIDDEN or (path is not None and not os.path.abspath(path).startswith(ours)):  # noqa: PTH100
            happened.append(f"{event} {arguments}"[:200])

    sys.addaudithook(seen)
    tempfile.gettempdir()  # looked for once, by writing
    for name, data in make(random.Random(seed), number):
        place = home / "input"
        place.mkdir(exist_ok=True)
        path = place / name
        path.write_bytes(data)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, began = _status("VmRSS"), time.monotonic()
        faulthandler.dump_traceback_later(6 * SECONDS, exit=True)
        watching, outcome = True, "read"
        try:
            read(path)
        except UserError as error:
            outcome = (
                "refused" if "\n" not in str(error) and len(str(error)) < 2000 else f"long error: {str(error)[:300]}"
            )
        except BaseException:
            outcome = traceback.format_exc()[-2000:]
        watching = False
        faulthandler.cancel_dump_traceback_later()
        seconds, growth = time.monotonic() - began, _status("VmHWM") - before
        if happened:
            outcome = "; ".join(happened)
        elif seconds > SECONDS:
            outcome = f"took {seconds:.0f} s"
        elif growth > MEMORY:
            outcome = f"took {growth >> 20} MiB"
        elif (home / corpus.CANARY).exists():
            outcome = "its code was run"
        happened.clear()
        if outcome in ("read", "refused"):
            path.unlink()
        results.send(Attempt(name, outcome, seconds, growth))


def fuzz(kind: str, number: int, seed: int, folder: Path) -> list[Attempt]:
    """Try so many files of one kind in a process of its own; those that failed stay in ``folder/input``."""
    from mtkd.data.examples import EXAMPLES
    from mtkd.images import write_image

    for name in ("BSDS400", "DIV2K_train_HR"):
        for image in range(24):  # as many as a recipe may hold out, and more
            write_image(folder / "data" / "train" / name / f"{image}.png", EXAMPLES[0].read()[:256, :256])
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_worker, args=(kind, number, seed, str(folder), sender))
    process.start()
    sender.close()
    found: list[Attempt] = []
    while True:
        try:
            found.append(receiver.recv())
        except EOFError:
            break
    process.join()
    if process.exitcode:
        found.append(Attempt(f"after {found[-1].name if found else 'the start'}", f"ended with {process.exitcode}"))
    assert len(found) == number, f"{len(found)} of {number} tried"
    return found


def failed(attempts: list[Attempt]) -> list[Attempt]:
    """Those that were neither read nor refused."""
    return [attempt for attempt in attempts if attempt.outcome not in ("read", "refused")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), help="images, recipes, checkpoints [default: all]")
    parser.add_argument("--number", type=int, help="of each kind [default: 5000, 2000, 500]")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    lines = [
        "| files | tried | read | refused in one line | failures | slowest, s | most memory, MiB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    failures = 0
    for kind in options.kinds:
        number = options.number or NUMBERS[kind]
        with tempfile.TemporaryDirectory() as folder:
            tried = fuzz(kind, number, options.seed, Path(folder))
        wrong = failed(tried)
        failures += len(wrong)
        for attempt in wrong[:20]:
            print(f"--- {attempt.name}\n{attempt.outcome}", file=sys.stderr)
        outcomes = [attempt.outcome for attempt in tried]
        lines.append(
            f"| {kind} | {number:,} | {outcomes.count('read'):,} | {outcomes.count('refused'):,} | {len(wrong)} "
            f"| {max(a.seconds for a in tried):.1f} | {max(a.bytes for a in tried) >> 20:,} |"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        about = (
            f"# Malformed files\n\nA failure would be a traceback, a crash, more than {SECONDS:.0f} s or "
            f"{MEMORY >> 20:,} MiB for one file, a program started, a connection made, code of a pickle looked up or "
            "run, or another file opened. Made by `python -m tests.benchmarks.fuzz --write`.\n\n"
        )
        RESULTS.write_text(about + text, encoding="utf-8")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
